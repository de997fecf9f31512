//! The bytes of an entry: [`Header`], and the stored form.
//!
//! All integers are little-endian. The header has 34 bytes:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | bits 0 to 29: length of the data; bit 30: values follow the data; bit 31: the source is IPv4 |
//! | 4 | 8 | seconds since 0001-01-01T00:00:00 UTC, i64 |
//! | 12 | 4 | nanoseconds, u32 |
//! | 16 | 2 | tag number, u16 |
//! | 18 | 16 | source address in network order, IPv4 in the first 4 bytes |
//!
//! The stored form of an entry is this header, the data, and the block of enumerated values if
//! there are any. (A frame of the wire protocol has a magic before and an id within; frames are
//! the business of the protocol's crate.)

use bytes::Bytes;

use crate::entry::{Entry, EntryRef};
use crate::error::{DecodeError, LimitError, Part};
use crate::source::Source;
use crate::tag::TagId;
use crate::timestamp::Timestamp;
use crate::values::{Values, ValuesRef};

const FLAG_IPV4: u32 = 1 << 31;
const FLAG_VALUES: u32 = 1 << 30;
/// The most bytes of data that a header can express.
const MAX_DATA: u32 = FLAG_VALUES - 1;

/// What a decoder accepts. Nothing is allocated on the word of a length field; the limits bound
/// what a reader has to gather before an entry can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of data in an entry. Default 16 MiB; the format's maximum is 1 GiB − 1.
    pub max_data: u32,
    /// The largest block of enumerated values, in bytes, its 8-byte header included. Default
    /// 1 MiB; the format's maximum, applied in any case, is 32 MiB.
    pub max_values: u32,
}

impl Limits {
    /// No limits but those of the format, for bytes that are already in memory.
    pub const FORMAT: Self = Self { max_data: MAX_DATA, max_values: ValuesRef::MAX_LEN as u32 };
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_data: 16 << 20, max_values: 1 << 20 }
    }
}

/// The fixed part of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// When it happened.
    pub ts: Timestamp,
    /// Where it came from.
    pub src: Source,
    /// The number of its tag.
    pub tag: TagId,
    data_len: u32,
    has_values: bool,
}

impl Header {
    /// The length of a header in bytes.
    pub const LEN: usize = 34;

    /// The header of an entry with so many bytes of data, with or without a block of values.
    ///
    /// # Errors
    /// [`LimitError::DataTooLong`] if the length does not fit into 30 bits.
    #[inline]
    pub const fn new(
        ts: Timestamp,
        src: Source,
        tag: TagId,
        data_len: usize,
        has_values: bool,
    ) -> Result<Self, LimitError> {
        if data_len > MAX_DATA as usize {
            return Err(LimitError::DataTooLong { len: data_len });
        }
        Ok(Self { ts, src, tag, data_len: data_len as u32, has_values })
    }

    /// The length of the data in bytes, at most 1 GiB − 1.
    #[must_use]
    pub const fn data_len(&self) -> usize {
        self.data_len as usize
    }

    /// Whether a block of enumerated values follows the data.
    #[must_use]
    pub const fn has_values(&self) -> bool {
        self.has_values
    }

    /// The header's bytes.
    #[inline]
    #[must_use]
    pub const fn encode(&self) -> [u8; Self::LEN] {
        let mut word = self.data_len;
        if self.has_values {
            word |= FLAG_VALUES;
        }
        if self.src.is_flagged_v4() {
            word |= FLAG_IPV4;
        }
        // One store a field: written byte by byte, the first one takes four.
        let mut bytes = [0; Self::LEN];
        let (lengths, rest) = bytes.split_at_mut(4);
        let (seconds, rest) = rest.split_at_mut(8);
        let (nanos, rest) = rest.split_at_mut(4);
        let (tag, address) = rest.split_at_mut(2);
        lengths.copy_from_slice(&word.to_le_bytes());
        seconds.copy_from_slice(&self.ts.wire_seconds().to_le_bytes());
        nanos.copy_from_slice(&self.ts.nanos().to_le_bytes());
        tag.copy_from_slice(&self.tag.0.to_le_bytes());
        address.copy_from_slice(self.src.wire_bytes());
        bytes
    }

