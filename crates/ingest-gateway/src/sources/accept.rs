//! Connections together with their places among those that may be open.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Context;

/// Wait after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the source retires, at most so many connections at a time, then waits for those
/// that are open. `serve` makes of each what runs as a task of its own.
pub(super) async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    most: usize,
    cx: &Context,
    mut serve: impl FnMut(TcpStream, IpAddr) -> F,
) {
    let slots = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    let mut retired = cx.retired.clone();
    loop {
        let accepted = tokio::select! {
            _ = retired.wait_for(|retired| *retired) => break,
            accepted = next(&listener, &slots) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer, slot)) => {
                let connection = serve(stream, peer);
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
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// A connection, who made it, and its place. The place comes first: who finds none waits in the
/// system's queue.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer.ip().to_canonical(), slot))
}
