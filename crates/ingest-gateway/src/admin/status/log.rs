//! The log's part of the report.

use serde::Serialize;

use super::seconds;

/// The log. Its account: `accepted` = `synced_lsn` − `void` − `unwitnessed`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LogReport {
    /// Identity of the directory.
    pub id: String,
    /// Incarnation.
    pub epoch: u32,
    /// `accepting`, `full` or `failed`.
    pub health: &'static str,
    /// Oldest LSN that may still be there.
    pub oldest_lsn: u64,
    /// The next LSN to be given.
    pub next_lsn: u64,
    /// The last durable LSN; 0 for none.
    pub synced_lsn: u64,
    /// The last written LSN; 0 for none.
    pub written_lsn: u64,
    /// Entries accepted, in the life of the directory.
    pub accepted: u64,
    /// LSNs never given, in the life of the directory.
    pub void: u64,
    /// LSNs of which nobody knows whether they were acknowledged, in the life of the directory.
    pub unwitnessed: u64,
    /// Entries that were durable and cannot be read, in the life of the directory.
    pub damaged: u64,
    /// Entries that retention removed, in the life of the directory.
    pub expired: u64,
    /// Number of segments.
    pub segments: u64,
    /// Bytes of everything in the directory except quarantine.
    pub used_bytes: u64,
    /// The most that the directory may hold.
    pub max_bytes: u64,
    /// Bytes that stay free on the file system.
    pub min_free: u64,
    /// The most history that is kept, in bytes.
    pub keep_bytes: u64,
    /// The memory budget in bytes.
    pub memory: u64,
    /// Bytes of it that are free.
    pub memory_available: u64,
    /// Groups written.
    pub groups: u64,
    /// Records written.
    pub records: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Syncs.
    pub syncs: u64,
    /// Time spent in them.
    pub sync_seconds: f64,
    /// Marks written.
    pub marks: u64,
    /// Segments begun.
    pub segments_created: u64,
    /// Segments given up after a failed write or sync.
    pub segments_abandoned: u64,
    /// Segments removed.
    pub segments_removed: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Snapshots that could not be written.
    pub snapshot_failures: u64,
    /// Damaged bytes put aside.
    pub quarantined_bytes: u64,
    /// How often the log became full.
    pub full_episodes: u64,
    /// Entries that arrived at a full log and were dropped in this run
    /// (`log.on_full = "drop-newest"`): void, not accepted, and of their source rejected.
    pub dropped_newest: u64,
    /// Accepted entries that some output had not confirmed and that were dropped for newer ones in
    /// this run (`log.on_full = "drop-oldest"`): to that output, lost.
    pub dropped_oldest: u64,
    /// The account holds.
    pub balanced: bool,
}

impl LogReport {
    pub(super) fn new(log: &ingest_wal::Status) -> Self {
        // Watermarks are "one after".
        let synced_lsn = log.synced_end.saturating_sub(1);
        let gone = log.void.saturating_add(log.unwitnessed);
        Self {
            id: log.log_id.to_string(),
            epoch: log.epoch,
            health: log.health.as_str(),
            oldest_lsn: log.oldest,
            next_lsn: log.next,
            synced_lsn,
            written_lsn: log.written_end.saturating_sub(1),
            accepted: log.accepted,
            void: log.void,
            unwitnessed: log.unwitnessed,
            damaged: log.damaged,
            expired: log.expired,
            segments: log.segments,
            used_bytes: log.used_bytes,
            max_bytes: log.limits.max_bytes,
            min_free: log.limits.min_free,
            keep_bytes: log.limits.keep_bytes,
            memory: log.limits.memory,
            memory_available: log.memory_available,
            groups: log.groups,
            records: log.records,
            written_bytes: log.written_bytes,
            syncs: log.syncs,
            sync_seconds: seconds(u128::from(log.sync_nanos)),
            marks: log.marks,
            segments_created: log.segments_created,
            segments_abandoned: log.segments_abandoned,
            segments_removed: log.segments_removed,
            snapshots: log.snapshots,
            snapshot_failures: log.snapshot_failures,
            quarantined_bytes: log.quarantined_bytes,
            full_episodes: log.full_episodes,
            dropped_newest: log.dropped_newest,
            dropped_oldest: log.dropped_oldest,
            balanced: synced_lsn.checked_sub(gone) == Some(log.accepted),
        }
    }
}
