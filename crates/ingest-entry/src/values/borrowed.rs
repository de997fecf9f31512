//! [`ValuesRef`].

use core::fmt;

use super::item::EnumeratedValueRef;
use super::owned::Values;
use super::{BLOCK_HEADER, MAX_BLOCK, MAX_NAME, VALUE_HEADER};
use crate::codec::Limits;
use crate::error::{DecodeError, Part, ValueFault};
use crate::value::{ValueKind, ValueRef};

/// The enumerated values of an entry, borrowed: a block of bytes that has been checked.
///
/// The values are read as they are iterated over; nothing is allocated. An entry without values
/// has an empty block of no bytes. Equality is that of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ValuesRef<'a> {
    /// Empty, or a checked block with at least one value, its header included.
    pub(super) block: &'a [u8],
}

impl<'a> ValuesRef<'a> {
    /// No values.
    pub const EMPTY: Self = Self { block: &[] };
    /// The largest block, in bytes, its 8-byte header included.
    pub const MAX_LEN: usize = MAX_BLOCK;

    /// Reads and checks the block at the start of `input`: the values, and how many bytes the
    /// block takes. A block of no values, which takes 8 bytes, is read as [`ValuesRef::EMPTY`].
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if the block goes on after the input, else what is wrong with
    /// it; offsets count from the start of `input`.
    pub fn decode(input: &'a [u8], limits: &Limits) -> Result<(Self, usize), DecodeError> {
        let Some(header) = input.first_chunk::<BLOCK_HEADER>() else {
            return Err(DecodeError::Truncated {
                part: Part::ValuesHeader,
                offset: 0,
                need: BLOCK_HEADER,
                have: input.len(),
            });
        };
        let size = Self::block_len(header, limits)?;
        let Some(block) = input.get(..size) else {
            let have = input.len();
            return Err(DecodeError::Truncated { part: Part::Values, offset: 0, need: size, have });
        };
        let values = Self { block };
        let count = values.count_field();
        let mut rest = Cursor::new(block);
        for _ in 0..count {
            rest.check_next(size as u32, count)?;
        }
        if !rest.bytes.is_empty() {
            return Err(DecodeError::ValuesSize { offset: 0, size: size as u32, count });
        }
        Ok((if count == 0 { Self::EMPTY } else { values }, size))
    }

    /// How many bytes the block with this 8-byte header takes, header included: for readers that
    /// have to wait for the rest.
    ///
    /// # Errors
    /// What is wrong with the header, at offset 0.
    pub fn block_len(header: &[u8; 8], limits: &Limits) -> Result<usize, DecodeError> {
        let [s0, s1, s2, s3, c0, c1, zero @ ..] = *header;
        let size = u32::from_le_bytes([s0, s1, s2, s3]);
        if zero != [0, 0] {
            return Err(DecodeError::ValuesReserved { offset: 0 });
        }
        let max = limits.max_values.min(MAX_BLOCK as u32);
        if size > max {
            return Err(DecodeError::ValuesTooLong { offset: 0, len: size, max });
        }
        let count = u16::from_le_bytes([c0, c1]);
        if (size as usize) < BLOCK_HEADER {
            return Err(DecodeError::ValuesSize { offset: 0, size, count });
        }
        Ok(size as usize)
    }

    pub(super) fn count_field(self) -> u16 {
        match self.block {
            [_, _, _, _, c0, c1, ..] => u16::from_le_bytes([*c0, *c1]),
            _ => 0,
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(self) -> usize {
        usize::from(self.count_field())
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.block.is_empty()
    }

    /// The block as it goes on the wire, header included; no bytes at all if there are no values.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.block
    }

    /// The values in the order of the block, those of one name as often as they are there.
    #[must_use]
    pub fn iter(self) -> ValuesIter<'a> {
        ValuesIter { rest: Cursor::new(self.block), left: self.count_field() }
    }

    /// The first value of a name.
    #[must_use]
    pub fn find(self, name: impl AsRef<[u8]>) -> Option<ValueRef<'a>> {
        let name = name.as_ref();
        self.iter().find(|value| value.name == name).map(|value| value.value())
    }

    /// The same values, owned.
    #[must_use]
    pub fn to_values(self) -> Values {
        Values::from_block(self.block.to_vec())
    }
}

impl<'a> IntoIterator for ValuesRef<'a> {
    type Item = EnumeratedValueRef<'a>;
    type IntoIter = ValuesIter<'a>;

    fn into_iter(self) -> ValuesIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for ValuesRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The bytes of a block from some value on.
#[derive(Debug, Clone)]
struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    fn new(block: &'a [u8]) -> Self {
        Self { bytes: block.get(BLOCK_HEADER..).unwrap_or_default(), offset: BLOCK_HEADER }
    }

