//! Files of passed segments are used again: nothing of their former life is ever read, whatever
//! moment a kill comes at, and whoever reads beside.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "support/hooked.rs"]
mod hooked;
#[path = "support/killed.rs"]
mod killed;
#[path = "support/wait.rs"]
mod wait;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hooked::{Hooked, Hooks, is_named};
use ingest_wal::{
    Catalog, Cursor, Directory, Entries, Health, Item, Level, Log, Lsn, MissingCause, Options,
    SegmentName, StdFileSystem, Tally, Ticket,
};
use killed::killed_copy;
use wait::wait_until;

const MIB: u64 = 1 << 20;

/// One consumer, as far as it is moved by hand.
#[derive(Debug)]
struct Consumer(Mutex<Lsn>);

impl Consumer {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(1)))
    }

    fn pass(&self, low: Lsn) {
        *self.0.lock().unwrap() = low;
    }
}

impl Catalog for Consumer {
    fn preamble(&self) -> Vec<u8> {
        b"names".to_vec()
    }

    fn cursors(&self) -> Option<Vec<Cursor>> {
        let low = *self.0.lock().unwrap();
        Some(vec![Cursor { name: "out".into(), start: 1, low, ..Cursor::default() }])
    }
}

fn options(max_bytes: u64) -> Options {
    let mut options = Options::default();
    options.max_bytes = Some(max_bytes);
    options.min_free = Some(0);
    options.keep_bytes = Some(0);
    options.tail_bytes = Some(0);
    options.idle_mark = Duration::from_secs(3600);
    options.snapshot_every = Duration::from_secs(3600);
    options
}

fn open(dir: &Path, options: Options, consumer: &Arc<Consumer>) -> Log {
    Log::open(dir, options, Arc::clone(consumer) as Arc<dyn Catalog>).unwrap()
}

fn body(lsn: Lsn, len: usize) -> Vec<u8> {
    let mut body = lsn.to_le_bytes().to_vec();
    body.resize(len, lsn as u8);
    body
}

fn append(log: &Log, len: usize, level: Level) -> Ticket {
    let writer = log.writer();
    let body = body(writer.next(), len);
    let permit = writer.permits().acquire_blocking(body.len() as u64);
    let entries = Entries {
        count: 1,
        source: 0,
        arrival: 1,
        body: Bytes::from(body),
        level,
        tally: Tally::new(),
        permits: vec![permit],
    };
    writer.append(entries).unwrap()
}

fn accept(log: &Log, len: usize) -> Lsn {
    let ticket = append(log, len, Level::Disk);
    log.writer().done(&ticket).wait().unwrap();
    ticket.lsns().unwrap().start
}

