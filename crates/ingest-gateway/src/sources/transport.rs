//! Below a protocol: TCP or a unix socket, a PROXY header, TLS, gzip, one around the other.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use graphite_proto::{Gunzipped, Proxied};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::unread::Unread;
use crate::units::Network;

/// How long a client may take for the PROXY header and the handshake of TLS.
const OPENING: Duration = Duration::from_secs(10);

/// A stream whose end says nothing, whatever brings it about, until it is meant as an answer.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    /// From now on the end of our side says that everything is durable.
    fn answer(&mut self);
}

impl Transport for TcpStream {
    fn answer(&mut self) {
        let _ = rustix::net::sockopt::set_socket_linger(&*self, None);
    }
}

impl Transport for Unread {
    fn answer(&mut self) {
        self.take_last();
    }
}

impl<T: Transport> Transport for Proxied<T> {
    fn answer(&mut self) {
        self.get_mut().answer();
    }
}

impl<T: Transport> Transport for TlsStream<T> {
    fn answer(&mut self) {
        self.get_mut().0.answer();
    }
}

impl<T: Transport> Transport for Gunzipped<T> {
    fn answer(&mut self) {
        self.get_mut().answer();
    }
}

/// Any of them.
pub(crate) struct Stream(Box<dyn Transport>);

impl Transport for Stream {
    fn answer(&mut self) {
        self.0.answer();
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A connection that was accepted.
pub(crate) enum Accepted {
    Tcp(TcpStream, IpAddr),
    Unix(Unread),
}

impl Accepted {
    /// Who made it, as far as the system says.
    pub(crate) const fn peer(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, peer) => Some(*peer),
            Self::Unix(_) => None,
        }
    }
}

/// What there is around the bytes of a connection.
#[derive(Clone)]
pub(crate) struct Wrapping {
    /// Proxies whose word is taken on who connects. With any, all others are sent away.
    pub(crate) proxies: Vec<Network>,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) gzip: bool,
}

/// Why a connection is not let in: the place in [`REFUSALS`], and in words.
pub(crate) type Refusal = (usize, io::Error);

/// The names of refusals.
pub(crate) const REFUSALS: [&str; 3] = ["untrusted", "proxy-header", "handshake"];

impl Wrapping {
    /// Takes off what is around a connection: the stream inside, and who sends.
    pub(crate) async fn open(
        &self,
        accepted: Accepted,
    ) -> Result<(Stream, Option<IpAddr>), Refusal> {
        match accepted {
            Accepted::Unix(stream) => Ok((self.inflate(stream), None)),
            Accepted::Tcp(stream, peer) if self.proxies.is_empty() => {
                Ok((self.secure(stream).await?, Some(peer)))
            }
            Accepted::Tcp(stream, peer) => {
                if !self.proxies.iter().any(|trusted| trusted.contains(peer)) {
                    let text = "the peer is not among the trusted proxies";
                    return Err((0, io::Error::new(io::ErrorKind::PermissionDenied, text)));
                }
                let (header, stream) = timeout(OPENING, Proxied::accept(stream))
                    .await
                    .map_err(|late| (1, io::Error::from(late)))?
                    .map_err(|error| (1, error))?;
                let source = header.source().map(|source| source.ip().to_canonical());
                Ok((self.secure(stream).await?, Some(source.unwrap_or(peer))))
            }
        }
    }

    async fn secure(&self, stream: impl Transport + 'static) -> Result<Stream, Refusal> {
        let Some(tls) = &self.tls else { return Ok(self.inflate(stream)) };
        match timeout(OPENING, tls.accept(stream)).await {
            Ok(Ok(stream)) => Ok(self.inflate(stream)),
            Ok(Err(error)) => Err((2, error)),
            Err(late) => Err((2, late.into())),
        }
    }

    fn inflate(&self, stream: impl Transport + 'static) -> Stream {
        if self.gzip { Stream(Box::new(Gunzipped::new(stream))) } else { Stream(Box::new(stream)) }
    }
}
