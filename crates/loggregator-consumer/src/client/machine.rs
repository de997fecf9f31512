//! A web socket as a client sees it, on bytes: frames by tungstenite, what they mean here. A text
//! frame may hold anything (`loggregator.md` 1.4), which is why its messages are not used.

use std::io::Cursor;

use bytes::{Buf as _, Bytes, BytesMut};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};

use crate::wire::{DecodeError, Message, Slice as _};

/// Why a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The server closed it, with this code, if any, and text.
    Closed {
        /// The code of RFC 6455 7.4.
        code: Option<u16>,
        /// The text, often none.
        text: String,
    },
    /// We closed it.
    ClosedByUs,
    /// The connection ended without a word.
    Eof,
    /// The server broke the protocol.
    Protocol(String),
    /// A message of more bytes than allowed.
    TooLong {
        /// How many are allowed.
        limit: usize,
    },
    /// Nothing came for this many milliseconds.
    Idle(u64),
    /// The connection broke.
    Io(String),
}

impl End {
    /// Whether it may mean that the server found us too slow: it then closes with 1000 and no text
    /// (`loggregator.md` 2.1), as it does for other reasons.
    #[must_use]
    pub fn may_be_slow_consumer(&self) -> bool {
        matches!(self, Self::Closed { code: Some(1000), text } if text.is_empty())
    }

    /// Whether the server missed our pongs: close 1008 with its text (`loggregator.md` 1.4).
    #[must_use]
    pub fn is_keep_alive(&self) -> bool {
        matches!(self, Self::Closed { code: Some(1008), .. })
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed { code: None, .. } => f.write_str("closed by the server"),
            Self::Closed { code: Some(code), text } if text.is_empty() => {
                write!(f, "closed by the server: {code}")
            }
            Self::Closed { code: Some(code), text } => {
                write!(f, "closed by the server: {code} {text}")
            }
            Self::ClosedByUs => f.write_str("closed by us"),
            Self::Eof => f.write_str("unexpected EOF"),
            Self::Protocol(text) => write!(f, "protocol error: {text}"),
            Self::TooLong { limit } => write!(f, "a message of more than {limit} bytes"),
            Self::Idle(millis) => write!(f, "i/o timeout: nothing for {millis} ms"),
            Self::Io(text) => f.write_str(text),
        }
    }
}

/// A message that is complete: a part of the bytes that were read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload<'a> {
    block: &'a Bytes,
    at: usize,
    pub(crate) len: usize,
}

impl Payload<'_> {
    pub(crate) fn bytes(&self) -> Bytes {
        self.block.part(self.at, self.len)
    }

    /// Its message, whose parts share what was read.
    pub(crate) fn decode<M: Message<Bytes>>(&self) -> Result<M, DecodeError> {
        M::decode_part(self.block, self.at, self.len)
    }
}

/// The client's side of a web socket.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) input: BytesMut,
    /// What is to be sent.
    pub(crate) output: Vec<u8>,
    /// Frames that are complete and plain: all at once, so that the buffer that they share has one
    /// holder more for all of them.
    block: Bytes,
    block_at: usize,
    /// The payload of a frame, or of several, that is not.
    whole: Bytes,
    header: Option<(FrameHeader, usize)>,
    /// Of a message in fragments.
    fragments: Option<Vec<u8>>,
    limit: usize,
    closing: bool,
    pinged: bool,
    end: Option<End>,
}

