//! A stream whose other side compresses what it sends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::gzip::Gunzip;

/// Compressed bytes that are held.
const HELD: usize = 16 * 1024;

/// Reads what gzip made of a stream, as it was before; writes go through as they are.
///
/// A stream that ends inside a member is an error, so that nobody takes its end for an end.
#[derive(Debug)]
pub struct Gunzipped<S> {
    stream: S,
    gunzip: Gunzip,
    held: Box<[u8]>,
    /// Which of the held bytes were not taken yet.
    start: usize,
    end: usize,
    ended: bool,
}

impl<S> Gunzipped<S> {
    /// Takes over a stream at its start.
    #[must_use]
    pub fn new(stream: S) -> Self {
        let held = vec![0; HELD].into_boxed_slice();
        Self { stream, gunzip: Gunzip::new(), held, start: 0, end: 0, ended: false }
    }

    /// The stream below.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gunzipped<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let input = this.held.get(this.start..this.end).unwrap_or_default();
            let step = this
                .gunzip
                .step(input, buf.initialize_unfilled())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            this.start += step.consumed;
            if step.produced > 0 {
                buf.advance(step.produced);
                return Poll::Ready(Ok(()));
            }
            if step.consumed > 0 {
                continue;
            }
            if buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                return Poll::Ready(if this.gunzip.is_complete() {
                    Ok(())
                } else {
                    let text = "the compressed stream is cut off";
                    Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
                });
            }
            let mut room = ReadBuf::new(&mut this.held);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut room))?;
            (this.start, this.end) = (0, room.filled().len());
            this.ended = this.end == 0;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gunzipped<S> {
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
