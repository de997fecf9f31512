//! Tagged names: `name;tag=value;tag2=value2`, and the OpenMetrics form
//! `name{tag="value",tag2="value2"}` that carbon reads as well.
//!
//! The rules are carbon's (`graphite.md` 3.1): a repeated tag keeps its last value, the name loses
//! its leading `~`, a tag called `name` is replaced by the name, and the canonical form has the
//! tags in the order of their `tag=` bytes.
//!
//! ```
//! use graphite_proto::tags;
//! let tagged = tags::parse("disk.used;host=b;dc=a;host=c")?;
//! assert_eq!(tagged.name(), "disk.used");
//! assert_eq!(tagged.to_string(), "disk.used;dc=a;host=c");
//! assert_eq!(tags::normalise("cpu{host=\"a\"}")?, "cpu;host=a");
//! # Ok::<(), tags::TagError>(())
//! ```

mod grammar;
mod openmetrics;

use std::borrow::Cow;
use std::fmt;

/// Why a name is not a valid tagged name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// Nothing before the first `;` or `{`, or only `~`.
    #[error("the name is empty")]
    EmptyName,
    /// A segment has no `=`.
    #[error("a tag has no value")]
    MissingValue,
    /// Nothing before the `=`.
    #[error("a tag is empty")]
    EmptyTag,
    /// Nothing behind the `=`.
    #[error("the value of a tag is empty")]
    EmptyValue,
    /// A tag holds `;`, `!` or `^`.
    #[error("a tag holds a character that is not allowed")]
    TagCharacter,
    /// A value starts with `~` or holds `;`.
    #[error("the value of a tag holds a character that is not allowed")]
    ValueCharacter,
    /// The part in braces is not a list of `tag="value"`.
    #[error("the tags in braces are malformed")]
    Braces,
}

/// A tagged name taken apart.
///
/// Its tags are sorted and unique, so two names of the same series are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tagged<'a> {
    metric: &'a str,
    tags: Vec<(&'a str, Cow<'a, str>)>,
}

/// The tags of a name in canonical order, as pairs of tag and value.
#[derive(Debug, Clone, Default)]
pub struct Tags<'a>(std::vec::IntoIter<(&'a str, Cow<'a, str>)>);

/// Takes a name apart. A name without tags is a valid one.
///
/// # Errors
/// [`TagError`] says which of carbon's rules the name breaks. carbon itself then stores the series
/// under its raw name.
pub fn parse(path: &str) -> Result<Tagged<'_>, TagError> {
    let (metric, mut tags) = if is_openmetrics(path.as_bytes()) {
        openmetrics::split(path)?
    } else {
        grammar::split(path)?
    };
    if metric.trim_start_matches('~').is_empty() {
        return Err(TagError::EmptyName);
    }
    tags.retain(|(tag, _)| *tag != "name");
    // The sort is stable: of equal tags the one received last stays last.
    tags.sort_by(|(a, _), (b, _)| before_equals(a).cmp(before_equals(b)));
    tags.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
    Ok(Tagged { metric, tags })
}

/// The canonical form of a name.
///
/// # Errors
/// As [`parse`].
pub fn normalise(path: &str) -> Result<String, TagError> {
    parse(path).map(|tagged| tagged.to_string())
}

/// Whether a name carries tags, in either form, valid or not.
#[must_use]
pub fn is_tagged(path: &str) -> bool {
    has_tags(path.as_bytes())
}

/// [`is_tagged`] before the path is known to be text.
pub(crate) fn has_tags(path: &[u8]) -> bool {
    memchr::memchr(b';', path).is_some() || is_openmetrics(path)
}

/// carbon reads a path as OpenMetrics when it ends in `"}` and holds `{`.
pub(crate) fn is_openmetrics(path: &[u8]) -> bool {
    path.ends_with(b"\"}") && memchr::memchr(b'{', path).is_some()
}

/// The bytes that decide the place of a tag: itself and the `=` behind it.
fn before_equals(tag: &str) -> impl Iterator<Item = u8> + '_ {
    tag.bytes().chain(std::iter::once(b'='))
}

