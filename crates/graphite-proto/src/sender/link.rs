//! One connection to a server that takes points.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// Bytes that a server says, and nobody asked for, are read and dropped in pieces of so many.
const HEARD: usize = 256;

/// A connection to a Carbon daemon, over any stream. It writes, and it notices that the other side
/// has closed, which is all that a server ever says.
///
/// ```no_run
/// # use graphite_proto::Link;
/// # async fn send(stream: tokio::net::TcpStream) -> std::io::Result<()> {
/// let mut link = Link::new(stream);
/// link.write_all(b"local.random.diceroll 4 1700000000\n").await?;
/// link.finish().await // whoever closes after us has read it
/// # }
/// ```
#[derive(Debug)]
pub struct Link<S> {
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Takes over a stream that is connected.
    #[must_use]
    pub const fn new(stream: S) -> Self {
        Self { stream }
    }

    /// Writes some of the bytes, and says how many.
    ///
    /// # Errors
    /// Those of the stream, and [`io::ErrorKind::UnexpectedEof`] once the other side has closed: what
    /// is written then is read by nobody.
    ///
    /// # Cancel safety
    /// Bytes are written and counted in one step.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| {
            if let Poll::Ready(error) = self.poll_ended(cx) {
                return Poll::Ready(Err(error));
            }
            match Pin::new(&mut self.stream).poll_write(cx, bytes) {
                Poll::Ready(Ok(0)) if !bytes.is_empty() => {
                    Poll::Ready(Err(io::ErrorKind::WriteZero.into()))
                }
                written => written,
            }
        })
        .await
    }

    /// Writes all of the bytes, and hands over what the stream may have held back.
    ///
    /// # Errors
    /// As [`write`](Self::write). How much arrived is then not known.
    ///
    /// # Cancel safety
    /// None: some of the bytes may have been written.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write(bytes).await?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        self.stream.flush().await
    }

    /// Waits until the other side closes or the connection breaks, and says how.
    ///
    /// # Cancel safety
    /// Can be called again.
    pub async fn ended(&mut self) -> io::Error {
        poll_fn(|cx| self.poll_ended(cx)).await
    }

    /// Ends our side and waits until the other one ends its own: it has then read all that was
    /// written, and of a server that closes only when everything is on disk, as ingestry does, all of
    /// it is there. There is no limit of time; set one.
    ///
    /// # Errors
    /// Those of the stream: what arrived is then not known.
    ///
    /// # Cancel safety
    /// Can be called again; nothing can be written any more.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let error = self.ended().await;
        if error.kind() == io::ErrorKind::UnexpectedEof { Ok(()) } else { Err(error) }
    }

    /// The stream, for its addresses and options.
    #[must_use]
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let mut heard = [0; HEARD];
            let mut buffer = ReadBuf::new(&mut heard);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    let closed = "the other side has closed the connection";
                    return Poll::Ready(io::Error::new(io::ErrorKind::UnexpectedEof, closed));
                }
                Poll::Ready(Ok(())) => {}
            }
        }
    }
}
