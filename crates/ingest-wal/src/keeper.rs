//! The keeper thread: snapshots of the consumers' state, and the removal of what all have passed.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::cooling::Cooling;
use crate::directory;
use crate::format::{SegmentName, Snapshot};
use crate::fs::{OpenMode, write_all_at};
use crate::missing::Totals;
use crate::options::OnFull;
use crate::shared::{Chore, Counters, Segment, Shared, lock};
use crate::status::Health;
use crate::{Lsn, MissingCause, RangeSet, opening, spare};

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
    /// Totals of the one before it, which is in the other file.
    before: Option<Totals>,
    /// Whether this run has made the name of each file durable.
    named: [bool; 2],
    /// A segment's name is gone, and no sync of the directory covers that yet.
    names_unsynced: bool,
    /// What the system need not keep in memory.
    cooling: Cooling,
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
        let cooling = Cooling::new(&shared.segments());
        Self {
            shared,
            chores,
            sequence,
            consumers_known,
            written,
            before: None,
            named: [false; 2],
            names_unsynced: false,
            cooling,
            last,
        }
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
        self.cooling.look(&self.shared);
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
        if self.names_unsynced {
            // It knows no more what was missing there: should the segment come back with a power cut,
            // that would be counted again.
            self.sync_names()?;
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
        // One that failed is written again to the same file: the other one is the newest that is
        // whole.
        let sequence = self.sequence + 1;
        let bytes = Snapshot { sequence, ..snapshot.clone() }.encode();
        let written = self.write(sequence, &bytes);
        let counter = if written.is_ok() {
            &shared.counters.snapshots
        } else {
            &shared.counters.snapshot_failures
        };
        Counters::add(counter, 1);
        if written.is_ok() {
            self.sequence = sequence;
            self.before = self.written.replace(snapshot).as_ref().map(Totals::of);
        }
        written
    }

    fn write(&mut self, sequence: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::from(!sequence.is_multiple_of(2));
        let path = self.shared.dir.join(directory::cursor_file(sequence));
        let file = self.shared.fs.open(&path, OpenMode::Create)?;
        write_all_at(&*file, &mut [IoSlice::new(bytes)], 0)?;
        file.set_len(bytes.len() as u64)?;
        file.sync_data()?;
        // It may be new, or be left by a run that made it and came no further.
        if let Some(named) = self.named.get_mut(at).filter(|named| !**named) {
            self.shared.fs.sync_dir(&self.shared.dir)?;
            *named = true;
        }
        Ok(())
    }

    /// Whether both files count the same LSNs as missing; if not, writes one of them again. What is
    /// counted in one of them alone must not lose the segment that it was found in.
    fn counted_twice(&mut self) -> bool {
        let same = |keeper: &Self| keeper.before == keeper.written.as_ref().map(Totals::of);
        if same(self) {
            return true;
        }
        if let Err(error) = self.snapshot(true) {
            tracing::warn!(%error, "Cannot write the consumers' state: no segment is removed.");
        }
        same(self)
    }

    /// The lowest LSN that some consumer, by the synced snapshot, has not passed.
    fn passed(&self) -> Lsn {
        let synced = self.shared.synced.end();
        self.written.as_ref().map_or(0, |snapshot| {
            let holding = snapshot.cursors.iter().filter(|cursor| !cursor.released);
            holding.map(|cursor| cursor.low).min().unwrap_or(synced).min(synced)
        })
    }

    /// Gives history up: what is too old, what is more than is to be kept, and, when room is
    /// short, whatever all have passed, the oldest first. Files are kept to be used again as long
    /// as the file system has room for them.
    fn tidy(&mut self) {
        let shared = Arc::clone(&self.shared);
        self.count_others();
        let mut changed = false;
        // What holds nothing goes before what holds history.
        while self.space_is_short() && shared.give_back_spare() {
            changed = true;
        }
        let passed = self.passed();
        // What was said to be dropped stays so as long as it is there: after a kill between the two.
        lock(&shared.missing).forget_dropped_below(passed.min(shared.oldest()));
        loop {
            // One after the other, whatever the file system makes durable first: what lies between two
            // that are there is not taken for what was passed.
            if self.names_unsynced
                && let Err(error) = self.sync_names()
            {
                tracing::warn!(%error, "Cannot sync the log's directory.");
                break;
            }
            let segments = shared.segments();
            let Some([oldest, next]) = segments.first_chunk::<2>() else { break };
            // The last one is being written; an account says that this one is not.
            let Some(account) = oldest.account() else { break };
            if next.name.first > passed || !self.must_go(&segments, &account, passed) {
                break;
            }
            if !self.counted_twice() {
                break;
            }
            if let Err(error) = self.retire(oldest) {
                tracing::warn!(segment = %oldest.name, %error, "Cannot remove a segment.");
                break;
            }
            self.names_unsynced = true;
            // What is missing behind its last entry is still between an output and the next one.
            let dropped = {
                let mut missing = lock(&shared.missing);
                missing.forget_below(account.end);
                missing.total_in(&(account.start..account.end), MissingCause::Dropped)
            };
            changed = true;
            Counters::add(&shared.counters.expired, account.entries.saturating_sub(dropped));
        }
        // A writer that waits, though all that may go is gone, needs room of another shape: for
        // one large record, say.
        if !changed && shared.health() == Health::Full {
            changed = shared.give_back_spare() || self.drop_oldest();
        }
        if changed || self.names_unsynced || lock(&shared.spares).unsettled() {
            if let Err(error) = self.sync_names() {
                tracing::warn!(%error, "Cannot sync the log's directory.");
            }
            let _ = shared.room.0.try_send(());
        }
    }

    /// Gives the oldest segment up though not everybody has passed it, if the options say so; says
    /// whether there was one. What somebody had not passed is counted.
    fn drop_oldest(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let segments = shared.segments();
        let Some([oldest, _]) = segments.first_chunk::<2>() else { return false };
        let Some(account) = oldest.account() else { return false };
        if shared.options.on_full != OnFull::DropOldest {
            return false;
        }
        let range = account.start..account.end;
        let unpassed = self.unpassed(&range);
        let lost = {
            let mut missing = lock(&shared.missing);
            for part in unpassed.as_slice() {
                missing.count(part.clone(), MissingCause::Dropped);
            }
            // With what was said before, and did not come to be done.
            missing.total_in(&range, MissingCause::Dropped)
        };
        if lost > 0 {
            shared.tail.forget_below(range.end);
        }
        // Consumers meet the gap with its cause, after a kill too, and whichever file is lost.
        let told = if lost > 0 { 2 } else { 0 };
        if let Err(error) = (0..told).try_for_each(|_| self.snapshot(true)) {
            tracing::warn!(%error, "Nothing is dropped: that could not be written down.");
            return false;
        }
        if let Err(error) = self.retire(oldest) {
            tracing::warn!(segment = %oldest.name, %error, "Cannot remove a segment.");
            return false;
        }
        self.names_unsynced = true;
        lock(&shared.missing).forget_below(account.end);
        Counters::add(&shared.counters.expired, account.entries.saturating_sub(lost));
        Counters::add(&shared.counters.dropped_oldest, lost);
        if lost > 0 {
            tracing::error!(
                segment = %oldest.name, entries = lost,
                "The log is full: entries that were accepted are dropped for newer ones."
            );
        }
        true
    }

    /// What of a range some consumer, by the synced snapshot, has not passed.
    fn unpassed(&self, range: &Range<Lsn>) -> RangeSet {
        let Some(snapshot) = &self.written else { return std::iter::once(range.clone()).collect() };
        let holding = snapshot.cursors.iter().filter(|cursor| !cursor.released);
        let left = holding.flat_map(|cursor| {
            let from = range.start.max(cursor.low).min(range.end);
            let above: RangeSet = cursor.above.iter().cloned().collect();
            above.gaps_in(&(from..range.end))
        });
        left.collect()
    }

    /// Looks how many bytes there are beside the segments and spare files that are known.
    fn count_others(&self) {
        let shared = &self.shared;
        // As they were before: one that is listed may be a segment by now, but none is new.
        let known = lock(&shared.spares).numbers();
        match directory::list(&*shared.fs, &shared.dir) {
            Ok(listing) => {
                let unknown = |name: &str| spare::number(name).is_none_or(|n| !known.contains(&n));
                let left = listing.spares.iter().filter(|(name, _)| unknown(name));
                let left: u64 = left.map(|(_, len)| len).sum();
                let others = listing.other_bytes.saturating_add(left);
                shared.other_bytes.store(others, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(%error, "Cannot list the log's directory."),
        }
    }

    /// Makes renames and removals durable. Only then a spare file may be written.
    fn sync_names(&mut self) -> io::Result<()> {
        let shared = &self.shared;
        let synced = shared.fs.sync_dir(&shared.dir);
        self.names_unsynced &= synced.is_err();
        if synced.is_ok() {
            lock(&shared.spares).settle();
        } else {
            // Nobody knows by which name they would be found: they are of no use.
            loop {
                let unsettled = lock(&shared.spares).unsettled();
                if !unsettled || !shared.give_back_spare() {
                    break;
                }
            }
        }
        synced
    }

    /// Room for the rest of this segment, the next one, and what waits to be written.
    fn ahead(&self) -> u64 {
        self.shared.limits.reserve() + 2 * self.shared.limits.segment_bytes()
    }

    /// Whether the file system has less than the log may soon want.
    fn space_is_short(&self) -> bool {
        let shared = &self.shared;
        let wanted = shared.limits.min_free.saturating_add(self.ahead());
        shared.fs.space(&shared.dir).is_ok_and(|space| space.available <= wanted)
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
        // Spare files are room for the next segments.
        let waiting = lock(&shared.spares).waiting_bytes();
        let used = shared.used_bytes().saturating_sub(waiting);
        used.saturating_add(self.ahead()) >= limits.max_bytes || self.space_is_short()
    }

    /// Takes a segment out of the log: its file is kept to be used again if that makes sense, else
    /// removed. Its companions go.
    fn retire(&self, segment: &Segment) -> io::Result<()> {
        let shared = &self.shared;
        let fits = spare::fits(segment.size(), shared.limits.segment_bytes());
        let keep = fits && !self.space_is_short();
        let vacant = lock(&shared.spares).vacant().filter(|_| keep);
        let Some(n) = vacant else { return self.remove(segment.name) };
        // Readers look here before they look at the file. Its bytes count all the time.
        {
            let mut spares = lock(&shared.spares);
            spares.renamed(n, segment.size());
            shared.remove_segment(segment.name);
        }
        let path = shared.dir.join(segment.name.file_name());
        if let Err(error) = shared.fs.rename(&path, &shared.spare_path(n)) {
            tracing::warn!(segment = %segment.name, %error, "Cannot keep a file to use it again.");
            let removed = self.remove(segment.name);
            lock(&shared.spares).forget(n);
            return removed;
        }
        self.forget(segment.name);
        Counters::add(&shared.counters.segments_recycled, 1);
        tracing::debug!(segment = %segment.name, n, "Kept the file of a passed segment.");
        Ok(())
    }

    /// Removes a segment and its companions.
    fn remove(&self, name: SegmentName) -> io::Result<()> {
        let shared = &self.shared;
        let size = {
            let mut spares = lock(&shared.spares);
            let size = shared.remove_segment(name);
            spares.going += size;
            size
        };
        let removed = shared.fs.remove(&shared.dir.join(name.file_name()));
        lock(&shared.spares).going -= size;
        removed?;
        self.forget(name);
        Counters::add(&shared.counters.segments_removed, 1);
        tracing::debug!(segment = %name, "Removed a segment that every output had passed.");
        Ok(())
    }

    /// Removes what stood beside a segment that is none any more.
    fn forget(&self, name: SegmentName) {
        let shared = &self.shared;
        lock(&shared.recovered).retain(|recovered| recovered.name != name);
        let companion = |file: &str| {
            SegmentName::split(file).is_some_and(|(of, ending)| of == name && ending != "log")
        };
        let removed = shared.fs.list(&shared.dir).and_then(|files| {
            let mut companions = files.iter().filter(|file| companion(&file.name));
            companions.try_for_each(|file| shared.fs.remove(&shared.dir.join(&file.name)))
        });
        if let Err(error) = removed {
            tracing::warn!(segment = %name, %error, "Cannot remove what stood beside a segment.");
        }
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
