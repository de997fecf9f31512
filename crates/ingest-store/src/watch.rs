//! How far a search is, for whoever waits for it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ingest_wal::OfflineSegment;

/// How far a search in order of arrival without a limit is, in bytes of segments; other searches
/// do not move it. Shared with [`Store::watched`](crate::Store::watched), and read from any thread.
#[derive(Debug, Default)]
pub struct Watch {
    done: AtomicU64,
    total: AtomicU64,
}

impl Watch {
    /// Nothing has begun yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that lie behind the search, those that it could leave out included.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Bytes of all segments that it goes through; 0 before it has begun.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// The side of the search.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    watch: Option<Arc<Watch>>,
    /// Bytes of the segments before the one at hand, and of that one.
    before: u64,
    len: u64,
}

impl Watching {
    pub(crate) fn new(watch: Option<Arc<Watch>>, segments: &[OfflineSegment]) -> Self {
        if let Some(watch) = &watch {
            let total = segments.iter().map(|segment| segment.len).sum();
            watch.total.store(total, Ordering::Relaxed);
        }
        Self { watch, before: 0, len: 0 }
    }

    fn set(&self, done: u64) {
        if let Some(watch) = &self.watch {
            watch.done.store(done, Ordering::Relaxed);
        }
    }

    /// The next segment begins.
    pub(crate) fn segment(&mut self, segment: &OfflineSegment) {
        self.before += self.len;
        self.len = segment.len;
        self.set(self.before);
    }

    /// A part of it begins.
    pub(crate) fn part(&self, part: &Range<u64>) {
        self.set(self.before + part.start.min(self.len));
    }

    /// All has been read.
    pub(crate) fn end(&self) {
        self.set(self.before + self.len);
    }
}