impl Machine {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            input: BytesMut::new(),
            output: Vec::new(),
            block: Bytes::new(),
            block_at: 0,
            whole: Bytes::new(),
            header: None,
            fragments: None,
            limit,
            closing: false,
            pinged: false,
            end: None,
        }
    }

    pub(crate) const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Whether the server has sent a ping.
    pub(crate) const fn pinged(&self) -> bool {
        self.pinged
    }

    fn send(&mut self, mut frame: Frame) {
        let mut mask = [0; 4];
        // A mask protects proxies on the way from scripts in browsers: there are none here, so
        // one that can be guessed is no worse.
        if getrandom::fill(&mut mask).is_err() {
            mask = [0x4c, 0x6f, 0x67, 0x67];
        }
        frame.header_mut().mask = Some(mask);
        // Writing to memory cannot fail.
        let _ = frame.format(&mut self.output);
    }

    /// Sends a text message.
    pub(crate) fn text(&mut self, text: &'static str) {
        if !self.closing {
            let bytes = Bytes::from_static(text.as_bytes());
            self.send(Frame::message(bytes, OpCode::Data(Data::Text), true));
        }
    }

    /// Sends a close frame; what the server has sent before it answers is still read.
    pub(crate) fn close(&mut self) {
        self.close_with(Some(1000), "");
    }

    fn close_with(&mut self, code: Option<u16>, text: &str) {
        if !std::mem::replace(&mut self.closing, true) {
            let mut payload = Vec::new();
            if let Some(code) = code {
                payload.extend_from_slice(&code.to_be_bytes());
                payload.extend_from_slice(text.as_bytes());
            }
            let header = FrameHeader {
                is_final: true,
                opcode: OpCode::Control(Control::Close),
                ..FrameHeader::default()
            };
            self.send(Frame::from_payload(header, payload.into()));
        }
    }

    fn fault<T>(&mut self, text: &str) -> Option<T> {
        self.close_with(Some(1002), text);
        self.end = Some(End::Protocol(text.to_owned()));
        None
    }

    /// The next message that is complete.
    pub(crate) fn next(&mut self) -> Option<Payload<'_>> {
        if self.end.is_some() {
            return None;
        }
        if self.block_at >= self.block.len() {
            self.block = self.plain_frames();
            self.block_at = 0;
        }
        let rest = self.block.get(self.block_at..).unwrap_or_default();
        if let Some((head, len)) = plain(rest) {
            let at = self.block_at + head;
            self.block_at = at + len;
            return Some(Payload { block: &self.block, at, len });
        }
        self.whole = self.next_frame()?;
        Some(Payload { block: &self.whole, at: 0, len: self.whole.len() })
    }

    /// The frames at the start of the input that are complete, and messages of their own.
    fn plain_frames(&mut self) -> Bytes {
        let mut end = 0;
        if self.header.is_none() && self.fragments.is_none() {
            while let Some((head, len)) = plain(self.input.get(end..).unwrap_or_default())
                && len <= self.limit
                && self.input.len() - end - head >= len
            {
                end += head + len;
            }
        }
        if end == 0 { Bytes::new() } else { self.input.split_to(end).freeze() }
    }

    /// The next message that no plain frame holds.
    fn next_frame(&mut self) -> Option<Bytes> {
        while self.end.is_none() {
            if self.header.is_none() {
                let mut cursor = Cursor::new(&self.input);
                match FrameHeader::parse(&mut cursor) {
                    Ok(Some((header, len))) => {
                        let used = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
                        self.input.advance(used.min(self.input.len()));
                        self.admit(header, len)?;
                    }
                    Ok(None) => return None,
                    Err(error) => return self.fault(&error.to_string()),
                }
            }
            let (_, len) = self.header.as_ref()?;
            if self.input.len() < *len {
                return None;
            }
            let (header, len) = self.header.take()?;
            let payload = self.input.split_to(len).freeze();
            if let Some(message) = self.frame(&header, payload) {
                return Some(message);
            }
        }
        None
    }

    /// Looks at a header before its payload is there.
    fn admit(&mut self, header: FrameHeader, len: u64) -> Option<()> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return self.fault("reserved bits set");
        }
        if header.mask.is_some() {
            return self.fault("a masked frame");
        }
        match header.opcode {
            OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => {
                return self.fault("a bad opcode");
            }
            OpCode::Control(_) if len > 125 => return self.fault("a control frame of > 125 bytes"),
            OpCode::Control(_) if !header.is_final => {
                return self.fault("a control frame in parts");
            }
            OpCode::Data(Data::Continue) if self.fragments.is_none() => {
                return self.fault("a continuation of nothing");
            }
            OpCode::Data(Data::Text | Data::Binary) if self.fragments.is_some() => {
                return self.fault("a message inside of another");
            }
            _ => {}
        }
        let before = self.fragments.as_ref().map_or(0, Vec::len);
        match usize::try_from(len).ok().filter(|len| len.saturating_add(before) <= self.limit) {
            Some(len) => self.header = Some((header, len)),
            None => {
                self.close_with(Some(1009), "");
                self.end = Some(End::TooLong { limit: self.limit });
                return None;
            }
        }
        Some(())
    }

    fn frame(&mut self, header: &FrameHeader, payload: Bytes) -> Option<Bytes> {
        match header.opcode {
            OpCode::Control(Control::Ping) => {
                self.pinged = true;
                if !self.closing {
                    self.send(Frame::pong(payload));
                }
                None
            }
            OpCode::Control(Control::Close) => self.closed(&payload),
            OpCode::Data(_) => {
                if header.is_final && self.fragments.is_none() {
                    return Some(payload);
                }
                let all = self.fragments.get_or_insert_default();
                all.extend_from_slice(&payload);
                if header.is_final { self.fragments.take().map(Bytes::from) } else { None }
            }
            OpCode::Control(_) => None,
        }
    }

    fn closed(&mut self, payload: &[u8]) -> Option<Bytes> {
        let (code, text) = match payload.split_first_chunk::<2>() {
            Some((code, text)) => (Some(u16::from_be_bytes(*code)), text),
            // One byte counts as none, as with the Go clients.
            None => (None, &[][..]),
        };
        let sane = |code: u16| match code {
            1000..=1015 => !matches!(code, 1004..=1006 | 1015),
            3000..=4999 => true,
            _ => false,
        };
        if code.is_some_and(|code| !sane(code)) {
            return self.fault("a bad close code");
        }
        let Ok(text) = str::from_utf8(text) else {
            return self.fault("a close frame that is not UTF-8");
        };
        let text = text.to_owned();
        let ours = self.closing;
        self.close_with(code, "");
        self.end = Some(if ours { End::ClosedByUs } else { End::Closed { code, text } });
        None
    }
}

