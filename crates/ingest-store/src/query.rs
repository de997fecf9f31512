//! [`Query`]: which entries are asked for.

use ingest_entry::Timestamp;
use ingest_wal::Lsn;

use crate::net::Net;
use ingest_entry::TagPattern;

/// Which entries are asked for, and in which order. The default asks for all, as they arrived.
///
/// All conditions hold at once; of several tags one is enough. Times are compared as instants,
/// however they were spelled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// Tags; empty: any. An entry whose tag number has no name is shown as `#NUMBER`; it matches
    /// patterns that begin with `#`, and no others: not even `*`.
    pub tags: Vec<TagPattern>,
    /// Entries whose own time is this or later.
    pub since: Option<Timestamp>,
    /// Entries whose own time is before this.
    pub until: Option<Timestamp>,
    /// Entries that arrived then or later.
    pub arrived_since: Option<Timestamp>,
    /// Entries from this host or network.
    pub src: Option<Net>,
    /// Entries with these bytes somewhere in their data; empty: any.
    pub contains: Option<Vec<u8>>,
    /// Entries with this log sequence number or a higher one.
    pub from: Option<Lsn>,
    /// Only the last so many in the chosen order; they are still delivered in rising order.
    /// Default: all.
    pub limit: Option<usize>,
    /// The order.
    pub sort: Sort,
}

impl Query {
    /// All entries, as they arrived.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// In which order entries are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sort {
    /// As they arrived: rising log sequence numbers.
    #[default]
    Arrival,
    /// By their own time, those of one time as they arrived.
    Time,
}
