//! Which tag numbers a connection may use.

use ingest_entry::TagId;

/// The numbers given out on a connection, sorted. [`TagId::DEFAULT`] and [`TagId::GRAVWELL`] are
/// always known.
#[derive(Debug, Default)]
pub(crate) struct KnownTags {
    numbers: Vec<u16>,
}

impl KnownTags {
    pub(crate) fn insert(&mut self, tag: TagId) {
        if let Err(at) = self.numbers.binary_search(&tag.0) {
            self.numbers.insert(at, tag.0);
        }
    }

    #[inline]
    pub(crate) fn contains(&self, tag: TagId) -> bool {
        matches!(tag, TagId::DEFAULT | TagId::GRAVWELL)
            || self.numbers.binary_search(&tag.0).is_ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }
}
