//! Unix streams whose end cannot be taken for an answer.
//!
//! A client takes the end of our side for the word that everything it sent is durable. Over TCP a
//! process that is killed can be made to reset its connections; a unix socket that is closed always
//! ends in order, unless bytes wait in it that nobody has read: then the other side sees a reset. So
//! the last byte that came is looked at and left there until the answer is meant.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;

/// A unix stream of which one byte is left unread.
#[derive(Debug)]
pub(crate) struct Unread {
    stream: UnixStream,
    /// The first byte that waits in the socket was given out already.
    seen: bool,
    scratch: Vec<u8>,
}

impl Unread {
    pub(crate) const fn new(stream: UnixStream) -> Self {
        Self { stream, seen: false, scratch: Vec::new() }
    }

    /// Takes the byte that was left: the end of our side is an answer from now on.
    pub(crate) fn take_last(&mut self) {
        if self.seen && matches!(self.stream.try_read(&mut [0]), Ok(1)) {
            self.seen = false;
        }
    }

    /// Looks at what waits behind the byte that was seen, takes all but its last byte, and gives it
    /// out; 0 at the end of the stream.
    fn receive(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let seen = usize::from(self.seen);
        self.scratch.resize(out.len() + seen, 0);
        let mut ended = false;
        loop {
            let (_, there) =
                rustix::net::recv(&self.stream, self.scratch.as_mut_slice(), RecvFlags::PEEK)?;
            let count = there.saturating_sub(seen);
            if count > 0 {
                let fresh = self.scratch.get(seen..there).unwrap_or_default();
                for (place, byte) in out.iter_mut().zip(fresh) {
                    *place = *byte;
                }
                // All that was seen before, and of what is new all but the last byte.
                let take = there - 1;
                let mut taken = 0;
                while taken < take {
                    let room = self.scratch.get_mut(taken..take).unwrap_or_default();
                    taken += rustix::net::recv(&self.stream, room, RecvFlags::empty())?.1;
                }
                self.seen = true;
                return Ok(count);
            }
            // Nothing was ever there, and nothing will come; or only the byte that was seen is.
            if there == 0 || ended {
                return Ok(0);
            }
            if !self.has_ended()? {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            // What came just before the end was not looked at yet.
            ended = true;
        }
    }

    /// Whether the other side has ended its own.
    fn has_ended(&self) -> io::Result<bool> {
        let flags = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let mut look = [PollFd::new(&self.stream, flags)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut look, Some(&at_once))?;
        Ok(look.iter().any(|look| look.revents().intersects(flags)))
    }
}

impl AsyncRead for Unread {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(this.stream.poll_read_ready(cx))?;
            let out = buf.initialize_unfilled();
            let mut received = this.receive(out);
            if received.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                // The runtime is told that it has to wait for something new.
                let wait = this.stream.try_io(Interest::READABLE, || {
                    Err::<usize, _>(io::ErrorKind::WouldBlock.into())
                });
                // What came between the look and the telling is not announced again.
                received = this.receive(out);
                if received.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                    drop(wait);
                    continue;
                }
            }
            let count = received?;
            buf.advance(count);
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncWrite for Unread {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn pair() -> (Unread, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Unread::new(ours), theirs)
    }

    #[tokio::test]
    async fn everything_is_read_once_whatever_the_pieces() {
        for room in [1, 3, 4096] {
            let (mut ours, mut theirs) = pair().await;
            let writer = tokio::spawn(async move {
                for n in 0..2_000_u32 {
                    theirs.write_all(format!("{n} ").as_bytes()).await.unwrap();
                }
                theirs.shutdown().await.unwrap();
                theirs
            });
            let (mut all, mut piece) = (Vec::new(), vec![0; room]);
            loop {
                let count = ours.read(&mut piece).await.unwrap();
                if count == 0 {
                    break;
                }
                all.extend_from_slice(&piece[..count]);
            }
            let expected: String = (0..2_000_u32).map(|n| format!("{n} ")).collect();
            assert_eq!(String::from_utf8(all).unwrap(), expected);
            assert_eq!(ours.read(&mut piece).await.unwrap(), 0);
            // The answer is an end.
            let mut theirs = writer.await.unwrap();
            ours.take_last();
            drop(ours);
            assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn an_end_that_is_no_answer_is_a_reset() {
        let (mut ours, mut theirs) = pair().await;
        theirs.write_all(b"a 1 2\n").await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut all = Vec::new();
        ours.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"a 1 2\n");
        drop(ours);
        let error = theirs.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_stream_without_a_byte_ends_in_order() {
        let (mut ours, mut theirs) = pair().await;
        theirs.shutdown().await.unwrap();
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0);
        ours.take_last();
        drop(ours);
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    }
}
