//! Web-socket frames over bytes: whole text messages are read where they lie, anything else is
//! tungstenite's to understand, without its sockets.

mod quick;
mod watch;

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes, BytesMut};
use tungstenite::error::CapacityError;
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use quick::Quick;
use watch::Watch;

/// Bytes that tungstenite reads at a time. It gets little, and only then has it memory for it.
const READ: usize = 1 << 10;
/// The least and the most room for what is read at a time. Every open connection may have the
/// least; who sends much gets more.
const ROOM: (usize, usize) = (2 << 10, 256 << 10);

/// One end of a web socket.
#[derive(Debug)]
pub(crate) struct Frames {
    context: WebSocketContext,
    watch: Watch,
    /// What has been read and is in no message.
    have: BytesMut,
    /// Room for the next read.
    room: usize,
    /// What comes is masked.
    masked: bool,
    max_message: usize,
}

/// What has come.
#[derive(Debug)]
pub(crate) enum Event {
    /// A text message, which is UTF-8, and the number of its frames.
    Text(Bytes, u32),
    /// A binary message.
    Binary,
    /// A ping, which is answered already, or a pong.
    Control,
    /// The peer closes. [`Frames::answer_close`] agrees.
    Close,
}

/// Why a web socket cannot go on.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The peer broke the protocol: it is to be closed with this code.
    Close(u16, String),
    /// The stream ended without a close frame.
    Ended,
    /// The stream broke.
    Broken,
}

/// The protocol's view of the stream: reads are of what is there, writes are kept.
struct Stream<'a> {
    have: &'a mut BytesMut,
    out: &'a mut Vec<u8>,
    watch: &'a mut Watch,
}

impl Read for Stream<'_> {
    /// Ends with each frame, so that what is behind a message is not taken with it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.have.len().min(buffer.len());
        let (Some(place), Some(bytes)) = (buffer.get_mut(..count), self.have.get(..count)) else {
            return Ok(0);
        };
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        place.copy_from_slice(bytes);
        let count = self.watch.feed_one(bytes);
        self.have.advance(count);
        Ok(count)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Frames {
    /// An end after the handshake; `read` are bytes that came with it. No message may be larger
    /// than `max_message`.
    pub(crate) fn new(role: Role, read: &[u8], max_message: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        Self {
            context: WebSocketContext::new(role, Some(config)),
            watch: Watch::default(),
            have: BytesMut::from(read),
            room: ROOM.0,
            masked: role == Role::Server,
            max_message,
        }
    }

    /// Where what is read next is to be appended; there is room for some of it.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        if self.have.capacity() - self.have.len() < self.room / 4 {
            self.have.reserve(self.room);
        }
        &mut self.have
    }

    /// Says how much was read, and whether that was all there was room for: the next time there is
    /// room for more, or less.
    pub(crate) fn has_read(&mut self, count: usize, full: bool) {
        if full {
            self.room = (self.room * 4).min(ROOM.1);
        } else if count < self.room / 8 {
            self.room = (self.room / 2).max(ROOM.0);
        }
    }

    /// Gives memory back that it does not need while nothing comes.
    #[cfg(feature = "server")]
    pub(crate) fn rest(&mut self) {
        self.room = ROOM.0;
        if self.have.is_empty() {
            self.have = BytesMut::new();
        }
    }

    /// The next thing that has come; `None` when more has to be read for it. Answers to pings are
    /// appended to `out`.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Event>, Fault> {
        if !self.watch.is_mid_message() {
            match quick::text(&mut self.have, self.masked, self.max_message) {
                Quick::Text(text) if str::from_utf8(&text).is_ok() => {
                    return Ok(Some(Event::Text(text, 1)));
                }
                Quick::Text(_) => return Err(not_utf8()),
                Quick::Incomplete => return Ok(None),
                Quick::Other => {}
            }
        }
        let Self { context, watch, have, .. } = self;
        match context.read(&mut Stream { have, out, watch }) {
            Ok(Message::Text(text)) => {
                let frames = self.watch.frames_of_next_message();
                Ok(Some(Event::Text(Bytes::from(text), frames)))
            }
            Ok(Message::Binary(_)) => {
                self.watch.frames_of_next_message();
                Ok(Some(Event::Binary))
            }
            Ok(Message::Close(_)) => Ok(Some(Event::Close)),
            Ok(_) => {
                // The answer waits for the next call, which may be long in coming.
                self.flush(out);
                Ok(Some(Event::Control))
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(fault(error)),
        }
    }

    /// Part of a message has come, and not all of it.
    #[cfg(any(feature = "server", test))]
    pub(crate) fn is_mid_message(&self) -> bool {
        !self.have.is_empty() || self.watch.is_mid_message()
    }

    /// Appends a ping without a payload.
    #[cfg(feature = "server")]
    pub(crate) fn ping(&mut self, out: &mut Vec<u8>) {
        let _ = self.write(out, Message::Ping(Bytes::new()));
    }

    /// Appends a text message.
    #[cfg(feature = "client")]
    pub(crate) fn text(&mut self, text: String, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.write(out, Message::text(text))
    }

    fn write(&mut self, out: &mut Vec<u8>, message: Message) -> Result<(), Fault> {
        let mut stream = Stream { have: &mut BytesMut::new(), out, watch: &mut self.watch };
        self.context.write(&mut stream, message).map_err(fault)
    }

    /// Appends a close frame, unless one was sent.
    pub(crate) fn close(&mut self, code: u16, reason: &str, out: &mut Vec<u8>) {
        // A control frame holds 125 bytes, two of which are the code.
        let mut end = reason.len().min(123);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = reason.get(..end).unwrap_or_default().to_owned().into();
        let frame = CloseFrame { code: CloseCode::from(code), reason };
        let mut stream = Stream { have: &mut BytesMut::new(), out, watch: &mut self.watch };
        // It cannot fail: there is no stream, and being closed already is as good.
        let _ = self.context.close(&mut stream, Some(frame));
    }

    /// Appends the answer to the peer's close frame.
    pub(crate) fn answer_close(&mut self, out: &mut Vec<u8>) {
        self.flush(out);
    }

    /// Appends what tungstenite has to answer by itself.
    fn flush(&mut self, out: &mut Vec<u8>) {
        let mut stream = Stream { have: &mut BytesMut::new(), out, watch: &mut self.watch };
        // It can only end in "closed", which is as good.
        let _ = self.context.flush(&mut stream);
    }
}