/// LSNs of all records that are there, whose bodies are looked at, and everything else.
fn read(log: &Log, len: usize) -> (Vec<Lsn>, Vec<Item>) {
    // Whatever there was to give up is given up.
    log.snapshot().unwrap();
    let mut reader = log.reader(log.oldest());
    let (mut lsns, mut others) = (Vec::new(), Vec::new());
    while let Some(item) = reader.next_item().unwrap() {
        match item {
            Item::Record(record) => {
                assert_eq!(record.body[..], body(record.header.first, len));
                lsns.push(record.header.first);
            }
            other => others.push(other),
        }
    }
    (lsns, others)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn of_kind(dir: &Path, start: &str) -> Vec<PathBuf> {
    let names = names(dir).into_iter().filter(|name| name.starts_with(start));
    names.map(|name| dir.join(name)).collect()
}

fn bytes_of(dir: &Path) -> u64 {
    let files = names(dir).into_iter().map(|name| dir.join(name)).filter(|path| path.is_file());
    files.map(|path| fs::metadata(path).unwrap().len()).sum()
}

/// Writes until a segment has been begun in a spare file and holds some records, of 1,000 bytes
/// each, the consumer being at the end. Says the last LSN.
fn into_a_spare_file(log: &Log, consumer: &Consumer) -> Lsn {
    loop {
        let used = log.status().spares_used;
        let last = accept(log, 1000);
        consumer.pass(last);
        if log.status().spares_used > used.max(1) {
            accept(log, 1000);
            return accept(log, 1000);
        }
        if last.is_multiple_of(40) {
            log.snapshot().unwrap();
        }
    }
}

#[test]
fn a_log_of_many_times_its_limit_stays_within_it_and_is_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::new();
    let mut options = options(2 * MIB);
    options.keep_bytes = None;
    options.snapshot_every = Duration::from_millis(1);
    let log = open(dir.path(), options.clone(), &consumer);
    let log = Arc::new(log);
    let writing = Arc::clone(&log);
    let writing = std::thread::spawn(move || {
        for n in 0..10_000 {
            let ticket = append(&writing, 2000, Level::Disk);
            if n % 100 == 0 {
                writing.writer().done(&ticket).wait().unwrap();
            }
        }
        let next = writing.writer().next();
        writing.writer().synced(next).wait().unwrap();
    });
    // The consumer is behind all the time, and never misses anything.
    let mut reader = log.reader(1);
    let mut next = 1;
    while next <= 10_000 {
        let Some(item) = reader.next_item().unwrap() else {
            std::thread::yield_now();
            continue;
        };
        let Item::Record(record) = item else { panic!("{item:?}") };
        assert_eq!(record.header.first, next);
        assert_eq!(record.body[..], body(next, 2000));
        next += 1;
        consumer.pass(next);
        if next.is_multiple_of(64) {
            log.look();
        }
        let status = log.status();
        assert!(status.used_bytes <= 2 * MIB && status.spare_files <= 4, "{status:?}");
    }
    writing.join().unwrap();
    let status = log.status();
    assert!(bytes_of(dir.path()) <= 2 * MIB);
    assert!(status.spares_used > 100, "{status:?}");
    assert!(status.segments_recycled >= status.spares_used, "{status:?}");
    assert_eq!((status.accepted, status.damaged, status.unwitnessed), (10_000, 0, 0));
    drop(log);
    // All of it sealed: the seal is the end of each file.
    let log = open(dir.path(), options, &consumer);
    assert!(log.recovery().clean);
    assert_eq!(log.recovery().scanned_segments, 0);
    let (lsns, others) = read(&log, 2000);
    assert_eq!(lsns, (log.oldest()..=10_000).collect::<Vec<_>>());
    assert!(others.is_empty(), "{others:?}");
    assert!(log.status().used_bytes <= 2 * MIB && bytes_of(dir.path()) <= 2 * MIB);
}

