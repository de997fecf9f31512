//! The record header and the kinds of records.

use super::bytes::{Fixed, Input, align8};
use crate::{LogId, Lsn};

/// Length of a record header in bytes.
pub(crate) const HEADER_LEN: u64 = 48;

/// What a record is for. Readers pass over kinds that they do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Entries of the log's user; the only kind that uses LSNs.
    Entries,
    /// Definitions of the log's user (names of tags and sources); written twice.
    Definitions,
    /// A witness: everything up to its synced LSN was durable when it was written.
    Mark,
    /// Ranges of LSNs that hold no entry.
    Void,
    /// The end of a segment, with its account.
    Seal,
    /// A kind of a later version.
    Other(u8),
}

impl Kind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Entries => 1,
            Self::Definitions => 2,
            Self::Mark => 4,
            Self::Void => 5,
            Self::Seal => 6,
            Self::Other(code) => code,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Entries,
            2 => Self::Definitions,
            4 => Self::Mark,
            5 => Self::Void,
            6 => Self::Seal,
            other => Self::Other(other),
        }
    }
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Length of the body in bytes.
    pub body_len: u32,
    /// LSNs that the record uses: its entries; 0 for control records.
    pub count: u16,
    /// What the body is.
    pub kind: Kind,
    /// Reserved (bit 0: compressed).
    pub flags: u8,
    /// LSN of the first entry; for control records the next LSN to be given.
    pub first: Lsn,
    /// Highest LSN known to be durable when this was written.
    pub synced: Lsn,
    /// When the record arrived, nanoseconds since the Unix epoch.
    pub arrival: i64,
    /// Number of the configured source.
    pub source: u16,
    /// Epoch of the segment.
    pub epoch: u32,
    /// CRC-32C of the body.
    pub body_crc: u32,
}

impl RecordHeader {
    /// The LSN after the last one of this record.
    #[must_use]
    pub const fn end(&self) -> Lsn {
        self.first.saturating_add(self.count as u64)
    }

    /// Bytes from this header to the next one.
    #[must_use]
    pub const fn stride(&self) -> u64 {
        stride(self.body_len)
    }

    pub(crate) fn encode(&self, seed: Seed) -> [u8; HEADER_LEN as usize] {
        let mut out = Fixed::<48>::new();
        out.put(&self.body_len.to_le_bytes())
            .put(&self.count.to_le_bytes())
            .put(&[self.kind.code(), self.flags])
            .put(&self.first.to_le_bytes())
            .put(&self.synced.to_le_bytes())
            .put(&self.arrival.to_le_bytes())
            .put(&self.source.to_le_bytes())
            .put(&[0; 2])
            .put(&self.epoch.to_le_bytes())
            .put(&self.body_crc.to_le_bytes());
        let crc = crc32c::crc32c_append(seed.crc, out.filled());
        out.put(&crc.to_le_bytes());
        out.finish()
    }

    /// What a damaged header seems to say: entries and bytes of a record of this epoch, or of one
    /// whose numbers are those that follow (`next`, and a synced LSN from `synced` on and below
    /// it). Good for counting what cannot be read, and for nothing else.
    pub(crate) fn guess(bytes: &[u8], seed: Seed, next: Lsn, synced: Lsn) -> Option<(u16, u64)> {
        let mut input = Input::new(bytes);
        let (body_len, count) = (input.u32()?, input.u16()?);
        input.u16()?;
        let (first, said) = (input.u64()?, input.u64()?);
        let epoch = Input::new(bytes.get(36..40)?).u32()?;
        let follows = first == next && (synced..next).contains(&said);
        (epoch == seed.epoch || follows).then_some((count, stride(body_len)))
    }

    /// The same in a file that held another segment before. Its records may well be of this epoch,
    /// but their LSNs are lower. So two of three have to agree: the epoch, the first LSN (`next`),
    /// and a synced LSN from `synced` on and below `next`. One damaged byte spoils one of them.
    pub(crate) fn guess_among_stale(
        bytes: &[u8],
        seed: Seed,
        next: Lsn,
        synced: Lsn,
    ) -> Option<(u16, u64)> {
        let mut input = Input::new(bytes);
        let (body_len, count) = (input.u32()?, input.u16()?);
        input.u16()?;
        let (first, said) = (input.u64()?, input.u64()?);
        let epoch = Input::new(bytes.get(36..40)?).u32()?;
        let agree = [epoch == seed.epoch, first == next, (synced..next).contains(&said)];
        let agree = agree.into_iter().filter(|agrees| *agrees).count();
        (agree >= 2).then_some((count, stride(body_len)))
    }

