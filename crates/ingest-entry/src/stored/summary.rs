//! Counts by tag.

use std::collections::BTreeMap;

use crate::error::{DecodeError, Part};
use crate::tag::TagId;

const ROW: usize = 12;

/// How many entries of each tag a segment holds (see the [module](crate::stored)).
///
/// ```
/// use ingest_entry::{TagId, stored::Summary};
///
/// let mut summary = Summary::new();
/// summary.add(TagId(3), 2);
/// summary.add(TagId(3), 1);
/// assert_eq!(summary.count(TagId(3)), 3);
///
/// let mut bytes = Vec::new();
/// summary.encode(&mut bytes);
/// assert_eq!(Summary::decode(&bytes)?, summary);
/// # Ok::<(), ingest_entry::DecodeError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    counts: BTreeMap<TagId, u64>,
}

impl Summary {
    /// An empty summary.
    #[must_use]
    pub const fn new() -> Self {
        Self { counts: BTreeMap::new() }
    }

    /// Counts more entries of a tag; stops at `u64::MAX`. Adding none changes nothing.
    pub fn add(&mut self, tag: TagId, entries: u64) {
        if entries > 0 {
            let count = self.counts.entry(tag).or_default();
            *count = count.saturating_add(entries);
        }
    }

    /// Adds the counts of another summary.
    pub fn merge(&mut self, other: &Self) {
        for (tag, entries) in other.iter() {
            self.add(tag, entries);
        }
    }

    /// The entries of a tag.
    #[must_use]
    pub fn count(&self, tag: TagId) -> u64 {
        self.counts.get(&tag).copied().unwrap_or(0)
    }

    /// The entries of all tags; stops at `u64::MAX`.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().fold(0, |sum, &entries| sum.saturating_add(entries))
    }

    /// Tags and their entries, in rising order of tags.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TagId, u64)> {
        self.counts.iter().map(|(&tag, &entries)| (tag, entries))
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Forgets all counts.
    pub fn clear(&mut self) {
        self.counts.clear();
    }

    /// How many bytes [`Summary::encode`] writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        4 + ROW * self.counts.len()
    }

    /// Appends the summary.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        out.extend_from_slice(&(self.counts.len() as u32).to_le_bytes());
        for (tag, entries) in self.iter() {
            let [t0, t1] = tag.0.to_le_bytes();
            out.extend_from_slice(&[t0, t1, 0, 0]);
            out.extend_from_slice(&entries.to_le_bytes());
        }
    }

    /// Reads a summary, all of `input`.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are cut short, go on after the rows, or are out of order.
    pub fn decode(input: &[u8]) -> Result<Self, DecodeError> {
        let (part, have) = (Part::Summary, input.len());
        let Some((count, mut rest)) = input.split_first_chunk::<4>() else {
            return Err(DecodeError::Truncated { part, offset: 0, need: 4, have });
        };
        let count = u32::from_le_bytes(*count);
        let need = usize::try_from(4 + ROW as u64 * u64::from(count)).unwrap_or(usize::MAX);
        if have < need {
            return Err(DecodeError::Truncated { part, offset: 0, need, have });
        }
        if have > need {
            return Err(DecodeError::Count { offset: need, part, count });
        }
        let mut counts = BTreeMap::new();
        while let Some((&[t0, t1, _, _, entries @ ..], behind)) = rest.split_first_chunk::<ROW>() {
            let tag = TagId(u16::from_le_bytes([t0, t1]));
            if counts.last_key_value().is_some_and(|(&last, _)| last >= tag) {
                return Err(DecodeError::SummaryOrder { offset: have - rest.len() });
            }
            counts.insert(tag, u64::from_le_bytes(entries));
            rest = behind;
        }
        Ok(Self { counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        let mut summary = Summary::new();
        for (tag, entries) in [(0x0201, 5), (1, u64::MAX), (7, 0), (1, 1)] {
            summary.add(TagId(tag), entries);
        }
        let mut out = Vec::new();
        summary.encode(&mut out);
        let rows = b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\0\0\x05\0\0\0\0\0\0\0";
        assert_eq!(out, [b"\x02\0\0\0", &rows[..]].concat());
        assert_eq!(summary.encoded_len(), out.len());
        assert_eq!(Summary::decode(&out).unwrap(), summary);
        assert_eq!(summary.total(), u64::MAX);
    }

    #[test]
    fn merging() {
        let (mut a, mut b) = (Summary::new(), Summary::new());
        a.add(TagId(1), 1);
        b.add(TagId(1), 2);
        b.add(TagId(2), 3);
        a.merge(&b);
        assert_eq!(a.iter().collect::<Vec<_>>(), [(TagId(1), 3), (TagId(2), 3)]);
        a.clear();
        assert!(a.is_empty());
    }

    #[test]
    fn refused() {
        let row = |tag: u8| [tag, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        let bytes = |count: u8, rows: &[[u8; 12]]| {
            let mut bytes = vec![count, 0, 0, 0];
            bytes.extend_from_slice(rows.as_flattened());
            bytes
        };
        let decode = |bytes: &[u8]| Summary::decode(bytes).unwrap_err();
        assert!(decode(&[0, 0, 0]).is_truncated());
        assert!(decode(&bytes(2, &[row(1)])).is_truncated());
        assert!(decode(&[0xFF; 16]).is_truncated());
        assert!(matches!(decode(&bytes(0, &[row(1)])), DecodeError::Count { offset: 4, .. }));
        for rows in [[row(2), row(1)], [row(1), row(1)]] {
            assert_eq!(decode(&bytes(2, &rows)), DecodeError::SummaryOrder { offset: 16 });
        }
    }
}
