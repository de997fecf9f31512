//! A stream that a proxy passes on, behind the header that says for whom.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::proxy::{self, MAX_HEADER, ProxyHeader};

/// What follows the PROXY header of a stream.
#[derive(Debug)]
pub struct Proxied<S> {
    stream: S,
    /// What was read together with the header, and how much of that was given out.
    behind: Vec<u8>,
    given: usize,
}

impl<S: AsyncRead + Unpin> Proxied<S> {
    /// Reads the header at the start of a stream, which has to be there. The limit of time is the
    /// caller's.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] with a [`ProxyError`](crate::proxy::ProxyError) when it is not,
    /// [`io::ErrorKind::UnexpectedEof`] when the stream ends before, and those of the stream.
    ///
    /// # Cancel safety
    /// None: the stream is lost.
    pub async fn accept(mut stream: S) -> io::Result<(ProxyHeader, Self)> {
        let mut start = Vec::with_capacity(256);
        loop {
            let read = proxy::read(&start)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if let Some((header, length)) = read {
                return Ok((header, Self { stream, behind: start, given: length }));
            }
            let room = (MAX_HEADER.saturating_sub(start.len())).clamp(1, 256);
            let mut part = (&mut stream).take(room as u64);
            if part.read_buf(&mut start).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl<S> Proxied<S> {
    /// The stream below.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Proxied<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let behind = this.behind.get(this.given..).unwrap_or_default();
        if behind.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let count = behind.len().min(buf.remaining());
        buf.put_slice(behind.get(..count).unwrap_or_default());
        this.given += count;
        if this.given == this.behind.len() {
            (this.behind, this.given) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Proxied<S> {
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
