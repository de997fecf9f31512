//! From an endpoint to a connection: TCP, a proxy's tunnel, TLS.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::endpoint::{Endpoint, unescape};
use super::error::ClientError;
use super::proxy::Proxy;
use super::tls::TlsOptions;

/// A proxy's answer is no longer than this.
const MAX_HEAD: usize = 16 << 10;

/// Bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that is being made.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// Makes connections to servers and proxies: TCP, unless a client is given another. TLS and the
/// tunnels of proxies are made on top.
pub trait Connector: Send + Sync + 'static {
    /// Connects.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a>;
}

/// By TCP.
#[derive(Debug)]
struct Tcp;

impl Connector for Tcp {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let stream = TcpStream::connect((host, port)).await?;
            // Keep-alives and pongs are small and awaited.
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// How connections are made.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) tls: TlsOptions,
    pub(crate) proxy: Proxy,
    /// For the connection, its proxy, TLS and the answer to the request.
    pub(crate) timeout: Duration,
    /// What is sent as `User-Agent`.
    pub(crate) agent: String,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tls, proxy, timeout, .. } = self;
        let mut out = f.debug_struct("Dialer");
        out.field("tls", tls)
            .field("proxy", proxy)
            .field("timeout", timeout)
            .finish_non_exhaustive()
    }
}

impl Default for Dialer {
    fn default() -> Self {
        Self {
            connector: Arc::new(Tcp),
            tls: TlsOptions::default(),
            proxy: Proxy::default(),
            timeout: Duration::from_secs(10),
            agent: concat!("loggregator-consumer/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Undialed {
    Cause(String),
    Tls(ClientError),
}

impl From<io::Error> for Undialed {
    fn from(error: io::Error) -> Self {
        Self::Cause(match error.kind() {
            io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
            _ => error.to_string(),
        })
    }
}

impl Dialer {
    /// A connection to the server, without a limit of time.
    pub(crate) async fn connect(&self, server: &Endpoint) -> Result<Box<dyn Stream>, Undialed> {
        let proxy = self.proxy.of(server).map_err(Undialed::Cause)?;
        let stream: Box<dyn Stream> = match proxy {
            None => self.plain(server).await?,
            Some(proxy) => {
                let mut stream = self.plain(&proxy).await?;
                if proxy.is_secure() {
                    stream = self.encrypt(stream, &proxy).await?;
                }
                tunnel(stream, server, &proxy, &self.agent).await?
            }
        };
        if server.is_secure() { self.encrypt(stream, server).await } else { Ok(stream) }
    }

    async fn plain(&self, server: &Endpoint) -> Result<Box<dyn Stream>, Undialed> {
        if server.host.is_empty() {
            return Err(Undialed::Cause("no host in the endpoint".to_owned()));
        }
        self.connector.connect(&server.host, server.port()).await.map_err(|error| {
            let what = match error.kind() {
                io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
                _ => error.to_string(),
            };
            Undialed::Cause(format!("dial tcp {}: {what}", server.address()))
        })
    }

    async fn encrypt(
        &self,
        stream: Box<dyn Stream>,
        server: &Endpoint,
    ) -> Result<Box<dyn Stream>, Undialed> {
        let connector = TlsConnector::from(self.tls.config().map_err(Undialed::Tls)?);
        let name = ServerName::try_from(server.host.clone())
            .map_err(|error| Undialed::Cause(error.to_string()))?;
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

/// Asks a proxy for a tunnel.
async fn tunnel(
    mut stream: Box<dyn Stream>,
    server: &Endpoint,
    proxy: &Endpoint,
    agent: &str,
) -> Result<Box<dyn Stream>, Undialed> {
    stream.write_all(connect_request(server, proxy, agent).as_bytes()).await?;
    stream.flush().await?;
    let mut buffer = BytesMut::new();
    let end = loop {
        if let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
            break end;
        }
        if buffer.len() > MAX_HEAD {
            return Err(Undialed::Cause("the proxy's answer has no end".to_owned()));
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(Undialed::Cause("unexpected EOF".to_owned()));
        }
    };
    let head = buffer.split_to(end);
    buffer.advance(4);
    let line =
        String::from_utf8_lossy(head.as_ref().split(|&b| b == b'\r').next().unwrap_or_default());
    let mut parts = line.splitn(3, ' ');
    let (version, status) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if !version.starts_with("HTTP/1.") || status.len() != 3 {
        return Err(Undialed::Cause(format!("malformed HTTP response {line:?}")));
    }
    if status != "200" {
        let reason = parts.next().filter(|reason| !reason.is_empty());
        return Err(Undialed::Cause(reason.unwrap_or(status).to_owned()));
    }
    Ok(Box::new(Rewound { first: buffer, stream }))
}

fn connect_request(server: &Endpoint, proxy: &Endpoint, agent: &str) -> String {
    let address = server.address();
    let mut request =
        format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {agent}\r\n");
    if let Some(user) = &proxy.user {
        let mut encoded = Vec::new();
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let plain = [unescape(name), b":".to_vec(), unescape(password)].concat();
        crate::json::base64_into(&plain, &mut encoded);
        request += "Proxy-Authorization: Basic ";
        request += &String::from_utf8_lossy(&encoded);
        request += "\r\n";
    }
    request + "\r\n"
}

/// A stream from which more was read than asked for.
struct Rewound {
    first: BytesMut,
    stream: Box<dyn Stream>,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let len = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first.split_to(len));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
