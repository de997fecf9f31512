//! The log as its user has it.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Sender, bounded, unbounded};

use crate::catalog::{Catalog, Tally};
use crate::commit::{Committer, Message, Owner, Submission, Unwritten, is_no_room};
use crate::error::{OpenError, RefusedError};
use crate::fs::FileSystem;
use crate::hold;
use crate::intake::Intake;
use crate::keeper::{self, Keeper};
use crate::lane::{AllReached, Lanes};
use crate::missing::MissingTable;
use crate::opening;
use crate::options::{Limits, Options};
use crate::plant::Plant;
use crate::progress::{Progress, Reached};
use crate::reader::Reader;
use crate::shared::{Chore, Counters, Shared, lock};
use crate::status::{Health, Recovery, Status};
use crate::tail::Tail;
use crate::ticket::{Place, Ticket};
use crate::{Cursor, Kind, LogId, Lsn, Missing, MissingCause, Permit, Permits};

/// When a write counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Handed over: lost by a kill.
    Memory,
    /// Written: survives a kill, not a power cut; synced within 200 ms.
    Os,
    /// A sync covers it.
    #[default]
    Disk,
}

/// Entries of one source, encoded, ready for the log.
#[derive(Debug)]
pub struct Entries {
    /// How many; at least 1.
    pub count: u16,
    /// Number of the configured source.
    pub source: u16,
    /// When they arrived, nanoseconds since the Unix epoch.
    pub arrival: i64,
    /// Their bytes.
    pub body: Bytes,
    /// When the write counts as done.
    pub level: Level,
    /// Counts by the user's numbers, for the seal of the segment.
    pub tally: Tally,
    /// Held until the entries are durable.
    pub permits: Vec<Permit>,
}

/// A handle for producers; clones write to the same log.
#[derive(Clone, Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    intake: Arc<Intake<Sender<Message>>>,
}

impl Writer {
    /// Hands entries over. Never blocks: memory is bounded by the permits taken before.
    ///
    /// What was handed over may be written even when waiting for it ends in an error, or is given
    /// up.
    ///
    /// # Errors
    /// [`RefusedError`] when the log is closed, has failed, or could never hold the record.
    pub fn append(&self, entries: Entries) -> Result<Ticket, RefusedError> {
        let limit = self.shared.limits.max_record();
        let found = entries.body.len() as u64;
        if found > limit {
            return Err(RefusedError::TooLarge { found, limit });
        }
        let body_crc = crc32c::crc32c(&entries.body);
        self.works()?;
        let (level, count) = (entries.level, entries.count);
        let lane = self.shared.lanes.of(entries.source);
        let place = Arc::new(Place::new(count));
        let message = |own: Range<u64>| {
            Message::Append(Submission {
                first: 0,
                count,
                kind: Kind::Entries,
                source: entries.source,
                arrival: entries.arrival,
                body: entries.body,
                body_crc,
                level,
                tally: entries.tally,
                permits: entries.permits,
                owner: Some(Owner {
                    lane: Arc::clone(&lane),
                    entries: own,
                    place: Arc::clone(&place),
                }),
            })
        };
        let own = self.intake.hand_over(&lane, count, message)?;
        Ok(Ticket::new(lane, own, level, place))
    }

    /// Hands definitions over: they stand in the log before every record that is handed over
    /// after this call returns.
    ///
    /// # Errors
    /// As for [`Writer::append`].
    pub fn define(&self, body: Bytes) -> Result<(), RefusedError> {
        let body_crc = crc32c::crc32c(&body);
        self.works()?;
        self.intake.pass(Message::Append(Submission {
            first: 0,
            count: 0,
            kind: Kind::Definitions,
            source: 0,
            arrival: 0,
            body,
            body_crc,
            level: Level::Os,
            tally: Tally::new(),
            permits: Vec::new(),
            owner: None,
        }))
    }

