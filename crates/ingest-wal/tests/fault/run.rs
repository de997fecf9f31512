//! A log on a [`Disk`] under random use, and the model that knows what must be true of it.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ingest_wal::{
    Catalog, Entries, Health, Item, Level, Log, Lsn, OnFull, Options, Reader, RefusedError,
    SegmentName, Tally, Ticket,
};
use proptest::sample::Index;

use super::disk::{Disk, Survival};
use super::model::{Allowed, Model};
use super::user::{User, name_body};

pub(crate) const DIR: &str = "/log";
/// How long anything may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is done to the log.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Hands records over (count, length), and waits as long as their level asks for.
    Append { records: Vec<(u16, usize)>, level: Level },
    /// Gives a name, and writes a durable record behind it.
    Define,
    /// Asks for a sync and waits until nothing is in flight.
    Settle,
    /// Keeps the consumer's place.
    Snapshot,
    /// Moves the consumer on to a part of what is there, and keeps its place.
    Move(u8),
    /// Goes on reading where the last one stopped.
    Follow,
    /// Something is going to fail.
    Fault(Fault),
    /// Ends in order and opens again.
    Reopen,
    /// The end comes at the n-th operation from now on that changes something on the disk, or with
    /// the next of these or the last op of the list.
    End { after: u64, ending: Ending },
    /// Damage at rest: everything is durable and witnessed, then a bit flips.
    Decay { closed: bool, flip: Flip },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Write(u64),
    Sync(u64),
    SyncDir(u64),
    Read(u64),
    /// Bytes that are left, and whether the file system says so.
    Room(u64, bool),
    Short,
}

/// How a run of the log ends, and the next one begins.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// `None`: the process is killed, and the system goes on.
    pub(crate) cut: Option<Survival>,
    pub(crate) flip: Option<Flip>,
    /// Openings that do not come to their end.
    pub(crate) attempts: Vec<Attempt>,
}

/// What becomes of an opening.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attempt {
    /// The power goes at its n-th operation.
    Cut(u64, Survival),
    Killed(u64),
    Write(u64),
    SyncDir(u64),
}

/// A bit of some file.
#[derive(Clone, Debug)]
pub(crate) struct Flip {
    pub(crate) file: Index,
    pub(crate) place: Place,
    pub(crate) bit: u8,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    Any(Index),
    FromStart(usize),
    FromEnd(usize),
}

/// How a log is opened, the same throughout a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// What everybody has passed is removed at once.
    pub(crate) forget: bool,
    /// After each group comes a mark.
    pub(crate) marks: bool,
    /// Readers see files rather than memory.
    pub(crate) no_tail: bool,
    /// What happens when the log is full.
    pub(crate) on_full: OnFull,
}

impl Setting {
    pub(crate) fn options(self) -> Options {
        let mut options = Options::default();
        options.max_bytes = Some(1 << 20);
        options.min_free = Some(0);
        options.keep_bytes = self.forget.then_some(0);
        options.tail_bytes = self.no_tail.then_some(0);
        options.idle_mark = Duration::from_millis(if self.marks { 0 } else { 3_600_000 });
        options.os_sync = Duration::from_secs(3_600);
        options.snapshot_every = Duration::from_secs(3_600);
        options.lock_wait = Duration::ZERO;
        options.on_full = self.on_full;
        options
    }
}

/// The power is off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Down;

pub(crate) type Done = Result<(), Down>;

/// What became of a record.
#[derive(Debug)]
enum Outcome {
    Reached,
    Refused(RefusedError),
    /// It waits for room.
    Full,
}

pub(crate) struct Run {
    setting: Setting,
    pub(crate) disk: Disk,
    log: Option<Log>,
    user: Arc<User>,
    reader: Option<Reader>,
    pub(crate) model: Model,
    /// What is going to end this run.
    armed: Option<Ending>,
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the last operations:\n{}", self.disk.history().join("\n"));
        }
        self.bury();
    }
}

impl Run {
    pub(crate) fn new(setting: Setting, seed: u64) -> Self {
        let mut model = Model::default();
        model.drops_oldest = setting.on_full == OnFull::DropOldest;
        Self::on(Disk::new(seed), setting, model)
    }

    /// Goes on with a disk of which something is known.
    pub(crate) fn on(disk: Disk, setting: Setting, model: Model) -> Self {
        let (log, user, reader) = (None, Arc::default(), None);
        Self { setting, disk, log, user, reader, model, armed: None }
    }

    pub(crate) fn log(&self) -> &Log {
        self.log.as_ref().unwrap()
    }

