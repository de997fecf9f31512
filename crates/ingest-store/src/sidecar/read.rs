//! Reading a sidecar, and asking it which blocks may hold what is asked for.

use std::io;
use std::ops::Range;

use ingest_entry::TagId;
use ingest_wal::{
    Account, Directory, File, LogId, Lsn, OfflineSegment, OpenMode, SegmentFile, SegmentName,
};

use super::blocks::{Block, Tag};
use super::bytes::{Arrivals, Input, Span};
use super::{BLOCK_LEN, ENDING, FLAG_SEALED, HEADER_LEN, MAGIC, TAG_LEN, VERSION, bloom, runs};
use crate::filter::Filter;
use crate::segment::Times;

/// A sidecar above this length is not read.
const MAX_LEN: u64 = 256 << 20;
/// The most blocks of one part.
const PART: usize = 16;

/// What a sidecar belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) log_id: LogId,
    pub(super) name: SegmentName,
    pub(super) len: u64,
    /// Checksum of the account, if there is one.
    pub(super) account: Option<u32>,
}

impl Binding {
    pub(super) fn of(
        segment: &OfflineSegment,
        file: &SegmentFile,
        account: Option<&Account>,
    ) -> Self {
        let account = account.map(|account| {
            let mut bytes = Vec::new();
            for n in [account.entries, account.bytes, account.start, account.end] {
                bytes.extend_from_slice(&n.to_le_bytes());
            }
            bytes.extend_from_slice(&account.min_arrival.to_le_bytes());
            bytes.extend_from_slice(&account.max_arrival.to_le_bytes());
            crc32c::crc32c(&bytes)
        });
        Self { log_id: file.log_id(), name: segment.name, len: segment.len, account }
    }
}

/// A valid sidecar.
#[derive(Debug)]
pub(crate) struct Sidecar {
    bytes: Vec<u8>,
    blocks: Vec<Block>,
    /// Where the records of the last block end.
    records_end: u64,
    times: Span,
    arrivals: Arrivals,
    filters: Range<usize>,
    tags: Range<usize>,
    runs: Range<usize>,
}

