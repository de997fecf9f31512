//! Errors of the TOML syntax, in our words where the parser's need help.

use std::ops::Range;

use super::findings::Findings;
use super::headers::Headers;
use super::texts::Text;
use super::values::quoted;

/// Messages about a single value that is not written as TOML wants it.
const VALUE_MESSAGES: &[&str] = &[
    "string values must be quoted",
    "invalid float",
    "invalid integer",
    "invalid boolean",
    "invalid date",
    "invalid time",
    "`_` may only go between digits",
];

/// Messages about a value or a key whose line is wrong, but nothing around it.
const LINE_MESSAGES: &[&str] = &["duplicate key", "invalid basic string", "invalid literal string"];

/// What can stand for a value.
const VALUE: &str = "a number, true or false, or text in quotation marks";

fn is_about_value(message: &str) -> bool {
    VALUE_MESSAGES.iter().any(|start| message.starts_with(start))
}

/// Whether an error of the syntax leaves the structure around it intact.
pub(super) fn is_local(message: &str) -> bool {
    is_about_value(message) || LINE_MESSAGES.iter().any(|start| message.starts_with(start))
}

/// Notes an error of the parser.
pub(super) fn note(
    findings: &Findings,
    file: &Text,
    headers: Option<&Headers<'_>>,
    error: &toml::de::Error,
) {
    let text = file.valid();
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, expected.to_owned()),
        None => (error.message(), "TOML".to_owned()),
    };
    let mut span = error.span().unwrap_or(0..0);
    let double = error.message() == "duplicate key";
    let key = headers.and_then(|headers| headers.key_at(span.start, double));
    if is_about_value(message) {
        span = widen(text, span);
    } else if message == "unexpected key or value" {
        span.end = text.get(span.start..).map_or(span.end, |rest| {
            span.start + rest.lines().next().unwrap_or_default().trim_end().len()
        });
    }
    let here = text.get(span.clone()).unwrap_or_default();
    let line = line_at(text, span.start);
    let (message, expected) = match in_our_words(message, here, line) {
        Some((message, expected)) => (message, expected),
        None => (message.to_owned(), expected),
    };
    // What stands for a secret may be the secret.
    let named = line.split('=').next().unwrap_or_default();
    let secret = !double && ["secret", "token", "password"].iter().any(|key| named.contains(key));
    let at = match (here.is_empty(), text.get(span.start..).and_then(|rest| rest.chars().next())) {
        (false, _) if secret => "a text that is not shown".to_owned(),
        (false, _) => quoted(here),
        (true, None) => "the end of the file".to_owned(),
        (true, Some('\n' | '\r')) => "the end of the line".to_owned(),
        (true, Some(next)) => quoted(&next.to_string()),
    };
    findings.syntax(file.base + span.start, key, format!("{at} ({message})"), expected);
}

/// Whether a text is meant as a number: `1__0` is, `127.0.0.1` and `12:30` are not.
fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-_.".contains(&b))
        && text.bytes().filter(|b| *b == b'.').count() < 2
        && text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-')
}

/// The line of a place.
fn line_at(text: &str, at: usize) -> &str {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default()
}

/// What is wrong and what would be right, where the parser's words are about its grammar rather
/// than about the mistake. `here` is what it stopped at, on this line.
fn in_our_words(message: &str, here: &str, line: &str) -> Option<(String, String)> {
    let say = |found: &str, allowed: &str| Some((found.to_owned(), allowed.to_owned()));
    let start = line.trim_start();
    let word = start.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    let behind = word.and_then(|end| start.get(end..)).unwrap_or_default();
    if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| start.starts_with(mark)) {
        return say("the mark of a merge conflict", "one of the two versions");
    }
    if start.starts_with(';') || start.starts_with("//") {
        return say("no TOML", "a comment begins with `#`");
    }
    if start.starts_with('{') {
        return say("no TOML", "lines such as `[log]` and `dir = \"data\"`");
    }
    if message != "duplicate key" && word != Some(0) && behind.starts_with(':') {
        return say("no `=`", "`=` between a key and its value, and `[name]` above a table's keys");
    }
    if is_about_value(message) {
        let text = here.trim_matches(|c| "\u{201c}\u{201d}\u{201e}\u{2018}\u{2019}".contains(c));
        return match here.to_ascii_lowercase().as_str() {
            "" => say("no value", VALUE),
            "true" | "yes" | "on" => say("no TOML", "`true` in small letters"),
            "false" | "no" | "off" if here != "off" => say("no TOML", "`false` in small letters"),
            _ if text.len() < here.len() => {
                say("curly quotation marks", "straight ones: `\"` before it and behind it")
            }
            _ if message == "string values must be quoted" || !is_number(here) => {
                say("no quotation marks", VALUE)
            }
            _ => say(message, VALUE),
        };
    }
    match message {
        "duplicate key" if start.starts_with("[[") => {
            say("a table of that name already, further up", "double brackets for each of them")
        }
        "duplicate key" if start.starts_with('[') => {
            say("a second time", "each table once, with all its keys below it")
        }
        "duplicate key" => say("a second time", "each key once"),
        "unexpected key or value" if here.starts_with(',') => {
            say("more behind the value", "one key a line; thousands without a comma")
        }
        "unexpected key or value" if here.starts_with("//") || here.starts_with(';') => {
            say("more behind the value", "a comment begins with `#`")
        }
        "unexpected key or value" => {
            say("more behind what is complete", "the end of the line, or a comment after `#`")
        }
        "unclosed table" | "unclosed array table" => say(
            "no bracket behind the name",
            "`]`, as often as `[`, behind letters, digits, - and _",
        ),
        "extra `=`" => say("a second equals sign", "one"),
        "unexpected leading zero" => say("a leading zero", "the number without it"),
        "key with no value" => say("a key without `=` and a value", "`key = value`"),
        "invalid basic string" | "invalid literal string" if here.is_empty() => {
            say("no closing quotation mark", "the quotation mark that it began with")
        }
        "invalid multi-line basic string" | "invalid multi-line literal string" => {
            say("no closing quotation marks", "the three quotation marks that it began with")
        }
        "missing escaped value" | "too few unicode value digits" => {
            say("no escape", "`\\\\` for a backslash, or the text in 'single' quotation marks")
        }
        _ if message.starts_with("cannot extend value") => {
            say("a value already, further up", "a table or a value, once")
        }
        _ => None,
    }
}

/// The whole value around a place in it.
fn widen(text: &str, span: Range<usize>) -> Range<usize> {
    let edge = |c: char| c.is_whitespace() || "=,[]{}#".contains(c);
    let before = text.get(..span.start).unwrap_or_default();
    let after = text.get(span.end..).unwrap_or_default();
    let start = before.rfind(edge).map_or(0, |at| {
        at + before.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
    });
    // What the parser takes for one value may hold blanks; it never ends beyond the line.
    start..span.end + after.find(edge).unwrap_or(after.len())
}
