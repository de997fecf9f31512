//! The target `block`: entry blocks, entry slices, bodies of entries.

use ingest_entry::{
    BlockRef, Entry, EntryRef, Limits, SliceRef, encode_block, encode_slice, stored,
};

use super::entry::{check, refused};

/// Decodes the bytes as a block, as a slice, and as entries back to back.
///
/// A container has as many entries as it says, and encodes and decodes to the same; what is
/// accepted under limits is accepted without.
pub fn block(input: &[u8]) -> Vec<Entry> {
    super::within(96 * input.len() + 4096, || {
        let mut seen = Vec::new();
        for limits in [Limits::FORMAT, Limits { max_data: 64, max_values: 128 }] {
            match BlockRef::decode(input, &limits) {
                Ok(block) => {
                    let entries = all(block.iter(), block.len(), block.is_empty());
                    again_as_block(&entries);
                    seen.extend(entries.iter().map(EntryRef::to_entry));
                }
                Err(error) => refused(&error, input, &Limits::FORMAT),
            }
            match SliceRef::decode(input, &limits) {
                Ok((slice, used)) => {
                    assert!(used <= input.len());
                    let entries = all(slice.iter(), slice.len(), slice.is_empty());
                    again_as_slice(&entries, used);
                }
                Err(error) => refused(&error, input, &Limits::FORMAT),
            }
        }
        let mut body = stored::entries(input);
        let mut last = 0;
        while let Some(entry) = body.next() {
            match entry {
                Ok(entry) => {
                    assert!(body.offset() > last && body.offset() <= input.len());
                    check(&entry);
                }
                Err(error) => {
                    assert_eq!(body.offset(), last);
                    assert!(error.offset() >= last && error.offset() <= input.len());
                    assert!(body.next().is_none());
                }
            }
            last = body.offset();
        }
        seen
    })
}

fn all<'a>(iter: stored::EntriesIter<'a>, len: usize, is_empty: bool) -> Vec<EntryRef<'a>> {
    let entries: Vec<_> = iter.map(|entry| entry.expect("a checked container")).collect();
    assert_eq!((entries.len(), entries.is_empty()), (len, is_empty));
    entries.iter().for_each(check);
    entries
}

fn again_as_block(entries: &[EntryRef<'_>]) {
    let mut out = Vec::new();
    match encode_block(entries.iter().copied(), &mut out) {
        Ok(()) => {
            let block = BlockRef::decode(&out, &Limits::FORMAT).unwrap();
            assert_eq!(block.key(), entries[0].ts.wire_seconds());
            assert!(block.iter().map(Result::unwrap).eq(entries.iter().copied()));
        }
        Err(_) => {
            // Blocks of nothing, and of a first entry at or before the year 1, are read, not made.
            assert!(out.is_empty());
            assert!(entries.first().is_none_or(|first| first.ts.wire_seconds() <= 0));
        }
    }
}

fn again_as_slice(entries: &[EntryRef<'_>], used: usize) {
    let mut out = Vec::new();
    encode_slice(entries.iter().copied(), &mut out).unwrap();
    // Blocks of no values are left out.
    assert!(out.len() <= used);
    let (slice, again) = SliceRef::decode(&out, &Limits::FORMAT).unwrap();
    assert_eq!(again, out.len());
    assert!(slice.iter().map(Result::unwrap).eq(entries.iter().copied()));
}
