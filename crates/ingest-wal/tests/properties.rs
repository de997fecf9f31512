//! A log under random use: appends, snapshots, cursors, ends, kills, damage. A model knows what was
//! handed over and what was accepted, and after every opening the log is read and compared.
//!
//! A kill is a copy of the directory as it is while the log is open. `PROPTEST_CASES` raises the
//! number of runs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ingest_wal::{
    Catalog, Cursor, Entries, Item, Level, Log, Lsn, Missing, MissingCause, Options, Record, Tally,
    Ticket,
};
use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

/// What is done to the log.
#[derive(Clone, Debug)]
enum Op {
    /// Hands records over; with `Disk`, waits for them.
    Append { records: Vec<(u16, usize)>, level: Level },
    /// Gives a name.
    Define,
    /// Writes a snapshot.
    Snapshot,
    /// Moves the consumer on to a part of what is there.
    Move(u8),
    /// Ends in order and opens again.
    Reopen,
    /// Goes on with a copy of the directory, of which each damage hits another file.
    Kill { end: End, damages: Vec<Damage> },
}

/// How far the log had come when its directory was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Records may be in flight.
    Busy,
    /// Nothing is in flight.
    Settled,
    /// It was closed.
    Closed,
}

/// What happens to a file of the copy.
#[derive(Clone, Debug)]
struct Damage {
    file: Index,
    at: Place,
    how: How,
}

/// Where in a file.
#[derive(Clone, Debug)]
enum Place {
    Any(Index),
    FromStart(usize),
    FromEnd(usize),
}

#[derive(Clone, Copy, Debug)]
enum How {
    Flip(u8),
    Cut,
}

fn damage(how: impl Strategy<Value = How>) -> impl Strategy<Value = Damage> {
    // Most of what holds the log together stands at the ends of its files.
    let place = prop_oneof![
        any::<Index>().prop_map(Place::Any),
        (0usize..300).prop_map(Place::FromStart),
        (1usize..300).prop_map(Place::FromEnd),
    ];
    (any::<Index>(), place, how).prop_map(|(file, at, how)| Damage { file, at, how })
}

fn op() -> impl Strategy<Value = Op> {
    let record = (1u16..9, prop_oneof![0usize..40, 0usize..600, 0usize..6000]);
    let level = prop_oneof![
        1 => Just(Level::Memory),
        1 => Just(Level::Os),
        3 => Just(Level::Disk),
    ];
    let append = (prop::collection::vec(record, 1..12), level)
        .prop_map(|(records, level)| Op::Append { records, level });
    let flip = (0u8..8).prop_map(How::Flip);
    let how = prop_oneof![3 => flip.clone(), 1 => Just(How::Cut)];
    // Two files may be hit, or one be cut: what a cut takes, others have to know.
    let damages = prop_oneof![
        3 => Just(Vec::new()),
        5 => prop::collection::vec(damage(how), 1),
        3 => prop::collection::vec(damage(flip), 2),
    ];
    let end = prop_oneof![Just(End::Busy), Just(End::Settled), Just(End::Closed)];
    let kill = (end, damages).prop_map(|(end, damages)| Op::Kill { end, damages });
    prop_oneof![
        8 => append,
        1 => Just(Op::Define),
        1 => Just(Op::Snapshot),
        2 => any::<u8>().prop_map(Op::Move),
        2 => Just(Op::Reopen),
        4 => kill,
    ]
}

/// How a log is opened, the same throughout a run.
#[derive(Clone, Copy, Debug)]
struct Setting {
    /// What everybody has passed is removed at once.
    forget: bool,
    /// After each group comes a mark.
    marks: bool,
}

impl Setting {
    fn options(self) -> Options {
        let mut options = Options::default();
        options.max_bytes = Some(2 << 20);
        options.min_free = Some(0);
        options.keep_bytes = self.forget.then_some(0);
        options.idle_mark = Duration::from_millis(if self.marks { 0 } else { 60_000 });
        options
    }
}

/// The log's user: names, and one consumer.
#[derive(Debug, Default)]
struct User {
    names: Mutex<BTreeSet<u16>>,
    /// Not known before the log says so.
    low: Mutex<Option<Lsn>>,
}

fn name_body(names: impl IntoIterator<Item = u16>) -> Vec<u8> {
    names.into_iter().flat_map(u16::to_le_bytes).collect()
}

impl Catalog for User {
    fn preamble(&self) -> Vec<u8> {
        name_body(self.names.lock().unwrap().iter().copied())
    }

    fn definitions(&self) -> Vec<u8> {
        self.preamble()
    }

    fn restore(&self, preamble: &[u8]) {
        self.define(preamble);
    }

