//! Entries as a server hands them out: [`Batch`].

use ingest_entry::{EntryRef, Limits, TagId};

use super::acks::Receipt;
use super::frame::{self, Scan};
use super::tags::KnownTags;

/// Entries in the order in which they came, borrowed from the input buffer.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    pub(crate) frames: &'a [u8],
    pub(crate) count: usize,
    pub(crate) receipt: Receipt,
    pub(crate) ditto: bool,
    /// Tags that are not among these become `default`.
    pub(crate) known: Option<&'a KnownTags>,
}

impl<'a> Batch<'a> {
    /// How many entries there are, at least one.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// How many bytes their frames have: no less than the entries themselves.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.frames.len()
    }

    /// Never.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What to confirm once all of these entries are stored.
    #[must_use]
    pub const fn receipt(&self) -> Receipt {
        self.receipt
    }

    /// Whether the entries belong to a ditto block: confirming its last one tells the client that
    /// the whole block is stored for good.
    #[must_use]
    pub const fn is_ditto(&self) -> bool {
        self.ditto
    }

    /// The entries.
    #[must_use]
    pub const fn iter(&self) -> Entries<'a> {
        Entries { frames: self.frames, left: self.count, known: self.known }
    }
}

impl<'a> IntoIterator for Batch<'a> {
    type Item = EntryRef<'a>;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Batch<'a> {
    type Item = EntryRef<'a>;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

/// The entries of a [`Batch`].
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    frames: &'a [u8],
    left: usize,
    known: Option<&'a KnownTags>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = EntryRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<EntryRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        let Ok(Scan::Entry { mut entry, len, .. }) = frame::scan(self.frames, &Limits::FORMAT)
        else {
            return None;
        };
        self.frames = self.frames.get(len..)?;
        if self.known.is_some_and(|known| !known.contains(entry.tag)) {
            entry.tag = TagId::DEFAULT;
        }
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Entries<'_> {}
