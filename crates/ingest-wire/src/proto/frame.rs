//! Entry frames: a word, the header, an id, data, values.

use bytes::{BufMut, BytesMut};
use ingest_entry::{DecodeError, EntryRef, Header, LimitError, Limits, ValuesRef};

use super::magic;

/// The bytes of a frame before the data.
pub(crate) const FIXED: usize = 4 + Header::LEN + 8;

/// What the start of some bytes is.
pub(crate) enum Scan<'a> {
    /// An entry, its id, and the length of its frame.
    Entry { entry: EntryRef<'a>, id: u64, len: usize },
    /// The frame goes on: so many bytes are needed, as far as known.
    More(usize),
}

/// Reads the frame at the start of `input`, whose word has been looked at. It is inlined so that
/// what a caller does not look at is not read.
#[inline(always)]
pub(crate) fn scan<'a>(input: &'a [u8], limits: &Limits) -> Result<Scan<'a>, DecodeError> {
    let Some((fixed, rest)) = input.split_first_chunk::<FIXED>() else {
        return Ok(Scan::More(FIXED));
    };
    let [_, _, _, _, header @ .., i0, i1, i2, i3, i4, i5, i6, i7] = fixed;
    let header = Header::decode(header);
    header.check(limits)?;
    let data_len = header.data_len();
    let Some((data, rest)) = rest.split_at_checked(data_len) else {
        return Ok(Scan::More(FIXED + data_len));
    };
    let mut len = FIXED + data_len;
    let mut values = ValuesRef::EMPTY;
    if header.has_values() {
        let Some(block) = rest.first_chunk::<8>() else { return Ok(Scan::More(len + 8)) };
        let block = ValuesRef::block_len(block, limits)?;
        if rest.len() < block {
            return Ok(Scan::More(len + block));
        }
        (values, _) = ValuesRef::decode(rest, limits)?;
        len += block;
    }
    let id = u64::from_le_bytes([*i0, *i1, *i2, *i3, *i4, *i5, *i6, *i7]);
    let entry = EntryRef { ts: header.ts, src: header.src, tag: header.tag, data, values };
    Ok(Scan::Entry { entry, id, len })
}

/// The length of an entry's frame.
#[inline]
pub(crate) const fn frame_len(entry: &EntryRef<'_>) -> usize {
    FIXED + entry.data.len() + entry.values.as_bytes().len()
}

/// Appends an entry's frame; nothing is written on an error.
#[inline]
pub(crate) fn encode(id: u64, entry: &EntryRef<'_>, out: &mut BytesMut) -> Result<(), LimitError> {
    let header = entry.header()?.encode();
    let mut fixed = [0; FIXED];
    let (word, rest) = fixed.split_at_mut(4);
    let (head, tail) = rest.split_at_mut(Header::LEN);
    word.copy_from_slice(&magic::NEW_ENTRY.to_le_bytes());
    head.copy_from_slice(&header);
    tail.copy_from_slice(&id.to_le_bytes());
    out.put_slice(&fixed);
    out.put_slice(entry.data);
    if !entry.values.is_empty() {
        out.put_slice(entry.values.as_bytes());
    }
    Ok(())
}