#[test]
fn a_reader_in_a_file_that_is_used_again_sees_that_it_has_expired() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::new();
    // Segments of 1 MiB, so that a reader has not read all of one ahead.
    let log = open(dir.path(), options(32 * MIB), &consumer);
    for _ in 0..40 {
        accept(&log, 50_000);
    }
    let mut behind = log.reader(1);
    assert!(matches!(behind.next_item().unwrap(), Some(Item::Record(_))));
    let directory = Directory::new(dir.path(), Arc::new(StdFileSystem));
    let oldest = directory.segments().unwrap().remove(0);
    let offline = directory.open(&oldest).unwrap().unwrap();
    let mut records = offline.records();
    assert_eq!(records.next_record().unwrap().unwrap().header.first, 1);
    // History is given up; the next segment goes into the file of the first.
    consumer.pass(41);
    log.snapshot().unwrap();
    assert!(log.status().spare_files >= 1);
    assert!(!offline.is_reused().unwrap(), "a name says nothing of what is in the file");
    while log.status().spares_used == 0 {
        accept(&log, 50_000);
    }
    while !offline.is_reused().unwrap() || records.offset() == 0 {
        accept(&log, 50_000);
        consumer.pass(log.writer().synced_end());
        log.snapshot().unwrap();
    }
    for _ in 0..15 {
        accept(&log, 50_000);
    }
    // Beside the log: what was read ahead is whole; then the file is another's.
    let mut last = 1;
    while let Some(record) = records.next_record().unwrap() {
        assert_eq!(record.header.first, last + 1);
        assert_eq!(record.body, body(last + 1, 50_000));
        last += 1;
    }
    assert!(last < 15 && records.is_expired(), "{last}");
    assert_eq!(records.damaged_bytes(), 0);
    assert!(directory.open(&oldest).unwrap().is_none());
    // In the log: the same, and it goes on with what is there.
    let mut next = 2;
    let mut expired = 0;
    while let Some(item) = behind.next_item().unwrap() {
        match item {
            Item::Record(record) => {
                assert_eq!(record.header.first, next);
                assert_eq!(record.body[..], body(next, 50_000));
                next += 1;
            }
            Item::Expired(range) => {
                assert_eq!(range.start, next);
                expired += range.end - range.start;
                next = range.end;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(expired > 0);
    assert_eq!(next, log.writer().synced_end());
    assert_eq!((log.status().damaged, log.status().quarantined_bytes), (0, 0));
}

/// Records of the same length as those before them: those that are left of the former life stand
/// exactly where the next ones would.
#[test]
fn a_kill_in_a_reused_file_finds_what_was_accepted_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::new();
    let log = open(dir.path(), options(MIB), &consumer);
    into_a_spare_file(&log, &consumer);
    for n in 0..120 {
        let last = accept(&log, 1000);
        if n % 4 != 0 {
            continue;
        }
        // Whatever there was to give up is given up before the files are copied.
        log.snapshot().unwrap();

        let killed = killed_copy(dir.path());
        let active = of_kind(killed.path(), "seg-").pop().unwrap();
        let before = fs::metadata(&active).unwrap().len();
        let oldest = log.oldest();
        let again = open(killed.path(), options(MIB), &consumer);
        let recovery = again.recovery();
        assert!(!recovery.clean && recovery.snapshot);
        assert_eq!((recovery.damaged, recovery.unwitnessed), (0, 0), "{recovery:?}");
        assert_eq!((recovery.quarantined_bytes, recovery.scanned_segments), (0, 1));
        assert!(recovery.scanned_bytes == before && recovery.next > last);
        let (lsns, others) = read(&again, 1000);
        assert_eq!(lsns, (oldest..=last).collect::<Vec<_>>());
        let [Item::Missing(gap)] = &others[..] else { panic!("{others:?}") };
        let void = (last + 1..recovery.next, MissingCause::Void);
        assert_eq!((gap.range.clone(), gap.cause), void);
        // Beside it, stale bytes are not called damage.
        let directory = Directory::new(killed.path(), Arc::new(StdFileSystem));
        for segment in directory.segments().unwrap() {
            let file = directory.open(&segment).unwrap().unwrap();
            let mut records = file.records();
            while records.next_record().unwrap().is_some() {}
            assert_eq!((records.damaged_bytes(), records.is_expired()), (0, false));
        }
    }
    assert!(log.status().spares_used > 2);
}

/// One byte of the last record, which nobody but LOCK knows of, is damaged, LOCK is lost, and
/// behind it stands what is left of another segment.
#[test]
fn a_damaged_last_record_before_stale_bytes_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::new();
    let log = open(dir.path(), options(MIB), &consumer);
    let last = into_a_spare_file(&log, &consumer);
    log.snapshot().unwrap();
    let lsn = accept(&log, 1000);
    assert_eq!(lsn, last + 1);
    let killed = killed_copy(dir.path());
    fs::remove_file(killed.path().join("LOCK")).unwrap();
    let active = of_kind(killed.path(), "seg-").pop().unwrap();
    let whole = fs::read(&active).unwrap();
    let wanted = body(lsn, 1000);
    let at = whole.windows(1000).position(|window| window == wanted).unwrap();
    assert!(whole.len() > at + 1000 + 48, "something stands behind it");
    for byte in (at - 48..at).chain([at, at + 999]) {
        let hit = killed_copy(killed.path());
        let mut bytes = whole.clone();
        bytes[byte] ^= 1;
        fs::write(hit.path().join(active.file_name().unwrap()), bytes).unwrap();
        let log = open(hit.path(), options(MIB), &consumer);
        let recovery = log.recovery();
        assert_eq!(recovery.damaged, 0, "{byte}");
        // The count itself may be hit, 1 becoming 0 or 257; or it is exact.
        let unwitnessed = if byte + 44 == at + 1 { 257 } else { 1 };
        assert_eq!(recovery.unwitnessed, unwitnessed, "byte {} of the header", byte + 48 - at);
        assert!(recovery.next > lsn, "{recovery:?}");
        // A length that is wrong says nothing of where the damage ends; else that is known.
        if byte >= at - 44 {
            assert!(recovery.quarantined_bytes <= 1048 + 48, "{recovery:?}");
        }
        assert_eq!(read(&log, 1000).0.last(), Some(&last));
    }
}

