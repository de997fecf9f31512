//! The OpenMetrics form, `name{tag="value",…}`, as carbon reads it: no spaces, no empty list, no
//! comma at the end, `\"` and `\\` the only escapes, and a colon allowed before each comma.

use std::borrow::Cow;

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag as literal, take_till1};
use nom::character::complete::{char, one_of};
use nom::combinator::{eof, opt, recognize};
use nom::multi::{many0, many1_count};
use nom::sequence::{delimited, preceded, terminated};
use nom::{Finish, Parser};

use super::TagError;
use super::grammar::{Split, Step, check};

/// Splits a path that [`is_openmetrics`](super::is_openmetrics).
pub(super) fn split(path: &str) -> Result<Split<'_>, TagError> {
    let (metric, list) =
        path.strip_suffix('}').and_then(|path| path.split_once('{')).ok_or(TagError::Braces)?;
    if metric.is_empty() {
        return Err(TagError::EmptyName);
    }
    if list.contains('{') {
        return Err(TagError::Braces);
    }
    let (rest, tags) = many0(pair).parse(list).finish()?;
    if rest.is_empty() { Ok((metric, tags)) } else { Err(TagError::Braces) }
}

/// `tag="value"` with the comma behind it, or the end.
fn pair(input: &str) -> Step<'_, (&str, Cow<'_, str>)> {
    let (rest, (tag, value)) = terminated(
        (take_till1(|c| c == '='), delimited(literal("=\""), text, char('"'))),
        alt((recognize((opt(char(':')), char(','))), eof)),
    )
    .parse(input)?;
    let value = unescape(value);
    check(tag, &value).map_err(|error| nom::Err::Failure(error.into()))?;
    Ok((rest, (tag, value)))
}

/// What stands between the quotes, still escaped; at least one character.
fn text(input: &str) -> Step<'_, &str> {
    recognize(many1_count(alt((recognize(preceded(char('\\'), one_of("\\\""))), is_not("\\\"")))))
        .parse(input)
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        // The grammar lets a backslash stand only before what it escapes.
        out.push(if c == '\\' { characters.next().unwrap_or(c) } else { c });
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::super::{TagError, normalise};

    #[test]
    fn reads_what_carbon_reads() {
        for (path, expected) in [
            (r#"cpu{a="1"}"#, "cpu;a=1"),
            (r#"cpu{b="2",a="1"}"#, "cpu;a=1;b=2"),
            (r#"cpu{a="x\"y"}"#, r#"cpu;a=x"y"#),
            (r#"cpu{a="x\\y"}"#, r"cpu;a=x\y"),
            (r#"cpu{a="x\\\"y"}"#, r#"cpu;a=x\"y"#),
            (r#"cpu{a="1":,b="2"}"#, "cpu;a=1;b=2"),
            (r#"cpu;a=x{y="z"}"#, "cpu;a=x;y=z"),
            (r#"~cpu{name="z"}"#, "cpu"),
            // Not this form, so a plain name.
            (r#"cpu{a="1",}"#, r#"cpu{a="1",}"#),
            ("cpu{}", "cpu{}"),
            (r#"cpu{a="1"};b=2"#, r#"cpu{a="1"};b=2"#),
        ] {
            assert_eq!(normalise(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn refuses_what_carbon_refuses() {
        for (path, error) in [
            (r#"{a="1"}"#, TagError::EmptyName),
            (r#"cpu{a=""}"#, TagError::Braces),
            (r#"cpu{a="1"b="2"}"#, TagError::Braces),
            (r#"cpu{a="1","}"#, TagError::Braces),
            (r#"cpu{a="1":}{"}"#, TagError::Braces),
            (r#"cpu{a="\n"}"#, TagError::Braces),
            (r#"cpu{a="x;y"}"#, TagError::ValueCharacter),
            (r#"cpu{a!="x"}"#, TagError::TagCharacter),
            (r#"cpu{a="~x"}"#, TagError::ValueCharacter),
        ] {
            assert_eq!(normalise(path), Err(error), "{path}");
        }
    }
}
