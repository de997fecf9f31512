//! The table of tags and sources of a log directory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::definition::{Definition, DefinitionsIter};
use crate::error::{DecodeError, LimitError, Part};
use crate::tag::{TagId, TagName, TagNameError};

/// A definition that contradicts an earlier one. The earlier one stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConflictError {
    /// The tag's number stands for another name.
    #[error("tag number {id} is {old:?} and cannot become {new:?}")]
    TagNumber {
        /// The number.
        id: TagId,
        /// The name in force.
        old: TagName,
        /// The name refused.
        new: TagName,
    },
    /// The tag's name has another number.
    #[error("tag {name:?} has number {old} and cannot have {new} as well")]
    TagTwice {
        /// The name.
        name: TagName,
        /// The number in force.
        old: TagId,
        /// The number refused.
        new: TagId,
    },
    /// The source's number stands for another name.
    #[error("source number {number} is {old:?} and cannot become {new:?}")]
    SourceNumber {
        /// The number.
        number: u16,
        /// The name in force.
        old: Arc<str>,
        /// The name refused.
        new: Arc<str>,
    },
    /// The source's name has another number.
    #[error("source {name:?} has number {old} and cannot have {new} as well")]
    SourceTwice {
        /// The name.
        name: Arc<str>,
        /// The number in force.
        old: u16,
        /// The number refused.
        new: u16,
    },
    /// The name is not an exact tag name.
    #[error("tag number {id} cannot be defined: {error}")]
    TagName {
        /// The number.
        id: TagId,
        /// The rule that is broken.
        error: TagNameError,
    },
    /// The name of a source is too long to be written.
    #[error("source number {number} cannot be defined: {error}")]
    SourceName {
        /// The number.
        number: u16,
        /// The limit that is broken.
        error: LimitError,
    },
}

/// A tag table that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The bytes are not a table.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The table contradicts itself.
    #[error(transparent)]
    Conflict(#[from] ConflictError),
}

/// A tag table as bytes: the preamble of a segment (see the [module](crate::stored)).
#[derive(Debug, Clone, Copy)]
pub struct TableRef<'a> {
    count: u32,
    items: &'a [u8],
}

impl<'a> TableRef<'a> {
    /// Takes the bytes of a table. All of them: what follows the definitions is an error.
    /// Names are not checked yet.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are cut short or the count is not that of the definitions.
    pub fn decode(input: &'a [u8]) -> Result<Self, DecodeError> {
        let (part, have) = (Part::Table, input.len());
        let Some((count, items)) = input.split_first_chunk::<4>() else {
            return Err(DecodeError::Truncated { part, offset: 0, need: 4, have });
        };
        let count = u32::from_le_bytes(*count);
        let (mut rest, mut found) = (items, 0u32);
        while !rest.is_empty() {
            let offset = have - rest.len();
            let (part, have) = (Part::Definition, rest.len());
            let Some((&[_, _, _, _, l0, l1], names)) = rest.split_first_chunk::<6>() else {
                return Err(DecodeError::Truncated { part, offset, need: 6, have });
            };
            let len = usize::from(u16::from_le_bytes([l0, l1]));
            let Some(behind) = names.get(len..) else {
                return Err(DecodeError::Truncated { part, offset, need: 6 + len, have });
            };
            (rest, found) = (behind, found.saturating_add(1));
        }
        if found != count {
            return Err(DecodeError::Count { offset: 0, part, count });
        }
        Ok(Self { count, items })
    }

    /// How many definitions there are, those of unknown kinds included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The definitions. Offsets in errors count from the start of the table.
    #[must_use]
    pub const fn definitions(&self) -> DefinitionsIter<'a> {
        DefinitionsIter::at(self.items, 4)
    }
}

