//! The rows of a sidecar.

use ingest_wal::Lsn;

use super::bytes::{Arrivals, Input, Span};
use super::{BLOCK_LEN, TAG_LEN};

/// A run of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) offset: u64,
    pub(super) first: Lsn,
    pub(super) entries: u32,
    pub(super) filter_words: u32,
    pub(super) times: Span,
    pub(super) arrivals: Arrivals,
}

impl Block {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let before = out.len();
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.entries.to_le_bytes());
        out.extend_from_slice(&self.filter_words.to_le_bytes());
        self.times.put(out);
        self.arrivals.put(out);
        debug_assert_eq!(out.len() - before, BLOCK_LEN);
    }

    pub(super) fn take(row: &[u8]) -> Option<Self> {
        let mut input = Input(row);
        Some(Self {
            offset: input.u64()?,
            first: input.u64()?,
            entries: input.u32()?,
            filter_words: input.u32()?,
            times: Span::take(&mut input)?,
            arrivals: Arrivals::take(&mut input)?,
        })
    }
}

/// A tag in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) number: u16,
    pub(super) runs_len: u32,
    pub(super) entries: u64,
    pub(super) times: Span,
}

impl Tag {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let before = out.len();
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.runs_len.to_le_bytes());
        out.extend_from_slice(&self.entries.to_le_bytes());
        self.times.put(out);
        debug_assert_eq!(out.len() - before, TAG_LEN);
    }

    pub(super) fn take(row: &[u8]) -> Option<Self> {
        let mut input = Input(row);
        let number = input.u16()?;
        input.u16()?;
        Some(Self {
            number,
            runs_len: input.u32()?,
            entries: input.u64()?,
            times: Span::take(&mut input)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_entry::Timestamp;

    #[test]
    fn rows_round_trip() {
        let times = Span { min: Timestamp::from_wire(-5, 1), max: Timestamp::MAX };
        let arrivals = Arrivals { min: -1, max: i64::MAX };
        let block =
            Block { offset: 1, first: u64::MAX, entries: 3, filter_words: 4, times, arrivals };
        let tag = Tag { number: 65_535, runs_len: 7, entries: 1 << 40, times };
        let (mut blocks, mut tags) = (Vec::new(), Vec::new());
        block.put(&mut blocks);
        tag.put(&mut tags);
        assert_eq!((blocks.len(), tags.len()), (BLOCK_LEN, TAG_LEN));
        assert_eq!((Block::take(&blocks), Tag::take(&tags)), (Some(block), Some(tag)));
        assert_eq!((Block::take(&blocks[1..]), Tag::take(&tags[1..])), (None, None));
    }
}
