//! The input buffer of a connection, and the receiver that decompresses into a second one.

use super::error::{Piece, ProtocolError};
use super::snappy::Decompressor;

/// The first size of a buffer, and the size it goes back to when the connection is idle.
const SMALL: usize = 4 << 10;

/// Bytes that have arrived and are not used up yet. It grows with the bytes that arrive, never on
/// the word of a length field: a full buffer doubles if the frame in it is known to go on.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// How many bytes from `start` on the frame needs, as far as known.
    need: usize,
    /// Up to where a busy connection makes the buffer grow.
    target: usize,
    /// The last read filled all the room there was.
    busy: bool,
}

impl Input {
    pub(crate) const fn new(target: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, need: 1, target, busy: false }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[inline]
    pub(crate) fn consume(&mut self, len: usize) {
        self.start = self.end.min(self.start + len);
        self.need = 1;
    }

    /// Says how many bytes from the first one on are needed.
    #[inline]
    pub(crate) const fn need(&mut self, len: usize) {
        self.need = len;
    }

    /// Room for bytes to be read into; none if the buffer is full and nothing waits for more.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let len = self.bytes.len();
        if self.start > 0 && len - self.end < len / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if len < SMALL {
            self.bytes.resize(SMALL, 0);
        } else if self.end == len && self.need > len {
            self.bytes.resize(len.saturating_mul(2), 0);
        } else if self.busy && len < self.target {
            self.bytes.resize(len.saturating_mul(2).min(self.target), 0);
        }
        self.busy = false;
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Says how many bytes of the room have been filled.
    pub(crate) fn filled(&mut self, len: usize) {
        let end = self.bytes.len().min(self.end + len);
        self.busy = end == self.bytes.len();
        self.end = end;
    }

    /// Adds bytes, all of them.
    fn extend(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let space = self.space();
            if space.is_empty() {
                let len = self.bytes.len() * 2;
                self.bytes.resize(len, 0);
                continue;
            }
            let len = space.len().min(bytes.len());
            let (now, later) = bytes.split_at(len);
            space.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            self.filled(len);
            bytes = later;
        }
    }

    /// Gives back memory if nothing is kept.
    pub(crate) fn relax(&mut self) {
        if self.is_empty() && self.bytes.len() > SMALL {
            (self.bytes, self.start, self.end) = (Vec::new(), 0, 0);
        }
    }
}

/// What has been received, decompressed where the stream is.
#[derive(Debug)]
pub(crate) struct Receiver {
    raw: Input,
    snappy: Option<Box<(Decompressor, Input)>>,
}

impl Receiver {
    pub(crate) const fn new(target: usize) -> Self {
        Self { raw: Input::new(target), snappy: None }
    }

    fn plain(&mut self) -> &mut Input {
        match &mut self.snappy {
            Some(pair) => &mut pair.1,
            None => &mut self.raw,
        }
    }

    /// The bytes to be parsed next.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.snappy {
            Some(pair) => pair.1.bytes(),
            None => self.raw.bytes(),
        }
    }

    #[inline]
    pub(crate) fn consume(&mut self, len: usize) {
        self.plain().consume(len);
    }

    /// From now on the stream is compressed.
    pub(crate) fn decompress(&mut self) {
        let pair = (Decompressor::new(), Input::new(64 << 10));
        self.snappy = Some(Box::new(pair));
    }

    /// Whether what has come of a compressed stream, of which nothing was used yet, can be one:
    /// `None` when nothing has come.
    #[cfg(feature = "tokio")]
    pub(crate) fn begins_well(&self) -> Option<bool> {
        let first = self.raw.bytes().first()?;
        Some(self.snappy.is_none() || *first == super::snappy::IDENTIFIER)
    }

    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.raw.space()
    }

    pub(crate) fn filled(&mut self, len: usize) {
        self.raw.filled(len);
    }

    /// Copies bytes in; how many there was room for.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let space = self.raw.space();
            let len = space.len().min(rest.len());
            if len == 0 {
                break;
            }
            space.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.raw.filled(len);
            taken += len;
        }
        taken
    }

    /// Says that the parser needs so many bytes, and decompresses a chunk if there is one: whether
    /// there is more to parse now.
    pub(crate) fn more(&mut self, need: usize) -> Result<bool, ProtocolError> {
        let Some(pair) = &mut self.snappy else {
            self.raw.need(need);
            return Ok(false);
        };
        let (decompressor, plain) = &mut **pair;
        plain.need(need);
        let before = plain.bytes().len();
        while plain.bytes().len() == before {
            match decompressor.chunk(self.raw.bytes(), |bytes| plain.extend(bytes))? {
                Ok(used) => self.raw.consume(used),
                Err(need) => {
                    self.raw.need(need);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// What is cut short if the stream ends here, outside of any command.
    pub(crate) fn cut(&self) -> Option<Piece> {
        match &self.snappy {
            Some(pair) if !pair.1.is_empty() => Some(Piece::Command),
            Some(_) if !self.raw.is_empty() => Some(Piece::Chunk),
            None if !self.raw.is_empty() => Some(Piece::Command),
            _ => None,
        }
    }

    pub(crate) fn relax(&mut self) {
        self.raw.relax();
        if let Some(pair) = &mut self.snappy {
            pair.1.relax();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_only_with_bytes_that_arrive() {
        let mut input = Input::new(16 << 10);
        assert_eq!(input.space().len(), SMALL);
        input.filled(SMALL);
        input.need(1);
        // Busy, so it grows up to the target; then it is full and nothing waits for more.
        assert_eq!(input.space().len(), SMALL);
        input.filled(SMALL);
        assert_eq!(input.space().len(), 2 * SMALL);
        input.filled(2 * SMALL);
        assert!(input.space().is_empty());
        // A huge frame doubles it, no more.
        input.need(1 << 30);
        assert_eq!(input.space().len(), 4 * SMALL);
        input.consume(4 * SMALL);
        input.relax();
        assert_eq!(input.space().len(), SMALL);
    }
}
