//! The sockets that sources listen on. They belong to the gateway, which lends them: an address
//! stays bound while the source behind it is replaced.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::Arc;
use std::time::Duration;

use super::GatewayError;
use crate::config::{ListenAddr, Protocol, SourceConfig, SourceKind};
use crate::inherited::Inherited;
use crate::sources::accept::SocketFile;
use crate::unix_socket;

/// A bound socket. What it lends shares its queue.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener, SocketAddr),
    Udp(UdpSocket, SocketAddr),
    Unix(UnixListener, Arc<SocketFile>),
    UnixDatagram(UnixDatagram, Arc<SocketFile>),
    /// Of a source that connects.
    None,
}

impl Socket {
    /// Binds what a source wants, unless it was handed over.
    pub(super) async fn bind(
        source: &SourceConfig,
        inherited: &mut Inherited,
    ) -> Result<Self, GatewayError> {
        let name = &source.name;
        if let SourceKind::GraphiteUnix(unix) = &source.kind {
            return unix_socket::bind(unix)
                .map_err(|error| bind_error(name, &unix.path.display(), error));
        }
        let Some(listen) = source.listen() else { return Ok(Self::None) };
        let failed = |error| bind_error(name, listen, error);
        match source.protocol() {
            Protocol::Tcp => {
                let listener = bind_tcp(name, listen, inherited).await?;
                let bound = listener.local_addr().map_err(failed)?;
                Ok(Self::Tcp(listener, bound))
            }
            Protocol::Udp => {
                let socket = match inherited.take_udp(name, &listen.to_string()) {
                    Some(socket) => socket,
                    None => tokio::net::UdpSocket::bind(listen.to_string())
                        .await
                        .and_then(tokio::net::UdpSocket::into_std)
                        .map_err(failed)?,
                };
                let bound = socket.local_addr().map_err(failed)?;
                Ok(Self::Udp(socket, bound))
            }
        }
    }

    /// Sets what the source asks of it.
    pub(super) fn set_up(&self, kind: &SourceKind) {
        match (self, kind) {
            // Connections inherit it where the system does that; see `sources::graphite`.
            (Self::Tcp(listener, _), SourceKind::Graphite(_)) => {
                let _ = rustix::net::sockopt::set_socket_linger(listener, Some(Duration::ZERO));
            }
            (Self::Tcp(listener, _), _) => {
                let _ = rustix::net::sockopt::set_socket_linger(listener, None);
            }
            (Self::Udp(socket, _), SourceKind::GraphiteUdp(config)) => {
                let wanted = usize::try_from(config.receive_buffer).unwrap_or(usize::MAX);
                // As much as the system allows; less is no error.
                let _ = rustix::net::sockopt::set_socket_recv_buffer_size(socket, wanted);
            }
            _ => {}
        }
    }

    /// Another handle of the same socket.
    pub(super) fn lend(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(listener, bound) => Self::Tcp(listener.try_clone()?, *bound),
            Self::Udp(socket, bound) => Self::Udp(socket.try_clone()?, *bound),
            Self::Unix(listener, file) => Self::Unix(listener.try_clone()?, Arc::clone(file)),
            Self::UnixDatagram(socket, file) => {
                Self::UnixDatagram(socket.try_clone()?, Arc::clone(file))
            }
            Self::None => Self::None,
        })
    }

    /// The address that is really bound.
    pub(super) const fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, bound) | Self::Udp(_, bound) => Some(*bound),
            Self::Unix(..) | Self::UnixDatagram(..) | Self::None => None,
        }
    }
}

/// A TCP listener at this address, which does not block.
pub(super) async fn bind_tcp(
    name: &str,
    listen: &ListenAddr,
    inherited: &mut Inherited,
) -> Result<TcpListener, GatewayError> {
    match inherited.take_tcp(name, &listen.to_string()) {
        Some(listener) => Ok(listener),
        None => tokio::net::TcpListener::bind(listen.to_string())
            .await
            .and_then(tokio::net::TcpListener::into_std)
            .map_err(|error| bind_error(name, listen, error)),
    }
}

pub(super) fn bind_error(name: &str, listen: &dyn fmt::Display, error: io::Error) -> GatewayError {
    GatewayError::Bind { name: name.to_owned(), listen: listen.to_string(), error }
}
