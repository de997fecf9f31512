//! The log from outside: write, read, end, kill, fill, damage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "support/killed.rs"]
mod killed;
#[path = "support/wait.rs"]
mod wait;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ingest_wal::{
    Catalog, Cursor, Directory, Entries, Health, Item, Level, Log, Lsn, MissingCause, NoCatalog,
    OpenError, Options, StdFileSystem, Tally, Ticket,
};
use killed::killed_copy;
use wait::wait_until;

const MIB: u64 = 1 << 20;

fn options() -> Options {
    let mut options = Options::default();
    options.max_bytes = Some(8 * MIB);
    options.min_free = Some(0);
    options
}

fn open(dir: &Path) -> Log {
    Log::open(dir, options(), Arc::new(NoCatalog)).unwrap()
}

fn append(log: &Log, body: &[u8]) -> Ticket {
    let writer = log.writer();
    let permit = writer.permits().acquire_blocking(body.len() as u64);
    writer
        .append(Entries {
            count: 1,
            source: 3,
            arrival: 1,
            body: Bytes::copy_from_slice(body),
            level: Level::Disk,
            tally: Tally::new(),
            permits: vec![permit],
        })
        .unwrap()
}

fn accept(log: &Log, body: &[u8]) -> Lsn {
    let ticket = append(log, body);
    log.writer().done(&ticket).wait().unwrap();
    ticket.lsns().unwrap().start
}

/// Everything durable from `from` on: (LSN, body) of each record, and the LSNs that are missing.
type Missing = (Lsn, Lsn, MissingCause);

fn read(log: &Log, from: Lsn) -> (Vec<(Lsn, Vec<u8>)>, Vec<Missing>) {
    let mut reader = log.reader(from);
    let (mut records, mut missing) = (Vec::new(), Vec::new());
    while let Some(item) = reader.next_item().unwrap() {
        match item {
            Item::Record(record) => records.push((record.header.first, record.body.to_vec())),
            Item::Missing(gap) => missing.push((gap.range.start, gap.range.end, gap.cause)),
            other => panic!("{other:?}"),
        }
    }
    (records, missing)
}

fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .collect();
    names.sort();
    names
}

#[test]
fn numbering_goes_on_after_a_clean_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    assert!(log.recovery().new);
    assert_eq!((accept(&log, b"a"), accept(&log, b"b")), (1, 2));
    assert_eq!(log.close(), Default::default());
    let log = open(dir.path());
    assert!(log.recovery().clean);
    assert_eq!(log.recovery().scanned_segments, 0);
    assert_eq!(accept(&log, b"c"), 3);
    let (records, missing) = read(&log, 1);
    assert_eq!(records, [(1, b"a".to_vec()), (2, b"b".to_vec()), (3, b"c".to_vec())]);
    assert_eq!(missing, []);
    assert_eq!(log.status().accepted, 3);
}

#[test]
fn an_opening_without_entries_leaves_no_segment_behind() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        drop(open(dir.path()));
    }
    assert_eq!(segments(dir.path()).len(), 1);
    let log = open(dir.path());
    assert_eq!(accept(&log, b"first"), 1);
}

#[test]
fn after_a_kill_everything_accepted_is_there_and_no_number_is_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..10u8 {
        accept(&log, &[n]);
    }
    let copy = killed_copy(dir.path());
    drop(log);
    let log = open(copy.path());
    let recovery = log.recovery();
    assert!(!recovery.clean && recovery.next == 1 << 20, "{recovery:?}");
    assert_eq!((recovery.damaged, recovery.unwitnessed), (0, 0));
    assert_eq!(accept(&log, b"next"), 1 << 20);
    let (records, missing) = read(&log, 1);
    assert_eq!(records.len(), 11);
    assert_eq!(missing, [(11, 1 << 20, MissingCause::Void)]);
    assert_eq!(log.status().accepted, 11);
    drop(log);
    // The next opening knows the void from the snapshot, and, without it, from the log.
    for cursor in ["cursor-0", "cursor-1"] {
        let _ = fs::remove_file(copy.path().join(cursor));
    }
    let log = open(copy.path());
    assert_eq!(read(&log, 1).0.len(), 11);
    assert_eq!(log.status().accepted, 11);
}

#[test]
fn a_flipped_byte_costs_one_record_and_is_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..20u8 {
        accept(&log, &[n; 100]);
    }
    // At rest everything is witnessed.
    wait_until("the mark", || log.status().marks > 0);
    let copy = killed_copy(dir.path());
    drop(log);
    let path = segments(copy.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(100).position(|window| window == [7; 100]).unwrap();
    bytes[at + 50] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let log = open(copy.path());
    assert_eq!((log.recovery().damaged, log.recovery().unwitnessed), (1, 0));
    let (records, missing) = read(&log, 1);
    assert_eq!(records.len(), 19);
    assert_eq!(missing.first(), Some(&(8, 9, MissingCause::Damaged)));
    drop(log);
    let log = open(copy.path());
    assert_eq!(log.status().damaged, 1);
    assert_eq!(fs::read_dir(copy.path().join("quarantine")).unwrap().count(), 1);
}