/// The names behind the tag and source numbers of a log directory, in memory.
///
/// Numbers are never reassigned: once defined, a number means the same name, and a name has one
/// number. It is bounded by its numbers; how many names a log may have is for its user to say,
/// who can ask [`Table::encoded_len`].
///
/// ```
/// use ingest_entry::{TagId, stored::{Definition, Table}};
///
/// let mut table = Table::new();
/// assert!(table.apply(&Definition::Tag { id: TagId(1), name: "syslog" })?);
/// assert_eq!(table.tag_id("syslog"), Some(TagId(1)));
///
/// let mut preamble = Vec::new();
/// table.encode(&mut preamble);
/// assert_eq!(Table::decode(&preamble)?, table);
/// # Ok::<(), ingest_entry::stored::TableError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    tags: BTreeMap<TagId, TagName>,
    tag_ids: HashMap<TagName, TagId>,
    sources: BTreeMap<u16, Arc<str>>,
    source_numbers: HashMap<Arc<str>, u16>,
    /// Bytes of the definitions.
    items_len: usize,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a table, all of `input`.
    ///
    /// # Errors
    /// [`TableError`] if the bytes are not a table or it contradicts itself. A reader that wants
    /// what can be had goes through [`TableRef::definitions`] and [`Table::apply`].
    pub fn decode(input: &[u8]) -> Result<Self, TableError> {
        let mut table = Self::new();
        for definition in TableRef::decode(input)?.definitions() {
            table.apply(&definition?)?;
        }
        Ok(table)
    }

    /// Takes a definition: true if it is new, false if it says what is known.
    ///
    /// # Errors
    /// [`ConflictError`] if it contradicts an earlier one, which stays in force, or its name
    /// breaks the rules.
    pub fn apply(&mut self, definition: &Definition<'_>) -> Result<bool, ConflictError> {
        match *definition {
            Definition::Tag { id, name } => {
                let name = TagName::check(name)
                    .and_then(|()| TagName::new(name))
                    .map_err(|error| ConflictError::TagName { id, error })?;
                self.define_tag(id, &name)
            }
            Definition::Source { number, name } => self.define_source(number, name),
        }
    }

    /// Defines a tag: true if it is new, false if it was known.
    ///
    /// # Errors
    /// [`ConflictError`] if the number or the name is taken.
    pub fn define_tag(&mut self, id: TagId, name: &TagName) -> Result<bool, ConflictError> {
        match (self.tags.get(&id), self.tag_ids.get(name)) {
            (Some(old), _) if old != name => {
                Err(ConflictError::TagNumber { id, old: old.clone(), new: name.clone() })
            }
            (_, Some(&old)) if old != id => {
                Err(ConflictError::TagTwice { name: name.clone(), old, new: id })
            }
            (Some(_), _) => Ok(false),
            (None, _) => {
                self.items_len += Definition::Tag { id, name: name.as_str() }.encoded_len();
                self.tags.insert(id, name.clone());
                self.tag_ids.insert(name.clone(), id);
                Ok(true)
            }
        }
    }

    /// Defines a source: true if it is new, false if it was known.
    ///
    /// # Errors
    /// [`ConflictError`] if the number or the name is taken or the name is too long.
    pub fn define_source(&mut self, number: u16, name: &str) -> Result<bool, ConflictError> {
        match (self.sources.get(&number), self.source_numbers.get(name)) {
            (Some(old), _) if **old != *name => {
                Err(ConflictError::SourceNumber { number, old: old.clone(), new: name.into() })
            }
            (_, Some(&old)) if old != number => {
                Err(ConflictError::SourceTwice { name: name.into(), old, new: number })
            }
            (Some(_), _) => Ok(false),
            (None, _) if name.len() > usize::from(u16::MAX) => {
                let error = LimitError::SourceNameTooLong { len: name.len() };
                Err(ConflictError::SourceName { number, error })
            }
            (None, _) => {
                let name: Arc<str> = name.into();
                self.items_len += Definition::Source { number, name: &name }.encoded_len();
                self.sources.insert(number, name.clone());
                self.source_numbers.insert(name, number);
                Ok(true)
            }
        }
    }

    /// The name of a tag number.
    #[must_use]
    pub fn tag_name(&self, id: TagId) -> Option<&TagName> {
        self.tags.get(&id)
    }

    /// The number of a tag name.
    #[must_use]
    pub fn tag_id(&self, name: &str) -> Option<TagId> {
        self.tag_ids.get(name).copied()
    }

    /// The name of a source number.
    #[must_use]
    pub fn source_name(&self, number: u16) -> Option<&str> {
        self.sources.get(&number).map(|name| &**name)
    }

    /// The number of a source name.
    #[must_use]
    pub fn source_number(&self, name: &str) -> Option<u16> {
        self.source_numbers.get(name).copied()
    }

    /// The tags in rising order of numbers.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = (TagId, &TagName)> {
        self.tags.iter().map(|(&id, name)| (id, name))
    }

    /// The sources in rising order of numbers.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = (u16, &str)> {
        self.sources.iter().map(|(&number, name)| (number, &**name))
    }

    /// A number that no tag has: the lowest from 1 on above all that have one, or else a gap.
    /// Never [`TagId::DEFAULT`] or [`TagId::GRAVWELL`]. `None` if all are taken.
    #[must_use]
    pub fn free_tag_id(&self) -> Option<TagId> {
        let ordinary = TagId(1)..TagId::GRAVWELL;
        let highest = self.tags.range(ordinary).next_back().map_or(0, |(id, _)| id.0);
        let next = TagId(highest.saturating_add(1));
        if next < TagId::GRAVWELL {
            return Some(next);
        }
        (1..0xFFFF).map(TagId).find(|id| !self.tags.contains_key(id))
    }

    /// A number that no source has: the lowest above all that have one, from 1 on, or else a gap.
    /// `None` if all are taken.
    #[must_use]
    pub fn free_source_number(&self) -> Option<u16> {
        let highest = self.sources.last_key_value().map_or(0, |(&number, _)| number);
        let next = highest.checked_add(1);
        next.or_else(|| (1..=u16::MAX).find(|number| !self.sources.contains_key(number)))
    }

    /// How many bytes [`Table::encode`] writes.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        4 + self.items_len
    }

    /// Appends the table: the preamble of a segment.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        let count = (self.tags.len() + self.sources.len()) as u32;
        out.extend_from_slice(&count.to_le_bytes());
        for definition in self.definitions() {
            // Names were checked when they were defined.
            let written = definition.encode(out);
            debug_assert_eq!(written, Ok(()));
        }
    }

    /// All definitions, the tags first, each in rising order of numbers.
    pub fn definitions(&self) -> impl Iterator<Item = Definition<'_>> {
        let tags = self.tags().map(|(id, name)| Definition::Tag { id, name: name.as_str() });
        tags.chain(self.sources().map(|(number, name)| Definition::Source { number, name }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(number: u16, name: &str) -> Definition<'_> {
        Definition::Tag { id: TagId(number), name }
    }

    fn source(number: u16, name: &str) -> Definition<'_> {
        Definition::Source { number, name }
    }

    #[test]
    fn numbers_are_never_reassigned() {
        let mut table = Table::new();
        assert_eq!(table.apply(&tag(1, "a")), Ok(true));
        assert_eq!(table.apply(&tag(1, "a")), Ok(false));
        assert!(matches!(table.apply(&tag(1, "b")), Err(ConflictError::TagNumber { .. })));
        assert!(matches!(table.apply(&tag(2, "a")), Err(ConflictError::TagTwice { .. })));
        assert!(matches!(table.apply(&tag(2, " b")), Err(ConflictError::TagName { .. })));
        assert_eq!(table.apply(&source(1, "a")), Ok(true));
        assert_eq!(table.apply(&source(1, "a")), Ok(false));
        assert!(matches!(table.apply(&source(1, "b")), Err(ConflictError::SourceNumber { .. })));
        assert!(matches!(table.apply(&source(2, "a")), Err(ConflictError::SourceTwice { .. })));
        let long = "s".repeat(65_536);
        assert!(matches!(table.apply(&source(2, &long)), Err(ConflictError::SourceName { .. })));
        assert_eq!(table.tags().len() + table.sources().len(), 2);
        assert_eq!(table.tag_name(TagId(1)).map(TagName::as_str), Some("a"));
        assert_eq!(table.tag_id("b"), None);
        assert_eq!((table.source_name(1), table.source_number("a")), (Some("a"), Some(1)));
    }

    #[test]
    fn layout_and_length() {
        let mut table = Table::new();
        assert_eq!(table.encoded_len(), 4);
        for definition in [source(2, "plain"), tag(5, "b"), tag(3, "caf\u{e9}")] {
            table.apply(&definition).unwrap();
        }
        let mut out = Vec::new();
        table.encode(&mut out);
        let want =
            b"\x03\0\0\0\x01\0\x03\0\x05\0caf\xc3\xa9\x01\0\x05\0\x01\0b\x02\0\x02\0\x05\0plain";
        assert_eq!(out, want);
        assert_eq!(table.encoded_len(), out.len());
        assert_eq!(Table::decode(&out), Ok(table));
    }

    #[test]
    fn tables_that_are_refused() {
        let decode = |bytes: &[u8]| Table::decode(bytes).unwrap_err();
        let cut = |error| matches!(error, TableError::Decode(DecodeError::Truncated { .. }));
        assert!(cut(decode(b"\0\0\0")));
        assert!(cut(decode(b"\x01\0\0\0\x01\0\x01\0\x02\0a")));
        for counts in [b"\x02\0\0\0\x01\0\x01\0\x01\0a", b"\0\0\0\0\x01\0\x01\0\x01\0a"] {
            assert!(matches!(decode(counts), TableError::Decode(DecodeError::Count { .. })));
        }
        let twice = decode(b"\x02\0\0\0\x01\0\x01\0\x01\0a\x01\0\x01\0\x01\0b");
        assert!(matches!(twice, TableError::Conflict(ConflictError::TagNumber { .. })));
        let unknown = b"\x02\0\0\0\x07\0\0\0\x01\0x\x01\0\x01\0\x01\0a";
        assert_eq!(Table::decode(unknown).unwrap().tags().len(), 1);
        assert_eq!(TableRef::decode(unknown).unwrap().len(), 2);
    }

    #[test]
    fn free_numbers() {
        let mut table = Table::new();
        assert_eq!(table.free_tag_id(), Some(TagId(1)));
        table.apply(&tag(0, "default")).unwrap();
        table.apply(&tag(0xFFFF, "gravwell")).unwrap();
        assert_eq!(table.free_tag_id(), Some(TagId(1)));
        table.apply(&tag(7, "x")).unwrap();
        assert_eq!(table.free_tag_id(), Some(TagId(8)));
        table.apply(&tag(0xFFFE, "y")).unwrap();
        assert_eq!(table.free_tag_id(), Some(TagId(1)));
        assert_eq!(table.free_source_number(), Some(1));
        table.apply(&source(0xFFFF, "s")).unwrap();
        assert_eq!(table.free_source_number(), Some(1));
    }
}
