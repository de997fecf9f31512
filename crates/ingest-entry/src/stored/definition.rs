//! Definitions of tags and sources.

use core::iter::FusedIterator;

use crate::error::{DecodeError, LimitError, Part};
use crate::tag::{TagId, TagName, TagNameError};

const HEADER: usize = 6;
const TAG: u8 = 1;
const SOURCE: u8 = 2;

/// That a number stands for a name, from here on (see the [module](crate::stored)).
///
/// ```
/// use ingest_entry::{TagId, stored};
///
/// let definition = stored::Definition::Tag { id: TagId(7), name: "syslog" };
/// let mut body = Vec::new();
/// definition.encode(&mut body)?;
/// assert_eq!(stored::definitions(&body).next(), Some(Ok(definition)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Definition<'a> {
    /// A tag.
    Tag {
        /// Its number in the log.
        id: TagId,
        /// Its name, exact: by the rules of [`TagName`], no white space around it.
        name: &'a str,
    },
    /// A configured source.
    Source {
        /// Its number in the log's record headers.
        number: u16,
        /// Its name, up to 65,535 bytes.
        name: &'a str,
    },
}

/// A definition that cannot be written. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// The name is not an exact tag name.
    #[error(transparent)]
    TagName(#[from] TagNameError),
    /// The name of the source is too long.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

impl<'a> Definition<'a> {
    /// The name.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        match self {
            Self::Tag { name, .. } | Self::Source { name, .. } => name,
        }
    }

    /// How many bytes the definition takes.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        HEADER + self.name().len()
    }

    /// Appends the definition.
    ///
    /// # Errors
    /// [`DefinitionError`] if the name of a tag breaks the rules or that of a source is too long.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), DefinitionError> {
        let (what, number) = match *self {
            Self::Tag { id, name } => {
                TagName::check(name)?;
                (TAG, id.0)
            }
            Self::Source { number, .. } => (SOURCE, number),
        };
        let name = self.name();
        let Ok(len) = u16::try_from(name.len()) else {
            return Err(LimitError::SourceNameTooLong { len: name.len() }.into());
        };
        let ([n0, n1], [l0, l1]) = (number.to_le_bytes(), len.to_le_bytes());
        out.extend_from_slice(&[what, 0, n0, n1, l0, l1]);
        out.extend_from_slice(name.as_bytes());
        Ok(())
    }

    /// Reads the definition at the start of `input`: `None` if its kind is not known, and how many
    /// bytes it takes.
    pub(crate) fn decode(input: &'a [u8]) -> Result<(Option<Self>, usize), DecodeError> {
        let cut = |need| {
            let (part, have) = (Part::Definition, input.len());
            DecodeError::Truncated { part, offset: 0, need, have }
        };
        let Some((&[what, _, n0, n1, l0, l1], rest)) = input.split_first_chunk::<HEADER>() else {
            return Err(cut(HEADER));
        };
        let number = u16::from_le_bytes([n0, n1]);
        let len = usize::from(u16::from_le_bytes([l0, l1]));
        let Some(name) = rest.get(..len) else { return Err(cut(HEADER + len)) };
        let text = core::str::from_utf8(name);
        let definition = match what {
            TAG => {
                let name = text
                    .map_err(|error| TagNameError::NotUtf8 { offset: error.valid_up_to() })
                    .and_then(|name| TagName::check(name).map(|()| name))
                    .map_err(|error| DecodeError::TagName { offset: 0, error })?;
                Some(Self::Tag { id: TagId(number), name })
            }
            SOURCE => {
                let name = text.map_err(|_| DecodeError::SourceName { offset: 0 })?;
                Some(Self::Source { number, name })
            }
            _ => None,
        };
        Ok((definition, HEADER + len))
    }
}

/// The definitions of a record body (see the [module](crate::stored)); unknown ones are stepped
/// over.
#[must_use]
pub const fn definitions(body: &[u8]) -> DefinitionsIter<'_> {
    DefinitionsIter { rest: body, offset: 0 }
}

