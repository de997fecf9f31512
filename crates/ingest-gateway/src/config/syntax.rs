//! Errors of the TOML syntax, in our words where the parser's need help.

use std::ops::Range;

use super::findings::Findings;
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

fn is_about_value(message: &str) -> bool {
    VALUE_MESSAGES.iter().any(|start| message.starts_with(start))
}

/// Whether an error of the syntax leaves the structure around it intact.
pub(super) fn is_local(message: &str) -> bool {
    is_about_value(message) || LINE_MESSAGES.iter().any(|start| message.starts_with(start))
}

/// Notes an error of the parser.
pub(super) fn note(findings: &Findings, file: &Text, error: &toml::de::Error) {
    let text = file.valid();
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, expected.to_owned()),
        None if error.message() == "duplicate key" => ("duplicate key", "each key once".to_owned()),
        None => (error.message(), "TOML".to_owned()),
    };
    let mut span = error.span().unwrap_or(0..0);
    let expected = if is_about_value(message) {
        span = widen(text, span);
        "a number, true or false, or text in quotation marks".to_owned()
    } else {
        expected
    };
    let here = text.get(span.clone()).unwrap_or_default();
    let at = match (here.is_empty(), text.get(span.start..).and_then(|rest| rest.chars().next())) {
        (false, _) => quoted(here),
        (true, None) => "the end of the file".to_owned(),
        (true, Some('\n' | '\r')) => "the end of the line".to_owned(),
        (true, Some(next)) => quoted(&next.to_string()),
    };
    let reason = if is_about_value(message) && here.is_empty() { "no value" } else { message };
    findings.syntax(file.base + span.start, format!("{at} ({reason})"), expected);
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
