//! [`Values`].

use core::fmt;

use bytes::Bytes;

use super::borrowed::{ValuesIter, ValuesRef};
use super::item::EnumeratedValueRef;
use super::writer::{append_value, check_lengths, patch_header, value_header};
use super::{BLOCK_HEADER, MAX_BLOCK, VALUE_HEADER};
use crate::codec::Limits;
use crate::error::{DecodeError, LimitError};
use crate::value::ValueRef;

/// The enumerated values of an entry, owned, and the builder of such lists.
///
/// The list is kept in the form of the wire: adding a value allocates nothing but room at the
/// end, [`Values::clear`] keeps that room, and borrowing the list for an [`EntryRef`] is free.
///
/// ```
/// use ingest_entry::{ValueRef, Values};
///
/// let mut values = Values::new();
/// values.add("host", "web1")?;
/// values.add("status", 200u16)?;
/// values.add("host", "web2")?; // the same name: replaces, in the same place
/// assert_eq!(values.len(), 2);
/// assert_eq!(values.as_ref().find("host"), Some(ValueRef::Text(b"web2")));
/// # Ok::<(), ingest_entry::LimitError>(())
/// ```
///
/// [`EntryRef`]: crate::EntryRef
#[derive(Clone, Default)]
pub struct Values {
    /// A block read from memory that others may share; in force unless it is empty.
    shared: Bytes,
    /// A block that is ours.
    owned: Vec<u8>,
}

impl Values {
    /// An empty list. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { shared: Bytes::new(), owned: Vec::new() }
    }

    /// An empty list with room for so many bytes of encoded values.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { shared: Bytes::new(), owned: Vec::with_capacity(bytes) }
    }

    /// Takes a block that has been checked.
    pub(super) const fn from_block(owned: Vec<u8>) -> Self {
        Self { shared: Bytes::new(), owned }
    }

    /// Takes a part of `bytes` that [`ValuesRef::decode`] has checked.
    pub(crate) const fn from_checked(block: Bytes) -> Self {
        Self { shared: block, owned: Vec::new() }
    }

    /// Reads and checks the block at the start of `input`, sharing its memory: the values, and how
    /// many bytes the block takes.
    ///
    /// # Errors
    /// As [`ValuesRef::decode`].
    pub fn decode(input: &Bytes, limits: &Limits) -> Result<(Self, usize), DecodeError> {
        let (values, used) = ValuesRef::decode(input, limits)?;
        Ok((Self::from_checked(input.slice(..values.as_bytes().len())), used))
    }

    /// The same values, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> ValuesRef<'_> {
        ValuesRef { block: if self.shared.is_empty() { &self.owned } else { &self.shared } }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    /// The values in order.
    #[must_use]
    pub fn iter(&self) -> ValuesIter<'_> {
        self.as_ref().iter()
    }

    /// Removes all values and keeps the room.
    pub fn clear(&mut self) {
        self.shared = Bytes::new();
        self.owned.clear();
    }

    fn owned(&mut self) -> &mut Vec<u8> {
        if !self.shared.is_empty() {
            self.owned = core::mem::take(&mut self.shared).into();
        }
        &mut self.owned
    }

    /// Adds a value at the end, whether or not the name is there already: for names that are
    /// known to differ.
    ///
    /// # Errors
    /// [`LimitError`] if the name, the value or the list gets too long; the list stays as it was.
    pub fn push<'v>(
        &mut self,
        name: impl AsRef<[u8]>,
        value: impl Into<ValueRef<'v>>,
    ) -> Result<(), LimitError> {
        let count = self.as_ref().count_field();
        let block = self.owned();
        let count = append_value(block, 0, count, name.as_ref(), value.into())?;
        patch_header(block, 0, count);
        Ok(())
    }

    /// Adds a value, in place of the (first) one of the same name if there is one: what the Go
    /// library does.
    ///
    /// # Errors
    /// [`LimitError`] if the name, the value or the list gets too long; the list stays as it was.
    pub fn add<'v>(
        &mut self,
        name: impl AsRef<[u8]>,
        value: impl Into<ValueRef<'v>>,
    ) -> Result<(), LimitError> {
        let (name, value) = (name.as_ref(), value.into());
        let mut start = BLOCK_HEADER;
        let old = self.iter().find_map(|old| {
            let end = start + VALUE_HEADER + old.name.len() + old.data.len();
            let range = start..end;
            start = end;
            (old.name == name).then_some(range)
        });
        let Some(old) = old else { return self.push(name, value) };
        let payload = value.payload();
        let data = payload.as_slice();
        check_lengths(name, data)?;
        let count = self.as_ref().count_field();
        let len = self.as_ref().block.len() - old.len() + VALUE_HEADER + name.len() + data.len();
        if len > MAX_BLOCK {
            return Err(LimitError::ValuesTooLong { len });
        }
        let header = value_header(name.len(), data.len(), value.kind());
        let new = header.iter().chain(name).chain(data).copied();
        let block = self.owned();
        drop(block.splice(old, new));
        patch_header(block, 0, count);
        Ok(())
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Values {}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl<'a> IntoIterator for &'a Values {
    type Item = EnumeratedValueRef<'a>;
    type IntoIter = ValuesIter<'a>;

    fn into_iter(self) -> ValuesIter<'a> {
        self.iter()
    }
}
