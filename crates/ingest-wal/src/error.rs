//! Errors of opening, writing and reading.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a log could not be opened. Content is never the reason, with one exception: a format that
/// this version does not know.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process holds the directory.
    #[error("{} is in use by {}", dir.display(), holder(*pid))]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// Its holder, when the LOCK file says so.
        pid: Option<u32>,
    },
    /// A segment of a later format: nothing was touched.
    #[error(
        "{} is of log format {format}; this version reads format {known}: \
         open it with the version that wrote it, or a later one",
        path.display()
    )]
    UnknownFormat {
        /// The segment.
        path: PathBuf,
        /// Its format.
        format: u16,
        /// The newest format that this version reads.
        known: u16,
    },
    /// The limits can never be met.
    #[error("{0}")]
    Limits(#[from] LimitsError),
    /// The operating system refused.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl OpenError {
    pub(crate) fn io(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// Limits with which the log cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// `max_bytes` is below the smallest log.
    #[error("max_bytes is {found} bytes; a log needs at least {needed}")]
    MaxBytes {
        /// What is configured.
        found: u64,
        /// What is needed.
        needed: u64,
    },
    /// The file system is too small for the limits.
    #[error(
        "the file system of {} has {found} bytes; max_bytes {max_bytes} and min_free {min_free} \
         need {needed}",
        dir.display()
    )]
    FileSystem {
        /// The log's directory.
        dir: PathBuf,
        /// All bytes of the file system.
        found: u64,
        /// `max_bytes` and `min_free` together.
        needed: u64,
        /// The limit of the directory.
        max_bytes: u64,
        /// What must stay free.
        min_free: u64,
    },
    /// More history is to be kept than the log may hold.
    #[error("keep bytes is {keep} bytes; it can be at most max_bytes, {max_bytes}")]
    Keep {
        /// What is configured.
        keep: u64,
        /// The limit of the directory.
        max_bytes: u64,
    },
}

/// Why a record was not taken, or why waiting for it ended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedError {
    /// The log is closed or closing.
    #[error("the log is closed")]
    Closed,
    /// Writing failed and a new segment could not be begun either; it is tried again.
    #[error("the log has failed: {0}")]
    Failed(Arc<io::Error>),
    /// The log was full, and by [`OnFull::DropNewest`](crate::OnFull::DropNewest) the record was
    /// dropped, or one of those that were waited for with it.
    #[error("the log is full: dropped")]
    Dropped,
    /// The record is larger than the log's limits allow.
    #[error("a record of {found} bytes; at most {limit} fit the log's limits")]
    TooLarge {
        /// Bytes of the body.
        found: u64,
        /// The largest body.
        limit: u64,
    },
}

impl PartialEq for RefusedError {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Closed, Self::Closed) | (Self::Dropped, Self::Dropped) => true,
            (Self::Failed(a), Self::Failed(b)) => a.kind() == b.kind(),
            (Self::TooLarge { found: a, .. }, Self::TooLarge { found: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl Eq for RefusedError {}
