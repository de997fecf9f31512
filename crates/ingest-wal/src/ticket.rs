//! What whoever hands records over has in hand until they are durable.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::lane::Lane;
use crate::sync::AtomicU64;
use crate::{Level, Lsn};

/// Where a record stands in the log, once it is known.
#[derive(Debug)]
pub(crate) struct Place {
    /// LSN of its first entry; 0: it has none yet.
    first: AtomicU64,
    count: u16,
}

impl Place {
    pub(crate) fn new(count: u16) -> Self {
        Self { first: AtomicU64::new(0), count }
    }

    pub(crate) fn set(&self, first: Lsn) {
        self.first.store(first, Ordering::Release);
    }

    fn lsns(&self) -> Option<Range<Lsn>> {
        let first = self.first.load(Ordering::Acquire);
        (first > 0).then(|| first..first.saturating_add(u64::from(self.count)))
    }
}

/// A record that was handed over, or several of one source: to wait for
/// ([`Writer::done`](crate::Writer::done)), and to ask where they stand.
#[derive(Clone, Debug)]
#[must_use = "a record that was handed over is not durable yet"]
pub struct Ticket {
    lane: Arc<Lane>,
    /// Its entries among those of its source.
    entries: Range<u64>,
    level: Level,
    first: Arc<Place>,
    last: Arc<Place>,
}

impl Ticket {
    pub(crate) fn new(
        lane: Arc<Lane>,
        entries: Range<u64>,
        level: Level,
        place: Arc<Place>,
    ) -> Self {
        Self { lane, entries, level, first: Arc::clone(&place), last: place }
    }

    /// This record and all of its source up to a later one: done when all of them are, by the level
    /// of the later one. Records of different sources have no order among them; then it is the later
    /// one alone.
    pub fn through(self, later: Self) -> Self {
        if !Arc::ptr_eq(&self.lane, &later.lane) {
            return later;
        }
        let entries = self.entries.start..later.entries.end;
        Self { entries, first: self.first, ..later }
    }

    /// When it counts as done.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// From the LSN of its first entry to the one after its last. Between them may be entries of
    /// other sources, if it stands for several records. `None` while the log has not come to them:
    /// what is done at [`Level::Os`] or [`Level::Disk`] has its LSNs.
    #[must_use]
    pub fn lsns(&self) -> Option<Range<Lsn>> {
        Some(self.first.lsns()?.start..self.last.lsns()?.end)
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.lane
    }

    pub(crate) fn entries(&self) -> Range<u64> {
        self.entries.clone()
    }
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        let same = Arc::ptr_eq(&self.lane, &other.lane);
        same && self.entries == other.entries && self.level == other.level
    }
}

impl Eq for Ticket {}
