//! The cursor files: snapshots of every output's state and of what the log knows of itself.

use std::ops::Range;

use super::account::Account;
use super::bytes::Input;
use super::segment::SegmentName;
use super::void::Missing;
use crate::{LogId, Lsn};

const MAGIC: [u8; 8] = *b"INGCURS\n";
const FORMAT: u16 = 1;

/// How far one consumer of the log has come, kept across restarts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Name of the consumer.
    pub name: String,
    /// Where it began.
    pub start: Lsn,
    /// The lowest LSN that it has not passed.
    pub low: Lsn,
    /// What it has passed above `low`: sorted, disjoint, not adjacent.
    pub above: Vec<Range<Lsn>>,
    /// Its consumer has been away for long: it is kept, and holds nothing back.
    pub released: bool,
    /// State of the log's user; opaque.
    pub extra: Vec<u8>,
}

/// A segment without a seal that an opening has scanned to its end: it counts as sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub(crate) name: SegmentName,
    /// Offset after the last valid record.
    pub(crate) end_offset: u64,
    pub(crate) account: Account,
}

/// The contents of a cursor file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Snapshot {
    pub(crate) log_id: LogId,
    /// Rises with every snapshot: the newest valid one wins.
    pub(crate) sequence: u64,
    pub(crate) synced: Lsn,
    pub(crate) next: Lsn,
    pub(crate) epoch: u32,
    pub(crate) void_total: u64,
    pub(crate) unwitnessed_total: u64,
    /// Damaged LSNs in the life of the directory.
    pub(crate) damaged_total: u64,
    /// Entries that retention removed after every output had passed them.
    pub(crate) expired_total: u64,
    pub(crate) missing: Vec<Missing>,
    pub(crate) recovered: Vec<Recovered>,
    pub(crate) cursors: Vec<Cursor>,
}

impl Snapshot {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&self.log_id.0);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.synced.to_le_bytes());
        out.extend_from_slice(&self.next.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for n in [self.void_total, self.unwitnessed_total, self.damaged_total, self.expired_total] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        Missing::put_list(&self.missing, &mut out);
        put_len(&mut out, self.recovered.len());
        for segment in &self.recovered {
            out.extend_from_slice(&segment.name.first.to_le_bytes());
            out.extend_from_slice(&segment.name.epoch.to_le_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&segment.end_offset.to_le_bytes());
            segment.account.put(&mut out);
        }
        put_len(&mut out, self.cursors.len());
        for cursor in &self.cursors {
            put_bytes(&mut out, cursor.name.as_bytes());
            out.extend_from_slice(&u32::from(cursor.released).to_le_bytes());
            out.extend_from_slice(&cursor.start.to_le_bytes());
            out.extend_from_slice(&cursor.low.to_le_bytes());
            put_len(&mut out, cursor.above.len());
            for range in &cursor.above {
                out.extend_from_slice(&range.start.to_le_bytes());
                out.extend_from_slice(&range.end.to_le_bytes());
            }
            put_bytes(&mut out, &cursor.extra);
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a snapshot; `None` when it is torn, damaged or of a later format. A file may be
    /// longer than its snapshot, so the length is found by reading it.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Input::new(bytes);
        if input.take(8)? != MAGIC || input.u16()? != FORMAT {
            return None;
        }
        input.take(6)?;
        let log_id = LogId(input.id()?);
        let sequence = input.u64()?;
        let synced = input.u64()?;
        let next = input.u64()?;
        let epoch = input.u32()?;
        input.take(4)?;
        let mut snapshot = Self {
            log_id,
            sequence,
            synced,
            next,
            epoch,
            void_total: input.u64()?,
            unwitnessed_total: input.u64()?,
            damaged_total: input.u64()?,
            expired_total: input.u64()?,
            missing: Missing::take_list(&mut input)?,
            ..Self::default()
        };
        for _ in 0..input.u32()? {
            snapshot.recovered.push(take_recovered(&mut input)?);
        }
        for _ in 0..input.u32()? {
            snapshot.cursors.push(take_cursor(&mut input)?);
        }
        let covered = bytes.get(..bytes.len() - input.remaining())?;
        (input.u32()? == crc32c::crc32c(covered)).then_some(snapshot)
    }
}

impl Snapshot {
    /// The format number of what begins like a snapshot and is of another format.
    pub(crate) fn unknown_format(bytes: &[u8]) -> Option<u16> {
        let mut input = Input::new(bytes);
        let format = (input.take(8)? == MAGIC).then(|| input.u16())??;
        (format != FORMAT).then_some(format)
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(input: &mut Input<'a>) -> Option<&'a [u8]> {
    let len = input.u32()?;
    input.take(len as usize)
}

fn take_recovered(input: &mut Input<'_>) -> Option<Recovered> {
    let first = input.u64()?;
    let epoch = input.u32()?;
    input.take(4)?;
    let end_offset = input.u64()?;
    let account = Account::take(input)?;
    Some(Recovered { name: SegmentName { first, epoch }, end_offset, account })
}

fn take_cursor(input: &mut Input<'_>) -> Option<Cursor> {
    let name = String::from_utf8(take_bytes(input)?.to_vec()).ok()?;
    let released = input.u32()? & 1 != 0;
    let start = input.u64()?;
    let low = input.u64()?;
    let count = input.u32()? as usize;
    let mut above = Vec::with_capacity(count.min(input.remaining() / 16));
    for _ in 0..count {
        above.push(input.u64()?..input.u64()?);
    }
    Some(Cursor { name, start, low, above, released, extra: take_bytes(input)?.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MissingCause;

    fn sample() -> Snapshot {
        let mut account = Account::empty(1);
        account.add(1, 4, 99, 7);
        Snapshot {
            log_id: LogId([1; 16]),
            sequence: 3,
            synced: 10,
            next: 12,
            epoch: 2,
            void_total: 1,
            unwitnessed_total: 2,
            damaged_total: 3,
            expired_total: 4,
            missing: vec![Missing { range: 2..4, cause: MissingCause::Damaged }],
            recovered: vec![Recovered {
                name: SegmentName { first: 1, epoch: 1 },
                end_offset: 640,
                account,
            }],
            cursors: vec![Cursor {
                name: "indexers".into(),
                start: 1,
                low: 5,
                above: vec![6..8, 9..10],
                released: true,
                extra: b"x".to_vec(),
            }],
        }
    }

    #[test]
    fn snapshot_round_trips_also_in_a_longer_file() {
        let mut bytes = sample().encode();
        assert_eq!(Snapshot::decode(&bytes), Some(sample()));
        bytes.extend_from_slice(&[0xff; 100]);
        assert_eq!(Snapshot::decode(&bytes), Some(sample()));
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_seen() {
        let bytes = sample().encode();
        for cut in 0..bytes.len() {
            assert_eq!(Snapshot::decode(&bytes[..cut]), None, "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x40;
            assert_ne!(Snapshot::decode(&bad), Some(sample()), "byte {at}");
            assert_eq!(Snapshot::decode(&bad), None, "byte {at}");
        }
    }
}
