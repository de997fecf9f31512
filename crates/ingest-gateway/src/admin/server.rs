//! The admin pages over HTTP/1.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::pages::answer;
use super::view::View;

/// Wait after a connection could not be accepted, which is mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The least that the HTTP library takes as its buffer.
const LEAST_BUFFER: usize = 8 << 10;

/// What a client can make the admin pages hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections open at once; further ones are closed. Default: 64.
    pub connections: usize,
    /// Time for the head of a request, the wait for it included. Default: 10 s.
    pub head_time: Duration,
    /// Bytes of it, at least 8 KiB. Default: 16 KiB.
    pub head_bytes: usize,
    /// Header fields in it. Default: 64.
    pub headers: usize,
    /// How long a connection is used. Default: 60 s.
    pub lifetime: Duration,
    /// Time for a request under way when the connection has to end. Default: 1 s.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            head_time: Duration::from_secs(10),
            head_bytes: 16 << 10,
            headers: 64,
            lifetime: Duration::from_secs(60),
            grace: Duration::from_secs(1),
        }
    }
}

/// Serves the admin pages until `shutdown` completes, with the default [`Limits`].
///
/// # Cancel safety
/// Dropping the future closes the listener and every connection.
pub async fn serve(
    listener: TcpListener,
    view: Arc<dyn View>,
    shutdown: impl Future<Output = ()> + Send,
) {
    serve_with(listener, view, shutdown, Limits::default()).await;
}

