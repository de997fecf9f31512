//! A crash-safe, append-only log in one directory: at the same time a durable queue to any number
//! of consumers and the store kept from it.
//!
//! * What counts as written at [`Level::Disk`] is covered by an fsync. Writers share syncs (group
//!   commit, no timers); a single writer waits for one.
//! * An entry is its LSN ([`Lsn`]): from 1, rising, never given to two acknowledged entries.
//! * Opening never fails because of content. A damaged byte costs at most one record, and the
//!   counters say how many entries that was.
//! * Everything has a limit: memory in flight ([`Permits`]), the directory, what stays free.
//!
//! What an entry is, is its user's business: records have a count and an opaque body. Names,
//! counts and consumers' state come through a [`Catalog`].
//!
//! ```
//! use std::sync::Arc;
//! use bytes::Bytes;
//! use ingest_wal::{Entries, Item, Level, Log, NoCatalog, Options};
//!
//! let dir = tempfile::tempdir()?;
//! let log = Log::open(dir.path(), Options::default(), Arc::new(NoCatalog))?;
//! let writer = log.writer();
//! let body = Bytes::from_static(b"hello");
//! let permit = writer.permits().acquire_blocking(body.len() as u64);
//! let ticket = writer.append(Entries {
//!     count: 1,
//!     source: 0,
//!     arrival: 0,
//!     body,
//!     level: Level::Disk,
//!     tally: Default::default(),
//!     permits: vec![permit],
//! })?;
//! writer.done(&ticket).wait()?; // or `.await`
//!
//! let mut reader = log.reader(1);
//! let Some(Item::Record(record)) = reader.next_item()? else { panic!("it is durable, so it is there") };
//! assert_eq!(&record.body[..], b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The format is described in `docs/log-format.md`. No tokio here: futures are plain
//! [`std::future::Future`]s, and each has a blocking form.

mod active;
mod again;
#[cfg(not(all(loom, test)))]
mod block_on;
mod catalog;
mod commit;
mod cooling;
mod directory;
mod error;
mod finding;
mod format;
mod fs;
mod hold;
mod inspect;
mod intake;
mod keeper;
mod lane;
mod log;
#[cfg(all(loom, test))]
mod loom;
mod missing;
mod offline;
mod opening;
mod options;
mod pace;
mod permits;
mod picture;
mod plant;
mod progress;
mod quarantine;
mod ranges;
mod reader;
mod reuse;
mod scan;
mod shared;
mod spare;
mod status;
mod sync;
mod tail;
mod ticket;
mod turns;
mod verify;

pub use catalog::{Catalog, NoCatalog, Tally};
pub use commit::Unwritten;
pub use error::{LimitsError, OpenError, RefusedError};
pub use finding::{Finding, FindingKind, Observer, Verified};
pub use format::{Account, Cursor, Kind, Missing, MissingCause, RecordHeader, SegmentName};
#[cfg(feature = "plants")]
pub use fs::PowerCut;
pub use fs::{DirEntry, File, FileSystem, LockState, OpenMode, Space, StdFileSystem};
pub use hold::{CheckedOpening, Hold};
pub use inspect::{
    Holder, Inspection, SegmentHead, SegmentInfo, SegmentState, SnapshotInfo, SnapshotState,
};
pub use lane::AllReached;
pub use log::{Entries, Level, Log, Writer};
pub use offline::{Directory, OfflineSegment, RecordRef, Records, SegmentFile};
pub use options::{Limits, OnFull, Options};
pub use permits::{Acquire, Permit, Permits};
pub use plant::Plant;
pub use progress::Reached;
pub use ranges::RangeSet;
pub use reader::{Item, Reader};
pub use status::{Health, Recovery, Status};
pub use tail::{Onlooker, Record};
pub use ticket::Ticket;

/// Log sequence number: the identity of an entry within a directory.
pub type Lsn = u64;

/// Identity of a log directory: 16 random bytes, the same in all its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(pub [u8; 16]);

impl LogId {
    fn random() -> std::io::Result<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(std::io::Error::other)?;
        Ok(Self(id))
    }
}

impl std::fmt::Display for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The examples of the README are tested with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
