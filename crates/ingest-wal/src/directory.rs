//! The files of a log's directory, and what their headers say. Only reads.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::{
    FLAG_PREAMBLE_TWICE, FLAG_REUSED, HeaderFault, LOCK_LEN, LockFile, RECORD_HEADER_LEN,
    SEAL_FOOTER_LEN, SEGMENT_HEADER_LEN, Seal, Seed, SegmentHeader, SegmentName, Snapshot,
    seal_footer,
};
use crate::fs::{File, FileSystem, OpenMode, read_full_at};
use crate::scan::{Scanner, Step};
use crate::spare::is_spare;
use crate::{Kind, LogId};

/// Names in the directory.
pub(crate) const LOCK: &str = "LOCK";
pub(crate) const CURSORS: [&str; 2] = ["cursor-0", "cursor-1"];

/// The name of the file that the snapshot of this sequence number goes to.
pub(crate) fn cursor_file(sequence: u64) -> &'static str {
    let [even, odd] = CURSORS;
    if sequence.is_multiple_of(2) { even } else { odd }
}
pub(crate) const QUARANTINE: &str = "quarantine";
/// A seal above this length is not believed (a table of 65,000 counts has 1 MiB).
const MAX_SEAL: u64 = 16 << 20;
/// A cursor file above this length is not read.
const MAX_SNAPSHOT: u64 = 1 << 30;

/// A listed segment file.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) name: SegmentName,
    pub(crate) len: u64,
}

/// What a listing of the directory shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// In the order of the log.
    pub(crate) segments: Vec<Listed>,
    /// Spare files, by whatever number, and their lengths.
    pub(crate) spares: Vec<(String, u64)>,
    /// Bytes of all other files: companions, cursors, LOCK.
    pub(crate) other_bytes: u64,
}

pub(crate) fn list(fs: &dyn FileSystem, dir: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs.list(dir)? {
        match SegmentName::parse(&entry.name) {
            Some(name) => listing.segments.push(Listed { name, len: entry.len }),
            None if is_spare(&entry.name) => listing.spares.push((entry.name, entry.len)),
            None => listing.other_bytes = listing.other_bytes.saturating_add(entry.len),
        }
    }
    listing.segments.sort_by_key(|segment| segment.name);
    Ok(listing)
}

/// Reads the LOCK file; nothing of it is known when it is missing or damaged.
pub(crate) fn read_lock(file: &dyn File) -> io::Result<LockFile> {
    let mut bytes = [0; LOCK_LEN];
    let len = read_full_at(file, &mut bytes, 0)?;
    Ok(LockFile::decode(bytes.get(..len).unwrap_or_default()))
}

/// The snapshots that are valid, the newest first.
pub(crate) fn snapshots(fs: &dyn FileSystem, dir: &Path) -> Vec<Snapshot> {
    let mut found: Vec<Snapshot> = CURSORS
        .iter()
        .filter_map(|name| Snapshot::decode(&read_cursor_file(fs, dir, name).ok()??))
        .collect();
    found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.sequence));
    found
}

/// The bytes of a cursor file; `None` when it is too long to be one.
pub(crate) fn read_cursor_file(
    fs: &dyn FileSystem,
    dir: &Path,
    name: &str,
) -> io::Result<Option<Vec<u8>>> {
    let file = fs.open(&dir.join(name), OpenMode::Read)?;
    let len = file.len()?;
    if len > MAX_SNAPSHOT {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let len = read_full_at(&*file, &mut bytes, 0)?;
    bytes.truncate(len);
    Ok(Some(bytes))
}

/// A segment file that was opened and whose header was looked at.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) name: SegmentName,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
    pub(crate) len: u64,
    /// The header, unless it is damaged.
    pub(crate) header: Option<SegmentHeader>,
    /// Its bytes.
    front: [u8; SEGMENT_HEADER_LEN as usize],
}

/// What a segment file turned out to be.
#[derive(Debug)]
pub(crate) enum Opened {
    Segment(OpenSegment),
    /// The header is valid and says another name: not this segment.
    Misnamed,
    UnknownFormat(u16),
}

