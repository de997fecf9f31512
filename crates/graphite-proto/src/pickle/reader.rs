//! Opcodes and operands, read within the pickle and the framing of its own.

use crate::RejectReason;
use crate::pickle::value::Span;

/// Strings of this length and more stand outside the frames of protocol 4, on their own.
const LARGE_STRING: usize = 64 * 1024;

/// As many bytes in a row may stand outside the frames: CPython makes no frame for fewer than four.
const UNFRAMED: usize = 3;

/// Where a pickle is read.
#[derive(Debug)]
pub(super) struct Reader<'f> {
    bytes: &'f [u8],
    at: usize,
    /// The end of the pickle, or of the FRAME that is being read.
    end: usize,
    /// Within a FRAME.
    framed: bool,
    /// Since where opcodes stand outside frames; `None` within one, and where there are none.
    outside: Option<usize>,
}

impl<'f> Reader<'f> {
    pub(super) fn new(bytes: &'f [u8]) -> Self {
        Self { bytes, at: 0, end: bytes.len(), framed: false, outside: None }
    }

    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    fn rest(&self) -> &'f [u8] {
        self.bytes.get(self.at..self.end).unwrap_or_default()
    }

    /// The next opcode.
    #[inline]
    pub(super) fn opcode(&mut self) -> Result<u8, RejectReason> {
        if let Some(opcode) = self.rest().first() {
            self.at += 1;
            return Ok(*opcode);
        }
        if self.end == self.bytes.len() {
            return Err(RejectReason::PickleTruncated);
        }
        // The FRAME is used up.
        self.end = self.bytes.len();
        self.framed = false;
        self.outside = Some(self.at);
        let opcode = self.rest().first().ok_or(RejectReason::PickleTruncated)?;
        self.at += 1;
        Ok(*opcode)
    }

    /// What is missing: bytes that the FRAME holds back, or bytes that are not there at all.
    fn missing(&self, count: usize) -> RejectReason {
        let there = self.bytes.len() - self.at.min(self.bytes.len());
        if count <= there { RejectReason::PickleFraming } else { RejectReason::PickleTruncated }
    }

    /// An operand of a fixed length.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], RejectReason> {
        match self.rest().first_chunk() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => Err(self.missing(N)),
        }
    }

    /// An operand of a length that the pickle told.
    #[inline]
    pub(super) fn take(&mut self, length: u64) -> Result<(&'f [u8], Span), RejectReason> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        match self.rest().get(..length) {
            Some(taken) => {
                let span = Span { start: self.at as u32, length: length as u32 };
                self.at += length;
                if length >= LARGE_STRING && self.outside.is_some() {
                    self.outside = Some(self.at);
                }
                Ok((taken, span))
            }
            None => Err(self.missing(length)),
        }
    }

    /// An operand that ends with LF, without it.
    pub(super) fn line(&mut self) -> Result<(&'f [u8], Span), RejectReason> {
        let Some(length) = memchr::memchr(b'\n', self.rest()) else { return Err(self.missing(1)) };
        let taken = self.take(length as u64)?;
        self.at += 1;
        Ok(taken)
    }

    /// `FRAME`: from here to its end, opcodes are read within it.
    pub(super) fn frame(&mut self) -> Result<(), RejectReason> {
        if self.framed {
            return Err(RejectReason::PickleFraming);
        }
        let length = u64::from_le_bytes(self.array()?);
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        match end {
            Some(end) if end <= self.bytes.len() => {
                self.end = end;
                self.framed = true;
                self.outside = None;
                Ok(())
            }
            _ => Err(RejectReason::PickleFraming),
        }
    }

    /// After an opcode: whether it stands where it may.
    #[inline]
    pub(super) fn check_framing(&self) -> Result<(), RejectReason> {
        match self.outside {
            Some(since) if self.at - since > UNFRAMED => Err(RejectReason::PickleFraming),
            _ => Ok(()),
        }
    }
}
