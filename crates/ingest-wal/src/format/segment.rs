//! The segment header, its preamble, and the segment's file name.

use super::bytes::{Fixed, Input, align8};
use crate::{LogId, Lsn};

/// First bytes of every segment.
pub(crate) const MAGIC: [u8; 8] = *b"INGSTRY\n";
/// The format that this version writes and reads.
pub(crate) const FORMAT: u16 = 1;
/// Length of the fixed header in bytes.
pub(crate) const HEADER_LEN: u64 = 64;
/// Flag: the preamble follows twice (the first segment of a directory).
pub(crate) const FLAG_PREAMBLE_TWICE: u16 = 1;
/// Flag: the file was another segment before, and holds its bytes behind the last record.
pub(crate) const FLAG_REUSED: u16 = 2;

/// What a segment says of itself in its first 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) flags: u16,
    pub(crate) preamble_len: u32,
    pub(crate) log_id: LogId,
    pub(crate) first: Lsn,
    pub(crate) epoch: u32,
    pub(crate) created: i64,
    pub(crate) preamble_crc: u32,
}

/// Why 64 bytes are no segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Damaged,
    UnknownFormat(u16),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN as usize] {
        let mut out = Fixed::<64>::new();
        out.put(&MAGIC)
            .put(&FORMAT.to_le_bytes())
            .put(&self.flags.to_le_bytes())
            .put(&self.preamble_len.to_le_bytes())
            .put(&self.log_id.0)
            .put(&self.first.to_le_bytes())
            .put(&self.epoch.to_le_bytes())
            .put(&self.created.to_le_bytes())
            .put(&self.preamble_crc.to_le_bytes())
            .put(&0u32.to_le_bytes());
        let crc = crc32c::crc32c(out.filled());
        out.put(&crc.to_le_bytes());
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        Self::parse(bytes).ok_or(HeaderFault::Damaged)?
    }

    fn parse(bytes: &[u8]) -> Option<Result<Self, HeaderFault>> {
        let covered = bytes.get(..60)?;
        let mut input = Input::new(bytes);
        if input.take(8)? != MAGIC {
            return None;
        }
        let format = input.u16()?;
        let header = Self {
            flags: input.u16()?,
            preamble_len: input.u32()?,
            log_id: LogId(input.id()?),
            first: input.u64()?,
            epoch: input.u32()?,
            created: input.i64()?,
            preamble_crc: input.u32()?,
        };
        input.u32()?;
        if input.u32()? != crc32c::crc32c(covered) {
            return None;
        }
        if format != FORMAT {
            return Some(Err(HeaderFault::UnknownFormat(format)));
        }
        Some(Ok(header))
    }

    /// How many copies of the preamble follow.
    pub(crate) fn preamble_copies(&self) -> u64 {
        if self.flags & FLAG_PREAMBLE_TWICE == 0 { 1 } else { 2 }
    }

    /// Offset of the first record.
    pub(crate) fn records_at(&self) -> u64 {
        align8(HEADER_LEN + u64::from(self.preamble_len) * self.preamble_copies())
    }
}

/// First LSN and epoch of a segment, as its file name has them. Sorting by it is the order of the
/// log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// LSN of the first record that may stand in it.
    pub first: Lsn,
    /// Incarnation of the log that wrote it.
    pub epoch: u32,
}

impl SegmentName {
    /// The name of the file that holds the records: `seg-<first, 16 hex>-<epoch, 8 hex>.log`.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{self}.log")
    }

    /// The name of a companion file with the ending `ending`, `idx` say.
    #[must_use]
    pub fn companion(self, ending: &str) -> String {
        format!("{self}.{ending}")
    }

    /// Reads a segment's file name; `None` for anything else, companions included.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (stem, "log") = Self::split(name)? else { return None };
        Some(stem)
    }

    /// Splits `seg-….ending` into the segment it belongs to and the ending.
    #[must_use]
    pub fn split(name: &str) -> Option<(Self, &str)> {
        let (stem, ending) = name.strip_prefix("seg-")?.split_once('.')?;
        let (first, epoch) = stem.split_once('-')?;
        let hex =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if first.len() != 16 || epoch.len() != 8 || !hex(first) || !hex(epoch) {
            return None;
        }
        let first = u64::from_str_radix(first, 16).ok()?;
        let epoch = u32::from_str_radix(epoch, 16).ok()?;
        Some((Self { first, epoch }, ending))
    }
}

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seg-{:016x}-{:08x}", self.first, self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SegmentHeader {
        SegmentHeader {
            flags: FLAG_PREAMBLE_TWICE,
            preamble_len: 5,
            log_id: LogId(*b"0123456789abcdef"),
            first: 0x0102_0304_0506_0708,
            epoch: 9,
            created: -1,
            preamble_crc: 0xaabb_ccdd,
        }
    }

    #[test]
    fn header_round_trips_and_every_flipped_bit_is_seen() {
        let bytes = sample().encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(sample()));
        assert_eq!(sample().records_at(), 80);
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[at / 8] ^= 1 << (at % 8);
            assert_eq!(SegmentHeader::decode(&bad), Err(HeaderFault::Damaged), "bit {at}");
        }
        assert_eq!(SegmentHeader::decode(&bytes[..63]), Err(HeaderFault::Damaged));
    }

    #[test]
    fn a_later_format_is_told_from_damage() {
        let mut bytes = sample().encode();
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFault::UnknownFormat(2)));
    }

    #[test]
    fn names_round_trip_and_sort_like_the_log() {
        let name = SegmentName { first: 0x10, epoch: 2 };
        assert_eq!(name.file_name(), "seg-0000000000000010-00000002.log");
        assert_eq!(SegmentName::parse(&name.file_name()), Some(name));
        assert_eq!(SegmentName::split(&name.companion("idx")), Some((name, "idx")));
        for bad in ["seg-10-2.log", "seg-0000000000000010-00000002.idx", "free-1", "seg-.log"] {
            assert_eq!(SegmentName::parse(bad), None, "{bad}");
        }
        assert!(name < SegmentName { first: 0x10, epoch: 3 });
        assert!(name < SegmentName { first: 0x11, epoch: 1 });
    }

    #[test]
    fn the_checksum_is_castagnoli() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xE306_9283);
    }
}
