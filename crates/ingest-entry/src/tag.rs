//! Tags: [`TagId`] and [`TagName`].

use core::borrow::Borrow;
use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use crate::generated::tag_ranges::TAG_RANGES;

/// The number of a tag.
///
/// Numbers belong to whoever gave them: an indexer, for one connection, or a log directory. Only
/// [`TagId::DEFAULT`] and [`TagId::GRAVWELL`] mean the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TagId(
    /// The number as it is in an entry header.
    pub u16,
);

impl TagId {
    /// The tag `default`, number 0.
    pub const DEFAULT: Self = Self(0);
    /// The tag `gravwell`, number 65535: ingesters' own logs.
    pub const GRAVWELL: Self = Self(0xFFFF);
}

impl fmt::Display for TagId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u16> for TagId {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl From<TagId> for u16 {
    fn from(id: TagId) -> Self {
        id.0
    }
}

/// Why a text is not a tag name. Offsets are bytes into the text as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagNameError {
    /// Nothing is left after trimming.
    #[error("the tag name is empty")]
    Empty,
    /// More than [`TagName::MAX_LEN`] bytes after trimming.
    #[error("the tag name has {len} bytes, more than 4096")]
    TooLong {
        /// The length after trimming.
        len: usize,
    },
    /// A character that tag names cannot have.
    #[error("the tag name has the forbidden character {character:?} at byte {offset}")]
    Forbidden {
        /// The character.
        character: char,
        /// Where it is.
        offset: usize,
    },
    /// White space around a name where the exact name is required.
    #[error("the tag name has white space around it")]
    Padded,
    /// Bytes that are not UTF-8.
    #[error("the tag name is not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Where the first bad byte is.
        offset: usize,
    },
    /// The replacement character given to [`TagName::remap`] is itself forbidden.
    #[error("the replacement character {character:?} is forbidden in tag names")]
    Replacement {
        /// The character.
        character: char,
    },
}

/// The printable ASCII characters that tag names can have, one bit each.
const ASCII: u128 =
    ascii_set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789#+-?@_");
/// What the library of 2020 forbids, space and tab included.
const FORBIDDEN_2020: u128 = ascii_set(b"!@#$%^&*()=+<>,.:;`\"'{[}]|\\ \t");

const fn ascii_set(mut characters: &[u8]) -> u128 {
    let mut set = 0;
    while let [first, rest @ ..] = characters {
        set |= 1 << *first;
        characters = rest;
    }
    set
}

/// The name of a tag, checked by the rules of the current Gravwell library.
///
/// White space at both ends is trimmed. What is left has 1 to 4,096 bytes of UTF-8, and each
/// character is printable (a letter, mark, number, punctuation or symbol of Unicode 15.0) and
/// none of the quotes `"`, `'`, `` ` ``, `´`, `‘`, `’`, `“`, `”` and none of
/// `* $ \ [ ] | { } ( ) ; = < ! > ~ % ^ & . : , /`. Of ASCII that leaves
/// `A-Z a-z 0-9 # + - ? @ _`.
///
/// Cloning is cheap: clones share the text.
///
/// ```
/// use ingest_entry::{TagName, TagNameError};
///
/// let name = TagName::new(" syslog ")?;
/// assert_eq!(name.as_str(), "syslog");
/// assert_eq!(
///     TagName::new("a.b"),
///     Err(TagNameError::Forbidden { character: '.', offset: 1 })
/// );
/// assert_eq!(TagName::remap("a.b", '_')?.as_str(), "a_b");
/// # Ok::<(), TagNameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagName(Arc<str>);

impl TagName {
    /// The longest name, in bytes of UTF-8.
    pub const MAX_LEN: usize = 4096;

    /// Checks and takes a name, trimmed.
    ///
    /// # Errors
    /// [`TagNameError`] says which rule is broken, and where.
    pub fn new(name: &str) -> Result<Self, TagNameError> {
        let trimmed = name.trim_start();
        let start = name.len() - trimmed.len();
        let trimmed = trimmed.trim_end();
        check_trimmed(trimmed, start)?;
        Ok(Self(trimmed.into()))
    }

    /// As [`TagName::new`], from bytes.
    ///
    /// # Errors
    /// Also [`TagNameError::NotUtf8`], where the Go library would let such bytes through.
    pub fn from_bytes(name: &[u8]) -> Result<Self, TagNameError> {
        Self::new(core::str::from_utf8(name).map_err(not_utf8)?)
    }

    /// Checks a name that must be exact, with no white space around it, without taking it.
    ///
    /// # Errors
    /// [`TagNameError`] says which rule is broken, and where.
    pub fn check(name: &str) -> Result<(), TagNameError> {
        check_trimmed(name, 0).map_err(|error| match error {
            TagNameError::Forbidden { .. } if name.trim().len() != name.len() => {
                TagNameError::Padded
            }
            error => error,
        })
    }