impl<'a> Tagged<'a> {
    /// The name without leading `~`: carbon's value of the tag `name`.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.metric.trim_start_matches('~')
    }

    /// The name as received.
    #[must_use]
    pub fn metric(&self) -> &'a str {
        self.metric
    }

    /// The value of a tag; that of `name` is the name.
    #[must_use]
    pub fn get(&self, tag: &str) -> Option<&str> {
        if tag == "name" {
            return Some(self.name());
        }
        self.iter().find_map(|(key, value)| (key == tag).then_some(value))
    }

    /// The tags in canonical order, without the name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.tags.iter().map(|(tag, value)| (*tag, value.as_ref()))
    }

    /// How many tags there are, without the name.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether there are no tags.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// Appends the canonical form.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name().as_bytes());
        for (tag, value) in self.iter() {
            out.push(b';');
            out.extend_from_slice(tag.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
        }
    }
}

impl fmt::Display for Tagged<'_> {
    /// The canonical form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.iter().try_for_each(|(tag, value)| write!(f, ";{tag}={value}"))
    }
}

impl<'a> IntoIterator for Tagged<'a> {
    type Item = (&'a str, Cow<'a, str>);
    type IntoIter = Tags<'a>;

    fn into_iter(self) -> Tags<'a> {
        Tags(self.tags.into_iter())
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Tags<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_order_is_that_of_whole_strings() {
        for (path, expected) in [
            ("cpu", "cpu"),
            ("cpu;b=2;a=1", "cpu;a=1;b=2"),
            ("cpu;a=2;a-b=1", "cpu;a-b=1;a=2"),
            ("cpu;a_b=1;aa=2;a=3", "cpu;a=3;a_b=1;aa=2"),
            ("cpu;a=1;B=2", "cpu;B=2;a=1"),
            ("cpu;é=1;z=2", "cpu;z=2;é=1"),
            ("~~cpu;a=1", "cpu;a=1"),
            ("cpu;name=x;a=1", "cpu;a=1"),
            ("cpu;a=b=c", "cpu;a=b=c"),
            ("cpu;k=1;j=0;k=2;k=3", "cpu;j=0;k=3"),
        ] {
            assert_eq!(normalise(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn errors_say_which_rule_was_broken() {
        for (path, error) in [
            ("", TagError::EmptyName),
            ("~;a=1", TagError::EmptyName),
            (";a=1", TagError::EmptyName),
            ("cpu;", TagError::MissingValue),
            ("cpu;a", TagError::MissingValue),
            ("cpu;;a=1", TagError::MissingValue),
            ("cpu;a=1;", TagError::MissingValue),
            ("cpu;=1", TagError::EmptyTag),
            ("cpu;a=", TagError::EmptyValue),
            ("cpu;a!=1", TagError::TagCharacter),
            ("cpu;^a=1", TagError::TagCharacter),
            ("cpu;a=~1", TagError::ValueCharacter),
            ("cpu;name=~1", TagError::ValueCharacter),
        ] {
            assert_eq!(parse(path), Err(error), "{path}");
        }
    }

    #[test]
    fn parts_can_be_looked_up() {
        let tagged = parse("~cpu;b=2;a=1").unwrap();
        assert_eq!((tagged.name(), tagged.metric(), tagged.len()), ("cpu", "~cpu", 2));
        assert_eq!(
            (tagged.get("a"), tagged.get("name"), tagged.get("c")),
            (Some("1"), Some("cpu"), None)
        );
        assert!(!tagged.is_empty() && parse("cpu").unwrap().is_empty());
        let pairs: Vec<_> = tagged.into_iter().collect();
        assert_eq!(pairs, [("a", Cow::Borrowed("1")), ("b", Cow::Borrowed("2"))]);
    }

    #[test]
    fn many_repeated_tags_take_time_in_proportion() {
        let path = format!("cpu{}", ";a=1;b=2".repeat(200_000));
        assert_eq!(normalise(&path).as_deref(), Ok("cpu;a=1;b=2"));
    }
}