    fn try_open(&mut self) -> Result<(), ingest_wal::OpenError> {
        self.open_on(self.disk.mount())
    }

    fn open_on(
        &mut self,
        file_system: Arc<dyn ingest_wal::FileSystem>,
    ) -> Result<(), ingest_wal::OpenError> {
        self.user = Arc::default();
        let mut options = self.setting.options();
        options.file_system = file_system;
        let user = Arc::clone(&self.user) as Arc<dyn Catalog>;
        self.log = Some(Log::open(Path::new(DIR), options, user)?);
        Ok(())
    }

    /// Opens, which always succeeds, and takes up the consumer's place. `damaged`: snapshots may be.
    pub(crate) fn open(&mut self, damaged: bool) -> Done {
        if let Err(error) = self.try_open() {
            assert!(!self.disk.is_powered(), "opening failed: {error}");
            return Err(Down);
        }
        self.take_up(damaged)
    }

    fn take_up(&mut self, damaged: bool) -> Done {
        let log = self.log.as_ref().unwrap();
        let next = log.recovery().next;
        assert!(next > self.model.highest_acknowledged(), "{:?}", log.recovery());
        let model = &mut self.model;
        for cursor in log.cursors() {
            assert!(cursor.low <= next, "{cursor:?} is above {next}");
            assert!(cursor.above.iter().all(|range| range.end <= next), "{cursor:?}");
        }
        let low = log.cursors().first().map_or(1, |cursor| cursor.low);
        assert!(low <= model.passed, "a consumer is never ahead of itself");
        let least = if damaged { model.kept_before } else { model.kept };
        assert!(low >= least, "the consumer is back at {low}, though {least} was kept");
        model.low = low;
        // From now on this is what is kept, and if it was damage that took us back, what was.
        (model.kept, model.kept_before) = (low, low.min(model.kept_before));
        *self.user.low.lock().unwrap() = Some(low);
        // Both files know the consumer before anything relies on it.
        for _ in 0..2 {
            self.snapshot()?;
        }
        Ok(())
    }

    fn down(&self) -> Done {
        if self.disk.is_powered() { Ok(()) } else { Err(Down) }
    }

