//! The keeper thread: snapshots of the consumers' state, and the removal of what all have passed.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::directory::{self, CURSORS};
use crate::format::{SegmentName, Snapshot};
use crate::fs::{OpenMode, write_all_at};
use crate::shared::{Chore, Counters, Segment, Shared, lock};
use crate::{Lsn, opening};

#[derive(Debug)]
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    chores: Receiver<Chore>,
    sequence: u64,
    /// Whether anybody has said, in this run or a snapshot, who the consumers are. Before that
    /// nothing is passed, and no snapshot may say that there are none.
    consumers_known: bool,
    /// What the last synced snapshot said, so that an unchanged one is not written again.
    written: Option<Snapshot>,
    last: Instant,
}

impl Keeper {
    pub(crate) fn new(
        shared: Arc<Shared>,
        chores: Receiver<Chore>,
        last_sequence: Option<u64>,
    ) -> Self {
        let (sequence, consumers_known) = (last_sequence.unwrap_or(0), last_sequence.is_some());
        let (written, last) = (None, Instant::now());
        Self { shared, chores, sequence, consumers_known, written, last }
    }

    pub(crate) fn run(mut self) {
        let every = self.shared.options.snapshot_every;
        let mut next = None;
        loop {
            let wait = every.saturating_sub(self.last.elapsed());
            match next.take().map_or_else(|| self.chores.recv_timeout(wait), Ok) {
                Ok(Chore::Look) => {
                    // However often it is asked: one look answers them all.
                    next = self.chores.try_iter().find(|chore| !matches!(chore, Chore::Look));
                    self.keep();
                }
                Ok(Chore::Snapshot(done)) => {
                    let result = self.snapshot(true);
                    self.tidy();
                    let _ = done.send(result);
                }
                Ok(Chore::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.keep();
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.last = Instant::now();
                    self.keep();
                }
            }
        }
    }

    fn keep(&mut self) {
        if let Err(error) = self.snapshot(false) {
            tracing::warn!(%error, "Cannot write the consumers' state; the one before it holds.");
        }
        self.tidy();
    }

