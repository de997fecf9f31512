//! The target `command`: texts into a session.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hydra_ws::{Command, Session, Step};

use super::super::script::split;
use super::options;

/// What came of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A command, with the number of bytes of its key and its value.
    Set(usize, usize),
    /// A listing, or the help.
    Told,
    /// A payload: the bytes of its id, if it names one, and its own.
    Payload(Option<usize>, usize),
    /// Neither.
    Refused,
}

/// Gives texts, which end with a zero, to a session. Each is read as the grammar is written down
/// in words; a reply is JSON in one line; a payload is the end of its message; metadata stays
/// within its limits.
pub fn command(input: &[u8]) -> Vec<Said> {
    let Some((flags, _, input)) = split(input) else { return Vec::new() };
    super::super::within(128 * input.len() + 256 * 1024, || {
        let mut options = options(flags[0]);
        if flags[1] & 1 != 0 {
            (options.limits.names, options.limits.metadata) = (3, 48);
        }
        let limits = options.limits;
        let options = Arc::new(options);
        let mut session = Session::new(Arc::clone(&options), [], None, 7).unwrap();
        let now = Instant::now();
        let mut all = Vec::new();
        for text in input.split(|byte| *byte == 0) {
            let Ok(text) = std::str::from_utf8(text) else { continue };
            let parsed = Command::parse(text, options.multiline);
            assert_eq!(parsed.ok(), in_words(text, options.multiline), "{text:?}");
            let (message, mut out) = (Bytes::copy_from_slice(text.as_bytes()), Vec::new());
            let step = session.text(&message, 1, now, &mut out);
            all.push(match (parsed, step) {
                (Ok(Command::Ingest { id, payload }), Step::Request(request)) => {
                    assert!(out.is_empty());
                    assert_eq!(request.payload(), payload.as_bytes());
                    assert!(text.ends_with(payload));
                    if let Some(id) = id {
                        assert_eq!(request.id().as_str(), id);
                    }
                    Said::Payload(id.map(str::len), payload.len())
                }
                (Ok(Command::Set { key, value }), Step::Replied) => {
                    reply(&out);
                    Said::Set(key.len(), value.len())
                }
                (Ok(Command::List | Command::Help), Step::Replied) => {
                    reply(&out);
                    Said::Told
                }
                (Err(_), Step::Replied) => {
                    reply(&out);
                    Said::Refused
                }
                (parsed, step) => panic!("{parsed:?} came to {step:?}"),
            });
            let metadata = session.metadata();
            let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!(metadata.len() <= limits.names && bytes <= limits.metadata);
        }
        all
    })
}

/// An object in one line, of what JSON can hold.
fn reply(out: &[u8]) {
    let text = std::str::from_utf8(out).expect("a reply is UTF-8");
    assert!(text.starts_with('{') && text.ends_with('}'), "{text}");
    assert!(text.chars().all(|c| c >= ' '), "{text:?}");
    // Quotes that are not escaped come in pairs.
    let mut escaped = false;
    let quotes = text.bytes().filter(|byte| {
        let counts = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        counts
    });
    assert_eq!(quotes.count() % 2, 0, "{text}");
}

/// The grammar once more, a character at a time.
fn in_words(text: &str, multiline: bool) -> Option<Command<'_>> {
    let ends = text.chars().any(|c| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'));
    let Some(command) = text.strip_prefix("-c") else {
        if ends && !multiline {
            return None;
        }
        let (mut id, mut rest) = (None, text);
        while let Some(behind) = rest.strip_prefix("-i ") {
            let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let (word, payload) = behind.split_at(end.unwrap_or(behind.len()));
            (id, rest) = (Some(word), payload);
        }
        return Some(Command::Ingest { id, payload: rest });
    };
    if ends {
        return None;
    }
    if command.eq_ignore_ascii_case(" help") {
        return Some(Command::Help);
    }
    let (word, rest) = command.split_at_checked(4)?;
    if !word.eq_ignore_ascii_case(" set") {
        return None;
    }
    let rest = rest.trim_start_matches([' ', '\t']);
    match rest.rfind('=') {
        Some(at) => Some(Command::Set { key: &rest[..at], value: &rest[at + 1..] }),
        None if rest.is_empty() => Some(Command::List),
        None => None,
    }
}