pub(crate) fn open_segment(
    fs: &dyn FileSystem,
    dir: &Path,
    name: SegmentName,
) -> io::Result<Opened> {
    let path = dir.join(name.file_name());
    let file = fs.open(&path, OpenMode::Read)?;
    let len = file.len()?;
    let mut bytes = [0; SEGMENT_HEADER_LEN as usize];
    let have = read_full_at(&*file, &mut bytes, 0)?;
    let header = match SegmentHeader::decode(bytes.get(..have).unwrap_or_default()) {
        Ok(header) if (header.first, header.epoch) != (name.first, name.epoch) => {
            return Ok(Opened::Misnamed);
        }
        Ok(header) => Some(header),
        Err(HeaderFault::Damaged) => None,
        Err(HeaderFault::UnknownFormat(format)) => return Ok(Opened::UnknownFormat(format)),
    };
    Ok(Opened::Segment(OpenSegment { name, path, file, len, header, front: bytes }))
}

impl OpenSegment {
    /// Whether the file has meanwhile become another segment's: what it held has expired.
    pub(crate) fn is_reused(&self) -> io::Result<bool> {
        let mut front = [0; SEGMENT_HEADER_LEN as usize];
        read_full_at(&*self.file, &mut front, 0)?;
        Ok(front != self.front)
    }

    /// Whether the file was another segment before, or may have been: behind the last record may
    /// stand what is left of that.
    pub(crate) fn may_hold_stale_bytes(&self) -> bool {
        self.header.is_none_or(|header| header.flags & FLAG_REUSED != 0)
    }

    pub(crate) fn seed(&self, log_id: LogId) -> Seed {
        Seed::new(log_id, self.name.first, self.name.epoch)
    }

    /// Where records begin: right behind the preamble, or, with a damaged header, wherever the
    /// first one is found.
    pub(crate) fn records_at(&self) -> u64 {
        self.header.map_or(0, |header| header.records_at())
    }

    /// A walk over its records up to `limit`.
    pub(crate) fn scanner(&self, log_id: LogId, limit: u64) -> Scanner {
        Scanner::new(Arc::clone(&self.file), self.seed(log_id), self.records_at(), limit)
    }

    /// The preamble, from its first valid copy.
    pub(crate) fn preamble(&self) -> io::Result<Option<Vec<u8>>> {
        let Some(header) = self.header else { return Ok(None) };
        let len = u64::from(header.preamble_len);
        let copies = if header.flags & FLAG_PREAMBLE_TWICE == 0 { 1 } else { 2 };
        for copy in 0..copies {
            let at = SEGMENT_HEADER_LEN + copy * len;
            if at + len > self.len {
                break;
            }
            let mut bytes = vec![0; header.preamble_len as usize];
            let have = read_full_at(&*self.file, &mut bytes, at)?;
            if have == bytes.len() && crc32c::crc32c(&bytes) == header.preamble_crc {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// The seal at the end of the file, if there is a valid one, and where it begins.
    pub(crate) fn seal(&self, log_id: LogId) -> io::Result<Option<(Seal, u64)>> {
        let Some(footer_at) = self.len.checked_sub(SEAL_FOOTER_LEN) else { return Ok(None) };
        let mut footer = [0; SEAL_FOOTER_LEN as usize];
        if read_full_at(&*self.file, &mut footer, footer_at)? < footer.len() {
            return Ok(None);
        }
        let Some(record_len) = seal_footer(&footer) else { return Ok(None) };
        if !(RECORD_HEADER_LEN..=MAX_SEAL).contains(&record_len) || record_len > self.len {
            return Ok(None);
        }
        let at = self.len - record_len;
        let mut scanner = Scanner::new(Arc::clone(&self.file), self.seed(log_id), at, self.len);
        let seal = match scanner.next()? {
            Some(Step::Record { offset, header, body })
                if header.kind == Kind::Seal && offset == at =>
            {
                Seal::decode(body)
            }
            _ => None,
        };
        Ok(seal.map(|seal| (seal, at)))
    }
}
