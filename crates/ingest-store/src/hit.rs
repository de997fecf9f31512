//! What a search and a follow hand out.

use std::ops::ControlFlow;

use ingest_entry::{EntryRef, Timestamp};
use ingest_wal::Lsn;

/// An entry that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hit<'a> {
    /// Its log sequence number, which is its identity in this directory.
    pub lsn: Lsn,
    /// When it arrived.
    pub arrived: Timestamp,
    /// The entry. Its tag is a number of the log's own.
    pub entry: EntryRef<'a>,
    /// The name of its tag; `#NUMBER` if the log does not say.
    pub tag_name: &'a str,
    /// The name of the configured source that took it in, if the log says.
    pub source_name: Option<&'a str>,
}

/// Takes hits one by one, and says when it wants no more.
pub type Sink<'s> = dyn FnMut(Hit<'_>) -> ControlFlow<()> + 's;

/// What a search did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Entries delivered.
    pub hits: u64,
    /// Bytes of records that were read and checked; those read twice count twice.
    pub scanned_bytes: u64,
    /// Bytes that hold no valid record where one was expected. What stands behind the last record
    /// of a segment that has no end yet is not counted.
    pub damaged_bytes: u64,
    /// Entries inside valid records that could not be decoded.
    pub undecodable: u64,
    /// Looks at segments with a valid sidecar; in order of time there may be several a segment.
    pub indexed_segments: u64,
    /// Looks at segments without one.
    pub unindexed_segments: u64,
    /// Segments that retention removed meanwhile.
    pub expired_segments: u64,
    /// Blocks that sidecars ruled out in these looks.
    pub pruned_blocks: u64,
    /// Where a [`Follow`](crate::Follow) takes over without a gap: every visible entry has a lower
    /// log sequence number.
    pub next: Lsn,
}
