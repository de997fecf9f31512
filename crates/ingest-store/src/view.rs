//! What a reader may see of a directory at one moment.

use std::io;

use ingest_wal::{Directory, Lsn, OfflineSegment};

/// The segments, and how far they may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// In the order of the log.
    pub(crate) segments: Vec<OfflineSegment>,
    /// While a process holds the log: the LSN below which all is durable. `None`: nobody writes,
    /// and everything valid counts.
    pub(crate) synced: Option<Lsn>,
}

impl View {
    /// Looks at the directory.
    ///
    /// Two orders matter. What is synced is in a segment that exists, so those are listed after
    /// the synced LSN is read. And if nobody holds the log after the listing, nobody will write to
    /// what was listed: whoever opens it begins a new segment.
    pub(crate) fn take(dir: &Directory) -> io::Result<Self> {
        loop {
            let synced = dir.synced_end()?;
            let segments = dir.segments()?;
            if synced.is_some() || dir.synced_end()?.is_none() {
                return Ok(Self { segments, synced });
            }
        }
    }

    /// Entries at or above this are not shown.
    pub(crate) fn end(&self) -> Lsn {
        self.synced.unwrap_or(Lsn::MAX)
    }
}
