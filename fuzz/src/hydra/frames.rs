//! The target `frames`: a web socket's frames into a session of the real server.

use std::io::Cursor;

use hydra_ws::Options;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::super::script::split;
use super::serve::serve;
use super::{normal, options};

const HANDSHAKE: &[u8] = b"GET /ws-ingest HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What came of a stream of frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frames {
    /// Bytes of each message.
    pub messages: Vec<usize>,
    /// The code that the server closed with.
    pub close: Option<u16>,
}

/// Serves a client that sends these frames, whole and in pieces.
///
/// Each message has one answer. They are those that tungstenite alone reads, and the close frame
/// says what it found wrong. Pieces change nothing.
pub fn frames(input: &[u8]) -> Frames {
    let Some((flags, choices, input)) = split(input) else { return Frames::default() };
    super::super::within(512 * input.len() + 2 * 1024 * 1024, || {
        let mut options = options(flags[0]);
        if flags[1] & 1 != 0 {
            options.limits.message = 64;
        }
        let whole = serve(&options, [HANDSHAKE, input].concat(), None);
        let pieces = serve(&options, [HANDSHAKE, input].concat(), Some(choices));
        assert_eq!(normal(&whole.written), normal(&pieces.written));
        assert_eq!(whole.payloads, pieces.payloads);
        let (answers, close) = read(&whole.written);
        let (messages, expected) = alone(&options, input);
        assert_eq!(answers, messages.len(), "{messages:?}");
        assert_eq!(close, expected);
        Frames { messages, close }
    })
}

/// How many texts the server sent, and the code that it closed with.
fn read(written: &[u8]) -> (usize, Option<u16>) {
    let end = written.windows(4).position(|four| four == b"\r\n\r\n").expect("a handshake") + 4;
    let (mut rest, mut texts) = (&written[end..], 0);
    while !rest.is_empty() {
        let (length, header) = match rest[1] {
            126 => (usize::from(rest[2]) << 8 | usize::from(rest[3]), 4),
            short => (usize::from(short), 2),
        };
        let payload = &rest[header..header + length];
        match rest[0] {
            0x81 => {
                let text = std::str::from_utf8(payload).expect("UTF-8");
                assert!(text.starts_with('{') && text.ends_with('}'), "{text}");
                texts += 1;
            }
            0x88 => {
                assert_eq!(rest.len(), header + length, "nothing comes behind the end");
                return (texts, payload.first_chunk().map(|code| u16::from_be_bytes(*code)));
            }
            0x8a => {}
            other => panic!("a frame that begins with {other:#x}"),
        }
        rest = &rest[header + length..];
    }
    (texts, None)
}

/// What tungstenite reads, and the code that what ended it stands for.
fn alone(options: &Options, input: &[u8]) -> (Vec<usize>, Option<u16>) {
    let most = Some(options.limits.message);
    let config = WebSocketConfig::default().max_message_size(most).max_frame_size(most);
    let mut both = Both(Cursor::new(input));
    let mut socket = WebSocket::from_raw_socket(&mut both, Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Close(Some(frame))) => {
                let code = if frame.code.is_allowed() { frame.code.into() } else { 1002 };
                return (messages, Some(code));
            }
            Ok(Message::Close(None)) => return (messages, None),
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => messages.push(message.len()),
            Ok(_) => {}
            Err(Error::Utf8(_)) => return (messages, Some(1007)),
            Err(Error::Capacity(_)) => return (messages, Some(1009)),
            Err(Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed) => {
                return (messages, None);
            }
            Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return (messages, None),
            Err(_) => return (messages, Some(1002)),
        }
    }
}

/// Reads what there is, and forgets what is written.
struct Both<'a>(Cursor<&'a [u8]>);

impl std::io::Read for Both<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::io::Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