    fn define(&self, body: &[u8]) {
        let names = body.chunks_exact(2).map(|name| u16::from_le_bytes([name[0], name[1]]));
        self.names.lock().unwrap().extend(names);
    }

    fn tally(&self, _body: &[u8], _tally: &mut Tally) {}

    fn summary(&self, tally: &Tally) -> Vec<u8> {
        tally.values().sum::<u64>().to_le_bytes().to_vec()
    }

    fn cursors(&self) -> Option<Vec<Cursor>> {
        let low = (*self.low.lock().unwrap())?;
        Some(vec![Cursor { name: "out".into(), start: 1, low, ..Cursor::default() }])
    }
}

/// What has become of an LSN that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Held,
    Missing(MissingCause),
    /// Held until its segment was removed.
    Expired,
}

/// An LSN that was given.
#[derive(Clone, Debug)]
struct Given {
    /// Of its record.
    first: Lsn,
    count: u16,
    body: Bytes,
    /// It was said to be on disk.
    accepted: bool,
    fate: Option<Fate>,
}

#[derive(Debug, Default)]
struct Model {
    given: BTreeMap<Lsn, Given>,
    names: BTreeSet<u16>,
    serial: u64,
    /// The consumer's place, the one that a snapshot was asked to keep, and the highest it ever had:
    /// after a damaged snapshot it repeats, and what it passed before may be gone.
    low: Lsn,
    kept_low: Lsn,
    passed: Lsn,
    /// Of a kill: what was accepted may be gone without a trace.
    untraced: bool,
    /// A file was cut: its void records may be gone.
    cut: bool,
    /// A snapshot was damaged: damage that only it knew is counted once more when it is met again.
    forgotten: bool,
}

impl Model {
    /// A record was read.
    fn held(&mut self, record: &Record) {
        let (first, end) = (record.header.first, record.header.end());
        let given = self.given.get(&first);
        let given = given.unwrap_or_else(|| panic!("{first} was never given"));
        assert_eq!((given.first, given.count), (first, record.header.count));
        assert_eq!(given.body, record.body, "{first}");
        for (lsn, given) in self.given.range_mut(first..end) {
            let before = matches!(given.fate, None | Some(Fate::Held));
            assert!(before, "{lsn} is back from {:?}", given.fate);
            given.fate = Some(Fate::Held);
            // Readers are shown nothing that can be taken back.
            given.accepted = true;
        }
    }

    /// LSNs hold no entry; what of that is new among the accepted goes into `lost`, by record.
    fn missing(&mut self, missing: &Missing, lost: &mut BTreeSet<Lsn>) {
        let fate = Some(Fate::Missing(missing.cause));
        let mut known = 0;
        for (lsn, given) in self.given.range_mut(missing.range.clone()) {
            known += 1;
            let settled = given.fate.is_some() && given.fate != Some(Fate::Held);
            assert!(!settled || given.fate == fate, "{lsn}: {missing:?}, {given:?}");
            if given.accepted && given.fate != fate {
                let void = missing.cause == MissingCause::Void;
                assert!(!void || self.untraced, "{lsn} was accepted: {missing:?}");
                lost.insert(given.first);
            }
            given.fate = fate;
        }
        // What a damaged header seemed to say may be more than there was; damage is what there was.
        if missing.cause == MissingCause::Damaged {
            assert_eq!(known, missing.count(), "{missing:?} was never given");
        }
    }

    /// A segment is gone.
    fn expired(&mut self, range: Range<Lsn>) {
        for (lsn, given) in self.given.range_mut(range) {
            if given.fate == Some(Fate::Held) || given.fate.is_none() && given.accepted {
                assert!(*lsn < self.passed, "{lsn} is gone and was not passed");
                given.fate = Some(Fate::Expired);
            }
        }
    }

    /// Entries that the log has to count as accepted.
    fn accepted(&self) -> u64 {
        self.count(&[Fate::Held, Fate::Missing(MissingCause::Damaged), Fate::Expired])
    }

    fn count(&self, counted: &[Fate]) -> u64 {
        let fates = self.given.values().filter_map(|given| given.fate);
        fates.filter(|fate| counted.contains(fate)).count() as u64
    }
}

struct Run {
    setting: Setting,
    dir: TempDir,
    log: Option<Log>,
    user: Arc<User>,
    model: Model,
}

impl Run {
    fn new(setting: Setting) -> Self {
        let model = Model { low: 1, kept_low: 1, passed: 1, ..Model::default() };
        let dir = tempfile::tempdir().unwrap();
        let mut run = Self { setting, dir, log: None, user: Arc::default(), model };
        run.open(false);
        run
    }

    fn log(&self) -> &Log {
        self.log.as_ref().unwrap()
    }