    /// Makes a name out of any text: trims it and puts `replacement` for each character that is
    /// not allowed. Bytes that are not UTF-8 become U+FFFD, one each, as in the Go library.
    ///
    /// # Errors
    /// [`TagNameError::Replacement`] if the replacement is itself not allowed, otherwise if the
    /// name is empty or too long, before or after replacing.
    pub fn remap(name: impl AsRef<[u8]>, replacement: char) -> Result<Self, TagNameError> {
        let name = name.as_ref();
        if !is_allowed(replacement) {
            return Err(TagNameError::Replacement { character: replacement });
        }
        let allowed_or = |c| if is_allowed(c) { c } else { replacement };
        if let Ok(text) = core::str::from_utf8(name) {
            let text = text.trim();
            if text.is_empty() {
                return Err(TagNameError::Empty);
            } else if text.len() > Self::MAX_LEN {
                return Err(TagNameError::TooLong { len: text.len() });
            }
            return Self::new(&text.chars().map(allowed_or).collect::<String>());
        }
        let (mut text, mut invalid) = (String::new(), 0);
        for chunk in name.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
            invalid += chunk.invalid().len();
        }
        let text = text.trim();
        // Measured as given, where a bad byte is one byte and not the three of U+FFFD.
        let len = text.len() - 2 * invalid;
        if len > Self::MAX_LEN {
            return Err(TagNameError::TooLong { len });
        }
        Self::new(&text.chars().map(allowed_or).collect::<String>())
    }

    /// Whether the library of 2020 takes this name too. That one forbids
    /// ``! @ # $ % ^ & * ( ) = + < > , . : ; ` " ' { [ } ] | \``, space and tab, so of ASCII
    /// `A-Z a-z 0-9 - _ ?` is safe with both.
    #[must_use]
    pub fn is_portable(&self) -> bool {
        self.0.bytes().all(|b| b >= 0x80 || FORBIDDEN_2020 >> b & 1 == 0)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a tag name may hold this character.
    #[must_use]
    pub fn allows(character: char) -> bool {
        is_allowed(character)
    }
}

fn not_utf8(error: core::str::Utf8Error) -> TagNameError {
    TagNameError::NotUtf8 { offset: error.valid_up_to() }
}

/// Checks a name without trimming; `start` is where it begins in the caller's text.
fn check_trimmed(name: &str, start: usize) -> Result<(), TagNameError> {
    if name.is_empty() {
        return Err(TagNameError::Empty);
    }
    if name.len() > TagName::MAX_LEN {
        return Err(TagNameError::TooLong { len: name.len() });
    }
    if name.bytes().all(|b| b < 0x80 && ASCII >> b & 1 == 1) {
        return Ok(());
    }
    match name.char_indices().find(|&(_, c)| !is_allowed(c)) {
        None => Ok(()),
        Some((at, character)) => Err(TagNameError::Forbidden { character, offset: start + at }),
    }
}

fn is_allowed(character: char) -> bool {
    let code = u32::from(character);
    if code < 0x80 {
        return ASCII >> code & 1 == 1;
    }
    let after = TAG_RANGES.partition_point(|&(first, _)| first <= code);
    match after.checked_sub(1).and_then(|index| TAG_RANGES.get(index)) {
        Some(&(_, last)) => code <= last,
        None => false,
    }
}

impl AsRef<str> for TagName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for TagName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TagName({:?})", &*self.0)
    }
}

impl FromStr for TagName {
    type Err = TagNameError;

    fn from_str(name: &str) -> Result<Self, TagNameError> {
        Self::new(name)
    }
}

impl TryFrom<&str> for TagName {
    type Error = TagNameError;

    fn try_from(name: &str) -> Result<Self, TagNameError> {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::tag_ranges::UNICODE_VERSION;

    #[test]
    fn table_is_in_order() {
        assert_eq!(UNICODE_VERSION, "15.0.0");
        assert!(TAG_RANGES.iter().all(|&(first, last)| 0x80 <= first && first <= last));
        assert!(TAG_RANGES.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    #[test]
    fn lengths() {
        assert_eq!(TagName::new(""), Err(TagNameError::Empty));
        assert_eq!(TagName::new(" \t\u{3000}"), Err(TagNameError::Empty));
        let long = "t".repeat(4096);
        assert_eq!(TagName::new(&format!(" {long}\n")).unwrap().as_str(), long);
        assert_eq!(TagName::new(&format!("{long}t")), Err(TagNameError::TooLong { len: 4097 }));
        assert_eq!(
            TagName::remap("\u{e9}".repeat(2049), '_'),
            Err(TagNameError::TooLong { len: 4098 })
        );
    }

    #[test]
    fn where_it_goes_wrong() {
        let forbidden = |character, offset| Err(TagNameError::Forbidden { character, offset });
        assert_eq!(TagName::new("  a b"), forbidden(' ', 3));
        assert_eq!(TagName::new("\u{e9}\u{2019}"), forbidden('\u{2019}', 2));
        assert_eq!(TagName::from_bytes(b"ab\xff"), Err(TagNameError::NotUtf8 { offset: 2 }));
        assert_eq!(TagName::check(" ab"), Err(TagNameError::Padded));
        assert_eq!(TagName::check("a b").err(), forbidden(' ', 1).err());
        assert_eq!(TagName::check("ab"), Ok(()));
    }

    #[test]
    fn remapping() {
        assert_eq!(TagName::remap(" in side ", '_').unwrap().as_str(), "in_side");
        assert_eq!(TagName::remap(b"c\xe2\x82(", '-').unwrap().as_str(), "c\u{fffd}\u{fffd}-");
        assert_eq!(TagName::remap("a", '*'), Err(TagNameError::Replacement { character: '*' }));
        assert_eq!(TagName::remap("  ", '_'), Err(TagNameError::Empty));
    }

    #[test]
    fn portable_with_2020() {
        for (name, portable) in
            [("A-z_0?", true), ("caf\u{e9}", true), ("a#", false), ("a@b", false), ("a+", false)]
        {
            assert_eq!(TagName::new(name).unwrap().is_portable(), portable, "{name}");
        }
    }
}
