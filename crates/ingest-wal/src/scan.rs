//! Walking the records of one segment file, streaming, over any damage.

use std::io;
use std::sync::Arc;

use crate::Lsn;
use crate::format::{RECORD_HEADER_LEN, RecordHeader, Seed};
use crate::fs::{File, read_full_at};

/// Bytes read ahead at a time.
const CHUNK: usize = 256 * 1024;

/// What stands at the next place of a segment.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A valid record.
    Record { offset: u64, header: RecordHeader, body: &'a [u8] },
    /// Bytes that are no valid record.
    Bad(BadRange),
}

/// A [`Step`] without the body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Record { offset: u64, header: RecordHeader },
    Bad(BadRange),
}

/// Bytes that are no valid record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadRange {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// The header, when only the body is damaged or cut.
    pub(crate) header: Option<RecordHeader>,
    /// Nothing but zeros: never written.
    pub(crate) blank: bool,
}

/// Reads records from an offset to a limit. Memory is one chunk, or one record if that is larger.
#[derive(Debug)]
pub(crate) struct Scanner {
    file: Arc<dyn File>,
    seed: Seed,
    at: u64,
    limit: u64,
    buf: Vec<u8>,
    buf_at: u64,
    buf_len: usize,
}

impl Scanner {
    /// Walks `file` from `at` (a multiple of 8) to `limit`.
    pub(crate) fn new(file: Arc<dyn File>, seed: Seed, at: u64, limit: u64) -> Self {
        Self { file, seed, at, limit, buf: Vec::new(), buf_at: at, buf_len: 0 }
    }

    /// The file it walks.
    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Offset of what comes next.
    pub(crate) fn offset(&self) -> u64 {
        self.at
    }

    /// Goes on to a limit that has moved: the file has grown.
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Continues at another offset and forgets what was read ahead: the file may have changed.
    pub(crate) fn reread(&mut self, at: u64) {
        self.at = at;
        self.buf_at = at;
        self.buf_len = 0;
    }

    /// Continues at another offset.
    pub(crate) fn seek(&mut self, at: u64) {
        self.at = at;
    }

    /// The bytes `offset..offset + len`, or fewer at the end of the file.
    fn window(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let end = offset.saturating_add(len as u64).min(self.limit);
        let have = self.buf_at..self.buf_at + self.buf_len as u64;
        if offset < have.start || end > have.end {
            // What is there already is not read again.
            let kept = if have.contains(&offset) { have.end - offset } else { 0 };
            let kept = usize::try_from(kept).unwrap_or(0);
            self.buf.copy_within(self.buf_len - kept..self.buf_len, 0);
            (self.buf_at, self.buf_len) = (offset, kept);
            let wanted = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
            let room = u64::try_from(wanted.max(CHUNK)).unwrap_or(u64::MAX);
            let room = room.min(self.limit.saturating_sub(offset));
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            if self.buf.len() < room {
                self.buf.resize(room, 0);
            } else if self.buf.len() > room.max(CHUNK) {
                // One large record does not hold its memory for the rest of the walk.
                self.buf.truncate(room.max(CHUNK));
                self.buf.shrink_to_fit();
            }
            let target = self.buf.get_mut(kept..room).unwrap_or_default();
            self.buf_len += read_full_at(&*self.file, target, offset + kept as u64)?;
        }
        let from = usize::try_from(offset - self.buf_at).unwrap_or(usize::MAX);
        let to = from.saturating_add(len).min(self.buf_len);
        Ok(self.buf.get(from..to).unwrap_or_default())
    }

    fn header_at(&mut self, offset: u64) -> io::Result<Option<RecordHeader>> {
        let seed = self.seed;
        let bytes = self.window(offset, RECORD_HEADER_LEN as usize)?;
        Ok(RecordHeader::decode(bytes, seed))
    }

    /// Which part of the bytes behind the last valid record of a reused file is of this life of the
    /// file, as far as what is left of its record headers says, and how many entries that was. The
    /// rest is stale. `next` is the LSN that would follow, `synced` the lowest that its headers can
    /// name as durable.
    pub(crate) fn guess_among_stale(
        &mut self,
        bad: &BadRange,
        mut next: Lsn,
        synced: Lsn,
    ) -> io::Result<(u64, u64)> {
        let (mut at, end) = (bad.offset, bad.offset.saturating_add(bad.len));
        let (seed, from) = (self.seed, next);
        while at < end {
            let bytes = self.window(at, RECORD_HEADER_LEN as usize)?;
            let found = RecordHeader::guess_among_stale(bytes, seed, next, synced);
            let Some((count, stride)) = found else { break };
            next = next.saturating_add(u64::from(count));
            at = at.saturating_add(stride);
        }
        let len = at.min(end) - bad.offset;
        Ok((len, if len == 0 { 0 } else { (next - from).max(1) }))
    }

