//! What a log's directory holds, as it stands: states, sizes, totals, positions. Only reads,
//! without the lock, whether or not a process writes to it.

use std::io;
use std::ops::Range;

use crate::format::{Account, Cursor, Missing, MissingCause};
use crate::fs::{DirEntry, Space};
use crate::offline::{Directory, OfflineSegment, RecordRef};
use crate::picture::Picture;
use crate::{LogId, Lsn};

/// Who holds the directory's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Nobody: no process writes to the log.
    Nobody,
    /// A process, by the number that LOCK gives it, if that can be read.
    Process(Option<u32>),
}

impl Holder {
    /// Whether some process holds it.
    #[must_use]
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Process(_))
    }
}

/// What the first bytes of a segment's file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SegmentHead {
    /// A header of this version.
    Valid {
        /// Format number.
        format: u16,
        /// When the segment was begun, nanoseconds since the Unix epoch.
        created: i64,
        /// The log that it belongs to.
        log_id: LogId,
    },
    /// A checksum is wrong. The records are found all the same.
    Damaged,
    /// It names another segment than the file does: what an earlier use of the file left.
    OtherName,
    /// It is of a format that this version does not know.
    UnknownFormat(u16),
}

/// What is known of the end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SegmentState {
    /// It ends with its account.
    Sealed {
        /// The log was closed in order behind it.
        clean: bool,
    },
    /// It has no end of its own, and an opening has scanned it since.
    Recovered,
    /// It is being written, or its writer ended without a word.
    Unsealed,
    /// It is no segment of this log.
    Foreign,
}

impl SegmentState {
    /// Name for reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sealed { .. } => "sealed",
            Self::Recovered => "recovered",
            Self::Unsealed => "unsealed",
            Self::Foreign => "foreign",
        }
    }
}

/// A segment as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// Name, length, and where the next one takes over.
    pub segment: OfflineSegment,
    /// What its first bytes say.
    pub head: SegmentHead,
    /// What is known of its end.
    pub state: SegmentState,
    /// What it holds: by its seal, by the opening that scanned it, or else counted now, as far as
    /// it is durable. `None` for a segment that cannot be read.
    pub account: Option<Account>,
    /// The other files of its name.
    pub companions: Vec<DirEntry>,
}

/// A cursor file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotInfo {
    /// Name and length.
    pub file: DirEntry,
    /// What it is.
    pub state: SnapshotState,
}

/// What a cursor file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotState {
    /// A snapshot of this log.
    Valid {
        /// Rises with each snapshot.
        sequence: u64,
        /// Highest durable LSN when it was written.
        synced: Lsn,
    },
    /// A valid snapshot of another log.
    Foreign(LogId),
    /// Torn or damaged.
    Damaged,
    /// Of a format that this version does not know.
    UnknownFormat(u16),
}

/// A moment of a log's directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// Identity of the log; `None` when no file says it.
    pub log_id: Option<LogId>,
    /// Who writes to it.
    pub holder: Holder,
    /// There is a LOCK file, and both its halves are valid.
    pub lock_valid: bool,
    /// Highest incarnation.
    pub epoch: u32,
    /// In the order of the log, those of other logs included.
    pub segments: Vec<SegmentInfo>,
    /// The cursor files that are there.
    pub snapshots: Vec<SnapshotInfo>,
    /// The consumers' state by the newest valid snapshot; `None` when there is none.
    pub cursors: Option<Vec<Cursor>>,
    /// Ranges without entries of which something on disk knows.
    pub missing: Vec<Missing>,
    /// LSNs never given, in the life of the directory.
    pub void: u64,
    /// LSNs of which nobody knows whether they were acknowledged, in the life of the directory.
    pub unwitnessed: u64,
    /// LSNs that were durable and cannot be read, as far as anybody has counted them.
    pub damaged: u64,
    /// Entries that retention removed, in the life of the directory.
    pub expired: u64,
    /// Everything below is durable: by LOCK while the log is held, else one above the last valid
    /// record.
    pub durable_end: Lsn,
    /// The log was closed in order, and nobody holds it.
    pub clean: bool,
    /// Files that wait to be used again.
    pub spare: Vec<DirEntry>,
    /// Files in quarantine.
    pub quarantine: Vec<DirEntry>,
    /// Files that are no part of a log, companions without a segment included.
    pub strangers: Vec<DirEntry>,
    /// Bytes of everything in the directory except quarantine.
    pub used_bytes: u64,
    /// The file system.
    pub space: Space,
}

impl Inspection {
    /// Entries accepted in the life of the directory: last durable LSN − void − unwitnessed.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        let last = self.durable_end.saturating_sub(1);
        last.saturating_sub(self.void).saturating_sub(self.unwitnessed)
    }

    /// Oldest LSN that may still be there.
    #[must_use]
    pub fn oldest(&self) -> Lsn {
        let own = self.segments.iter().find(|segment| segment.state != SegmentState::Foreign);
        own.map_or(self.durable_end, |segment| segment.segment.name.first.min(self.durable_end))
    }

    /// How many LSNs of `range` were given to entries, whether or not they can be read.
    #[must_use]
    pub fn given_in(&self, range: &Range<Lsn>) -> u64 {
        let never = self.missing.iter().filter(|missing| missing.cause != MissingCause::Damaged);
        let never: u64 = never.map(|missing| overlap(&missing.range, range)).sum();
        range.end.saturating_sub(range.start).saturating_sub(never)
    }

    /// How many entries were accepted before `lsn`, in the life of the directory.
    #[must_use]
    pub fn accepted_before(&self, lsn: Lsn) -> u64 {
        self.accepted().saturating_sub(self.given_in(&(lsn..self.durable_end.max(lsn))))
    }
}

fn overlap(a: &Range<Lsn>, b: &Range<Lsn>) -> u64 {
    a.end.min(b.end).saturating_sub(a.start.max(b.start))
}

impl Directory {
    /// Looks at everything and changes nothing. Sealed segments are not read beyond their two
    /// ends; those without an end are read whole, and each of their durable records is handed to
    /// `on`, so that the caller can count what only it understands.
    ///
    /// Beside a process that writes, what is durable when the look begins counts; what it removes
    /// meanwhile is left out.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn inspect(&self, on: &mut dyn FnMut(RecordRef<'_>)) -> io::Result<Inspection> {
        let mut picture = Picture::take(self)?;
        picture.count(on)?;
        Ok(picture.finish())
    }
}
