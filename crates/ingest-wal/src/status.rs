//! What a log says of itself.

use crate::options::Limits;
use crate::{LogId, Lsn};

/// Whether the log takes records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It does.
    Accepting,
    /// It has no room: what was handed over waits, or is dropped and counted, as
    /// [`Options::on_full`](crate::Options::on_full) says.
    Full,
    /// Writing failed and a new segment could not be begun: records are refused until it works
    /// again, which is tried all the time.
    Failed,
}

impl Health {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Accepting => 0,
            Self::Full => 1,
            Self::Failed => 2,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Accepting,
            1 => Self::Full,
            _ => Self::Failed,
        }
    }

    /// Name for labels and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepting => "accepting",
            Self::Full => "full",
            Self::Failed => "failed",
        }
    }
}

/// A moment of a log. LSN watermarks are "one after".
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Identity of the directory.
    pub log_id: LogId,
    /// Incarnation.
    pub epoch: u32,
    /// Whether it takes records.
    pub health: Health,
    /// Oldest LSN that may still be there.
    pub oldest: Lsn,
    /// Everything below is durable.
    pub synced_end: Lsn,
    /// Everything below is written.
    pub written_end: Lsn,
    /// One after the LSNs of all that was handed over so far, with numbers or without.
    pub next: Lsn,
    /// Entries accepted in the life of the directory: last synced LSN − void − unwitnessed.
    pub accepted: u64,
    /// LSNs never given, in the life of the directory.
    pub void: u64,
    /// LSNs of which nobody knows whether they were acknowledged, in the life of the directory.
    pub unwitnessed: u64,
    /// LSNs that were durable and cannot be read, in the life of the directory.
    pub damaged: u64,
    /// Entries that retention removed, in the life of the directory.
    pub expired: u64,
    /// Number of segments.
    pub segments: u64,
    /// Bytes of everything in the directory except quarantine.
    pub used_bytes: u64,
    /// The limits in force.
    pub limits: Limits,
    /// Bytes of the memory budget that are free.
    pub memory_available: u64,
    /// Groups written in this run.
    pub groups: u64,
    /// Records written in this run.
    pub records: u64,
    /// Bytes written in this run.
    pub written_bytes: u64,
    /// Syncs in this run.
    pub syncs: u64,
    /// Time spent in them, nanoseconds.
    pub sync_nanos: u64,
    /// Marks written in this run.
    pub marks: u64,
    /// Segments begun in this run.
    pub segments_created: u64,
    /// Segments given up after a failed write or sync in this run.
    pub segments_abandoned: u64,
    /// Segments removed in this run.
    pub segments_removed: u64,
    /// Segments that history gave up in this run and whose files were kept to be used again.
    pub segments_recycled: u64,
    /// Segments that were begun in such a file in this run.
    pub spares_used: u64,
    /// Files that wait to be used again; their bytes are in `used_bytes`.
    pub spare_files: u64,
    /// Bytes of those files.
    pub spare_bytes: u64,
    /// Snapshots written in this run.
    pub snapshots: u64,
    /// Snapshots that could not be written in this run.
    pub snapshot_failures: u64,
    /// Damaged bytes put aside in this run.
    pub quarantined_bytes: u64,
    /// How often the log became full in this run.
    pub full_episodes: u64,
    /// Entries that arrived at a full log and were dropped in this run
    /// ([`OnFull::DropNewest`](crate::OnFull::DropNewest)). Their LSNs are among the void ones.
    pub dropped_newest: u64,
    /// Accepted entries that some consumer had not passed and whose segment was given up for new
    /// ones in this run ([`OnFull::DropOldest`](crate::OnFull::DropOldest)). They are not among the
    /// expired ones.
    pub dropped_oldest: u64,
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// The directory held no log.
    pub new: bool,
    /// The log was closed in order.
    pub clean: bool,
    /// A valid snapshot of the consumers' state was there.
    pub snapshot: bool,
    /// First LSN of this run.
    pub next: Lsn,
    /// Incarnation of this run.
    pub epoch: u32,
    /// LSNs that this opening passed over.
    pub void: u64,
    /// LSNs of this opening that were not witnessed as durable.
    pub unwitnessed: u64,
    /// LSNs that this opening found damaged.
    pub damaged: u64,
    /// Segments that were scanned.
    pub scanned_segments: u64,
    /// Bytes that were scanned.
    pub scanned_bytes: u64,
    /// Bytes that were put into quarantine.
    pub quarantined_bytes: u64,
}