    /// The header of the record that comes next, if there is one that ends below the limit. Reads
    /// nothing beside it.
    pub(crate) fn peek(&self) -> io::Result<Option<(u64, RecordHeader)>> {
        let mut bytes = [0; RECORD_HEADER_LEN as usize];
        let at = usize::try_from(self.at.saturating_sub(self.buf_at)).unwrap_or(usize::MAX);
        let there = self.buf.get(..self.buf_len).and_then(|buf| buf.get(at..));
        match there.and_then(<[u8]>::first_chunk) {
            Some(header) if self.at >= self.buf_at => bytes = *header,
            _ => {
                read_full_at(&*self.file, &mut bytes, self.at)?;
            }
        }
        let header = RecordHeader::decode(&bytes, self.seed);
        let header = header.filter(|h| self.at.saturating_add(h.stride()) <= self.limit);
        Ok(header.map(|header| (self.at, header)))
    }

    /// How many entries a stretch of damage seems to have held: at least one.
    pub(crate) fn guess(&mut self, bad: &BadRange, next: Lsn, synced: Lsn) -> io::Result<u64> {
        let (mut at, end) = (bad.offset, bad.offset.saturating_add(bad.len));
        let mut entries = 0;
        while at < end {
            let seed = self.seed;
            let bytes = self.window(at, RECORD_HEADER_LEN as usize)?;
            let guessed = RecordHeader::guess(bytes, seed, next.saturating_add(entries), synced);
            let Some((count, stride)) = guessed else { break };
            entries += u64::from(count);
            at = at.saturating_add(stride);
        }
        Ok(entries.max(1))
    }