#[test]
fn damage_in_a_sealed_segment_is_found_by_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..20u8 {
        accept(&log, &[n; 100]);
    }
    drop(log);
    let path = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(100).position(|window| window == [7; 100]).unwrap();
    bytes[at - 20] ^= 1; // in the header
    fs::write(&path, &bytes).unwrap();
    let log = open(dir.path());
    assert!(log.recovery().clean);
    for _ in 0..2 {
        let (records, missing) = read(&log, 1);
        assert_eq!((records.len(), missing), (19, vec![(8, 9, MissingCause::Damaged)]));
    }
    assert_eq!((log.status().damaged, log.status().accepted), (1, 20));
}

#[test]
fn a_torn_tail_at_every_offset_opens_and_keeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..4u8 {
        accept(&log, &[n; 30]);
    }
    let copy = killed_copy(dir.path());
    drop(log);
    let path = segments(copy.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    for cut in (0..=whole.len()).rev() {
        let torn = killed_copy(copy.path());
        fs::write(torn.path().join(path.file_name().unwrap()), &whole[..cut]).unwrap();
        let log = open(torn.path());
        let (records, _) = read(&log, 1);
        let lsns: Vec<Lsn> = records.iter().map(|(lsn, _)| *lsn).collect();
        assert_eq!(lsns, (1..=records.len() as u64).collect::<Vec<_>>(), "cut at {cut}");
        let status = log.status();
        assert_eq!(status.accepted, records.len() as u64 + status.damaged, "cut at {cut}");
        // LOCK says how far it was: nothing is lost without being counted.
        assert_eq!(records.len() as u64 + status.damaged + status.unwitnessed, 4, "cut at {cut}");
        assert!(accept(&log, b"goes on") >= 1 << 20);
    }
}

#[test]
fn every_flipped_byte_of_a_small_log_opens() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..3u8 {
        accept(&log, &[n; 20]);
    }
    log.snapshot().unwrap();
    let copy = killed_copy(dir.path());
    drop(log);
    for entry in fs::read_dir(copy.path()).unwrap() {
        let path = entry.unwrap().path();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let hit = killed_copy(copy.path());
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(hit.path().join(path.file_name().unwrap()), &bytes).unwrap();
            let log = open(hit.path());
            let (records, _) = read(&log, 1);
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            for (lsn, body) in &records {
                assert_eq!(body, &vec![(*lsn - 1) as u8; 20], "{name} byte {at}");
            }
            assert!(records.len() >= 2, "{name} byte {at}: one byte costs one record");
            let status = log.status();
            assert_eq!(
                records.len() as u64 + status.damaged + status.unwitnessed,
                3,
                "{name} byte {at}"
            );
        }
    }
}