    /// Nothing is handed over to a log that has failed.
    fn works(&self) -> Result<(), RefusedError> {
        let failed = self.shared.health() == Health::Failed;
        failed.then(|| self.shared.synced.refused()).flatten().map_or(Ok(()), Err)
    }

    /// One after the LSNs of all that was handed over so far: these have no gap, and who gets which
    /// of them is seen when the log comes to them. The records of one source stand in the log in
    /// the order in which they were handed over; those of different sources have no order among
    /// them.
    #[must_use]
    pub fn next(&self) -> Lsn {
        self.intake.next()
    }

    /// Waits until a record counts as done by its level.
    pub fn done(&self, ticket: &Ticket) -> Reached {
        let (lane, own) = (ticket.lane(), ticket.entries());
        match ticket.level() {
            Level::Memory => Reached::new(Arc::clone(&lane.written), 0..0),
            Level::Os => Reached::new(Arc::clone(&lane.written), own),
            Level::Disk => Reached::new(Arc::clone(&lane.synced), own),
        }
    }

    /// Waits until a record is written, whatever its level: from then on it has its LSNs.
    pub fn written(&self, ticket: &Ticket) -> Reached {
        Reached::new(Arc::clone(&ticket.lane().written), ticket.entries())
    }

    /// Waits until a record is durable, whatever its level, or was dropped because the log was full
    /// ([`Writer::was_dropped`]).
    pub fn durable(&self, ticket: &Ticket) -> Reached {
        let end = ticket.entries().end;
        Reached::new(Arc::clone(&ticket.lane().synced), end..end)
    }

    /// Whether it is so: durable, or dropped.
    #[must_use]
    pub fn is_durable(&self, ticket: &Ticket) -> bool {
        ticket.lane().synced.end() >= ticket.entries().end
    }

    /// Waits until everything below `end` is durable. With
    /// [`OnFull::DropNewest`](crate::OnFull::DropNewest) that is all below it that was not dropped.
    pub fn synced(&self, end: Lsn) -> Reached {
        Reached::new(Arc::clone(&self.shared.synced), end..end)
    }

    /// Waits until everything is durable that anybody has handed over before this call and that was
    /// not dropped. [`Writer::sync`] has what is of a lower level synced.
    pub fn all_synced(&self) -> AllReached {
        self.shared.lanes.all_synced()
    }

    /// Whether some of a record was dropped, in this run, because the log was full.
    #[must_use]
    pub fn was_dropped(&self, ticket: &Ticket) -> bool {
        ticket.lane().synced.outcome(&ticket.entries()).is_err()
    }

    /// Whether some of these LSNs were dropped, in this run, because the log was full.
    #[must_use]
    pub fn dropped_in(&self, range: Range<Lsn>) -> bool {
        self.shared.synced.outcome(&range).is_err()
    }

    /// Entries of the source of this number that were dropped, in this run, because the log was full
    /// when they arrived ([`OnFull::DropNewest`](crate::OnFull::DropNewest)).
    #[must_use]
    pub fn dropped_of(&self, source: u16) -> u64 {
        lock(&self.shared.dropped_by_source).get(&source).copied().unwrap_or(0)
    }

    /// Everything below is durable.
    #[must_use]
    pub fn synced_end(&self) -> Lsn {
        self.shared.synced.end()
    }

    /// Readers see everything below: what is durable.
    #[must_use]
    pub fn shown_end(&self) -> Lsn {
        self.shared.shown.end()
    }

    /// Waits until readers see everything below `end`.
    pub fn shown(&self, end: Lsn) -> Reached {
        Reached::new(Arc::clone(&self.shared.shown), end..end)
    }

    /// The process-wide budget of bytes in flight.
    #[must_use]
    pub fn permits(&self) -> &Permits {
        &self.shared.permits
    }

    /// Has everything synced that was handed over so far, whatever its level. Does not wait for
    /// that.
    pub fn sync(&self) {
        // A log that is closed is synced, or says what is not.
        let _ = self.intake.pass(Message::Sync);
    }

