//! One turn of a connection: write what there is, read what comes, wait for either.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// How long a TCP connection may be idle before the system asks whether the other end is still
/// there, and how long it waits before asking again: 2 s, as the Go library's clients.
pub const KEEPALIVE: Duration = Duration::from_secs(2);

/// Lets the system find out when the other end of a TCP connection is gone, every [`KEEPALIVE`].
/// A client does it by itself; a server does it before [`Acceptor::accept`](crate::Acceptor::accept).
///
/// # Errors
/// That of the system.
pub fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
    #[cfg(not(target_os = "openbsd"))]
    let keepalive = keepalive.with_interval(KEEPALIVE);
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// What a turn came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// So many bytes were read; 0 is the end of the stream.
    Read(usize),
    /// So many bytes were written.
    Wrote(usize),
    /// Somebody knocked.
    Woken,
    /// The deadline has come.
    Due,
}

/// The clock of the runtime, which tests can stop.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Writes from `output`, reads into `space`, whatever goes first. No bytes are lost if it is
/// dropped: what was read or written has been told.
///
/// `dirty` says that written bytes may not have left the stream yet, as with TLS.
pub(crate) async fn turn<T: AsyncRead + AsyncWrite + Unpin>(
    io: &mut T,
    space: &mut [u8],
    output: &[u8],
    dirty: &mut bool,
    wake: Option<&Notify>,
    deadline: Option<Instant>,
) -> io::Result<Turn> {
    let mut woken = pin!(async {
        match wake {
            Some(wake) => wake.notified().await,
            None => std::future::pending().await,
        }
    });
    let mut due = pin!(async {
        match deadline {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    });
    poll_fn(move |cx| {
        if !output.is_empty()
            && let Poll::Ready(wrote) = Pin::new(&mut *io).poll_write(cx, output)
        {
            *dirty = true;
            return Poll::Ready(match wrote? {
                0 => Err(io::ErrorKind::WriteZero.into()),
                len => Ok(Turn::Wrote(len)),
            });
        }
        if output.is_empty() && *dirty && Pin::new(&mut *io).poll_flush(cx)?.is_ready() {
            *dirty = false;
        }
        if let Poll::Ready(read) = read(io, cx, space) {
            return Poll::Ready(read.map(Turn::Read));
        }
        if woken.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(Turn::Woken));
        }
        due.as_mut().poll(cx).map(|()| Ok(Turn::Due))
    })
    .await
}

fn read<T: AsyncRead + Unpin>(
    io: &mut T,
    cx: &mut Context<'_>,
    space: &mut [u8],
) -> Poll<io::Result<usize>> {
    if space.is_empty() {
        return Poll::Pending;
    }
    let mut buf = ReadBuf::new(space);
    Pin::new(io).poll_read(cx, &mut buf).map_ok(|()| buf.filled().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_looks_after_idle_connections() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let socket = socket2::SockRef::from(&stream);
        assert!(!socket.keepalive().unwrap());
        keep_alive(&stream).unwrap();
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE);
        }
    }
}