/// The directory as a kill leaves it between any two of the steps, made by hand.
#[test]
fn a_kill_between_the_steps_of_using_a_file_again() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::new();
    let log = open(dir.path(), options(MIB), &consumer);
    while of_kind(dir.path(), "seg-").len() < 4 {
        accept(&log, 1000);
    }
    let last = accept(&log, 1000);
    consumer.pass(last);
    // (1) the snapshot says that all is passed, and nothing else has happened yet.
    log.snapshot().unwrap();
    let spare = of_kind(dir.path(), "free-").remove(0);
    let with_snapshot = killed_copy(dir.path());
    let oldest = of_kind(with_snapshot.path(), "seg-").remove(0);
    let first = SegmentName::parse(oldest.file_name().unwrap().to_str().unwrap()).unwrap().first;
    // A segment of another life, with its first group.
    while log.status().spares_used == 0 {
        accept(&log, 1000);
    }
    let next_life = of_kind(dir.path(), "seg-").pop().unwrap();
    let next_life = fs::read(next_life).unwrap();
    drop(log);

    let check = |dir: &Path, what: &str| {
        let log = open(dir, options(MIB), &consumer);
        let recovery = log.recovery();
        assert_eq!((recovery.damaged, recovery.unwitnessed), (0, 0), "{what}: {recovery:?}");
        assert_eq!(recovery.quarantined_bytes, 0, "{what}");
        assert!(recovery.next > last, "{what}");
        let (lsns, _) = read(&log, 1000);
        assert_eq!(lsns, (log.oldest()..=last).collect::<Vec<_>>(), "{what}");
        assert!(of_kind(dir, "free-").len() <= 4 && !dir.join("quarantine").exists(), "{what}");
        let lsn = accept(&log, 1000);
        assert_eq!(read(&log, 1000).0.last(), Some(&lsn), "{what}");
        // And on into the files that wait.
        let end = into_a_spare_file(&log, &consumer);
        let (lsns, others) = read(&log, 1000);
        assert!(lsns.ends_with(&[end - 1, end]) && others.is_empty(), "{what}: {others:?}");
        assert_eq!(log.status().damaged, 0, "{what}");
    };
    let file_name = spare.file_name().unwrap();
    // Before (2): the segment is there by its own name.
    let state = killed_copy(with_snapshot.path());
    check(state.path(), "snapshot");
    // After (2): renamed.
    let state = killed_copy(with_snapshot.path());
    let renamed = state.path().join("free-3");
    fs::rename(state.path().join(oldest.file_name().unwrap()), renamed).unwrap();
    check(state.path(), "renamed");
    // After (3), whole and torn: the next life under the old name.
    for cut in [next_life.len(), 40, 64, 100, 5000] {
        let state = killed_copy(with_snapshot.path());
        let mut bytes = fs::read(state.path().join(file_name)).unwrap();
        let len = cut.min(bytes.len()).min(next_life.len());
        bytes[..len].copy_from_slice(&next_life[..len]);
        fs::write(state.path().join(file_name), bytes).unwrap();
        check(state.path(), "written");
    }
    // The old name came back though the file is used again: it is no segment, and is kept.
    let state = killed_copy(with_snapshot.path());
    fs::write(state.path().join(oldest.file_name().unwrap()), &next_life).unwrap();
    let spares = of_kind(state.path(), "free-").len();
    drop(open(state.path(), options(MIB), &consumer));
    assert!(!state.path().join(oldest.file_name().unwrap()).exists(), "{first}");
    assert_eq!(of_kind(state.path(), "free-").len(), spares + 1);
    check(state.path(), "name and header disagree");
}