fn not_utf8() -> Fault {
    Fault::Close(1007, "The text is not UTF-8.".into())
}

fn fault(error: Error) -> Fault {
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    match error {
        Error::Io(_) => Fault::Broken,
        Error::Utf8(_) => not_utf8(),
        Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
            Fault::Close(1009, format!("A message may have {max_size} bytes."))
        }
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ResetWithoutClosingHandshake) => Fault::Ended,
        other => Fault::Close(1002, other.to_string()),
    }
}

/// Appends a text frame as a server sends it: without a mask.
#[cfg(any(feature = "server", test))]
pub(crate) fn write_text(payload: &[u8], out: &mut Vec<u8>) {
    const TEXT: u8 = 0x81;
    let length = payload.len();
    if let Ok(short @ 0..126) = u8::try_from(length) {
        out.extend_from_slice(&[TEXT, short]);
    } else if let Ok(middle) = u16::try_from(length) {
        let [high, low] = middle.to_be_bytes();
        out.extend_from_slice(&[TEXT, 126, high, low]);
    } else {
        out.extend_from_slice(&[TEXT, 127]);
        out.extend_from_slice(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame: masked.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
            middle => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&u16::try_from(middle).unwrap().to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// Hands over the input in pieces, and says what came.
    fn all(frames: &mut Frames, mut input: &[u8], piece: usize, out: &mut Vec<u8>) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            match frames.next(out).unwrap() {
                Some(event) => events.push(event),
                None if input.is_empty() => return events,
                None => {
                    let (now, later) = input.split_at(piece.min(input.len()));
                    frames.room().extend_from_slice(now);
                    input = later;
                }
            }
        }
    }

    #[test]
    fn frames_are_counted_for_their_message_however_they_come() {
        let mut input = masked(0x81, b"one");
        input.extend(masked(0x01, b"tw"));
        input.extend(masked(0x89, b"ping"));
        input.extend(masked(0x00, b""));
        input.extend(masked(0x80, &[b'o'; 300]));
        input.extend(masked(0x82, b"bin"));
        input.extend(masked(0x01, b"a"));
        input.extend(masked(0x80, b"b"));
        for piece in [1, 2, 3, 7, 64, 10_000] {
            let mut frames = Frames::new(Role::Server, &[], 1000);
            let (mut seen, mut out) = (Vec::new(), Vec::new());
            for event in all(&mut frames, &input, piece, &mut out) {
                match event {
                    Event::Text(text, count) => seen.push((text.len(), count)),
                    Event::Binary => seen.push((0, 0)),
                    _ => {}
                }
            }
            assert_eq!(seen, [(3, 1), (302, 3), (0, 0), (2, 2)], "{piece}");
            assert_eq!(out, b"\x8a\x04ping", "{piece}");
            assert!(!frames.is_mid_message());
        }
    }

    #[test]
    fn the_middle_of_a_message_is_seen() {
        let mut frames = Frames::new(Role::Server, &[], 1000);
        let mut out = Vec::new();
        let whole = [masked(0x01, b"a"), masked(0x80, b"b")].concat();
        for end in 0..whole.len() {
            let mut frames = Frames::new(Role::Server, &whole[..end], 1000);
            assert!(frames.next(&mut out).unwrap().is_none());
            assert_eq!(frames.is_mid_message(), end > 0, "{end}");
        }
        assert_eq!(all(&mut frames, &whole, 99, &mut out).len(), 1);
        assert!(!frames.is_mid_message());
    }

    #[test]
    fn what_is_written_is_read_by_a_client() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let mut bytes = Vec::new();
            write_text(&vec![b'x'; length], &mut bytes);
            let mut client = Frames::new(Role::Client, &bytes, 1 << 20);
            let event = client.next(&mut Vec::new()).unwrap();
            assert!(matches!(event, Some(Event::Text(text, 1)) if text.len() == length));
        }
    }
}
