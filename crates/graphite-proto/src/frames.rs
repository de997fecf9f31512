//! Frames with their length before them: pickle and protobuf over streams (`graphite.md` 4.1, 5.1).

use crate::{Event, RejectReason, Rejected};

/// Bytes of the length before each frame.
const HEADER: usize = 4;

/// A carry buffer that grew beyond this is given back after use.
const KEPT_CAPACITY: usize = 64 * 1024;

/// Why a stream of frames cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A length beyond the limit. A peer that speaks plaintext to a port for frames is also seen
    /// this way: four characters of a name make a very large length.
    #[error("frame of {length} bytes announced, the limit is {limit}")]
    TooLong {
        /// The announced length, in bytes.
        length: u32,
        /// The limit, in bytes.
        limit: usize,
    },
}

impl FrameError {
    /// Whether the stream can be read on: it cannot, and its connection is to be closed.
    #[must_use]
    pub const fn can_continue(self) -> bool {
        match self {
            Self::TooLong { .. } => false,
        }
    }
}

/// Splits a stream into frames: a length of four bytes, big-endian and without sign, then as many
/// bytes.
///
/// Any split of the same bytes gives the same frames. A frame that is in one piece of input is lent
/// from it; only one that crosses two pieces is copied. Nothing is allocated on the word of a
/// length: what is held are bytes that came, at most the limit and four.
///
/// ```
/// use graphite_proto::FrameDecoder;
/// let mut decoder = FrameDecoder::new(1 << 20);
/// let mut frames = Vec::new();
/// for piece in [&b"\0\0\0\x05ab"[..], b"cde\0\0", b"\0\x01f"] {
///     decoder.push(piece, &mut |frame, offset| frames.push((frame.to_vec(), offset)))?;
/// }
/// assert_eq!(frames, [(b"abcde".to_vec(), 0), (b"f".to_vec(), 9)]);
/// # Ok::<(), graphite_proto::FrameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FrameDecoder {
    max_frame: usize,
    /// The beginning of a frame, with its length, whose end has not come yet.
    carry: Vec<u8>,
    /// Stream bytes before the carry.
    offset: u64,
    failed: Option<FrameError>,
}

impl FrameDecoder {
    /// A decoder at the start of a stream whose frames have at most `max_frame` bytes, the length
    /// before them not counted.
    #[must_use]
    pub fn new(max_frame: usize) -> Self {
        Self { max_frame, carry: Vec::new(), offset: 0, failed: None }
    }

    /// Takes the next bytes of the stream, and gives out each frame that they complete with the
    /// offset of its length in the stream.
    ///
    /// # Errors
    /// [`FrameError`] once a length is beyond the limit, then always. Frames before it were given
    /// out; nothing behind it is taken.
    pub fn push(
        &mut self,
        input: &[u8],
        sink: &mut impl FnMut(&[u8], u64),
    ) -> Result<(), FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut input = input;
        while !self.carry.is_empty() && !input.is_empty() {
            let wanted = match length(&self.carry) {
                None => HEADER,
                Some(length) => HEADER + self.checked(length)?,
            };
            let (part, rest) = split(input, wanted.saturating_sub(self.carry.len()));
            self.carry.extend_from_slice(part);
            input = rest;
            if let Some(length) = length(&self.carry) {
                let length = self.checked(length)?;
                if self.carry.len() == HEADER + length {
                    sink(self.carry.get(HEADER..).unwrap_or_default(), self.offset);
                    self.offset = self.offset.wrapping_add(self.carry.len() as u64);
                    self.carry.clear();
                    self.carry.shrink_to(KEPT_CAPACITY);
                }
            }
        }
        while let Some(announced) = length(input) {
            let length = self.checked(announced)?;
            let Some(frame) = input.get(HEADER..HEADER + length) else { break };
            sink(frame, self.offset);
            self.offset = self.offset.wrapping_add((HEADER + length) as u64);
            input = input.get(HEADER + length..).unwrap_or_default();
        }
        self.carry.extend_from_slice(input);
        Ok(())
    }

    /// The stream has ended: gives the offset and the bytes, with the length, of a frame that it
    /// cut off. The decoder is then at the start of a new stream.
    pub fn finish(&mut self) -> Option<(u64, Vec<u8>)> {
        let carry = std::mem::take(&mut self.carry);
        let offset = std::mem::take(&mut self.offset);
        self.failed = None;
        (!carry.is_empty()).then_some((offset, carry))
    }

    /// As [`push`](Self::push), for a format that is read frame by frame: a frame that is refused,
    /// and a length that is too large, become events.
    pub(crate) fn push_events<S: FnMut(Event<'_>)>(
        &mut self,
        input: &[u8],
        sink: &mut S,
        mut read: impl FnMut(&[u8], u64, &mut S) -> Result<(), RejectReason>,
    ) -> Result<(), FrameError> {
        let failed = self.failed.is_some();
        let result = self.push(input, &mut |frame, offset| {
            if let Err(reason) = read(frame, offset, sink) {
                sink(Event::Rejected(Rejected::new(reason, frame, offset)));
            }
        });
        if result.is_err() && !failed {
            let reason = RejectReason::FrameTooLong;
            sink(Event::Rejected(Rejected::new(reason, &[], self.offset)));
        }
        result
    }

    /// As [`finish`](Self::finish), with an event for a frame that was cut off.
    pub(crate) fn finish_events(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        if let Some((offset, frame)) = self.finish() {
            let content = frame.get(HEADER..).unwrap_or_default();
            sink(Event::Rejected(Rejected::new(RejectReason::Unterminated, content, offset)));
        }
    }

    /// Bytes held of a frame whose end has not come.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.carry.len()
    }

    /// Where the frame that is being read starts in the stream.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn checked(&mut self, announced: u32) -> Result<usize, FrameError> {
        match usize::try_from(announced) {
            Ok(length) if length <= self.max_frame => Ok(length),
            _ => {
                let error = FrameError::TooLong { length: announced, limit: self.max_frame };
                self.failed = Some(error);
                self.carry = Vec::new();
                Err(error)
            }
        }
    }
}