    /// Reads a header. Any 34 bytes are one: lengths are checked by those who know their limits
    /// and their input.
    #[inline]
    #[must_use]
    pub const fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let [
            w0,
            w1,
            w2,
            w3,
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
            n0,
            n1,
            n2,
            n3,
            t0,
            t1,
            a0,
            a1,
            a2,
            a3,
            a4,
            a5,
            a6,
            a7,
            a8,
            a9,
            aa,
            ab,
            ac,
            ad,
            ae,
            af,
        ] = *bytes;
        let word = u32::from_le_bytes([w0, w1, w2, w3]);
        let seconds = i64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let nanos = u32::from_le_bytes([n0, n1, n2, n3]);
        let address = [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, aa, ab, ac, ad, ae, af];
        Self {
            ts: Timestamp::from_wire(seconds, nanos),
            src: Source::from_wire(address, word & FLAG_IPV4 != 0),
            tag: TagId(u16::from_le_bytes([t0, t1])),
            data_len: word & MAX_DATA,
            has_values: word & FLAG_VALUES != 0,
        }
    }

    /// Checks the length of the data against a limit; the error speaks of offset 0.
    ///
    /// # Errors
    /// [`DecodeError::DataTooLong`].
    #[inline]
    pub const fn check(&self, limits: &Limits) -> Result<(), DecodeError> {
        if self.data_len > limits.max_data {
            let (len, max) = (self.data_len, limits.max_data);
            return Err(DecodeError::DataTooLong { offset: 0, len, max });
        }
        Ok(())
    }
}

impl<'a> EntryRef<'a> {
    /// The header of this entry.
    ///
    /// # Errors
    /// [`LimitError::DataTooLong`] for data of 1 GiB and more.
    #[inline]
    pub const fn header(&self) -> Result<Header, LimitError> {
        Header::new(self.ts, self.src, self.tag, self.data.len(), !self.values.is_empty())
    }

    /// How many bytes the stored form takes.
    #[inline]
    #[must_use]
    pub const fn stored_len(&self) -> usize {
        Header::LEN + self.data.len() + self.values.as_bytes().len()
    }

    /// Appends the stored form: header, data, values.
    ///
    /// # Errors
    /// [`LimitError::DataTooLong`] for data of 1 GiB and more; nothing is written then.
    #[inline]
    pub fn encode_stored(&self, out: &mut Vec<u8>) -> Result<(), LimitError> {
        let header = self.header()?.encode();
        out.reserve(self.stored_len());
        out.extend_from_slice(&header);
        out.extend_from_slice(self.data);
        if !self.values.is_empty() {
            out.extend_from_slice(self.values.as_bytes());
        }
        Ok(())
    }

    /// Reads the stored entry at the start of `input`: the entry, and how many bytes it takes.
    /// Bytes after it are not looked at.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if the entry goes on after the input (also if its header
    /// promises values and nothing follows the data), else what is wrong with it.
    #[inline]
    pub fn decode_stored(input: &'a [u8], limits: &Limits) -> Result<(Self, usize), DecodeError> {
        let Some((header, rest)) = input.split_first_chunk::<{ Header::LEN }>() else {
            return Err(truncated(Part::Header, 0, Header::LEN, input.len()));
        };
        let header = Header::decode(header);
        header.check(limits)?;
        let Some((data, rest)) = rest.split_at_checked(header.data_len()) else {
            return Err(truncated(Part::Data, Header::LEN, header.data_len(), rest.len()));
        };
        let mut used = Header::LEN + data.len();
        let mut values = ValuesRef::EMPTY;
        if header.has_values {
            let (found, len) =
                ValuesRef::decode(rest, limits).map_err(|error| error.shifted(used))?;
            values = found;
            used += len;
        }
        Ok((Self { ts: header.ts, src: header.src, tag: header.tag, data, values }, used))
    }
}

#[cold]
const fn truncated(part: Part, offset: usize, need: usize, have: usize) -> DecodeError {
    DecodeError::Truncated { part, offset, need, have }
}

impl Entry {
    /// Appends the stored form: see [`EntryRef::encode_stored`].
    ///
    /// # Errors
    /// [`LimitError::DataTooLong`] for data of 1 GiB and more; nothing is written then.
    pub fn encode_stored(&self, out: &mut Vec<u8>) -> Result<(), LimitError> {
        self.as_ref().encode_stored(out)
    }

    /// Reads the stored entry at the start of `input`, sharing its memory: the entry, and how many
    /// bytes it takes.
    ///
    /// # Errors
    /// As [`EntryRef::decode_stored`].
    pub fn decode_stored(input: &Bytes, limits: &Limits) -> Result<(Self, usize), DecodeError> {
        let (entry, used) = EntryRef::decode_stored(input, limits)?;
        let behind = Header::LEN + entry.data.len();
        let owned = Self {
            ts: entry.ts,
            src: entry.src,
            tag: entry.tag,
            data: input.slice(Header::LEN..behind),
            values: Values::from_checked(
                input.slice(behind..behind + entry.values.as_bytes().len()),
            ),
        };
        Ok((owned, used))
    }
}
