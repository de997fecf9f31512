//! Reading a log's directory from beside it: without the lock, whether or not a process writes to
//! it. What `search` stands on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::directory::{self, LOCK, OpenSegment, Opened};
use crate::format::{Account, Kind, RecordHeader, SegmentName};
use crate::fs::{FileSystem, LockState, OpenMode};
use crate::scan::{Found, Scanner};
use crate::{LogId, Lsn};

/// A log's directory as a reader sees it.
#[derive(Clone, Debug)]
pub struct Directory {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    /// Whoever looks through this holds the lock: nobody writes.
    held_here: bool,
}

/// A listed segment: its name, its size, and where the next one takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OfflineSegment {
    /// First LSN and epoch.
    pub name: SegmentName,
    /// Bytes of the file when it was listed.
    pub len: u64,
    /// LSNs at or above this belong to the next segment (`Lsn::MAX`: there is none).
    pub end: Lsn,
}

impl Directory {
    /// Looks at `path`; nothing is opened or changed.
    #[must_use]
    pub fn new(path: &Path, file_system: Arc<dyn FileSystem>) -> Self {
        Self { fs: file_system, path: path.to_owned(), held_here: false }
    }

    /// As it looks to who holds its lock.
    pub(crate) fn held_here(&self) -> Self {
        Self { held_here: true, ..self.clone() }
    }

    pub(crate) fn is_held_here(&self) -> bool {
        self.held_here
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The segments in the order of the log.
    ///
    /// # Errors
    /// What the operating system says, of a directory that does not exist for one.
    pub fn segments(&self) -> io::Result<Vec<OfflineSegment>> {
        let listing = directory::list(&*self.fs, &self.path)?;
        let ends = listing.segments.iter().skip(1).map(|next| next.name.first);
        let ends = ends.chain([Lsn::MAX]);
        let segments = listing.segments.iter().zip(ends);
        Ok(segments
            .map(|(listed, end)| OfflineSegment { name: listed.name, len: listed.len, end })
            .collect())
    }

    /// While a process holds the log: the LSN below which everything is durable, by its LOCK file.
    /// `None` when nobody does: then everything valid counts.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn synced_end(&self) -> io::Result<Option<Lsn>> {
        if self.held_here {
            return Ok(None);
        }
        let file = match self.fs.open(&self.path.join(LOCK), OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if file.try_lock_shared()? == LockState::Acquired {
            file.unlock()?;
            return Ok(None);
        }
        // Rewritten in place all the time: a torn read is read again.
        for _ in 0..100 {
            if let Some(synced) = directory::read_lock(&*file)?.synced {
                return Ok(Some(synced.saturating_add(1)));
            }
            std::thread::yield_now();
        }
        Ok(Some(0))
    }

    /// Opens a segment; `None` when it is gone, or is not what its name says.
    ///
    /// # Errors
    /// What the operating system says, or a format that this version does not know.
    pub fn open(&self, segment: &OfflineSegment) -> io::Result<Option<SegmentFile>> {
        match directory::open_segment(&*self.fs, &self.path, segment.name) {
            Ok(Opened::Segment(file)) => {
                let log_id = match file.header {
                    Some(header) => header.log_id,
                    None => match self.log_id()? {
                        Some(log_id) => log_id,
                        None => return Ok(None),
                    },
                };
                Ok(Some(SegmentFile { file: Arc::new(file), log_id, end: segment.end }))
            }
            Ok(Opened::Misnamed) => Ok(None),
            Ok(Opened::UnknownFormat(format)) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} is of log format {format}: a later version reads it", segment.name),
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn log_id(&self) -> io::Result<Option<LogId>> {
        if let Some(snapshot) = directory::snapshots(&*self.fs, &self.path).first() {
            return Ok(Some(snapshot.log_id));
        }
        let file = self.fs.open(&self.path.join(LOCK), OpenMode::Read)?;
        Ok(directory::read_lock(&*file)?.holder.map(|(_, log_id)| log_id))
    }

    /// The file system it is on.
    #[must_use]
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }
}

/// An open segment of a directory.
#[derive(Debug)]
pub struct SegmentFile {
    file: Arc<OpenSegment>,
    log_id: LogId,
    end: Lsn,
}

/// A record, borrowed from the walk that found it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RecordRef<'a> {
    /// Offset in the segment's file.
    pub offset: u64,
    /// Its header.
    pub header: RecordHeader,
    /// Its body.
    pub body: &'a [u8],
}

impl SegmentFile {
    /// First LSN and epoch.
    #[must_use]
    pub fn name(&self) -> SegmentName {
        self.file.name
    }

