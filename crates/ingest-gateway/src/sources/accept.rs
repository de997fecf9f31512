//! Connections together with their places among those that may be open.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Context;
use super::transport::Accepted;
use super::unread::Unread;

/// Wait after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Where connections come in.
pub(super) trait Door {
    type Connection;

    /// The next one.
    async fn next(&self) -> io::Result<Self::Connection>;

    /// Who made it, as far as the system says.
    fn peer(connection: &Self::Connection) -> Option<IpAddr>;
}

impl Door for TcpListener {
    type Connection = (TcpStream, IpAddr);

    async fn next(&self) -> io::Result<Self::Connection> {
        let (stream, peer) = self.accept().await?;
        Ok((stream, peer.ip().to_canonical()))
    }

    fn peer((_, peer): &Self::Connection) -> Option<IpAddr> {
        Some(*peer)
    }
}

/// Where connections of Graphite come in.
#[derive(Debug)]
pub(crate) enum Entrance {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: Arc<SocketFile> },
}

impl Door for Entrance {
    type Connection = Accepted;

    async fn next(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.next().await?;
                // Whatever ends this connection without an answer, a kill of the process included,
                // is to be seen as a reset: an end of file says that everything is durable.
                let _ = stream.set_zero_linger();
                Ok(Accepted::Tcp(stream, peer))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted::Unix(Unread::new(stream)))
            }
        }
    }

    fn peer(connection: &Accepted) -> Option<IpAddr> {
        connection.peer()
    }
}

/// The file of a unix socket, which goes with its last handle.
#[derive(Debug)]
pub(crate) struct SocketFile(pub(crate) PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Accepts until the source retires, at most so many connections at a time, then waits for those
/// that are open. `serve` makes of each what runs as a task of its own.
pub(super) async fn accept<D: Door, F: Future<Output = ()> + Send + 'static>(
    door: D,
    most: usize,
    cx: &Context,
    mut serve: impl FnMut(D::Connection) -> F,
) {
    let slots = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    let mut retired = cx.retired.clone();
    loop {
        // The place comes first: who finds none waits in the system's queue.
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((door.next().await?, slot))
        };
        let accepted = tokio::select! {
            _ = retired.wait_for(|retired| *retired) => break,
            accepted = next => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((connection, _)) if !cx.allowed.has(D::peer(&connection)) => {
                cx.counters.connections_total.add(1);
                cx.counters.connections_refused.add(1);
                cx.allowed.note_connection(D::peer(&connection));
            }
            Ok((connection, slot)) => {
                let connection = serve(connection);
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(source = %cx.counters.name, %error, "Cannot accept a connection.");
                sleep(PAUSE).await;
            }
        }
    }
    drop(door);
    while connections.join_next().await.is_some() {}
}