    /// Writes a snapshot, again if need be; a device that fails once works the next time.
    fn snapshot(&mut self) -> Done {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let low = self.model.low;
            match self.log().snapshot() {
                Ok(()) => {
                    self.model.snapshot();
                    (self.model.kept_before, self.model.kept) = (self.model.kept, low);
                    return Ok(());
                }
                Err(error) => {
                    self.down()?;
                    self.disk.faults(|faults| faults.room = None);
                    assert!(Instant::now() < deadline, "no snapshot: {error}");
                }
            }
        }
    }

    fn wait(&self, reached: ingest_wal::Reached) -> Result<Outcome, Down> {
        let mut reached = pin!(reached);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match reached.as_mut().poll_now() {
                Poll::Ready(Ok(())) => {
                    // A dead process tells nobody anything.
                    self.down()?;
                    return Ok(Outcome::Reached);
                }
                Poll::Ready(Err(refused)) => {
                    self.down()?;
                    return Ok(Outcome::Refused(refused));
                }
                Poll::Pending => {}
            }
            if self.log().writer().health() == Health::Full {
                self.down()?;
                return Ok(Outcome::Full);
            }
            assert!(Instant::now() < deadline, "stuck: {:?}", self.log().status());
            std::thread::yield_now();
        }
    }

    /// Waits until nothing is in flight.
    fn settle(&mut self) -> Done {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.log().sync();
            let next = self.log().writer().next();
            match self.wait(self.log().writer().synced(next))? {
                Outcome::Reached => {
                    self.acknowledge(next);
                    return Ok(());
                }
                Outcome::Refused(error) => {
                    assert!(Instant::now() < deadline, "never settled: {error}");
                }
                Outcome::Full => {
                    assert!(Instant::now() < deadline, "stuck: {:?}", self.log().status());
                    self.relieve()?;
                }
            }
        }
    }

    /// Makes room: on the disk, and by moving the consumer on, if the log does not help itself.
    fn relieve(&mut self) -> Done {
        self.disk.faults(|faults| faults.room = None);
        if self.setting.on_full != OnFull::Block {
            std::thread::yield_now();
            return Ok(());
        }
        let end = self.log().writer().synced_end();
        let mut reader = self.log().reader(self.model.low);
        while reader.position() < end {
            match reader.next_item() {
                Ok(Some(Item::Record(record))) => self.model.held(&record),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => self.down()?,
            }
        }
        self.move_to(end.max(self.model.low))
    }

    fn move_to(&mut self, low: Lsn) -> Done {
        self.model.low = low;
        self.model.passed = self.model.passed.max(low);
        *self.user.low.lock().unwrap() = Some(low);
        self.snapshot()
    }

    fn acknowledge(&mut self, end: Lsn) {
        // What was in flight before this opening is another matter.
        let from = self.log().recovery().next;
        let writer = self.log().writer();
        let dropped = |first: Lsn| writer.dropped_in(first..first + 1);
        self.model.acknowledge(from, end, dropped);
        // A name is durable when a record behind it is.
        if end == from || !dropped(end - 1) {
            let names = std::mem::take(&mut self.model.unsure);
            self.model.names.extend(names);
        }
    }

    fn submit(&mut self, count: u16, len: usize, level: Level) -> Result<Option<Ticket>, Down> {
        let writer = self.log().writer();
        let deadline = Instant::now() + PATIENCE;
        let permit = loop {
            if let Some(permit) = writer.permits().try_acquire(len as u64) {
                break permit;
            }
            self.down()?;
            if writer.health() == Health::Full {
                self.relieve()?;
            } else {
                self.log().sync();
            }
            assert!(Instant::now() < deadline, "no permits: {:?}", self.log().status());
            std::thread::yield_now();
        };
        self.model.serial += 1;
        let mut body = self.model.serial.to_le_bytes().to_vec();
        body.resize(len, self.model.serial as u8);
        let body = Bytes::from(body);
        let entries = Entries {
            count,
            source: 1,
            arrival: self.model.serial as i64,
            body: body.clone(),
            level,
            tally: Tally::from([(1, u64::from(count))]),
            permits: vec![permit],
        };
        // There is no other source: the numbers that it will be given are known now.
        let start = writer.next();
        match writer.append(entries) {
            Ok(ticket) => {
                let end = writer.next();
                assert_eq!(end - start, u64::from(count));
                self.model.give(start..end, &body);
                Ok(Some(ticket))
            }
            // It has failed, and works again later.
            Err(_) => self.down().map(|()| None),
        }
    }

    fn append(&mut self, records: &[(u16, usize)], level: Level) -> Done {
        let mut last = None;
        for &(count, len) in records {
            last = self.submit(count, len, level)?.or(last);
        }
        let Some(ticket) = last else { return Ok(()) };
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.wait(self.log().writer().done(&ticket))? {
                Outcome::Reached => break,
                Outcome::Refused(_) => return Ok(()),
                Outcome::Full => {
                    assert!(Instant::now() < deadline, "stuck: {:?}", self.log().status());
                    self.relieve()?;
                }
            }
        }
        if level == Level::Disk {
            // A sync that covers an LSN covers all below it.
            let lsns = ticket.lsns().unwrap();
            assert_eq!(lsns.end, self.log().writer().next());
            self.acknowledge(lsns.end);
        }
        Ok(())
    }

    /// Compares everything, when nothing is in flight.
    pub(crate) fn verify(&mut self, allowed: Allowed) -> Done {
        self.settle()?;
        let log = self.log.as_ref().unwrap();
        if let Err(error) = self.model.compare(log, allowed) {
            self.down()?;
            panic!("a reader: {error}");
        }
        Ok(())
    }

    /// What the user has been told of names is what was said, and perhaps what came last.
    pub(crate) fn check_names(&mut self) {
        let names = self.user.names.lock().unwrap().clone();
        let model = &mut self.model;
        assert!(names.is_superset(&model.names), "{names:?} of {:?}", model.names);
        let unsure = std::mem::take(&mut model.unsure);
        let doubtful = std::mem::take(&mut model.doubtful);
        let known = |name: &u16| unsure.contains(name) || doubtful.contains(name);
        assert!(names.difference(&model.names).all(known), "{names:?}");
        model.names = names;
    }

    fn bury(&mut self) {
        self.reader = None;
        if let Some(log) = self.log.take() {
            self.disk.freeze();
            // Its process is dead, and nobody waits for it: all that it asks of the disk fails.
            std::thread::spawn(move || drop(log));
        }
    }

    /// Ends this run and begins the next.
    fn end(&mut self, ending: &Ending) {
        self.model.end(if ending.flip.is_some() { 2 } else { 1 });
        self.bury();
        // Half a snapshot beside a damaged one would be two faults at once.
        let spared = if self.disk.is_dirty("cursor-") { "cursor-" } else { "/" };
        if let Some(survival) = ending.cut {
            self.disk.power_cut(survival);
        }
        let damaged = ending.flip.as_ref().map(|flip| self.flip(flip, spared));
        let mut opened = false;
        for attempt in &ending.attempts {
            let mount = self.disk.mount();
            match *attempt {
                Attempt::Cut(n, _) | Attempt::Killed(n) => self.disk.arm(n),
                Attempt::Write(n) => self.disk.faults(|faults| faults.write = Some(n)),
                Attempt::SyncDir(n) => self.disk.faults(|faults| faults.sync_dir = Some(n)),
            }
            self.disk.note(format!("opening, with {attempt:?}"));
            match self.open_on(mount) {
                Ok(()) if self.disk.is_powered() => {
                    opened = matches!(attempt, Attempt::Write(_) | Attempt::SyncDir(_));
                    if opened {
                        break;
                    }
                }
                _ => {}
            }
            self.bury();
            if let Attempt::Cut(_, survival) = *attempt {
                self.disk.power_cut(survival);
            }
        }
        let taken_up =
            if opened { self.take_up(damaged.is_some()) } else { self.open(damaged.is_some()) };
        assert!(taken_up.is_ok(), "nothing cuts the power here");
        self.check_names();
        let lost = usize::from(damaged.is_some());
        assert!(self.verify(Allowed { lost, unwitnessed: true }).is_ok());
    }

    /// Flips a bit of a file, if there is one with bytes whose name does not begin with `spared`.
    fn flip(&self, flip: &Flip, spared: &str) -> PathBuf {
        let hit = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| !name.starts_with(spared))
        };
        let files = self.disk.files().into_iter();
        let files: Vec<_> = files.filter(|(path, bytes)| !bytes.is_empty() && hit(path)).collect();
        if files.is_empty() {
            return PathBuf::new();
        }
        let (path, mut bytes) = files[flip.file.index(files.len())].clone();
        let at = match &flip.place {
            Place::Any(at) => at.index(bytes.len()),
            Place::FromStart(at) => (*at).min(bytes.len() - 1),
            Place::FromEnd(at) => bytes.len().saturating_sub(*at),
        };
        bytes[at] ^= 1 << flip.bit;
        self.disk.note(format!("bit {} of byte {at} of {} flips", flip.bit, path.display()));
        self.disk.replace(&path, bytes);
        path
    }

    /// Ends this run if the power has gone or, with `now`, if that was to come.
    fn end_if_due(&mut self, now: bool) {
        if !self.disk.is_powered() || now && self.armed.is_some() {
            let ending = self.armed.take().unwrap();
            self.end(&ending);
        }
    }

    pub(crate) fn perform(&mut self, op: &Op) {
        // These need everything to be in order.
        self.end_if_due(matches!(op, Op::Reopen | Op::End { .. } | Op::Decay { .. }));
        // Power that has gone is seen here.
        let _ = self.step(op);
        self.end_if_due(false);
    }

    pub(crate) fn finish(&mut self) {
        self.end_if_due(true);
        assert!(self.verify(Allowed::NOTHING).is_ok());
    }

    fn step(&mut self, op: &Op) -> Done {
        match op {
            Op::Append { records, level } => self.append(records, *level),
            Op::Define => {
                let name = self.user.names.lock().unwrap().len() as u16 + 1;
                self.model.unsure.insert(name);
                self.user.names.lock().unwrap().insert(name);
                if self.log().writer().define(Bytes::from(name_body([name]))).is_err() {
                    // It is in the next segment's preamble all the same, once there is one.
                    self.model.unsure.remove(&name);
                    self.model.doubtful.insert(name);
                    return self.down();
                }
                // It stands before every record that is handed over from here on.
                self.append(&[(1, 8)], Level::Disk)
            }
            Op::Settle => self.settle(),
            Op::Snapshot => self.snapshot(),
            Op::Move(part) => {
                self.verify(Allowed::NOTHING)?;
                let end = self.log().writer().synced_end();
                self.move_to(self.model.onward(end, *part))
            }
            Op::Follow => self.follow(),
            Op::Fault(fault) => {
                let used = self.disk.used();
                self.disk.faults(|faults| match *fault {
                    Fault::Write(n) => faults.write = Some(n),
                    Fault::Sync(n) => faults.sync = Some(n),
                    Fault::SyncDir(n) => faults.sync_dir = Some(n),
                    Fault::Read(n) => faults.read = Some(n),
                    Fault::Short => faults.short = true,
                    Fault::Room(left, secret) => {
                        faults.room = Some(used + left);
                        faults.room_is_a_secret = secret;
                    }
                });
                Ok(())
            }
            Op::Reopen => {
                self.disk.faults(|faults| *faults = Default::default());
                self.verify(Allowed::NOTHING)?;
                self.reopen()
            }
            Op::End { after, ending } => {
                self.disk.arm((*after).max(1));
                self.armed = Some(ending.clone());
                Ok(())
            }
            Op::Decay { closed, flip } => {
                self.disk.faults(|faults| *faults = Default::default());
                self.verify(Allowed::NOTHING)?;
                if *closed || !self.setting.marks {
                    self.close();
                } else {
                    self.wait_for_the_mark();
                    // Before it is written down, a kill forgets what was dropped.
                    self.model.end(2);
                    self.bury();
                }
                self.flip(flip, "/");
                self.open(true)?;
                self.check_names();
                self.verify(Allowed::damage(1))
            }
        }
    }

    /// Ends it with everything durable and witnessed, closed or not. What is on the disk then.
    pub(crate) fn rest(&mut self, closed: bool) -> Disk {
        assert!(self.verify(Allowed::NOTHING).is_ok());
        if closed {
            self.close();
        } else {
            self.wait_for_the_mark();
            self.bury();
        }
        self.disk.copy(3)
    }

    pub(crate) fn close(&mut self) {
        self.reader = None;
        let ended = self.log.take().unwrap().close();
        assert_eq!(ended, Default::default());
        // The last snapshot may have been the same already.
        self.model.kept = self.model.low;
    }

    fn reopen(&mut self) -> Done {
        let next = self.log().writer().next();
        self.close();
        self.open(false)?;
        let recovery = self.log().recovery();
        assert!(recovery.clean, "{recovery:?}");
        assert_eq!(recovery.next, next);
        self.check_names();
        self.verify(Allowed::NOTHING)
    }

    /// The newest segment ends with a record that says that all before it is durable.
    fn wait_for_the_mark(&self) {
        let writer = self.log().writer();
        // What was dropped at the end needs no witness: without one, it was never given.
        let held = |end: Lsn| !writer.dropped_in(end - 1..end);
        let mut end = writer.synced_end();
        while end > 1 && !held(end) {
            end -= 1;
        }
        let (synced, last) = (end - 1, writer.synced_end() - 1);
        if end < writer.synced_end() && self.log().status().segments_abandoned > 0 {
            // There may be no segment that a mark could go to before there is room: the next snapshot,
            // at most a second later, is the witness.
            self.log().snapshot().unwrap();
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let files = self.disk.files();
            let named = |path: &PathBuf| SegmentName::parse(path.file_name()?.to_str()?);
            let newest = files.iter().filter_map(|(path, bytes)| Some((named(path)?, bytes))).max();
            let (_, bytes) = newest.unwrap();
            // Behind it may be what a group left that failed and was dropped, or a file's former life.
            let witness = (0..bytes.len()).step_by(8).any(|at| {
                bytes.get(at..at + 48).is_some_and(|header| {
                    let said = u64::from_le_bytes(header[16..24].try_into().unwrap());
                    // A mark, or definitions, which may be a group of their own: any record says
                    // what is durable (log-format.md 4), and where one has, no mark follows.
                    matches!(header[6], 2 | 4) && (synced..=last).contains(&said)
                })
            });
            // A segment without entries witnesses by its own first records, or has nothing to say.
            if witness || self.log().recovery().next == synced + 1 {
                return;
            }
            assert!(Instant::now() < deadline, "no mark: {:?}", self.log().status());
            std::thread::yield_now();
        }
    }

    fn follow(&mut self) -> Done {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.log().reader(self.log().oldest()),
        };
        loop {
            let before = reader.position();
            match reader.next_item() {
                Ok(Some(item)) => {
                    assert!(reader.position() > before && item.end() == reader.position());
                    if let Item::Record(record) = item {
                        self.model.held(&record);
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    self.down()?;
                    assert_eq!(reader.position(), before, "an error keeps the place");
                }
            }
        }
        self.reader = Some(reader);
        Ok(())
    }
}

/// Asks a future once.
trait PollNow: Future {
    fn poll_now(self: std::pin::Pin<&mut Self>) -> Poll<Self::Output> {
        self.poll(&mut Context::from_waker(Waker::noop()))
    }
}

impl<F: Future> PollNow for F {}