/// Serves the admin pages until `shutdown` completes. Connections then have [`Limits::grace`] to
/// finish their request.
///
/// On a loopback address only requests are answered whose host is an address, `localhost` or not
/// named, so that no page from elsewhere can read along.
///
/// # Cancel safety
/// Dropping the future closes the listener and every connection.
pub async fn serve_with(
    listener: TcpListener,
    view: Arc<dyn View>,
    shutdown: impl Future<Output = ()> + Send,
    limits: Limits,
) {
    let loopback =
        listener.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((_, peer)) if connections.len() >= limits.connections => {
                tracing::debug!(%peer, "too many admin connections");
            }
            Ok((stream, _)) => {
                let (view, stopped) = (Arc::clone(&view), stopped.clone());
                connections.spawn(connection(stream, view, loopback, limits, stopped));
            }
            Err(error) => {
                tracing::warn!(%error, "an admin connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((listener, stop));
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.grace, ended).await.is_err() {
        connections.shutdown().await;
    }
}

/// Serves one connection until the client ends it, its time is up, or the sender of `stopped` is
/// gone.
async fn connection(
    stream: TcpStream,
    view: Arc<dyn View>,
    loopback: bool,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response: Response<_> = answer(&*view, loopback, &request);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes.max(LEAST_BUFFER))
        .max_headers(limits.headers)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        _ = stopped.changed() => None,
        () = sleep(limits.lifetime) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            served.as_mut().graceful_shutdown();
            timeout(limits.grace, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an admin connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::admin::testing::FakeView;

    const PATIENCE: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(50);

    struct Server {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        task: JoinHandle<()>,
    }

    async fn start(limits: Limits) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve_with(listener, Arc::new(FakeView::new()), shutdown, limits));
        Server { address, stop, task }
    }

    struct Client(BufReader<TcpStream>);

    #[derive(Debug)]
    struct Answer {
        status: u16,
        head: Vec<String>,
        body: String,
    }

    impl Answer {
        fn header(&self, name: &str) -> Option<&str> {
            self.head.iter().find_map(|line| {
                let (have, value) = line.split_once(':')?;
                have.eq_ignore_ascii_case(name).then_some(value.trim())
            })
        }
    }

    impl Client {
        async fn new(server: &Server) -> Self {
            Self(BufReader::new(TcpStream::connect(server.address).await.unwrap()))
        }

        async fn send(&mut self, text: &str) {
            self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
        }

        async fn answer(&mut self, has_body: bool) -> Answer {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                let read = timeout(PATIENCE, self.0.read_line(&mut line)).await.unwrap();
                assert!(read.unwrap() > 0, "closed after {head:?}");
                if line == "\r\n" {
                    break;
                }
                head.push(line.trim_end().to_owned());
            }
            let status = head[0].split(' ').nth(1).unwrap().parse().unwrap();
            let mut answer = Answer { status, head, body: String::new() };
            if has_body {
                let length = answer.header("content-length").unwrap().parse().unwrap();
                let mut body = vec![0; length];
                timeout(PATIENCE, self.0.read_exact(&mut body)).await.unwrap().unwrap();
                answer.body = String::from_utf8(body).unwrap();
            }
            answer
        }

        async fn ask(&mut self, method: &str, path: &str) -> Answer {
            self.send(&format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
            self.answer(method != "HEAD").await
        }

        /// What comes until the connection ends, however it ends.
        async fn rest(mut self) -> Vec<u8> {
            let mut rest = Vec::new();
            let _ = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.unwrap();
            rest
        }
    }

    #[tokio::test]
    async fn one_connection_reads_every_page() {
        let server = start(Limits::default()).await;
        let mut client = Client::new(&server).await;
        assert_eq!(client.ask("GET", "/health").await.body, "ok\n");
        let page = client.ask("GET", "/").await;
        let head = client.ask("HEAD", "/").await;
        assert_eq!((page.status, head.status), (200, 200));
        assert_eq!(page.header("content-length"), head.header("content-length"));
        let status = client.ask("GET", "/status").await;
        assert_eq!(status.header("content-type"), Some("application/json"));
        let json: serde_json::Value = serde_json::from_str(&status.body).unwrap();
        assert_eq!(json["balanced"], true);
        assert!(client.ask("GET", "/metrics").await.body.contains("ingestry_balanced 1\n"));
        assert_eq!(client.ask("GET", "/ready").await.status, 200);
        assert_eq!(client.ask("HEAD", "/nothing").await.status, 404);
        assert_eq!(client.ask("GET", "/nothing").await.status, 404);
        let refused = client.ask("DELETE", "/status").await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
        client.send("GET /status HTTP/1.1\r\nHost: rebound.example:8910\r\n\r\n").await;
        assert_eq!(client.answer(true).await.status, 403);
        client.send("GET /health HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n").await;
        assert_eq!(client.answer(true).await.status, 200);
        assert!(client.rest().await.is_empty());
    }

    #[tokio::test]
    async fn old_clients_and_bodies_are_answered() {
        let server = start(Limits::default()).await;
        let mut client = Client::new(&server).await;
        client.send("GET /health HTTP/1.0\r\n\r\n").await;
        assert_eq!(client.answer(true).await.body, "ok\n");
        assert!(client.rest().await.is_empty());
        // A body that is announced and never comes.
        let mut client = Client::new(&server).await;
        let head = "POST /status HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 1000000000\r\n";
        client.send(&format!("{head}Expect: 100-continue\r\n\r\n")).await;
        assert_eq!(client.answer(true).await.status, 405);
        assert!(client.rest().await.is_empty());
    }

    #[tokio::test]
    async fn slow_and_long_heads_end_the_connection() {
        let server = start(Limits { head_time: SHORT, ..Limits::default() }).await;
        let mut slow = Client::new(&server).await;
        slow.send("GET /health HTTP/1.1\r\nHost: loc").await;
        assert!(!slow.rest().await.starts_with(b"HTTP/1.1 200"));
        let silent = Client::new(&server).await;
        assert!(!silent.rest().await.starts_with(b"HTTP/1.1 200"));

        let server = start(Limits::default()).await;
        let mut long = Client::new(&server).await;
        let field = "x".repeat(20 << 10);
        long.send(&format!("GET / HTTP/1.1\r\nHost: localhost\r\nA: {field}\r\n\r\n")).await;
        assert!(!long.rest().await.starts_with(b"HTTP/1.1 200"));
        let mut many = Client::new(&server).await;
        let fields = "a: b\r\n".repeat(65);
        many.send(&format!("GET / HTTP/1.1\r\n{fields}\r\n")).await;
        assert!(many.rest().await.starts_with(b"HTTP/1.1 431"));
    }

    #[tokio::test]
    async fn connections_are_limited_in_number_and_age() {
        let server = start(Limits { connections: 1, ..Limits::default() }).await;
        let mut first = Client::new(&server).await;
        assert_eq!(first.ask("GET", "/health").await.status, 200);
        assert!(Client::new(&server).await.rest().await.is_empty());
        assert_eq!(first.ask("GET", "/health").await.status, 200);

        let server = start(Limits { lifetime: SHORT, ..Limits::default() }).await;
        let mut old = Client::new(&server).await;
        assert_eq!(old.ask("GET", "/health").await.status, 200);
        assert!(old.rest().await.is_empty());
    }

    #[tokio::test]
    async fn a_shutdown_ends_every_connection() {
        let server = start(Limits { grace: SHORT, ..Limits::default() }).await;
        let mut idle = Client::new(&server).await;
        assert_eq!(idle.ask("GET", "/health").await.status, 200);
        let mut half = Client::new(&server).await;
        assert_eq!(half.ask("GET", "/health").await.status, 200);
        half.send("GET /health HTTP").await;
        server.stop.send(()).unwrap();
        timeout(PATIENCE, server.task).await.unwrap().unwrap();
        assert!(idle.rest().await.is_empty());
        assert!(half.rest().await.is_empty());
        assert!(TcpStream::connect(server.address).await.is_err());
    }
}