    /// Reads a header that belongs to the segment of `seed`.
    pub(crate) fn decode(bytes: &[u8], seed: Seed) -> Option<Self> {
        let covered = bytes.get(..44)?;
        // The epoch first: it is what rules out nearly every place that is no header.
        let epoch = Input::new(bytes.get(36..40)?).u32()?;
        if epoch != seed.epoch {
            return None;
        }
        let mut input = Input::new(bytes);
        let header = Self {
            body_len: input.u32()?,
            count: input.u16()?,
            kind: Kind::from_code(input.u8()?),
            flags: input.u8()?,
            first: input.u64()?,
            synced: input.u64()?,
            arrival: input.i64()?,
            source: input.u16()?,
            epoch: {
                input.u16()?;
                input.u32()?
            },
            body_crc: input.u32()?,
        };
        (input.u32()? == crc32c::crc32c_append(seed.crc, covered)).then_some(header)
    }
}

/// Bytes from a record's header to the next one, for a body of this length.
pub(crate) const fn stride(body_len: u32) -> u64 {
    HEADER_LEN + align8(body_len as u64)
}

/// What binds a record to its segment: the checksum of its header starts from here, so that stale
/// bytes of a reused file, or bytes inside a payload, do not pass for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed {
    crc: u32,
    epoch: u32,
}

impl Seed {
    pub(crate) fn new(log_id: LogId, first: Lsn, epoch: u32) -> Self {
        let crc = crc32c::crc32c(&log_id.0);
        let crc = crc32c::crc32c_append(crc, &first.to_le_bytes());
        Self { crc: crc32c::crc32c_append(crc, &epoch.to_le_bytes()), epoch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> RecordHeader {
        RecordHeader {
            body_len: 9,
            count: 3,
            kind: Kind::Entries,
            flags: 0,
            first: 77,
            synced: 70,
            arrival: 1_700_000_000_000_000_000,
            source: 2,
            epoch: 5,
            body_crc: 0x0102_0304,
        }
    }

    #[test]
    fn header_round_trips_and_every_flipped_bit_is_seen() {
        let seed = Seed::new(LogId([7; 16]), 70, 5);
        let bytes = sample().encode(seed);
        assert_eq!(RecordHeader::decode(&bytes, seed), Some(sample()));
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[at / 8] ^= 1 << (at % 8);
            assert_eq!(RecordHeader::decode(&bad, seed), None, "bit {at}");
        }
    }

    #[test]
    fn another_segment_does_not_accept_the_record() {
        let bytes = sample().encode(Seed::new(LogId([7; 16]), 70, 5));
        for other in [
            Seed::new(LogId([8; 16]), 70, 5),
            Seed::new(LogId([7; 16]), 71, 5),
            Seed::new(LogId([7; 16]), 70, 6),
        ] {
            assert_eq!(RecordHeader::decode(&bytes, other), None);
        }
    }

    #[test]
    fn among_stale_bytes_a_damaged_header_is_known_and_an_older_record_is_not() {
        let seed = Seed::new(LogId([7; 16]), 70, 5);
        let bytes = sample().encode(seed);
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[at / 8] ^= 1 << (at % 8);
            let found = RecordHeader::guess_among_stale(&bad, seed, 77, 69);
            assert_eq!(found.is_some(), bad.len() == 48, "bit {at}");
            if at / 8 > 5 {
                assert_eq!(found, Some((3, 64)), "bit {at}");
            }
        }
        let older = RecordHeader { first: 60, synced: 55, ..sample() };
        let older = older.encode(Seed::new(LogId([7; 16]), 40, 5));
        assert_eq!(RecordHeader::guess_among_stale(&older, seed, 77, 69), None);
        assert_eq!(RecordHeader::guess_among_stale(&[0x5a; 48], seed, 77, 69), None);
        assert_eq!(RecordHeader::guess_among_stale(&bytes[..39], seed, 77, 69), None);
    }

    #[test]
    fn strides_keep_records_at_multiples_of_eight() {
        assert_eq!(sample().stride(), 64);
        assert_eq!(stride(0), 48);
        assert_eq!(stride(8), 56);
    }
}
