//! What the log's threads, its producers and its readers share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crossbeam_channel::{Receiver, Sender};

use crate::catalog::Catalog;
use crate::error::RefusedError;
use crate::format::{Account, Recovered, SegmentName};
use crate::fs::{File, FileSystem};
use crate::lane::Lanes;
use crate::missing::MissingTable;
use crate::options::{Limits, Options};
use crate::progress::Progress;
use crate::spare::Spares;
use crate::status::Health;
use crate::tail::Tail;
use crate::{Cursor, LogId, Lsn, Permits};

/// A segment of a running log.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    /// Offset of the first record.
    pub(crate) records_at: u64,
    /// Bytes that are durable and may be read.
    committed: AtomicU64,
    /// Bytes of the file as far as they were written.
    size: AtomicU64,
    /// Set once no record will be added; without summary and definitions, which stay on disk.
    account: Mutex<Option<Account>>,
}

impl Segment {
    pub(crate) fn new(name: SegmentName, records_at: u64, committed: u64, size: u64) -> Self {
        Self {
            name,
            records_at,
            committed: AtomicU64::new(committed),
            size: AtomicU64::new(size),
            account: Mutex::new(None),
        }
    }

    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    pub(crate) fn commit(&self, bytes: u64) {
        self.committed.store(bytes, Ordering::Release);
    }

    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    pub(crate) fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
    }

    /// Nothing is added from now on.
    pub(crate) fn finish(&self, account: &Account) {
        let slim = Account { definitions: Vec::new(), summary: Vec::new(), ..account.clone() };
        *lock(&self.account) = Some(slim);
    }

    pub(crate) fn is_finished(&self) -> bool {
        lock(&self.account).is_some()
    }

    pub(crate) fn account(&self) -> Option<Account> {
        lock(&self.account).clone()
    }
}

/// Takes a mutex whether or not another thread died with it: everything behind these is valid
/// after each statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Work for the keeper.
#[derive(Debug)]
pub(crate) enum Chore {
    /// Room is wanted, or sizes have changed.
    Look,
    /// Write a snapshot now and say how that went.
    Snapshot(Sender<std::io::Result<()>>),
    /// Write the last snapshot and end.
    Stop,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) options: Options,
    pub(crate) limits: Limits,
    pub(crate) log_id: LogId,
    pub(crate) lock_file: Arc<dyn File>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) permits: Permits,
    pub(crate) written: Arc<Progress>,
    pub(crate) synced: Arc<Progress>,
    /// The same two, source by source, for those who hand over.
    pub(crate) lanes: Lanes,
    /// What readers may see: what is synced, and the same object (but for a planted bug).
    pub(crate) shown: Arc<Progress>,
    pub(crate) tail: Tail,
    pub(crate) missing: Mutex<MissingTable>,
    pub(crate) recovered: Mutex<Vec<Recovered>>,
    /// Consumers' state as last kept or loaded.
    pub(crate) cursors: Mutex<Vec<Cursor>>,
    /// Locked before `segments` where both are.
    pub(crate) spares: Mutex<Spares>,
    /// In the order of the log.
    pub(crate) segments: RwLock<Vec<Arc<Segment>>>,
    pub(crate) epoch: AtomicU64,
    /// Bytes of all that is neither segment nor spare file: companions, cursors, LOCK.
    pub(crate) other_bytes: AtomicU64,
    pub(crate) health: AtomicU8,
    /// Several sources hand something over these days.
    pub(crate) several: AtomicBool,
    pub(crate) chores: Sender<Chore>,
    /// Rung by the keeper when there may be room.
    pub(crate) room: (Sender<()>, Receiver<()>),
    /// Entries that were dropped when they arrived, by the number of their source.
    pub(crate) dropped_by_source: Mutex<BTreeMap<u16, u64>>,
    pub(crate) counters: Counters,
}

/// Counters of this run, but for `expired`, which goes on from the newest snapshot.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) groups: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) written_bytes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_nanos: AtomicU64,
    pub(crate) marks: AtomicU64,
    pub(crate) segments_created: AtomicU64,
    pub(crate) segments_abandoned: AtomicU64,
    pub(crate) segments_removed: AtomicU64,
    pub(crate) segments_recycled: AtomicU64,
    pub(crate) spares_used: AtomicU64,
    pub(crate) snapshots: AtomicU64,
    pub(crate) snapshot_failures: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) quarantined_bytes: AtomicU64,
    pub(crate) full_episodes: AtomicU64,
    pub(crate) dropped_newest: AtomicU64,
    pub(crate) dropped_oldest: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

impl Shared {
    pub(crate) fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add_segment(&self, segment: Arc<Segment>) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(segment);
    }

    /// Takes a segment out of the list; says how long its file is.
    pub(crate) fn remove_segment(&self, name: SegmentName) -> u64 {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let at = segments.iter().position(|segment| segment.name == name);
        at.map_or(0, |at| segments.remove(at).size())
    }

    /// The segment in whose domain `lsn` lies, and where that domain ends.
    pub(crate) fn segment_of(&self, lsn: Lsn) -> Option<(Arc<Segment>, Lsn)> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let after = segments.partition_point(|segment| segment.name.first <= lsn);
        let segment = segments.get(after.checked_sub(1)?)?;
        let end = segments.get(after).map_or(Lsn::MAX, |next| next.name.first);
        Some((Arc::clone(segment), end))
    }

    /// First LSN that the directory may still hold.
    pub(crate) fn oldest(&self) -> Lsn {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.first().map_or_else(|| self.synced.end(), |segment| segment.name.first)
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        let spares = lock(&self.spares);
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let bytes: u64 = segments.iter().map(|segment| segment.size()).sum();
        bytes + spares.bytes() + spares.going + self.other_bytes.load(Ordering::Relaxed)
    }

    /// From now on waiting fails with this error (`None`: it works again).
    pub(crate) fn refuse(&self, refused: Option<&RefusedError>) {
        self.synced.refuse(refused.cloned());
        self.written.refuse(refused.cloned());
        self.lanes.refuse(refused);
    }

    pub(crate) fn health(&self) -> Health {
        Health::from_code(self.health.load(Ordering::Acquire))
    }

    pub(crate) fn set_health(&self, health: Health) -> bool {
        self.health.swap(health.code(), Ordering::AcqRel) != health.code()
    }
}