    fn open(&mut self, damaged: bool) {
        self.user = Arc::default();
        let user = Arc::clone(&self.user) as Arc<dyn Catalog>;
        let log = Log::open(self.dir.path(), self.setting.options(), user).unwrap();
        let kept = log.cursors().first().map(|cursor| cursor.low);
        let low = kept.unwrap_or(1);
        *self.user.low.lock().unwrap() = Some(low);
        assert!(low <= self.model.low, "a consumer is never ahead of itself");
        if !damaged && !log.recovery().new {
            assert!(low >= self.model.kept_low, "what a snapshot kept is kept");
        }
        let highest = self.model.given.iter().rev().find(|(_, given)| given.accepted);
        if let Some((highest, _)) = highest {
            assert!(log.recovery().next > *highest, "{:?}", log.recovery());
        }
        (self.model.low, self.model.kept_low) = (low, low.min(self.model.kept_low));
        if !log.recovery().snapshot {
            // The consumer's place is in both files before anything relies on it.
            log.snapshot().unwrap();
            log.snapshot().unwrap();
        }
        self.log = Some(log);
    }

    fn append(&mut self, records: &[(u16, usize)], level: Level) {
        let writer = self.log().writer();
        let mut last: Option<Ticket> = None;
        for &(count, len) in records {
            self.model.serial += 1;
            let mut body = self.model.serial.to_le_bytes().to_vec();
            body.resize(len, self.model.serial as u8);
            let body = Bytes::from(body);
            let permit = writer.permits().acquire_blocking(len as u64);
            // There is no other source: the numbers that it will be given are known now.
            let first = writer.next();
            let ticket = writer
                .append(Entries {
                    count,
                    source: 1,
                    arrival: self.model.serial as i64,
                    body: body.clone(),
                    level,
                    tally: Tally::from([(1, u64::from(count))]),
                    permits: vec![permit],
                })
                .unwrap();
            assert_eq!(writer.next() - first, u64::from(count));
            for lsn in first..writer.next() {
                let body = body.clone();
                let given = Given { first, count, body, accepted: false, fate: None };
                let before = self.model.given.insert(lsn, given);
                assert!(before.is_none_or(|before| !before.accepted), "{lsn} was given twice");
            }
            last = Some(ticket);
        }
        let last = last.unwrap();
        writer.done(&last).wait().unwrap();
        if level == Level::Disk {
            let end = last.lsns().unwrap().end;
            assert_eq!(end, writer.next());
            self.accept_below(end);
        }
    }

    /// A sync that covers an LSN covers all below it.
    fn accept_below(&mut self, end: Lsn) {
        // What was in flight at a kill before this opening is another matter.
        let from = self.log().recovery().next;
        for (_, given) in self.model.given.range_mut(from..end) {
            given.accepted = true;
        }
    }

    /// Waits until nothing is in flight.
    fn settle(&mut self) {
        self.log().sync();
        let writer = self.log().writer();
        let next = writer.next();
        writer.synced(next).wait().unwrap();
        self.accept_below(next);
    }

