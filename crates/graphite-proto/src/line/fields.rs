//! Lines split into fields (`graphite.md` 2.1, 2.2).

use crate::Profile;

/// The fields of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fields<'a> {
    /// A blank line.
    None,
    Three([&'a [u8]; 3]),
    /// Any other number.
    Wrong,
}

/// Splits a line as the profile's program does.
pub(super) fn split(line: &[u8], profile: Profile) -> Fields<'_> {
    match profile {
        Profile::Default => three(line.split(is_space).filter(|field| !field.is_empty())),
        Profile::Carbon => by_character(line, is_python_space),
        Profile::GoCarbon => by_single_space(line),
        Profile::RelayNg { .. } => by_character(line, is_go_space),
    }
}

/// Our white space.
fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | b'\r')
}

/// What `str.split()` of Python 3 splits at.
fn is_python_space(c: char) -> bool {
    matches!(c, '\x1c'..='\x1f') || c.is_whitespace()
}

/// What `unicode.IsSpace` of Go holds for white space.
fn is_go_space(c: char) -> bool {
    c.is_whitespace()
}

fn three<'a>(mut fields: impl Iterator<Item = &'a [u8]>) -> Fields<'a> {
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (None, ..) => Fields::None,
        (Some(path), Some(value), Some(time), None) => Fields::Three([path, value, time]),
        _ => Fields::Wrong,
    }
}

/// go-carbon: spaces, CR and LF trimmed from both ends, then the first two spaces.
fn by_single_space(line: &[u8]) -> Fields<'_> {
    let trimmed = |byte: &u8| matches!(byte, b' ' | b'\r' | b'\n');
    let Some(start) = line.iter().position(|byte| !trimmed(byte)) else { return Fields::None };
    let end = line.iter().rposition(|byte| !trimmed(byte)).unwrap_or(start);
    let mut fields = line.get(start..=end).unwrap_or_default().splitn(3, |byte| *byte == b' ');
    match (fields.next(), fields.next(), fields.next()) {
        (Some(path), Some(value), Some(time)) if !value.is_empty() => {
            Fields::Three([path, value, time])
        }
        _ => Fields::Wrong,
    }
}

/// Runs of white space beyond ASCII. Bytes that are not UTF-8 are no white space.
fn by_character(line: &[u8], is_space: fn(char) -> bool) -> Fields<'_> {
    let mut fields: [&[u8]; 3] = [&[]; 3];
    let mut count = 0;
    let mut start = None;
    let mut end_field = |from: usize, to: usize| {
        if let (Some(slot), Some(field)) = (fields.get_mut(count), line.get(from..to)) {
            *slot = field;
        }
        count += 1;
    };
    let mut at = 0;
    for chunk in line.utf8_chunks() {
        for (index, c) in chunk.valid().char_indices() {
            if !is_space(c) {
                start.get_or_insert(at + index);
            } else if let Some(from) = start.take() {
                end_field(from, at + index);
            }
        }
        at += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            start.get_or_insert(at);
            at += chunk.invalid().len();
        }
    }
    if let Some(from) = start {
        end_field(from, at);
    }
    match count {
        0 => Fields::None,
        3 => Fields::Three(fields),
        _ => Fields::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: Profile = Profile::RelayNg { strict: false };
    const ABC: Fields<'static> = Fields::Three([b"a", b"b", b"c"]);

    #[test]
    fn white_space_by_profile() {
        // For the default, carbon, go-carbon and carbon-relay-ng: whether three fields come out.
        for (line, expected) in [
            ("a b c", [true, true, true, true]),
            (" a b c \r", [true, true, true, true]),
            ("a  b c", [true, true, false, true]),
            ("\ta\tb\tc\t", [true, true, false, true]),
            ("a\x0bb\x0cc", [true, true, false, true]),
            ("a\u{a0}b\u{3000}c", [false, true, false, true]),
            ("a\u{85}b\u{2028}c", [false, true, false, true]),
            ("a\x1cb\x1fc", [false, true, false, false]),
        ] {
            let profiles = [Profile::Default, Profile::Carbon, Profile::GoCarbon, RELAY];
            for (profile, expected) in profiles.into_iter().zip(expected) {
                let three = split(line.as_bytes(), profile) == ABC;
                assert_eq!(three, expected, "{line:?} {profile:?}");
            }
        }
    }

    #[test]
    fn other_numbers_of_fields() {
        for profile in [Profile::Default, Profile::Carbon, Profile::GoCarbon, RELAY] {
            for line in ["", " ", "  \r", "\r"] {
                assert_eq!(split(line.as_bytes(), profile), Fields::None, "{line:?}");
            }
            for line in ["a", "a b", "a b "] {
                assert_eq!(split(line.as_bytes(), profile), Fields::Wrong, "{line:?}");
            }
        }
        assert_eq!(split(b"a b c d", Profile::Default), Fields::Wrong);
        assert_eq!(split(b"a b c d", Profile::Carbon), Fields::Wrong);
        // go-carbon takes the rest of the line for the timestamp, which then is none.
        assert_eq!(split(b"a b c d", Profile::GoCarbon), Fields::Three([b"a", b"b", b"c d"]));
        assert_eq!(split(b"\ta b c", Profile::GoCarbon), Fields::Three([b"\ta", b"b", b"c"]));
    }

    #[test]
    fn bytes_that_are_not_text_belong_to_fields() {
        assert_eq!(split(b"\xffa \x85 c\xa0", RELAY), Fields::Three([b"\xffa", b"\x85", b"c\xa0"]));
    }

    #[test]
    fn python_and_go_agree_with_the_standard_library() {
        // What `char::is_whitespace` holds, listed once so that a change would be noticed.
        let spaces: Vec<u32> = (0..=0x10_ffff)
            .filter(|code| char::from_u32(*code).is_some_and(char::is_whitespace))
            .collect();
        let listed = [9, 10, 11, 12, 13, 0x20, 0x85, 0xa0, 0x1680]
            .into_iter()
            .chain(0x2000..=0x200a)
            .chain([0x2028, 0x2029, 0x202f, 0x205f, 0x3000]);
        assert_eq!(spaces, listed.collect::<Vec<u32>>());
    }
}