/// The length of the header of a frame that is a message of its own, as servers write nearly all,
/// and of its payload.
#[inline]
fn plain(frame: &[u8]) -> Option<(usize, usize)> {
    match *frame {
        [0x81 | 0x82, len @ 0..=125, ..] => Some((2, usize::from(len))),
        [0x81 | 0x82, 126, high, low, ..] => {
            Some((4, usize::from(u16::from_be_bytes([high, low]))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bytes: &[u8], size: usize) -> (Vec<Bytes>, Option<End>, usize) {
        let mut machine = Machine::new(1000);
        let mut messages = Vec::new();
        for piece in bytes.chunks(size) {
            machine.input.extend_from_slice(piece);
            messages.extend(std::iter::from_fn(|| machine.next().map(|message| message.bytes())));
        }
        (messages, machine.end().cloned(), machine.output.len())
    }

    #[test]
    fn any_split_gives_the_same_messages() {
        // A message in two parts with a ping between, a text of no text, a close with a text.
        let stream = b"\x02\x01a\x89\x01p\x80\x01b\x81\x02\xff\xfe\x88\x04\x03\xe8ok";
        let end = End::Closed { code: Some(1000), text: "ok".to_owned() };
        for size in 1..=stream.len() {
            let (messages, ended, output) = run(stream, size);
            assert_eq!(messages, [&b"ab"[..], b"\xff\xfe"], "{size}");
            assert_eq!(ended, Some(end.clone()));
            // A pong of one byte and a close of two, each masked.
            assert_eq!(output, 7 + 8);
        }
    }

    #[test]
    fn long_messages_end_the_stream_before_they_are_read() {
        for stream in [&b"\x82\x7f\x80\0\0\0\0\0\0\0"[..], b"\x82\x7e\x03\xe9"] {
            assert_eq!(run(stream, 3).1, Some(End::TooLong { limit: 1000 }));
        }
        let two = [&b"\x02\x7e\x02\x58"[..], &[0; 600], b"\x80\x7e\x02\x58"].concat();
        assert_eq!(run(&two, 7).1, Some(End::TooLong { limit: 1000 }));
    }
}