fn length(input: &[u8]) -> Option<u32> {
    input.first_chunk().map(|length| u32::from_be_bytes(*length))
}

fn split(input: &[u8], at: usize) -> (&[u8], &[u8]) {
    input.split_at_checked(at).unwrap_or((input, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = Vec<(Vec<u8>, u64)>;

    fn frames(limit: usize, pieces: &[&[u8]]) -> (Found, Result<(), FrameError>) {
        let mut found = Vec::new();
        let mut decoder = FrameDecoder::new(limit);
        for piece in pieces {
            let pushed =
                decoder.push(piece, &mut |frame, offset| found.push((frame.to_vec(), offset)));
            if pushed.is_err() {
                return (found, pushed);
            }
            assert!(decoder.buffered() <= HEADER + limit);
        }
        (found, Ok(()))
    }

    #[test]
    fn any_split_gives_the_same_frames() {
        let stream = b"\0\0\0\x03abc\0\0\0\0\0\0\0\x01x\0\0\0\x02yz\0\0";
        let whole = frames(3, &[stream]);
        assert_eq!(whole.0.len(), 4);
        assert_eq!(whole.0[3], (b"yz".to_vec(), 16));
        for at in 0..=stream.len() {
            for to in at..=stream.len() {
                let pieces = [&stream[..at], &stream[at..to], &stream[to..]];
                assert_eq!(frames(3, &pieces), whole, "{at} {to}");
            }
        }
    }

    #[test]
    fn a_length_beyond_the_limit_ends_the_stream() {
        let error = FrameError::TooLong { length: 4, limit: 3 };
        for pieces in [
            &[&b"\0\0\0\x01a\0\0\0\x04bcde\0\0\0\x01f"[..]][..],
            &[b"\0\0\0\x01a\0\0", b"\0\x04bcde"],
            &[b"\0\0\0\x01a\0\0\0\x04", b"bcde"],
        ] {
            let (found, result) = frames(3, pieces);
            assert_eq!(found, [(b"a".to_vec(), 0)]);
            assert_eq!(result, Err(error));
        }
        let mut decoder = FrameDecoder::new(3);
        assert_eq!(decoder.push(b"\0\0\0\x04", &mut |_, _| ()), Err(error));
        assert_eq!(decoder.push(b"\0\0\0\x01a", &mut |_, _| ()), Err(error));
        assert_eq!(decoder.buffered(), 0);
        assert!(!error.can_continue());
        assert_eq!(decoder.finish(), None);
        assert_eq!(decoder.push(b"\0\0\0\x01a", &mut |_, _| ()), Ok(()));
    }

    #[test]
    fn the_end_shows_what_it_cut_off() {
        let mut decoder = FrameDecoder::new(3);
        decoder.push(b"\0\0\0\x01a\0\0\0\x03bc", &mut |_, _| ()).unwrap();
        assert_eq!(decoder.finish(), Some((5, b"\0\0\0\x03bc".to_vec())));
        assert_eq!(decoder.finish(), None);
    }
}
