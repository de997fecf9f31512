//! The command grammar (hydra.md 2): what a text message asks for.

use memchr::memchr2;
use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while};
use nom::combinator::{all_consuming, map, opt, rest};
use nom::multi::fold_many0;
use nom::sequence::preceded;
use nom::{IResult, Parser};

/// What a text message asks for. Everything borrows from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `-c SET key = value`: the parts around the last `=`, as they were sent.
    Set {
        /// As it was sent: neither trimmed nor upper-cased.
        key: &'a str,
        /// As it was sent: not trimmed.
        value: &'a str,
    },
    /// `-c SET`: list the metadata.
    List,
    /// `-c HELP`.
    Help,
    /// Anything that does not begin with `-c`: a payload.
    Ingest {
        /// The id of `-i ID`, which may be empty. `None`: the message names none.
        id: Option<&'a str>,
        /// The rest of the message, with the blank after the id.
        payload: &'a str,
    },
}

/// The message is neither a command nor a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("BAD_REQUEST:Not a valid message. Use 'HELP' for help.")]
pub struct CommandError;

impl<'a> Command<'a> {
    /// Reads a message, tried as payload, `SET` and `HELP` in this order.
    ///
    /// A message that holds a line terminator (LF, CR, U+0085, U+2028 or U+2029) is none, unless
    /// `multiline` is set and it is a payload.
    ///
    /// # Errors
    /// [`CommandError`]; the session goes on.
    pub fn parse(text: &'a str, multiline: bool) -> Result<Self, CommandError> {
        let is_command = text.starts_with("-c");
        if (is_command || !multiline) && has_line_terminator(text) {
            return Err(CommandError);
        }
        let parsed = if is_command { command(text) } else { ingest(text) };
        parsed.map(|(_, command)| command).map_err(|_| CommandError)
    }
}

/// Whether the text holds one of the characters that `.` does not match.
#[must_use]
pub fn has_line_terminator(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Two passes that are quick on plain text: most messages hold none of these bytes.
    let ascii = memchr2(b'\n', b'\r', bytes).is_some();
    let wide = || memchr2(0xc2, 0xe2, bytes).is_some();
    ascii || wide() && text.contains(['\u{85}', '\u{2028}', '\u{2029}'])
}

fn ingest(text: &str) -> IResult<&str, Command<'_>> {
    let id = preceded(tag("-i "), take_while(is_word));
    // Directly repeated, the last one wins.
    let ids = fold_many0(id, || None, |_, id| Some(id));
    map((ids, rest), |(id, payload)| Command::Ingest { id, payload }).parse(text)
}

fn command(text: &str) -> IResult<&str, Command<'_>> {
    let list_or_set = map(opt(assignment), |set| match set {
        Some((key, value)) => Command::Set { key, value },
        None => Command::List,
    });
    let set = preceded((tag_no_case("-c set"), take_while(is_blank)), list_or_set);
    let help = map(tag_no_case("-c help"), |_| Command::Help);
    all_consuming(alt((set, help))).parse(text)
}

/// What is around the last `=`.
fn assignment(text: &str) -> IResult<&str, (&str, &str)> {
    let (empty, whole) = rest(text)?;
    match whole.rsplit_once('=') {
        Some(around) => Ok((empty, around)),
        None => Err(nom::Err::Error(nom::error::Error::new(text, nom::error::ErrorKind::Char))),
    }
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Command<'_>, CommandError> {
        Command::parse(text, false)
    }

    fn ingest(
        id: Option<&'static str>,
        payload: &'static str,
    ) -> Result<Command<'static>, CommandError> {
        Ok(Command::Ingest { id, payload })
    }

    #[test]
    fn ids_and_payloads() {
        // The table of hydra.md 2.2.
        for (sent, id, payload) in [
            ("-i abc", Some("abc"), ""),
            ("-i  p6", Some(""), " p6"),
            ("-i a-b p7", Some("a"), "-b p7"),
            ("-i 1 -i 2 p", Some("1"), " -i 2 p"),
            ("-i 1-i 2 p", Some("2"), " p"),
            ("-i -i 5 p", Some("5"), " p"),
            ("-i 8p14", Some("8p14"), ""),
            ("-i1 p", None, "-i1 p"),
            ("-I 5 p", None, "-I 5 p"),
            ("  -i 3 p", None, "  -i 3 p"),
            ("-i", None, "-i"),
            ("", None, ""),
            ("-i é x", Some(""), "é x"),
            ("-C HELP", None, "-C HELP"),
            (" -c SET a = b", None, " -c SET a = b"),
            ("help", None, "help"),
            ("a\u{b}\u{c}b", None, "a\u{b}\u{c}b"),
        ] {
            assert_eq!(parse(sent), ingest(id, payload), "{sent:?}");
        }
    }

    #[test]
    fn set_list_and_help() {
        for list in ["-c SET", "-c set   ", "-c SeT\t"] {
            assert_eq!(parse(list), Ok(Command::List), "{list:?}");
        }
        for help in ["-c HELP", "-c help", "-c HeLp"] {
            assert_eq!(parse(help), Ok(Command::Help), "{help:?}");
        }
        for (sent, key, value) in [
            ("-c set a = b", "a ", " b"),
            ("-c seta=b", "a", "b"),
            ("-c SET=", "", ""),
            ("-c set a=b=c", "a=b", "c"),
            ("-c set\u{a0}a=b", "\u{a0}a", "b"),
            ("-c set \t z =", "z ", ""),
        ] {
            assert_eq!(parse(sent), Ok(Command::Set { key, value }), "{sent:?}");
        }
    }

    #[test]
    fn what_is_no_message() {
        for sent in [
            "-c",
            "-c ",
            "-cset a=b",
            "-c  set a=b",
            "-c HELP ",
            "-c WHAT",
            "-c set k",
            "-c SETTER",
            "-c  HELP",
            "-c helper",
            "a\nb",
            "a\rb",
            "a\u{85}b",
            "a\u{2028}b",
            "a\u{2029}b",
            "-i 5 a\nb",
            "{}\n",
            "-c set a = b\nc",
            "-c set\n",
            "-c \u{17f}et",
        ] {
            assert_eq!(parse(sent), Err(CommandError), "{sent:?}");
        }
    }

    #[test]
    fn multiline_admits_payloads_only() {
        let sent = "-i 5 {\n  \"a\": 1\n}\u{2028}";
        let read = Command::parse(sent, true);
        assert_eq!(read, ingest(Some("5"), " {\n  \"a\": 1\n}\u{2028}"));
        assert_eq!(Command::parse("-c set a = b\n", true), Err(CommandError));
    }
}