    /// The next record or stretch of damage; `None` at the limit.
    pub(crate) fn next(&mut self) -> io::Result<Option<Step<'_>>> {
        Ok(match self.step()? {
            None => None,
            Some(Found::Bad(bad)) => Some(Step::Bad(bad)),
            Some(Found::Record { offset, header }) => {
                Some(Step::Record { offset, header, body: self.body(offset, &header) })
            }
        })
    }

    /// The body of the record that [`Scanner::step`] has just found.
    pub(crate) fn body(&self, offset: u64, header: &RecordHeader) -> &[u8] {
        let from = usize::try_from(offset + RECORD_HEADER_LEN - self.buf_at).unwrap_or(usize::MAX);
        let to = from.saturating_add(header.body_len as usize);
        self.buf.get(from..to).unwrap_or_default()
    }

    /// As [`Scanner::next`], without lending the body.
    pub(crate) fn step(&mut self) -> io::Result<Option<Found>> {
        let offset = self.at;
        if offset >= self.limit {
            return Ok(None);
        }
        let Some(header) = self.header_at(offset)? else {
            return Ok(self.resynchronise(offset)?.map(Found::Bad));
        };
        let end = offset.saturating_add(header.stride());
        let body_len = header.body_len as usize;
        let body = self.window(offset + RECORD_HEADER_LEN, body_len)?;
        let whole = body.len() == body_len && crc32c::crc32c(body) == header.body_crc;
        self.at = end.min(self.limit);
        if !whole {
            let (len, header) = (self.at - offset, Some(header));
            return Ok(Some(Found::Bad(BadRange { offset, len, header, blank: false })));
        }
        Ok(Some(Found::Record { offset, header }))
    }

    /// Passes over damage to the next place that holds a header of this segment.
    fn resynchronise(&mut self, from: u64) -> io::Result<Option<BadRange>> {
        let mut blank = true;
        let mut at = from;
        let (seed, limit) = (self.seed, self.limit);
        while at < limit {
            let bytes = self.window(at, CHUNK)?;
            if bytes.is_empty() {
                break; // The file is shorter than it was said to be.
            }
            let mut step = 0;
            let mut found = false;
            while let Some(word) = bytes.get(step..).filter(|rest| !rest.is_empty()) {
                if RecordHeader::decode(word, seed).is_some() && at + step as u64 > from {
                    found = true;
                    break;
                }
                // A header that lies across the window's edge is looked at in the next one.
                if word.len() < RECORD_HEADER_LEN as usize
                    && at + (bytes.len() as u64) < limit
                    && step > 0
                {
                    break;
                }
                blank &= word.iter().take(8).all(|&byte| byte == 0);
                step += 8;
            }
            at = at.saturating_add(step as u64).min(limit);
            if found {
                break;
            }
        }
        self.at = at.max(from);
        let len = self.at - from;
        if len == 0 {
            self.at = self.limit;
            return Ok(None);
        }
        Ok(Some(BadRange { offset: from, len, header: None, blank }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogId;
    use crate::format::Kind;
    use crate::fs::{FileSystem, OpenMode, StdFileSystem, write_all_at};
    use std::io::IoSlice;

    const SEED_FIRST: u64 = 1;

    fn seed() -> Seed {
        Seed::new(LogId([9; 16]), SEED_FIRST, 4)
    }

    fn record(first: u64, body: &[u8]) -> Vec<u8> {
        let header = RecordHeader {
            body_len: body.len() as u32,
            count: 1,
            kind: Kind::Entries,
            flags: 0,
            first,
            synced: 0,
            arrival: 0,
            source: 0,
            epoch: 4,
            body_crc: crc32c::crc32c(body),
        };
        let mut out = header.encode(seed()).to_vec();
        out.extend_from_slice(body);
        out.resize(out.len().next_multiple_of(8), 0);
        out
    }

    fn file(bytes: &[u8]) -> (tempfile::TempDir, Arc<dyn File>) {
        let dir = tempfile::tempdir().unwrap();
        let file = StdFileSystem.open(&dir.path().join("f"), OpenMode::CreateNew).unwrap();
        write_all_at(&*file, &mut [IoSlice::new(bytes)], 0).unwrap();
        (dir, file)
    }

    fn walk(bytes: &[u8]) -> (Vec<u64>, Vec<BadRange>) {
        let (_dir, file) = file(bytes);
        let mut scanner = Scanner::new(file, seed(), 0, bytes.len() as u64);
        let (mut firsts, mut bad) = (Vec::new(), Vec::new());
        while let Some(step) = scanner.next().unwrap() {
            match step {
                Step::Record { header, body, .. } => {
                    assert_eq!(crc32c::crc32c(body), header.body_crc);
                    firsts.push(header.first);
                }
                Step::Bad(range) => bad.push(range),
            }
        }
        (firsts, bad)
    }

    #[test]
    fn whole_records_are_read_and_zeros_are_blank() {
        let mut bytes: Vec<u8> =
            (1..4).flat_map(|n| record(n, &vec![n as u8; 50 * n as usize])).collect();
        assert_eq!(walk(&bytes), (vec![1, 2, 3], vec![]));
        let len = bytes.len();
        bytes.resize(len + 4096, 0);
        let (firsts, bad) = walk(&bytes);
        assert_eq!(firsts, [1, 2, 3]);
        let blank = BadRange { offset: len as u64, len: 4096, header: None, blank: true };
        assert_eq!(bad, [blank]);
    }

    #[test]
    fn one_flipped_bit_costs_one_record() {
        let records: Vec<Vec<u8>> = (1..6).map(|n| record(n, &[n as u8; 37])).collect();
        let bytes = records.concat();
        let stride = records[0].len();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            let (firsts, bad) = walk(&damaged);
            let hit = (at / stride) as u64 + 1;
            let padding = at % stride >= 48 + 37;
            let expected: Vec<u64> = (1..6).filter(|&n| padding || n != hit).collect();
            assert_eq!(firsts, expected, "byte {at}");
            assert_eq!(bad.len(), usize::from(!padding), "byte {at}");
            assert!(bad.iter().all(|range| range.len == stride as u64));
        }
    }

    #[test]
    fn a_torn_tail_at_every_offset_leaves_the_others() {
        let records: Vec<Vec<u8>> = (1..4).map(|n| record(n, &[n as u8; 21])).collect();
        let bytes = records.concat();
        let stride = records[0].len();
        for cut in 0..bytes.len() {
            let (firsts, bad) = walk(&bytes[..cut]);
            // The padding may be missing: the body is whole without it.
            let whole = (1..4).filter(|n| cut >= n * stride - 3).count();
            assert_eq!(firsts.len(), whole, "cut at {cut}");
            assert!(bad.len() <= 1);
        }
    }

    #[test]
    fn damage_larger_than_a_window_is_crossed() {
        let mut bytes = record(1, b"one");
        bytes.resize(bytes.len() + CHUNK * 2 + 40, 0x5a);
        let start = bytes.len();
        bytes.extend(record(2, &vec![7; CHUNK + 100]));
        bytes.extend(record(3, b"three"));
        let (firsts, bad) = walk(&bytes);
        assert_eq!(firsts, [1, 2, 3]);
        assert_eq!(bad.len(), 1);
        assert_eq!(bad[0].offset + bad[0].len, start as u64);
        assert!(!bad[0].blank);
    }
}