    /// Tells the log that consumers have moved on: their state is kept soon.
    pub fn look(&self) {
        let _ = self.shared.chores.try_send(Chore::Look);
    }

    /// Whether the log takes records.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// Whether several sources have handed something over in the last second or so: then none of them
    /// should take more of the machine than it leaves to the others.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared.several.load(Ordering::Relaxed)
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }
}

/// An open log. Dropping it ends it in order, without an account; [`Log::close`] gives one.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    writer: Writer,
    recovery: Recovery,
    cursors: Vec<Cursor>,
    threads: Vec<JoinHandle<()>>,
}

impl Log {
    /// Opens the log in `dir`, making both if need be. The directory stays locked for this
    /// process until the log is closed.
    ///
    /// # Errors
    /// [`OpenError`]: in use, limits that cannot work, a later format, or what the operating
    /// system says. Damaged content is no error: see [`Log::recovery`].
    pub fn open(
        dir: &Path,
        options: Options,
        catalog: Arc<dyn Catalog>,
    ) -> Result<Self, OpenError> {
        let fs = Arc::clone(&options.file_system);
        // Limits that cannot work are told before anything is made.
        let ground = hold::ground(&*fs, dir).map_err(OpenError::io("cannot make", dir))?;
        let space = fs.space(&ground).map_err(OpenError::io("cannot measure", dir))?;
        let limits = Limits::resolve(&options, dir, space)?;
        make_dir(&*fs, dir).map_err(OpenError::io("cannot make", dir))?;
        let lock_file = opening::take_lock(&*fs, dir, options.lock_wait)?;
        let plan = opening::plan(&*fs, dir, (&limits, options.keep_all), &*lock_file, &*catalog)?;
        let (chores, chores_inbox) = unbounded();
        let synced = Arc::new(Progress::new(plan.synced_end));
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            fs,
            limits,
            log_id: plan.log_id,
            lock_file,
            catalog,
            permits: Permits::new(limits.memory),
            written: Arc::new(Progress::new(plan.synced_end)),
            shown: shown_progress(&synced),
            synced,
            lanes: Lanes::default(),
            tail: Tail::new(limits.tail_bytes),
            missing: Mutex::new(plan.missing),
            recovered: Mutex::new(plan.recovered),
            cursors: Mutex::new(plan.cursors.clone()),
            spares: Mutex::new(plan.spares),
            segments: std::sync::RwLock::new(plan.segments),
            epoch: AtomicU64::new(u64::from(plan.epoch)),
            other_bytes: AtomicU64::new(plan.other_bytes),
            health: AtomicU8::new(Health::Accepting.code()),
            several: AtomicBool::new(false),
            chores,
            room: bounded(1),
            dropped_by_source: Mutex::default(),
            counters: Counters { expired: plan.expired_total.into(), ..Counters::default() },
            options,
        });
        let (sender, inbox) = unbounded();
        let mut committer =
            Committer::new(Arc::clone(&shared), inbox, plan.next, plan.announce, plan.found_synced);
        let mut keeper = Keeper::new(Arc::clone(&shared), chores_inbox, plan.last_sequence);
        let begun = match committer.begin() {
            Ok(()) => true,
            // A full disk is no reason not to start: what is stored may be on its way out.
            Err(error) if is_no_room(&error) => {
                tracing::warn!(%error, "No room for a new segment yet: what arrives waits.");
                false
            }
            Err(error) => return Err(OpenError::io("cannot write to", dir)(error)),
        };
        if let Err(error) = keeper.snapshot(true) {
            tracing::warn!(%error, "Cannot write the consumers' state at the start.");
        }
        if begun {
            keeper.remove_empty(&plan.empty);
        }
        keeper::hold(&shared, plan.next).map_err(OpenError::io("cannot write LOCK in", dir))?;
        let threads = vec![
            spawn("ingest-log", move || committer.run())
                .map_err(OpenError::io("cannot start a thread for", dir))?,
            spawn("ingest-keeper", move || keeper.run())
                .map_err(OpenError::io("cannot start a thread for", dir))?,
        ];
        let intake = Arc::new(Intake::new(plan.next, sender));
        let writer = Writer { shared: Arc::clone(&shared), intake };
        Ok(Self { shared, writer, recovery: plan.report, cursors: plan.cursors, threads })
    }

    /// What opening found.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The consumers' state as it was kept by the newest snapshot.
    #[must_use]
    pub fn cursors(&self) -> &[Cursor] {
        &self.cursors
    }

    /// Identity of the directory.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.shared.log_id
    }

    /// A handle for producers.
    #[must_use]
    pub fn writer(&self) -> Writer {
        self.writer.clone()
    }

    /// A reader that begins at `lsn`.
    #[must_use]
    pub fn reader(&self, lsn: Lsn) -> Reader {
        Reader::new(Arc::clone(&self.shared), lsn)
    }

    /// The oldest LSN that may still be there.
    #[must_use]
    pub fn oldest(&self) -> Lsn {
        self.shared.oldest()
    }

    /// One moment: the LSN below which everything is durable, and how many entries that is, in the
    /// life of the directory: last synced LSN − void − unwitnessed.
    #[must_use]
    pub fn accepted(&self) -> (Lsn, u64) {
        accepted(&self.shared, &lock(&self.shared.missing))
    }

    /// About how many bytes of entries there are from `lsn` on: exact for whole segments, in
    /// proportion for the one that holds it.
    #[must_use]
    pub fn bytes_since(&self, lsn: Lsn) -> u64 {
        let end = self.shared.synced.end();
        let segments = self.shared.segments();
        let of = |segment: &crate::shared::Segment| match segment.account() {
            Some(account) => (account.start..account.end, account.bytes),
            None => (segment.name.first..end, segment.committed()),
        };
        let part = |(range, bytes): (Range<Lsn>, u64)| {
            let all = range.end.saturating_sub(range.start);
            let left = range.end.saturating_sub(range.start.max(lsn)).min(all);
            let scaled = u128::from(bytes) * u128::from(left) / u128::from(all.max(1));
            u64::try_from(scaled).unwrap_or(u64::MAX)
        };
        segments.iter().map(|segment| part(of(segment))).sum()
    }

    /// How many LSNs of `range` hold no entry, for a reason.
    #[must_use]
    pub fn missing_in(&self, range: Range<Lsn>, cause: MissingCause) -> u64 {
        lock(&self.shared.missing).total_in(&range, cause)
    }

    /// Every known range without entries of the segments that are there.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        lock(&self.shared.missing).list_from(0)
    }

    /// Writes the consumers' state now, and syncs it.
    ///
    /// # Errors
    /// What the operating system says; the state before it stays.
    pub fn snapshot(&self) -> io::Result<()> {
        let (done, result) = bounded(1);
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the log is closed");
        self.shared.chores.send(Chore::Snapshot(done)).map_err(|_| gone(()))?;
        result.recv().map_err(|_| gone(()))?
    }

    /// Tells the log that consumers have moved on or companions have changed: it may remove
    /// something.
    pub fn look(&self) {
        let _ = self.shared.chores.try_send(Chore::Look);
    }

    /// Syncs everything written so far, whatever its level.
    pub fn sync(&self) {
        self.writer.sync();
    }

    /// A moment of the log.
    #[must_use]
    pub fn status(&self) -> Status {
        let shared = &self.shared;
        let counters = &shared.counters;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (spare_files, spare_bytes) = {
            let spares = lock(&shared.spares);
            (spares.count(), spares.bytes())
        };
        let (void, unwitnessed, damaged, synced_end, accepted) = {
            let missing = lock(&shared.missing);
            let (end, accepted) = accepted(shared, &missing);
            let (void, unwitnessed) = (missing.void_total, missing.unwitnessed_total);
            (void, unwitnessed, missing.damaged_total, end, accepted)
        };
        Status {
            log_id: shared.log_id,
            epoch: u32::try_from(load(&shared.epoch)).unwrap_or(u32::MAX),
            health: shared.health(),
            oldest: shared.oldest(),
            synced_end,
            written_end: shared.written.end(),
            next: self.writer.next(),
            accepted,
            void,
            unwitnessed,
            damaged,
            expired: load(&counters.expired),
            segments: shared.segments().len() as u64,
            used_bytes: shared.used_bytes(),
            limits: shared.limits,
            memory_available: shared.permits.available(),
            groups: load(&counters.groups),
            records: load(&counters.records),
            written_bytes: load(&counters.written_bytes),
            syncs: load(&counters.syncs),
            sync_nanos: load(&counters.sync_nanos),
            marks: load(&counters.marks),
            segments_created: load(&counters.segments_created),
            segments_abandoned: load(&counters.segments_abandoned),
            segments_removed: load(&counters.segments_removed),
            segments_recycled: load(&counters.segments_recycled),
            spares_used: load(&counters.spares_used),
            spare_files,
            spare_bytes,
            snapshots: load(&counters.snapshots),
            snapshot_failures: load(&counters.snapshot_failures),
            quarantined_bytes: load(&counters.quarantined_bytes),
            full_episodes: load(&counters.full_episodes),
            dropped_newest: load(&counters.dropped_newest),
            dropped_oldest: load(&counters.dropped_oldest),
        }
    }

    /// Ends the log: writes and syncs what was handed over, marks and seals the segment, keeps the
    /// consumers' state, gives the directory free. Says what could not be written, which is
    /// something only when the log was full or failed.
    #[must_use]
    pub fn close(mut self) -> Unwritten {
        self.end()
    }

    fn end(&mut self) -> Unwritten {
        let (done, unwritten) = bounded(1);
        if !self.writer.intake.close(Message::Close(done)) {
            return Unwritten::default();
        }
        let _ = self.shared.room.0.try_send(());
        let unwritten = unwritten.recv().unwrap_or_default();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("A thread of the log ended by a panic.");
            }
        }
        let _ = self.shared.lock_file.unlock();
        unwritten
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            let started = Instant::now();
            let unwritten = self.end();
            if unwritten != Unwritten::default() || started.elapsed() > Duration::from_secs(5) {
                tracing::error!(
                    ?unwritten,
                    "A log was dropped with records that it could not write."
                );
            }
        }
    }
}

/// Makes the directory, and its name durable: of what use is a synced file in a directory that a
/// power cut takes away?
fn make_dir(fs: &dyn FileSystem, dir: &Path) -> io::Result<()> {
    if fs.list(dir).is_ok() {
        return Ok(());
    }
    let missing = dir.ancestors().take_while(|level| fs.list(level).is_err()).count();
    fs.create_dir_all(dir)?;
    for level in dir.ancestors().take(missing) {
        match level.parent() {
            Some(parent) if parent.as_os_str().is_empty() => fs.sync_dir(Path::new("."))?,
            Some(parent) => fs.sync_dir(parent)?,
            None => {}
        }
    }
    Ok(())
}

/// Readers see what is synced, and nothing else; a planted bug shows them more.
fn shown_progress(synced: &Arc<Progress>) -> Arc<Progress> {
    if Plant::ReuseLsn.is_active() {
        return Arc::new(Progress::new(synced.end()));
    }
    Arc::clone(synced)
}

fn accepted(shared: &Shared, missing: &MissingTable) -> (Lsn, u64) {
    let end = shared.synced.end();
    let accepted =
        (end - 1).saturating_sub(missing.void_total).saturating_sub(missing.unwitnessed_total);
    (end, accepted)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}