    /// Reads everything, and compares. `loss`: how many records that were accepted may be gone since
    /// the last look.
    fn verify(&mut self, loss: usize) {
        self.settle();
        let log = self.log.as_ref().unwrap();
        let end = log.writer().synced_end();
        let mut reader = log.reader(1);
        let mut at = 1;
        let mut lost = BTreeSet::new();
        while let Some(item) = reader.next_item().unwrap() {
            let (start, after) = match &item {
                Item::Record(record) => (record.header.first, record.header.end()),
                Item::Missing(missing) => (missing.range.start, missing.range.end),
                Item::Expired(range) => (range.start, range.end),
                other => panic!("{other:?}"),
            };
            assert_eq!(start, at, "each LSN comes once, in order: {item:?}");
            at = after;
            match item {
                Item::Record(record) => self.model.held(&record),
                Item::Missing(missing) => self.model.missing(&missing, &mut lost),
                Item::Expired(range) => {
                    // Gaps that are known are said, though their segment is gone.
                    let apart = |gap: &Missing| {
                        gap.range.end <= range.start || range.end <= gap.range.start
                    };
                    assert!(log.missing().iter().all(apart), "{range:?}: {:?}", log.missing());
                    self.model.expired(range);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(at, end, "up to the last one that is durable");
        assert!(lost.len() <= loss, "lost the records {lost:?}, allowed were {loss}");
        // Accepted = last synced - void - unwitnessed, and the model can name each of them.
        let status = log.status();
        assert_eq!(status.accepted, self.model.accepted(), "{status:?}");
        assert_eq!(status.accepted, end - 1 - status.void - status.unwitnessed);
        let damaged = Fate::Missing(MissingCause::Damaged);
        if !self.model.forgotten {
            assert_eq!(status.damaged, self.model.count(&[damaged]), "{status:?}");
        }
        assert!(status.used_bytes <= status.limits.max_bytes);
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Append { records, level } => self.append(records, *level),
            Op::Define => {
                let name = self.model.names.len() as u16 + 1;
                self.model.names.insert(name);
                self.user.names.lock().unwrap().insert(name);
                self.log().writer().define(Bytes::from(name_body([name]))).unwrap();
                // It stands before every record that is handed over from here on.
                self.append(&[(1, 8)], Level::Disk);
            }
            Op::Snapshot => {
                self.log().snapshot().unwrap();
                self.model.kept_low = self.model.low;
            }
            Op::Move(part) => {
                self.verify(0);
                let end = self.log().writer().synced_end();
                let all = self.model.given.range(self.model.low..end).count();
                let skip = all * usize::from(*part) / 255;
                let low = self.model.given.range(self.model.low..end).nth(skip);
                self.model.low = low.map_or(end, |(lsn, _)| *lsn);
                self.model.passed = self.model.passed.max(self.model.low);
                *self.user.low.lock().unwrap() = Some(self.model.low);
                self.step(&Op::Snapshot);
            }
            Op::Reopen => {
                self.verify(0);
                let next = self.log().writer().next();
                let ended = self.log.take().unwrap().close();
                assert_eq!(ended, Default::default());
                self.model.kept_low = self.model.low;
                self.open(false);
                assert!(self.log().recovery().clean);
                assert_eq!(self.log().recovery().next, next);
                assert_eq!(*self.user.names.lock().unwrap(), self.model.names);
                self.verify(0);
            }
            Op::Kill { end, damages } => {
                if *end != End::Busy {
                    self.verify(0);
                }
                if *end == End::Closed {
                    let ended = self.log.take().unwrap().close();
                    assert_eq!(ended, Default::default());
                    self.model.kept_low = self.model.low;
                }
                let copy = killed_copy(self.dir.path());
                drop(self.log.take());
                self.dir = copy;
                let mut left = files(self.dir.path());
                let mut hit = Vec::new();
                for damage in damages {
                    let path = left.remove(damage.file.index(left.len()));
                    if (self.setting.forget || self.model.cut) && is_cursor(&path) {
                        // Where segments are gone, totals and gaps are sure in snapshots alone.
                        left.retain(|path| !is_cursor(path));
                    }
                    damage.inflict(&path);
                    hit.push(path.file_name().unwrap().to_string_lossy().into_owned());
                }
                let cut = damages.iter().any(|damage| matches!(damage.how, How::Cut));
                self.model.cut |= cut;
                // Of a last record, only LOCK and a damaged header may know, or, after a cut, LOCK.
                self.model.untraced = damages.len() > 1 && hit.iter().any(|name| name == "LOCK");
                self.model.forgotten |= hit.iter().any(|name| name.starts_with("cursor"));
                self.open(!damages.is_empty());
                // A flipped byte costs one record; nothing else costs any.
                self.verify(if cut { usize::MAX } else { damages.len() });
                self.model.untraced = false;
                // Names stand twice in every segment.
                if cut {
                    self.model.names = self.user.names.lock().unwrap().clone();
                } else {
                    assert_eq!(*self.user.names.lock().unwrap(), self.model.names, "{hit:?}");
                }
            }
        }
    }
}

fn is_cursor(path: &Path) -> bool {
    path.file_name().unwrap().to_string_lossy().starts_with("cursor")
}

/// The directory as it is now.
fn killed_copy(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for path in files(dir) {
        match fs::copy(&path, copy.path().join(path.file_name().unwrap())) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => panic!("{error}"),
        }
    }
    copy
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

impl Damage {
    fn inflict(&self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        let Some(last) = bytes.len().checked_sub(1) else { return };
        let at = match &self.at {
            Place::Any(at) => at.index(bytes.len()),
            Place::FromStart(at) => (*at).min(last),
            Place::FromEnd(at) => bytes.len().saturating_sub(*at),
        };
        match self.how {
            How::Flip(bit) => bytes[at] ^= 1 << bit,
            How::Cut => bytes.truncate(at),
        }
        fs::write(path, bytes).unwrap();
    }
}

fn config() -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 100;
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_accepted_is_there_or_counted(
        forget in any::<bool>(),
        marks in any::<bool>(),
        ops in prop::collection::vec(op(), 1..20),
    ) {
        let mut run = Run::new(Setting { forget, marks });
        for op in &ops {
            run.step(op);
        }
        run.verify(0);
    }
}
