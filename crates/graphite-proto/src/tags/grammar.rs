//! The grammar of `name;tag=value`, and the rules for one tag that both forms share.

use std::borrow::Cow;

use nom::bytes::complete::{take_till, take_till1};
use nom::character::complete::char;
use nom::error::{ErrorKind, ParseError};
use nom::multi::many0;
use nom::{Finish, IResult, Parser};

use super::TagError;

/// A name and its tags in the order received.
pub(super) type Split<'a> = (&'a str, Vec<(&'a str, Cow<'a, str>)>);

/// What the parsers of both forms give: the rest and a part, or the rule that was broken.
pub(super) type Step<'a, T> = IResult<&'a str, T, Fault>;

/// A [`TagError`], for nom: nothing of nom is in the interface.
#[derive(Debug)]
pub(super) struct Fault(pub(super) TagError);

impl From<Fault> for TagError {
    fn from(fault: Fault) -> Self {
        fault.0
    }
}

impl From<TagError> for Fault {
    fn from(error: TagError) -> Self {
        Self(error)
    }
}

impl<I> ParseError<I> for Fault {
    fn from_error_kind(_: I, _: ErrorKind) -> Self {
        Self(TagError::MissingValue)
    }

    fn append(_: I, _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Splits `name;tag=value;…`.
pub(super) fn split(path: &str) -> Result<Split<'_>, TagError> {
    let (rest, metric) = name(path).finish()?;
    let (rest, tags) = many0(segment).parse(rest).finish()?;
    debug_assert!(rest.is_empty(), "a segment takes all up to the next `;`");
    Ok((metric, tags))
}

fn name(input: &str) -> Step<'_, &str> {
    take_till1(|c| c == ';')
        .parse(input)
        .map_err(|_: nom::Err<Fault>| nom::Err::Failure(Fault(TagError::EmptyName)))
}

/// `;tag=value`. Behind its `;` a segment must be right, so everything there fails for good.
fn segment(input: &str) -> Step<'_, (&str, Cow<'_, str>)> {
    let (input, _) = char(';').parse(input)?;
    let (rest, segment) = take_till(|c| c == ';').parse(input)?;
    let (tag, value) =
        segment.split_once('=').ok_or(nom::Err::Failure(Fault(TagError::MissingValue)))?;
    check(tag, value).map_err(|error| nom::Err::Failure(error.into()))?;
    Ok((rest, (tag, Cow::Borrowed(value))))
}

/// What carbon demands of a tag and its value.
pub(super) fn check(tag: &str, value: &str) -> Result<(), TagError> {
    if tag.is_empty() {
        return Err(TagError::EmptyTag);
    }
    if value.is_empty() {
        return Err(TagError::EmptyValue);
    }
    if tag.contains([';', '!', '^', '=']) {
        return Err(TagError::TagCharacter);
    }
    if value.starts_with('~') || value.contains(';') {
        return Err(TagError::ValueCharacter);
    }
    Ok(())
}