/// Iterator over definitions. A bad name costs its definition; bytes that are cut short end it.
#[derive(Debug, Clone)]
pub struct DefinitionsIter<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> DefinitionsIter<'a> {
    /// Iterates over definitions that begin at `offset` of a larger input.
    pub(crate) const fn at(rest: &'a [u8], offset: usize) -> Self {
        Self { rest, offset }
    }

    fn step(&mut self, used: usize) {
        self.rest = self.rest.get(used..).unwrap_or_default();
        self.offset += used;
    }
}

impl<'a> Iterator for DefinitionsIter<'a> {
    type Item = Result<Definition<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let offset = self.offset;
            match Definition::decode(self.rest) {
                Ok((definition, used)) => {
                    self.step(used);
                    if let Some(definition) = definition {
                        return Some(Ok(definition));
                    }
                }
                Err(error) => {
                    let used = match (&error, self.rest) {
                        (DecodeError::Truncated { .. }, rest) => rest.len(),
                        (_, [_, _, _, _, l0, l1, ..]) => {
                            HEADER + usize::from(u16::from_le_bytes([*l0, *l1]))
                        }
                        (_, rest) => rest.len(),
                    };
                    self.step(used);
                    return Some(Err(error.shifted(offset)));
                }
            }
        }
        None
    }
}

impl FusedIterator for DefinitionsIter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        let mut body = Vec::new();
        Definition::Tag { id: TagId(0x0102), name: "ab" }.encode(&mut body).unwrap();
        Definition::Source { number: 3, name: "" }.encode(&mut body).unwrap();
        assert_eq!(body, [1, 0, 2, 1, 2, 0, b'a', b'b', 2, 0, 3, 0, 0, 0]);
    }

    #[test]
    fn unknown_and_bad_ones_cost_only_themselves() {
        let good = Definition::Tag { id: TagId(1), name: "good" };
        let mut body = vec![9, 0, 0, 0, 3, 0, 0xFF, 0xFF, 0xFF];
        body.extend_from_slice(&[1, 0, 5, 0, 1, 0, b'.']);
        body.extend_from_slice(&[1, 0, 5, 0, 2, 0, b'a', b' ']);
        body.extend_from_slice(&[1, 0, 5, 0, 1, 0, 0xFF]);
        body.extend_from_slice(&[2, 0, 5, 0, 1, 0, 0xFF]);
        body.extend_from_slice(&[1, 77, 1, 0, 4, 0, b'g', b'o', b'o', b'd']);
        body.extend_from_slice(&[1, 0, 5, 0, 9, 0, b'c', b'u', b't']);
        let all: Vec<_> = definitions(&body).collect();
        let tag = |offset, error| Err(DecodeError::TagName { offset, error });
        assert_eq!(
            all,
            [
                tag(9, TagNameError::Forbidden { character: '.', offset: 0 }),
                tag(16, TagNameError::Padded),
                tag(24, TagNameError::NotUtf8 { offset: 0 }),
                Err(DecodeError::SourceName { offset: 31 }),
                Ok(good),
                Err(DecodeError::Truncated {
                    part: Part::Definition,
                    offset: 48,
                    need: 15,
                    have: 9
                }),
            ]
        );
    }

    #[test]
    fn names_that_cannot_be_written() {
        let mut out = Vec::new();
        let bad = Definition::Tag { id: TagId(1), name: " x" }.encode(&mut out);
        assert_eq!(bad, Err(DefinitionError::TagName(TagNameError::Padded)));
        let name = "s".repeat(65_536);
        let long = Definition::Source { number: 1, name: &name }.encode(&mut out);
        assert_eq!(long, Err(LimitError::SourceNameTooLong { len: 65_536 }.into()));
        assert!(out.is_empty());
    }
}