impl Sidecar {
    /// Reads the sidecar of a segment; `None` unless it is whole and belongs to it.
    pub(crate) fn load(
        dir: &Directory,
        segment: &OfflineSegment,
        file: &SegmentFile,
        account: Option<&Account>,
    ) -> io::Result<Option<Self>> {
        let path = dir.path().join(segment.name.companion(ENDING));
        let sidecar = match dir.file_system().open(&path, OpenMode::Read) {
            Ok(sidecar) => sidecar,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(bytes) = read_whole(&*sidecar)? else { return Ok(None) };
        let found = Self::decode(bytes, &Binding::of(segment, file, account));
        if found.is_none() {
            tracing::debug!(segment = %segment.name, "The sidecar is not valid and is ignored.");
        }
        Ok(found)
    }

    pub(super) fn decode(bytes: Vec<u8>, binding: &Binding) -> Option<Self> {
        let (covered, crc) = bytes.split_last_chunk::<4>()?;
        let mut input = Input(covered);
        if input.array()? != MAGIC || input.u16()? != VERSION {
            return None;
        }
        let sealed = input.u16()? & FLAG_SEALED != 0;
        let mut counts = [0; 4];
        for count in &mut counts {
            *count = usize::try_from(input.u32()?).ok()?;
        }
        let account = input.u32()?;
        let found = Binding {
            log_id: LogId(input.array()?),
            name: SegmentName { first: input.u64()?, epoch: input.u32()? },
            len: {
                input.u32()?;
                input.u64()?
            },
            account: sealed.then_some(account),
        };
        if found != *binding || crc32c::crc32c(covered) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (records_end, _entries) = (input.u64()?, input.u64()?);
        let (times, arrivals) = (Span::take(&mut input)?, Arrivals::take(&mut input)?);
        let mut at = HEADER_LEN;
        let mut area = |len: usize| {
            let start = at;
            at = at.checked_add(len)?;
            Some(start..at)
        };
        let [blocks, tags, filters, runs] = counts;
        let blocks = area(blocks.checked_mul(BLOCK_LEN)?)?;
        let filters = area(filters.checked_mul(8)?)?;
        let tags = area(tags.checked_mul(TAG_LEN)?)?;
        let runs = area(runs)?;
        if runs.end != covered.len() {
            return None;
        }
        let (rows, _) = covered.get(blocks)?.as_chunks::<BLOCK_LEN>();
        let blocks = rows.iter().map(|row| Block::take(row)).collect::<Option<_>>()?;
        Some(Self { blocks, records_end, times, arrivals, filters, tags, runs, bytes })
    }

    /// The lowest and highest time of its entries (reversed if there are none).
    pub(crate) fn times(&self) -> Times {
        Times { min: self.times.min, max: self.times.max }
    }

    /// The parts of the segment that may hold what is asked for below `end`, in order, each at
    /// most 16 blocks; and how many blocks are ruled out.
    pub(crate) fn select(&self, filter: &Filter, times: Times, end: Lsn) -> (Vec<Range<u64>>, u64) {
        let all = self.blocks.len() as u64;
        let none = (Vec::new(), all);
        if !overlap(filter, times, &self.times) || !filter.arrival(self.arrivals.max) {
            return none;
        }
        let Some(with_tags) = self.with_tags(filter, times) else { return none };
        let keys: Vec<u64> = filter.src.iter().flat_map(|net| net.keys()).collect();
        let mut filters = self.bytes.get(self.filters.clone()).unwrap_or_default();
        let mut parts: Vec<Range<u64>> = Vec::new();
        let (mut pruned, mut room) = (0, 0);
        for (at, block) in self.blocks.iter().enumerate() {
            let words = block.filter_words as usize;
            let (sources, rest) = filters.split_at_checked(words * 8).unwrap_or_default();
            filters = rest;
            let wanted = with_tags.as_ref().is_none_or(|set| set.get(at) == Some(&true))
                && block.first < end
                && self.blocks.get(at + 1).is_none_or(|next| next.first > filter.from)
                && overlap(filter, times, &block.times)
                && filter.arrival(block.arrivals.max)
                && (filter.src.is_none() || words > 0)
                && keys.iter().all(|&key| bloom::may_have(sources, key));
            if !wanted {
                pruned += 1;
                room = 0;
                continue;
            }
            let until = self.blocks.get(at + 1).map_or(self.records_end, |next| next.offset);
            match parts.last_mut().filter(|_| room > 0) {
                Some(part) => part.end = until,
                None => {
                    room = PART;
                    parts.push(block.offset..until);
                }
            }
            room -= 1;
        }
        (parts, pruned)
    }

    /// Which blocks hold a tag of the filter, at a time that matters: `Some(None)` if any does,
    /// `None` if there is none.
    fn with_tags(&self, filter: &Filter, times: Times) -> Option<Option<Vec<bool>>> {
        let Some(wanted) = &filter.tags else { return Some(None) };
        let mut set = vec![false; self.blocks.len()];
        let mut found = false;
        let (rows, _) = self.bytes.get(self.tags.clone())?.as_chunks::<TAG_LEN>();
        let mut runs = self.bytes.get(self.runs.clone())?;
        for row in rows {
            let tag = Tag::take(row)?;
            let (list, rest) = runs.split_at_checked(tag.runs_len as usize).unwrap_or_default();
            runs = rest;
            if !wanted.contains(TagId(tag.number)) || !overlap(filter, times, &tag.times) {
                continue;
            }
            found = true;
            let sound = runs::read(list, self.blocks.len() as u32, |run| {
                if let Some(run) = set.get_mut(run.start as usize..run.end as usize) {
                    run.fill(true);
                }
            });
            if !sound {
                return Some(None);
            }
        }
        found.then_some(Some(set))
    }
}

fn overlap(filter: &Filter, times: Times, span: &Span) -> bool {
    span.min <= span.max
        && span.max >= times.min
        && span.min <= times.max
        && filter.times(span.min, span.max)
}

pub(super) fn read_whole(file: &dyn File) -> io::Result<Option<Vec<u8>>> {
    let len = file.len()?;
    if len > MAX_LEN {
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, done as u64) {
            Ok(0) => return Ok(None),
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Names;
    use crate::query::Query;
    use crate::sidecar::build::Builder;
    use ingest_entry::{EntryRef, Source, Timestamp};
    use ingest_wal::{Kind, RecordHeader};

    const RECORD: u32 = 40_000;

    fn binding() -> Binding {
        let name = SegmentName { first: 100, epoch: 3 };
        Binding { log_id: LogId([5; 16]), name, len: 1 << 20, account: Some(7) }
    }

    /// Ten records of two entries each, two records a block.
    fn sidecar() -> Vec<u8> {
        let mut builder = Builder::new(1 << 20);
        for n in 0..10u64 {
            let mut body = Vec::new();
            for k in 0..2 {
                let ts = Timestamp::from_unix(1000 + n as i64, k).unwrap();
                let src = Source::from_ip([10, n as u8 / 2, 0, k as u8].into());
                let tag = TagId(if n == 5 { 9 } else { 1 });
                EntryRef::new(ts, src, tag, b"x").encode_stored(&mut body).unwrap();
            }
            let header = RecordHeader {
                body_len: RECORD - 48,
                count: 2,
                kind: Kind::Entries,
                flags: 0,
                first: 100 + 2 * n,
                synced: 0,
                arrival: n as i64,
                source: 0,
                epoch: 3,
                body_crc: 0,
            };
            builder.add(64 + n * u64::from(RECORD), &header, &body, Lsn::MAX);
        }
        builder.finish(&binding())
    }

    fn selected(spoil: impl FnOnce(&mut Query)) -> Vec<u64> {
        let sidecar = Sidecar::decode(sidecar(), &binding()).unwrap();
        let mut query = Query::new();
        spoil(&mut query);
        let filter = Filter::new(&query, &Names::default());
        let (parts, pruned) = sidecar.select(&filter, Times::ALL, Lsn::MAX);
        let block = 2 * u64::from(RECORD);
        let blocks: Vec<_> = parts
            .iter()
            .flat_map(|part| (part.start - 64) / block..(part.end - 64).div_ceil(block))
            .collect();
        assert_eq!(blocks.len() as u64 + pruned, 5);
        blocks
    }

    #[test]
    fn blocks_are_ruled_out() {
        let time = |seconds| Timestamp::from_unix(seconds, 0);
        assert_eq!(selected(|_| {}), [0, 1, 2, 3, 4]);
        assert_eq!(selected(|query| query.tags = vec!["#9".parse().unwrap()]), [2]);
        assert_eq!(selected(|query| query.tags = vec!["#2".parse().unwrap()]), []);
        assert_eq!(selected(|query| query.since = time(1006)), [3, 4]);
        assert_eq!(selected(|query| query.until = time(1002)), [0]);
        assert_eq!(selected(|query| query.until = Timestamp::from_unix(1002, 1)), [0, 1]);
        assert_eq!(selected(|query| query.src = Some("10.3.0.0/16".parse().unwrap())), [3]);
        assert_eq!(selected(|query| query.src = Some("10.0.0.0/9".parse().unwrap())).len(), 5);
        assert_eq!(selected(|query| query.src = Some("10.3.0.9".parse().unwrap())), []);
        let late = Timestamp::from_unix_nanos(7);
        assert_eq!(selected(|query| query.arrived_since = Some(late)), [3, 4]);
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let bytes = sidecar();
        assert_eq!((&bytes[..8], &bytes[8..12]), (&b"INGSIDX\n"[..], &[1, 0, 1, 0][..]));
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (blocks, tags, words, runs) = (number(12), number(16), number(20), number(24));
        assert_eq!((blocks, tags, runs, number(28)), (5, 2, 4, 7));
        let len = 128 + 64 * blocks + 8 * words + 40 * tags + runs + 4;
        assert_eq!(bytes.len(), len as usize);
        // Tag 1 is in all five blocks, tag 9 in block 2.
        assert_eq!(bytes[bytes.len() - 8..bytes.len() - 4], [0, 5, 2, 1]);
    }

    #[test]
    fn what_is_torn_damaged_or_of_another_segment_is_no_sidecar() {
        let bytes = sidecar();
        for at in 0..bytes.len() {
            assert!(Sidecar::decode(bytes[..at].to_vec(), &binding()).is_none(), "cut at {at}");
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(Sidecar::decode(bad, &binding()).is_none(), "byte {at}");
        }
        let name = SegmentName { first: 100, epoch: 4 };
        for other in [
            Binding { log_id: LogId([6; 16]), ..binding() },
            Binding { name, ..binding() },
            Binding { len: 5, ..binding() },
            Binding { account: None, ..binding() },
            Binding { account: Some(8), ..binding() },
        ] {
            assert!(Sidecar::decode(bytes.clone(), &other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn counts_that_lie_are_seen() {
        for at in (12..28).step_by(4) {
            for lie in [0, u32::MAX, 1 << 30] {
                let mut bytes = sidecar();
                let end = bytes.len() - 4;
                bytes[at..at + 4].copy_from_slice(&lie.to_le_bytes());
                let crc = crc32c::crc32c(&bytes[..end]);
                bytes[end..].copy_from_slice(&crc.to_le_bytes());
                assert!(Sidecar::decode(bytes, &binding()).is_none(), "{at}: {lie}");
            }
        }
    }
}
