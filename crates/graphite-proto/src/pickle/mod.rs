//! Pickled points: frames of a list of `(path, (timestamp, value))` (`graphite.md` 4).
//!
//! | to do this | use |
//! | --- | --- |
//! | decode a stream of frames (port 2004) | [`PickleDecoder`] |
//! | decode one pickle without a length before it (an HTTP body) | [`PickleReader`] |
//! | write frames as carbon's clients do | [`PickleEncoder`] |
//! | read and write pickles of other values (feature `serde-pickle`) | `general` |
//!
//! # What is read
//! All protocols, 0 to 5, with the opcodes that lists, tuples, texts, numbers, booleans and `None`
//! are written with, and sharing through the memo. Lists and tuples stand for each other at every
//! level. A path is text, or bytes that are UTF-8; numbers may be integers of any size up to the
//! limit, floats, booleans, or texts of numbers. With [`Profile::Default`](crate::Profile::Default)
//! and [`Profile::GoCarbon`](crate::Profile::GoCarbon) an element may have several points,
//! `[path, (t, v), (t, v)]`, as go-carbon's own tools write.
//!
//! # What is refused
//! Everything that fetches or runs code, builds objects, or is out of band, even where the result
//! would be thrown away; dictionaries and sets; what is nested, shared or large beyond the
//! [`Limits`]. Such a frame costs itself: no point of it comes out, one
//! [`Rejected`](crate::Rejected) does, and the next frame is read. A good frame with a bad point
//! loses that point alone. Only a length beyond [`Limits::max_frame`] ends a stream.
//!
//! Memory is bounded by the bytes that came: a pickle makes the decoder hold at most some 50 times
//! its own length, and 20 MiB with the default limits.

mod containers;
mod encode;
mod limits;
mod machine;
mod memo;
mod opcode;
mod points;
mod quick;
mod reader;
mod text;
mod value;

#[cfg(feature = "serde-pickle")]
pub mod general;

pub use encode::PickleEncoder;
pub use limits::Limits;
pub use points::PickleReader;

use crate::frames::{FrameDecoder, FrameError};
use crate::{Event, Options, RejectReason, Timestamp};

/// Why a pickle was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{} at byte {at}", Opcode(*opcode))]
#[non_exhaustive]
pub struct PickleError {
    /// The reason, for counters.
    pub reason: RejectReason,
    /// Where the opcode stands in the pickle, in bytes.
    pub at: usize,
    /// The opcode; `None` where the pickle ended, or its result as a whole is wrong.
    pub opcode: Option<u8>,
}

impl PickleError {
    const fn new(reason: RejectReason, at: usize, opcode: Option<u8>) -> Self {
        Self { reason, at, opcode }
    }

    /// Whether the stream of frames can be read on: it can, a bad pickle costs itself only.
    #[must_use]
    pub const fn can_continue(self) -> bool {
        self.reason.can_continue()
    }
}

struct Opcode(Option<u8>);

impl std::fmt::Display for Opcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(opcode) => write!(f, " (opcode 0x{opcode:02x})"),
            None => Ok(()),
        }
    }
}

/// Decodes a stream of pickle frames that arrives in any pieces.
///
/// Any split of the same bytes gives the same events. Frames that are whole in one piece of input
/// are read in place, and paths are lent from there.
///
/// ```
/// use graphite_proto::pickle::{Limits, PickleDecoder};
/// use graphite_proto::{Event, Options, Timestamp};
///
/// // What Python writes for [("a.b", (1700000000, 1.5))], with the length before it.
/// let stream = b"\0\0\0\x25\x80\x02]q\0X\x03\0\0\0a.bq\x01J\0\xf1SeG?\xf8\0\0\0\0\0\0\x86q\x02\x86q\x03a.";
/// let mut decoder = PickleDecoder::new(Options::default(), Limits::default());
/// let mut found = Vec::new();
/// decoder.push(stream, Timestamp::default(), &mut |event| match event {
///     Event::Metric(metric) => found.push((metric.path().to_owned(), metric.value())),
///     Event::Rejected(rejected) => panic!("{}", rejected.reason),
///     _ => {}
/// })?;
/// assert_eq!(found, [("a.b".to_owned(), 1.5)]);
/// # Ok::<(), graphite_proto::FrameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PickleDecoder {
    frames: FrameDecoder,
    reader: PickleReader,
}

impl PickleDecoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new(options: Options, limits: Limits) -> Self {
        Self {
            frames: FrameDecoder::new(limits.max_frame),
            reader: PickleReader::new(options, limits),
        }
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        self.reader.options()
    }

    /// Takes the next bytes of the stream and gives out what they complete. `now` is what a
    /// timestamp of −1 stands for.
    ///
    /// # Errors
    /// [`FrameError`] once a frame is too long, after a [`Rejected`](crate::Rejected) that says the same; then
    /// always, and nothing more is taken. The connection is to be closed.
    pub fn push(
        &mut self,
        input: &[u8],
        now: Timestamp,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), FrameError> {
        let Self { frames, reader } = self;
        frames.push_events(input, sink, |frame, offset, sink| {
            let read = reader.read_at(frame, offset.wrapping_add(4), now, sink);
            read.map_err(|error| error.reason)
        })
    }

    /// The stream has ended. A frame that it cut off is refused as
    /// [`RejectReason::Unterminated`]. The decoder is then at the start of a new stream.
    pub fn finish(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        self.frames.finish_events(sink);
    }

    /// Bytes held of a frame whose end has not come: at most [`Limits::max_frame`] and four.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.frames.buffered()
    }
}
