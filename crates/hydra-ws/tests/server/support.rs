//! A server on loopback, and a client that says exactly what it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hydra_ws::{Failure, Ingestor, Join, Outcome, Registry, Request, Server, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps what it gets. `hang` waits for `go`.
#[derive(Default)]
pub(crate) struct Keeper {
    pub(crate) got: Mutex<Vec<String>>,
    pub(crate) go: Arc<Notify>,
}

impl Ingestor for Keeper {
    fn join(&self, _: &Request) -> Join {
        Join::Join
    }

    fn ingest(&self, request: Request) -> Outcome {
        let payload = String::from_utf8_lossy(request.payload()).into_owned();
        let hangs = payload.contains("hang");
        let fails = payload.contains("explode");
        self.got.lock().unwrap().push(payload);
        let go = Arc::clone(&self.go);
        if hangs {
            Outcome::later(async move {
                go.notified().await;
                Ok(())
            })
        } else if fails {
            Outcome::failed(Failure::error("boom"))
        } else {
            Outcome::completed()
        }
    }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) server: Server,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) stop: watch::Sender<bool>,
}

pub(crate) async fn start(config: ServerConfig) -> Running {
    let registry = Registry::new();
    let keeper = Arc::new(Keeper::default());
    registry.register("keeper", Arc::clone(&keeper) as _, SystemTime::now()).unwrap();
    let server = Server::new(config, registry);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let accepting = server.clone();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let (server, stopped) = (accepting.clone(), stopped.clone());
            tokio::spawn(async move { server.serve(stream, peer.ip(), stopped).await });
        }
    });
    Running { address, server, keeper, stop }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

/// A frame from the server: its first byte, and its payload.
pub(crate) type Frame = (u8, Vec<u8>);

impl Client {
    pub(crate) async fn raw(server: &Running) -> Self {
        Self { stream: TcpStream::connect(server.address).await.unwrap() }
    }

    /// A web socket, after the handshake of RFC 6455, 1.3.
    pub(crate) async fn open(server: &Running, path: &str) -> Self {
        let mut client = Self::raw(server).await;
        let head = client.upgrade(path, "").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        client
    }

    pub(crate) async fn upgrade(&mut self, path: &str, fields: &str) -> String {
        self.send(
            format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                 Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
            )
            .as_bytes(),
        )
        .await;
        self.head().await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The head of an answer, in lower case but for its first line.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, self.stream.read_u8()).await.unwrap().unwrap();
            head.push(byte);
        }
        String::from_utf8(head).unwrap()
    }

    /// An HTTP answer: head and body.
    pub(crate) async fn answer(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap_or("0").parse().unwrap()];
        timeout(PATIENCE, self.stream.read_exact(&mut body)).await.unwrap().unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.send(&masked(0x81, text.as_bytes())).await;
    }

    /// The next frame; `None` when the stream ended.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut start = [0; 2];
        let read = timeout(PATIENCE, self.stream.read_exact(&mut start)).await.unwrap();
        read.ok()?;
        assert_eq!(start[1] & 0x80, 0, "a server does not mask");
        let length = match start[1] {
            126 => usize::from(self.stream.read_u16().await.unwrap()),
            127 => usize::try_from(self.stream.read_u64().await.unwrap()).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        timeout(PATIENCE, self.stream.read_exact(&mut payload)).await.unwrap().unwrap();
        Some((start[0], payload))
    }

    pub(crate) async fn reply(&mut self) -> String {
        let (first, payload) = self.frame().await.unwrap();
        assert_eq!(first, 0x81, "{payload:?}");
        String::from_utf8(payload).unwrap()
    }

    pub(crate) async fn say(&mut self, text: &str) -> String {
        self.text(text).await;
        self.reply().await
    }

    /// The code of the close frame that comes next, and after it the end. 1005: no code.
    pub(crate) async fn close_code(&mut self) -> u16 {
        let (first, payload) = self.frame().await.expect("a close frame");
        assert_eq!(first, 0x88, "{}", String::from_utf8_lossy(&payload));
        let code = match payload.as_slice() {
            [] => 1005,
            [high, low, ..] => u16::from_be_bytes([*high, *low]),
            [_] => panic!("half a code"),
        };
        let _ = self.stream.shutdown().await;
        assert!(self.frame().await.is_none(), "something follows the close frame");
        code
    }
}

/// A frame as a client sends it.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
        middle @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// As [`masked`], without a mask.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first, length], payload].concat()
}