#[test]
fn segments_rotate_and_only_passed_ones_are_removed() {
    #[derive(Debug)]
    struct Consumer(std::sync::Mutex<Lsn>);
    impl Catalog for Consumer {
        fn preamble(&self) -> Vec<u8> {
            b"names".to_vec()
        }
        fn definitions(&self) -> Vec<u8> {
            Vec::new()
        }
        fn restore(&self, preamble: &[u8]) {
            assert_eq!(preamble, b"names");
        }
        fn define(&self, _body: &[u8]) {}
        fn tally(&self, _body: &[u8], _tally: &mut Tally) {}
        fn summary(&self, _tally: &Tally) -> Vec<u8> {
            b"counts".to_vec()
        }
        fn cursors(&self) -> Option<Vec<Cursor>> {
            let low = *self.0.lock().unwrap();
            Some(vec![Cursor { name: "out".into(), start: 1, low, ..Cursor::default() }])
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let consumer = Arc::new(Consumer(1.into()));
    let mut options = options();
    options.keep_bytes = Some(0);
    let log = Log::open(dir.path(), options.clone(), consumer.clone()).unwrap();
    let body = [7; 8000];
    for _ in 0..200 {
        let _ = append(&log, &body);
    }
    let last = accept(&log, &body);
    log.snapshot().unwrap();
    assert!(segments(dir.path()).len() > 4, "nothing is passed, nothing is removed");
    assert_eq!(log.oldest(), 1);
    *consumer.0.lock().unwrap() = last;
    log.snapshot().unwrap();
    assert!(segments(dir.path()).len() <= 2);
    assert!(log.oldest() > 1 && log.oldest() <= last);
    let mut reader = log.reader(1);
    assert!(matches!(reader.next_item().unwrap(), Some(Item::Expired(range)) if range.start == 1));
    drop(log);
    let log = Log::open(dir.path(), options, consumer).unwrap();
    assert_eq!(log.cursors()[0].low, last);
}

#[test]
fn a_full_log_blocks_and_goes_on_when_a_consumer_does() {
    #[derive(Debug)]
    struct Stuck(std::sync::Mutex<Lsn>);
    impl Catalog for Stuck {
        fn cursors(&self) -> Option<Vec<Cursor>> {
            let low = *self.0.lock().unwrap();
            Some(vec![Cursor { name: "out".into(), start: 1, low, ..Cursor::default() }])
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let stuck = Arc::new(Stuck(1.into()));
    let mut options = options();
    options.max_bytes = Some(MIB);
    let log = Log::open(dir.path(), options, stuck.clone()).unwrap();
    let writer = log.writer();
    let body = Bytes::from(vec![1; 4000]);
    let mut handed_over = 0;
    wait_until("the log is full", || {
        if let Some(permit) = writer.permits().try_acquire(4000) {
            let entries = Entries {
                count: 1,
                source: 0,
                arrival: 0,
                body: body.clone(),
                level: Level::Disk,
                tally: Tally::new(),
                permits: vec![permit],
            };
            let _ = writer.append(entries).unwrap();
            handed_over += 1;
        }
        log.status().health == Health::Full && writer.permits().available() < 4000
    });
    let used: u64 =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(used <= MIB, "{used}");
    let durable = writer.synced_end() - 1;
    assert!(durable > 150 && durable < handed_over, "{durable} of {handed_over}");
    *stuck.0.lock().unwrap() = writer.synced_end();
    log.snapshot().unwrap();
    writer.synced(handed_over + 1).wait().unwrap();
    assert_eq!(log.status().health, Health::Accepting);
    assert!(log.status().full_episodes >= 1);
}

/// What is written and not synced holds its permits, so it is not the clock that gives them back.
#[test]
fn producers_of_level_os_do_not_wait_for_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options();
    options.os_sync = Duration::from_secs(3_600);
    options.memory = Some(MIB);
    let log = Log::open(dir.path(), options, Arc::new(NoCatalog)).unwrap();
    let writer = log.writer();
    let body = Bytes::from(vec![7; 60_000]);
    for _ in 0..60 {
        let entries = Entries {
            count: 1,
            source: 0,
            arrival: 0,
            body: body.clone(),
            level: Level::Os,
            tally: Tally::new(),
            permits: vec![writer.permits().acquire_blocking(body.len() as u64)],
        };
        let _ = writer.append(entries).unwrap();
    }
    assert!(writer.synced_end() > 30);
}

#[test]
fn the_account_holds_when_only_the_last_segment_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    accept(&log, b"one");
    let copy = killed_copy(dir.path());
    drop(log);
    let log = open(copy.path());
    accept(&log, b"two");
    drop(log);
    let log = open(copy.path());
    accept(&log, b"three");
    drop(log);
    let mut older = segments(copy.path());
    older.pop();
    let gone = older.into_iter().chain(["cursor-0", "cursor-1"].map(|name| copy.path().join(name)));
    gone.for_each(|path| fs::remove_file(path).unwrap());
    let log = open(copy.path());
    assert_eq!((log.status().accepted, read(&log, log.oldest()).0.len()), (3, 1));
}

#[test]
fn numbers_go_on_above_what_lock_alone_remembers() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let last = accept(&log, b"one");
    let copy = killed_copy(dir.path());
    drop(log);
    for entry in fs::read_dir(copy.path()).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("LOCK") {
            fs::remove_file(path).unwrap();
        }
    }
    assert!(accept(&open(copy.path()), b"next") > last);
}

#[test]
fn a_second_process_is_refused_by_pid() {
    let dir = tempfile::tempdir().unwrap();
    let _log = open(dir.path());
    let mut options = options();
    options.lock_wait = Duration::ZERO;
    match Log::open(dir.path(), options, Arc::new(NoCatalog)) {
        Err(OpenError::InUse { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn readers_beside_the_process_see_what_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    accept(&log, b"one");
    let last = accept(&log, b"two");
    let directory = Directory::new(dir.path(), Arc::new(StdFileSystem));
    wait_until("LOCK", || directory.synced_end().unwrap() == Some(last + 1));
    let segment = directory.segments().unwrap().pop().unwrap();
    let file = directory.open(&segment).unwrap().unwrap();
    let mut records = file.records();
    let mut bodies = Vec::new();
    while let Some(record) = records.next_record().unwrap() {
        bodies.push(record.body.to_vec());
    }
    assert_eq!(bodies, [b"one", b"two"]);
    drop(log);
    assert_eq!(directory.synced_end().unwrap(), None);
}

#[test]
fn a_later_format_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let path = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 9;
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let error = Log::open(dir.path(), options(), Arc::new(NoCatalog)).unwrap_err();
    assert!(error.to_string().contains("format 9"), "{error}");
}

#[test]
fn levels_order_and_many_threads_share_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(open(dir.path()));
    let threads: Vec<_> = (0..4u8)
        .map(|thread| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                for n in 0..50u8 {
                    accept(&log, &[thread, n]);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let (records, missing) = read(&log, 1);
    assert_eq!((records.len(), missing.len()), (200, 0));
    for thread in 0..4 {
        let of: Vec<u8> = records.iter().filter(|r| r.1[0] == thread).map(|r| r.1[1]).collect();
        assert_eq!(of, (0..50).collect::<Vec<u8>>());
    }
}