    /// Writes a snapshot over the older of the two, and syncs it.
    pub(crate) fn snapshot(&mut self, always: bool) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        if let Some(cursors) = shared.catalog.cursors() {
            *lock(&shared.cursors) = cursors;
            self.consumers_known = true;
        }
        if !self.consumers_known {
            return Ok(());
        }
        let snapshot = {
            let missing = lock(&shared.missing);
            Snapshot {
                log_id: shared.log_id,
                sequence: 0,
                synced: shared.synced.end().saturating_sub(1),
                next: shared.written.end(),
                epoch: u32::try_from(shared.epoch.load(Ordering::Acquire)).unwrap_or(u32::MAX),
                void_total: missing.void_total,
                unwitnessed_total: missing.unwitnessed_total,
                damaged_total: missing.damaged_total,
                expired_total: shared.counters.expired.load(Ordering::Relaxed),
                missing: missing.list_from(0),
                recovered: lock(&shared.recovered).clone(),
                cursors: lock(&shared.cursors).clone(),
            }
        };
        if !always && self.written.as_ref() == Some(&snapshot) {
            return Ok(());
        }
        self.sequence += 1;
        let bytes = Snapshot { sequence: self.sequence, ..snapshot.clone() }.encode();
        let written = self.write(&bytes);
        let counter = if written.is_ok() {
            &shared.counters.snapshots
        } else {
            &shared.counters.snapshot_failures
        };
        Counters::add(counter, 1);
        if written.is_ok() {
            self.written = Some(snapshot);
        }
        written
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let at = usize::from(!self.sequence.is_multiple_of(2));
        let name = CURSORS.get(at).copied().unwrap_or("cursor-0");
        let path = self.shared.dir.join(name);
        let file = self.shared.fs.open(&path, OpenMode::Create)?;
        let new = file.is_empty()?;
        write_all_at(&*file, &mut [IoSlice::new(bytes)], 0)?;
        file.set_len(bytes.len() as u64)?;
        file.sync_data()?;
        if new {
            self.shared.fs.sync_dir(&self.shared.dir)?;
        }
        Ok(())
    }

    /// The lowest LSN that some consumer, by the synced snapshot, has not passed.
    fn passed(&self) -> Lsn {
        let synced = self.shared.synced.end();
        self.written.as_ref().map_or(0, |snapshot| {
            let holding = snapshot.cursors.iter().filter(|cursor| !cursor.released);
            holding.map(|cursor| cursor.low).min().unwrap_or(synced).min(synced)
        })
    }

    /// Removes history: what is too old, what is more than is to be kept, and, when room is
    /// short, whatever all have passed, the oldest first.
    fn tidy(&mut self) {
        let shared = Arc::clone(&self.shared);
        match directory::list(&*shared.fs, &shared.dir) {
            Ok(listing) => shared.other_bytes.store(listing.other_bytes, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "Cannot list the log's directory."),
        }
        let passed = self.passed();
        let mut removed = false;
        loop {
            let segments = shared.segments();
            let Some([oldest, next]) = segments.first_chunk::<2>() else { break };
            // The last one is being written; an account says that this one is not.
            let Some(account) = oldest.account() else { break };
            if next.name.first > passed || !self.must_go(&segments, &account, passed) {
                break;
            }
            if let Err(error) = self.remove(oldest.name) {
                tracing::warn!(segment = %oldest.name, %error, "Cannot remove a segment.");
                break;
            }
            // What is missing behind its last entry is still between an output and the next one.
            lock(&shared.missing).forget_below(account.end);
            removed = true;
            Counters::add(&shared.counters.expired, account.entries);
        }
        if removed {
            if let Err(error) = shared.fs.sync_dir(&shared.dir) {
                tracing::warn!(%error, "Cannot sync the log's directory.");
            }
            let _ = shared.room.0.try_send(());
        }
    }

    fn must_go(&self, segments: &[Arc<Segment>], account: &crate::Account, passed: Lsn) -> bool {
        let shared = &self.shared;
        let limits = &shared.limits;
        if account.entries == 0 {
            return true;
        }
        if shared.options.keep_all {
            return false;
        }
        let history: u64 = segments
            .iter()
            .zip(segments.iter().skip(1))
            .take_while(|(_, next)| next.name.first <= passed)
            .map(|(segment, _)| segment.size())
            .sum();
        if history > limits.keep_bytes || limits.keep_bytes == 0 {
            return true;
        }
        if let Some(age) = shared.options.keep_age {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let horizon = i64::try_from(now.saturating_sub(age).as_nanos()).unwrap_or(i64::MAX);
            if account.max_arrival < horizon {
                return true;
            }
        }
        // Room for the rest of this segment, the next one, and what waits to be written.
        let ahead = limits.reserve() + 2 * limits.segment_bytes();
        let short_of_limit = shared.used_bytes().saturating_add(ahead) >= limits.max_bytes;
        let short_of_space = shared
            .fs
            .space(&shared.dir)
            .is_ok_and(|space| space.available <= limits.min_free.saturating_add(ahead));
        short_of_limit || short_of_space
    }

    /// Removes a segment and its companions.
    fn remove(&self, name: SegmentName) -> io::Result<()> {
        let shared = &self.shared;
        shared.remove_segment(name);
        shared.fs.remove(&shared.dir.join(name.file_name()))?;
        for entry in shared.fs.list(&shared.dir)? {
            if let Some((of, ending)) = SegmentName::split(&entry.name)
                && of == name
                && ending != "log"
            {
                shared.fs.remove(&shared.dir.join(entry.name))?;
            }
        }
        lock(&shared.recovered).retain(|recovered| recovered.name != name);
        Counters::add(&shared.counters.segments_removed, 1);
        tracing::debug!(segment = %name, "Removed a segment that every output had passed.");
        Ok(())
    }

    /// Removes segments without entries that an opening has replaced.
    pub(crate) fn remove_empty(&self, names: &[SegmentName]) {
        for &name in names {
            if let Err(error) = self.remove(name) {
                tracing::warn!(segment = %name, %error, "Cannot remove an empty segment.");
            }
        }
    }
}

/// Makes the LOCK file say who holds the directory and that everything below `next` is settled.
pub(crate) fn hold(shared: &Shared, next: Lsn) -> io::Result<()> {
    opening::write_lock(&*shared.lock_file, shared.log_id, next.saturating_sub(1))
}