#[test]
fn spare_files_that_are_left_over_are_taken_over_or_removed() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::new();
    // Segments of 64 KiB.
    drop(open(dir.path(), options(MIB), &consumer));
    let put = |name: &str, len: usize| fs::write(dir.path().join(name), vec![0xab; len]).unwrap();
    put("free-0", 64 << 10); // bytes of who knows what
    put("free-1", 100); // too short
    put("free-2", 300 << 10); // too long
    put("free-3", 40 << 10);
    for others in ["free-4", "free-17", "free-00"] {
        put(others, 64 << 10); // too many
    }
    put("free-x", 5000); // none of ours
    let log = open(dir.path(), options(MIB), &consumer);
    let left: Vec<_> = of_kind(dir.path(), "free-");
    let left: Vec<_> = left.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(left, ["free-0", "free-3", "free-x"]);
    let status = log.status();
    assert_eq!((status.spare_files, status.spare_bytes), (2, 104 << 10));
    assert_eq!(status.segments_created, 1, "the first segment of a run is a new file");
    log.snapshot().unwrap();
    assert_eq!(log.status().used_bytes, bytes_of(dir.path()));
    for _ in 0..250 {
        let last = accept(&log, 1000);
        consumer.pass(last);
    }
    assert!(log.status().spares_used >= 2);
    let (lsns, others) = read(&log, 1000);
    assert_eq!(lsns, (log.oldest()..=250).collect::<Vec<_>>());
    assert!(others.is_empty());
    // A directory of that name is in the way: the log goes on without it.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("free-0")).unwrap();
    let consumer = Consumer::new();
    let log = open(dir.path(), options(MIB), &consumer);
    for _ in 0..400 {
        let last = accept(&log, 1000);
        consumer.pass(last);
        if last.is_multiple_of(50) {
            log.snapshot().unwrap();
        }
    }
    assert_eq!(read(&log, 1000).0.last(), Some(&400));
    assert!(log.status().segments_removed > 0);
}

/// Less room on demand, and a sync of a spare file that fails.
#[derive(Debug)]
struct Faults {
    available: AtomicU64,
    fail: AtomicBool,
    /// Files that the system was told not to keep in memory.
    uncached: Mutex<Vec<PathBuf>>,
}

impl Hooks for Faults {
    fn before_sync(&self, path: &Path) -> io::Result<()> {
        if is_named(path, "free") && self.fail.swap(false, Ordering::Relaxed) {
            return Err(io::Error::other("planted"));
        }
        Ok(())
    }
    fn before_uncache(&self, path: &Path) {
        self.uncached.lock().unwrap().push(path.to_owned());
    }
    fn available(&self) -> u64 {
        self.available.load(Ordering::Relaxed)
    }
}

fn faulty() -> (Arc<Faults>, Options) {
    let (available, fail, uncached) = (AtomicU64::new(1 << 30), false.into(), Mutex::default());
    let faults = Arc::new(Faults { available, fail, uncached });
    let mut options = options(MIB);
    options.file_system = Arc::new(Hooked(Arc::clone(&faults)));
    (faults, options)
}

#[test]
fn spare_files_are_given_back_when_the_file_system_runs_low() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::new();
    let (faults, mut options) = faulty();
    options.min_free = Some(100 << 10);
    let log = open(dir.path(), options, &consumer);
    while of_kind(dir.path(), "seg-").len() < 5 {
        accept(&log, 1000);
    }
    let last = accept(&log, 1000);
    consumer.pass(last);
    log.snapshot().unwrap();
    assert_eq!(of_kind(dir.path(), "free-").len(), 4);
    faults.available.store(150 << 10, Ordering::Relaxed);
    log.snapshot().unwrap();
    assert_eq!(of_kind(dir.path(), "free-").len(), 0);
    assert_eq!(log.status().spare_files, 0);
    // History that goes now is removed, not kept.
    let recycled = log.status().segments_recycled;
    faults.available.store(1 << 30, Ordering::Relaxed);
    while of_kind(dir.path(), "seg-").len() < 4 {
        accept(&log, 1000);
    }
    faults.available.store(150 << 10, Ordering::Relaxed);
    consumer.pass(accept(&log, 1000));
    log.snapshot().unwrap();
    assert_eq!(log.status().segments_recycled, recycled);
    assert!(of_kind(dir.path(), "free-").is_empty() && log.status().segments_removed > 0);
}

