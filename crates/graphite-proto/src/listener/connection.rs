//! A stream of points: TCP, unix sockets, TLS over either.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{Event, Format, FrameError, Options, StreamDecoder, Timestamp};

/// The buffer of a new connection, in bytes. It doubles, up to [`BUFFER_MAX`], each time a read
/// fills it, so that idle connections stay small.
const BUFFER_START: usize = 8 * 1024;

/// The largest buffer of a connection, in bytes.
const BUFFER_MAX: usize = 256 * 1024;

/// One connection of a client that sends points, in any [`Format`].
///
/// Works over any stream. The steps are the caller's: [`read`](Self::read) some bytes,
/// [`drain`](Self::drain) them into a sink, and so on; when `read` says the client has sent all,
/// [`finish`](Self::finish), make what came durable, and [`close_after_eof`](Self::close_after_eof).
/// The protocol has no replies: the end of our side, after the client's, is the only
/// acknowledgement there is.
///
/// ```no_run
/// # use graphite_proto::{Connection, Format, Options, Timestamp};
/// # async fn serve(stream: tokio::net::TcpStream, now: Timestamp) -> std::io::Result<()> {
/// let mut connection = Connection::new(stream, Format::Lines, Options::default());
/// while connection.read(64 * 1024).await?.is_some() {
///     let drained = connection.drain(now, &mut |event| { /* keep it */ });
///     drained.map_err(std::io::Error::other)?;
/// }
/// let ended = connection.finish(now, &mut |event| { /* keep it */ });
/// ended.map_err(std::io::Error::other)?;
/// // Here goes what makes the metrics durable.
/// connection.close_after_eof().await
/// # }
/// ```
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    decoder: StreamDecoder,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were read and not decoded.
    filled: usize,
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Takes over a stream that has just been accepted.
    #[must_use]
    pub fn new(stream: S, format: Format, options: Options) -> Self {
        Self {
            stream,
            decoder: StreamDecoder::new(format, options),
            buffer: Vec::new(),
            filled: 0,
            ended: false,
        }
    }

    /// Reads once, at most `max` bytes (and at most 256 KiB are held undecoded), and says how many
    /// came; `None` at the end of the stream. `Some(0)` means that there was no room, because
    /// `max` is 0 or 256 KiB wait for [`drain`](Self::drain).
    ///
    /// # Errors
    /// Those of the stream.
    ///
    /// # Cancel safety
    /// Nothing is lost: bytes are either read into the buffer or still in the stream.
    pub async fn read(&mut self, max: usize) -> io::Result<Option<usize>> {
        if self.ended {
            return Ok(None);
        }
        if self.filled == self.buffer.len() && self.buffer.len() < BUFFER_MAX {
            let size = (self.buffer.len() * 2).clamp(BUFFER_START, BUFFER_MAX);
            self.buffer.resize(size, 0);
        }
        let end = self.filled.saturating_add(max).min(self.buffer.len());
        let room = self.buffer.get_mut(self.filled..end).unwrap_or_default();
        if room.is_empty() {
            return Ok(Some(0));
        }
        let count = self.stream.read(room).await?;
        self.filled += count;
        self.ended = count == 0;
        Ok((count != 0).then_some(count))
    }

    /// Decodes what was read into the sink. `now` is what a timestamp of −1 stands for.
    ///
    /// # Errors
    /// [`FrameError`] where the stream cannot be read on: the connection is to be closed. Never for
    /// [`Format::Lines`].
    pub fn drain(
        &mut self,
        now: Timestamp,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), FrameError> {
        let input = self.buffer.get(..self.filled).unwrap_or_default();
        let result = self.decoder.push(input, now, sink);
        if self.filled == self.buffer.len() && self.buffer.len() < BUFFER_MAX {
            let size = (self.buffer.len() * 2).clamp(BUFFER_START, BUFFER_MAX);
            self.buffer.resize(size, 0);
        }
        self.filled = 0;
        result
    }

    /// Decodes what was read, and the line or frame that the end of the stream cut off.
    ///
    /// # Errors
    /// As [`drain`](Self::drain).
    pub fn finish(
        &mut self,
        now: Timestamp,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), FrameError> {
        self.drain(now, sink)?;
        self.decoder.finish(now, sink);
        Ok(())
    }

    /// Whether the client has ended its side.
    #[must_use]
    pub fn at_eof(&self) -> bool {
        self.ended
    }

    /// Bytes that were read but are in no event yet: those not drained, and the beginning of a
    /// line or frame.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.filled + self.decoder.buffered()
    }

    /// Closes our side: what the client has been waiting for after it ended its own.
    ///
    /// # Errors
    /// Those of the stream. A client that is gone by now is none: it is an `Ok`.
    ///
    /// # Cancel safety
    /// Can be called again.
    pub async fn close_after_eof(&mut self) -> io::Result<()> {
        match self.stream.shutdown().await {
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::NotConnected
                        | io::ErrorKind::BrokenPipe
                        | io::ErrorKind::ConnectionReset
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// The stream, for its addresses and options.
    #[must_use]
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The stream, to be changed. Reading from it takes bytes away from the decoder.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Gives the stream back. Bytes read and not decoded are lost; dropping a TCP stream before
    /// its end has been read resets it.
    #[must_use]
    pub fn into_stream(self) -> S {
        self.stream
    }
}
