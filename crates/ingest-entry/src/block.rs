//! The Go library's containers of stored entries: the entry block and the entry slice.
//!
//! Both are storage formats of that library, never sent on an ingest connection; little-endian.
//!
//! * **Block**: u32 size of the entries in bytes (without these 16), u32 count, i64 key, then the
//!   stored entries back to back. The key is the first entry's seconds since year 1.
//! * **Slice**: u32 count (at most 0x3FFFFFFF), u32 size in bytes (these 8 included), then the
//!   stored entries.

use crate::codec::{Header, Limits};
use crate::entry::EntryRef;
use crate::error::{BlockError, DecodeError, Part};
use crate::stored::EntriesIter;

const BLOCK_HEADER: usize = 16;
const SLICE_HEADER: usize = 8;
/// The largest block, its header included.
const MAX_BLOCK: usize = 2 << 30;
const MAX_SLICE_COUNT: u32 = 0x3FFF_FFFF;

/// Appends an entry block to `out`.
///
/// # Errors
/// [`BlockError`] if there is no entry, the first entry's time is at or before the start of year
/// 1, the whole exceeds 2 GiB, or an entry cannot be encoded; `out` is as it was then.
pub fn encode_block<'a>(
    entries: impl IntoIterator<Item = EntryRef<'a>>,
    out: &mut Vec<u8>,
) -> Result<(), BlockError> {
    let start = out.len();
    let written = append(entries, out, BLOCK_HEADER, MAX_BLOCK, u32::MAX).and_then(|written| {
        let key = written.first_key.ok_or(BlockError::Empty)?;
        if key > 0 { Ok((written, key)) } else { Err(BlockError::Key { key }) }
    });
    match written {
        Ok((written, key)) => {
            let size = (written.size - BLOCK_HEADER) as u32;
            let fields = [size.to_le_bytes(), written.count.to_le_bytes()];
            let header = fields.as_flattened().iter().copied().chain(key.to_le_bytes());
            patch(out, start, header);
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// Appends an entry slice to `out`. No entries at all are a legal slice.
///
/// The Go library writes slices with entries without data, but does not read them.
///
/// # Errors
/// [`BlockError`] if there are too many entries or bytes, or an entry cannot be encoded; `out` is
/// as it was then.
pub fn encode_slice<'a>(
    entries: impl IntoIterator<Item = EntryRef<'a>>,
    out: &mut Vec<u8>,
) -> Result<(), BlockError> {
    let start = out.len();
    match append(entries, out, SLICE_HEADER, u32::MAX as usize, MAX_SLICE_COUNT) {
        Ok(written) => {
            let fields = [written.count.to_le_bytes(), (written.size as u32).to_le_bytes()];
            patch(out, start, fields.as_flattened().iter().copied());
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

struct Written {
    /// Bytes, the header included.
    size: usize,
    count: u32,
    /// The first entry's wire seconds.
    first_key: Option<i64>,
}

/// Appends `header` zero bytes and the entries, within limits of the whole.
fn append<'a>(
    entries: impl IntoIterator<Item = EntryRef<'a>>,
    out: &mut Vec<u8>,
    header: usize,
    max: usize,
    max_count: u32,
) -> Result<Written, BlockError> {
    out.resize(out.len() + header, 0);
    let mut written = Written { size: header, count: 0, first_key: None };
    for entry in entries {
        if written.count >= max_count {
            return Err(BlockError::TooMany { max: max_count });
        }
        written.size = match written.size.checked_add(entry.stored_len()) {
            Some(size) if size <= max => size,
            _ => return Err(BlockError::TooLong { max }),
        };
        entry.encode_stored(out)?;
        written.count += 1;
        written.first_key.get_or_insert_with(|| entry.ts.wire_seconds());
    }
    Ok(written)
}

fn patch(out: &mut [u8], start: usize, header: impl Iterator<Item = u8>) {
    for (to, from) in out.iter_mut().skip(start).zip(header) {
        *to = from;
    }
}

/// An entry block that has been checked, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct BlockRef<'a> {
    key: i64,
    count: u32,
    entries: &'a [u8],
}

impl<'a> BlockRef<'a> {
    /// Reads and checks a block. The size must be exact and the entries must fill it; the key is
    /// not checked, and 16 zero bytes are an empty block.
    ///
    /// # Errors
    /// [`DecodeError`], with offsets from the start of `input`.
    pub fn decode(input: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        let header = input.split_first_chunk::<BLOCK_HEADER>();
        let Some((&[s0, s1, s2, s3, c0, c1, c2, c3, key @ ..], entries)) = header else {
            return Err(DecodeError::Truncated {
                part: Part::BlockHeader,
                offset: 0,
                need: BLOCK_HEADER,
                have: input.len(),
            });
        };
        let size = u32::from_le_bytes([s0, s1, s2, s3]);
        if size as usize != entries.len() {
            return Err(DecodeError::BlockSize { size, have: entries.len() });
        }
        let count = u32::from_le_bytes([c0, c1, c2, c3]);
        let used = check_entries(entries, count, BLOCK_HEADER, limits)?;
        if used != entries.len() {
            let offset = BLOCK_HEADER + used;
            return Err(DecodeError::Count { offset, part: Part::BlockHeader, count });
        }
        Ok(Self { key: i64::from_le_bytes(key), count, entries })
    }

    /// The key: normally the first entry's seconds since year 1.
    #[must_use]
    pub const fn key(&self) -> i64 {
        self.key
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The entries; none of them is an error.
    #[must_use]
    pub const fn iter(&self) -> EntriesIter<'a> {
        EntriesIter::new(self.entries)
    }
}

/// An entry slice that has been checked, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct SliceRef<'a> {
    count: u32,
    entries: &'a [u8],
}

impl<'a> SliceRef<'a> {
    /// Reads and checks the slice at the start of `input`: the slice, and how many bytes it takes.
    ///
    /// As in the Go library, the size field is not looked at: the count says where the slice ends.
    /// Unlike there, entries without data are read.
    ///
    /// # Errors
    /// [`DecodeError`], with offsets from the start of `input`.
    pub fn decode(input: &'a [u8], limits: &Limits) -> Result<(Self, usize), DecodeError> {
        let header = input.split_first_chunk::<SLICE_HEADER>();
        let Some((&[c0, c1, c2, c3, ..], rest)) = header else {
            return Err(DecodeError::Truncated {
                part: Part::BlockHeader,
                offset: 0,
                need: SLICE_HEADER,
                have: input.len(),
            });
        };
        let count = u32::from_le_bytes([c0, c1, c2, c3]);
        if count > MAX_SLICE_COUNT {
            return Err(DecodeError::Count { offset: 0, part: Part::BlockHeader, count });
        }
        let used = check_entries(rest, count, SLICE_HEADER, limits)?;
        let entries = rest.get(..used).unwrap_or(rest);
        Ok((Self { count, entries }, SLICE_HEADER + used))
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The entries; none of them is an error.
    #[must_use]
    pub const fn iter(&self) -> EntriesIter<'a> {
        EntriesIter::new(self.entries)
    }
}

/// Checks `count` entries at the start of `entries`, which begin at `base` of the whole input:
/// the bytes that they take.
fn check_entries(
    entries: &[u8],
    count: u32,
    base: usize,
    limits: &Limits,
) -> Result<usize, DecodeError> {
    if entries.len() / Header::LEN < count as usize {
        let part = Part::BlockHeader;
        return Err(DecodeError::Count { offset: base, part, count });
    }
    let mut used = 0;
    for _ in 0..count {
        let rest = entries.get(used..).unwrap_or_default();
        let (_, len) =
            EntryRef::decode_stored(rest, limits).map_err(|error| error.shifted(base + used))?;
        used += len;
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, TagId, Timestamp};

    fn entry(seconds: i64, data: &[u8]) -> EntryRef<'_> {
        EntryRef::new(Timestamp::from_wire(seconds, 0), Source::NONE, TagId(1), data)
    }

    #[test]
    fn refused_blocks_leave_no_trace() {
        let mut out = vec![7];
        assert_eq!(encode_block([], &mut out), Err(BlockError::Empty));
        assert_eq!(encode_block([entry(0, b"x")], &mut out), Err(BlockError::Key { key: 0 }));
        assert_eq!(encode_block([entry(-9, b"x")], &mut out), Err(BlockError::Key { key: -9 }));
        assert_eq!(out, [7]);
    }

    #[test]
    fn totals_and_counts_are_bounded() {
        let (mut out, data) = (Vec::new(), [0; 100]);
        let three = || (0..3).map(|_| entry(1, &data));
        let exact = 16 + 3 * 134;
        assert!(append(three(), &mut out, 16, exact, 3).is_ok());
        let too_long = append(three(), &mut out, 16, exact - 1, 3).err();
        assert_eq!(too_long, Some(BlockError::TooLong { max: exact - 1 }));
        let too_many = append(three(), &mut out, 16, exact, 2).err();
        assert_eq!(too_many, Some(BlockError::TooMany { max: 2 }));
    }

    #[test]
    fn slice_size_is_not_looked_at_and_the_rest_is_left() {
        let mut out = Vec::new();
        encode_slice([entry(0, b""), entry(5, b"abc")], &mut out).unwrap();
        let len = out.len();
        assert_eq!(out[4..8], (len as u32).to_le_bytes());
        out[4] = 0xEE;
        out.extend_from_slice(b"behind");
        let (slice, used) = SliceRef::decode(&out, &Limits::default()).unwrap();
        assert_eq!((slice.len(), used), (2, len));
        let data: Vec<_> = slice.iter().map(|e| e.unwrap().data).collect();
        assert_eq!(data, [&b""[..], b"abc"]);
        let claim = [0xFF, 0xFF, 0xFF, 0x3F, 0, 0, 0, 0];
        assert!(matches!(
            SliceRef::decode(&claim, &Limits::default()),
            Err(DecodeError::Count { .. })
        ));
    }

    #[test]
    fn offsets_count_from_the_start_of_the_block() {
        let mut out = Vec::new();
        encode_block([entry(1, b"ab"), entry(1, b"cd")], &mut out).unwrap();
        let second = 16 + 36;
        out[second] = 3; // one byte more than there is
        let error = BlockRef::decode(&out, &Limits::default()).unwrap_err();
        assert_eq!(error.offset(), second + 34);
        assert!(error.is_truncated());
    }
}