#[test]
fn a_spare_file_whose_sync_failed_is_not_tried_again_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::new();
    let (faults, options) = faulty();
    let log = open(dir.path(), options, &consumer);
    while of_kind(dir.path(), "seg-").len() < 4 {
        accept(&log, 1000);
    }
    consumer.pass(accept(&log, 1000));
    log.snapshot().unwrap();
    let spares = of_kind(dir.path(), "free-").len();
    assert!(spares >= 2);
    faults.fail.store(true, Ordering::Relaxed);
    let epoch = log.status().epoch;
    // Of every level: none of them is told before the file has its name.
    let mut last = append(&log, 1000, Level::Os);
    while log.status().spares_used == 0 {
        last = append(&log, 1000, Level::Os);
        log.writer().done(&last).wait().unwrap();
    }
    assert!(!faults.fail.load(Ordering::Relaxed));
    let end = last.lsns().unwrap().end;
    log.writer().synced(end).wait().unwrap();
    let status = log.status();
    assert_eq!((status.segments_abandoned, status.epoch), (1, epoch + 1));
    assert_eq!(of_kind(dir.path(), "free-").len(), spares - 2, "one failed, one is used");
    let (lsns, others) = read(&log, 1000);
    assert_eq!(lsns, (log.oldest()..end).collect::<Vec<_>>());
    assert!(others.is_empty(), "{others:?}");
    assert_eq!((status.damaged, status.health), (0, Health::Accepting));
}

#[test]
fn spare_files_make_room_for_a_record_that_is_larger_than_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::new();
    let log = open(dir.path(), options(MIB), &consumer);
    while of_kind(dir.path(), "seg-").len() < 6 {
        accept(&log, 1000);
    }
    consumer.pass(accept(&log, 1000));
    log.snapshot().unwrap();
    assert_eq!(log.status().spare_files, 4);
    // Nothing is passed from here on, until the log is full but for the room of the spare files.
    while log.status().used_bytes + (100 << 10) < MIB {
        accept(&log, 30_000);
    }
    let large = usize::try_from(log.status().limits.max_record()).unwrap();
    assert!(large > 100 << 10);
    let ticket = append(&log, large, Level::Disk);
    if log.status().spare_files > 0 {
        log.writer().done(&ticket).wait().unwrap();
    }
    wait_until("room or a full log", || {
        log.status().synced_end == log.writer().next() || log.status().health == Health::Full
    });
    assert!(bytes_of(dir.path()) <= MIB);
    consumer.pass(log.writer().next() - 1);
    log.snapshot().unwrap();
    log.writer().done(&ticket).wait().unwrap();
    assert!(log.status().used_bytes <= MIB);
}

#[test]
fn the_system_need_not_keep_what_is_old_in_its_cache() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::new();
    let (faults, mut options) = faulty();
    // Two segments of 64 KiB, and the beginning of the one that is being written.
    options.cache_bytes = 140 << 10;
    let log = open(dir.path(), options, &consumer);
    while of_kind(dir.path(), "seg-").len() < 8 {
        accept(&log, 1000);
    }
    let segments = of_kind(dir.path(), "seg-");
    wait_until("the old ones are mentioned", || faults.uncached.lock().unwrap().len() == 5);
    assert_eq!(*faults.uncached.lock().unwrap(), segments[..5], "each once, the oldest first");
    // They are read as before, in the same files when these are used again too.
    consumer.pass(accept(&log, 1000) - 200);
    log.snapshot().unwrap();
    while log.status().spares_used < 3 {
        consumer.pass(accept(&log, 1000));
    }
    let (lsns, others) = read(&log, 1000);
    assert_eq!(lsns, (log.oldest()..log.status().synced_end).collect::<Vec<_>>());
    assert!(others.is_empty(), "{others:?}");
}