    /// Steps over the next value, checking everything; `size` and `count` are the block's.
    #[inline]
    fn check_next(&mut self, size: u32, count: u16) -> Result<(), DecodeError> {
        let wrong = |fault| DecodeError::Value { offset: self.offset, fault };
        let Some((header, rest)) = self.bytes.split_first_chunk::<VALUE_HEADER>() else {
            return Err(DecodeError::ValuesSize { offset: 0, size, count });
        };
        let [t0, t1, n0, n1, d0, d1, code, zero] = *header;
        let total = usize::from(u16::from_le_bytes([t0, t1]));
        let name = usize::from(u16::from_le_bytes([n0, n1]));
        let data = usize::from(u16::from_le_bytes([d0, d1]));
        if zero != 0 {
            return Err(wrong(ValueFault::Reserved));
        }
        if name == 0 || name > MAX_NAME {
            return Err(wrong(ValueFault::NameLength));
        }
        if data > ValueRef::MAX_LEN {
            return Err(wrong(ValueFault::DataLength));
        }
        if total != VALUE_HEADER + name + data {
            return Err(wrong(ValueFault::TotalLength));
        }
        let Some(kind) = ValueKind::from_code(code) else { return Err(wrong(ValueFault::Kind)) };
        if !kind.allows_width(data) {
            return Err(wrong(ValueFault::Width));
        }
        let Some(rest) = rest.get(name + data..) else {
            return Err(DecodeError::ValuesSize { offset: 0, size, count });
        };
        self.bytes = rest;
        self.offset += total;
        Ok(())
    }
}

/// The values of a [`ValuesRef`].
#[derive(Debug, Clone)]
pub struct ValuesIter<'a> {
    rest: Cursor<'a>,
    left: u16,
}

impl<'a> Iterator for ValuesIter<'a> {
    type Item = EnumeratedValueRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (header, rest) = self.rest.bytes.split_first_chunk::<VALUE_HEADER>()?;
        let [_, _, n0, n1, d0, d1, code, _] = *header;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([n0, n1])))?;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([d0, d1])))?;
        self.rest.bytes = rest;
        Some(EnumeratedValueRef { name, kind: ValueKind::from_code(code)?, data })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for ValuesIter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block with the values `k` (u32) and `s` (text).
    const BLOCK: &[u8] = b"\x21\0\0\0\x02\0\0\0\
        \x0d\0\x01\0\x04\0\x08\0kM\0\0\0\
        \x0c\0\x01\0\x03\0\x0d\0sstr";

    fn decode(block: &[u8]) -> Result<(ValuesRef<'_>, usize), DecodeError> {
        ValuesRef::decode(block, &Limits::default())
    }

    #[test]
    fn reads() {
        let (values, used) = decode(BLOCK).unwrap();
        assert_eq!((values.len(), used), (2, 33));
        assert_eq!(values.find("k"), Some(ValueRef::U32(77)));
        assert_eq!(values.find("s"), Some(ValueRef::Text(b"str")));
        assert_eq!(values.find("t"), None);
        assert_eq!(format!("{values:?}"), "{k: U32(77), s: Text([115, 116, 114])}");
        assert_eq!(values.to_values().as_ref(), values);
        let empty = decode(b"\x08\0\0\0\0\0\0\0behind").unwrap();
        assert_eq!(empty, (ValuesRef::EMPTY, 8));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        use ValueFault::{DataLength, Kind, NameLength, Reserved, TotalLength, Width};
        let size = |size, count| DecodeError::ValuesSize { offset: 0, size, count };
        let value = |offset, fault| DecodeError::Value { offset, fault };
        for (at, byte, error) in [
            (0, 7, size(7, 2)),
            (0, 32, size(32, 2)),
            (2, 16, DecodeError::ValuesTooLong { offset: 0, len: 0x0010_0021, max: 1 << 20 }),
            (4, 1, size(33, 1)),
            (4, 3, size(33, 3)),
            (6, 1, DecodeError::ValuesReserved { offset: 0 }),
            (8, 12, value(8, TotalLength)),
            (10, 0, value(8, NameLength)),
            (11, 5, value(8, NameLength)),
            (13, 0xFC, value(8, DataLength)),
            (14, 0, value(8, Kind)),
            (14, 18, value(8, Kind)),
            (14, 9, value(8, Width)),
            (15, 1, value(8, Reserved)),
            (27, 14, value(21, Width)),
            (28, 1, value(21, Reserved)),
        ] {
            let mut block = BLOCK.to_vec();
            block[at] = byte;
            assert_eq!(decode(&block), Err(error), "byte {at} = {byte}");
        }
        let (part, have) = (Part::Values, 32);
        let cut = DecodeError::Truncated { part, offset: 0, need: 33, have };
        assert_eq!(decode(&BLOCK[..32]), Err(cut));
    }
}