    /// Identity of the log it belongs to.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.log_id
    }

    /// What the segment carries in front; `None` when that is damaged.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn preamble(&self) -> io::Result<Option<Vec<u8>>> {
        self.file.preamble()
    }

    /// The account at its end, if it is sealed.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn account(&self) -> io::Result<Option<Account>> {
        Ok(self.file.seal(self.log_id)?.map(|(seal, _)| seal.account))
    }

    /// Whether the file has meanwhile become another segment's. A running log does that with what
    /// it does not keep; whatever could not be read here has expired, then, and is not damaged.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn is_reused(&self) -> io::Result<bool> {
        self.file.is_reused()
    }

    /// A walk over the valid records from the first one on. Damage is passed over and counted.
    #[must_use]
    pub fn records(&self) -> Records {
        self.records_from(self.file.records_at())
    }

    /// A walk from a known offset on.
    #[must_use]
    pub fn records_from(&self, offset: u64) -> Records {
        let mut scanner = self.file.scanner(self.log_id, self.file.len);
        scanner.seek(offset);
        Records {
            scanner,
            file: Arc::clone(&self.file),
            end: self.end,
            damaged_bytes: 0,
            unsure_bytes: 0,
            expired: false,
        }
    }
}

/// A walk over the records of a segment.
#[derive(Debug)]
pub struct Records {
    scanner: Scanner,
    file: Arc<OpenSegment>,
    end: Lsn,
    damaged_bytes: u64,
    /// No valid record, behind the last valid one, in a file that may hold older bytes there.
    unsure_bytes: u64,
    expired: bool,
}

impl Records {
    /// The next valid record of entries or definitions that belongs to this segment; `None` at its
    /// end, and as soon as the file has become another segment's ([`Records::is_expired`]).
    ///
    /// # Errors
    /// What the operating system says.
    pub fn next_record(&mut self) -> io::Result<Option<RecordRef<'_>>> {
        let (offset, header) = loop {
            if self.expired {
                return Ok(None);
            }
            match self.scanner.step()? {
                None => return Ok(None),
                Some(Found::Bad(_)) if self.file.is_reused()? => self.expired = true,
                Some(Found::Bad(bad)) if bad.blank => {}
                Some(Found::Bad(bad))
                    if bad.header.is_none() && self.file.may_hold_stale_bytes() =>
                {
                    self.unsure_bytes += bad.len;
                }
                Some(Found::Bad(bad)) => self.damaged_bytes += bad.len,
                Some(Found::Record { offset, header }) => {
                    // Stale bytes stand behind the last record only.
                    self.damaged_bytes += std::mem::take(&mut self.unsure_bytes);
                    match header.kind {
                        Kind::Entries if header.first < self.end => break (offset, header),
                        Kind::Definitions => break (offset, header),
                        _ => {}
                    }
                }
            }
        };
        Ok(Some(RecordRef { offset, header, body: self.scanner.body(offset, &header) }))
    }

    /// Passes over the record that comes next without reading its body, if it is one of entries of
    /// this segment and `known`: its offset and header. Whether the body is damaged is not seen.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn pass_if(
        &mut self,
        known: impl FnOnce(&RecordHeader) -> bool,
    ) -> io::Result<Option<(u64, RecordHeader)>> {
        if self.expired {
            return Ok(None);
        }
        let Some((offset, header)) = self.scanner.peek()? else { return Ok(None) };
        if header.kind != Kind::Entries || header.first >= self.end || !known(&header) {
            return Ok(None);
        }
        self.scanner.seek(offset.saturating_add(header.stride()));
        self.damaged_bytes += std::mem::take(&mut self.unsure_bytes);
        Ok(Some((offset, header)))
    }

    /// Goes on at another offset.
    pub fn seek(&mut self, offset: u64) {
        self.unsure_bytes = 0;
        self.scanner.seek(offset);
    }

    /// Where the next record is looked for.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.scanner.offset()
    }

    /// Looks again at the length of a file that grows. A place that was not whole before is looked
    /// at again.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn grow(&mut self, from: u64) -> io::Result<()> {
        let len = self.file.file.len()?;
        self.unsure_bytes = 0;
        self.scanner.set_limit(len);
        self.scanner.reread(from);
        Ok(())
    }

    /// Bytes of damage passed so far (the unwritten rest of a growing file included). What stands
    /// behind the last record of a file that was another segment before is not among them.
    #[must_use]
    pub fn damaged_bytes(&self) -> u64 {
        self.damaged_bytes
    }

    /// Whether the file became another segment's while it was walked: the rest has expired.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.expired
    }
}
