//! One turn of a connection: write what there is, read what comes, wait for either.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

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
