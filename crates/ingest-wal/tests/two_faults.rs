//! Two faults at once, of which each alone would be harmless.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ingest_wal::{
    Catalog, Cursor, Entries, Item, Level, Log, Lsn, MissingCause, Options, SegmentName, Tally,
};

const STEP: Lsn = 1 << 20;

#[derive(Debug)]
struct Consumer;

impl Catalog for Consumer {
    fn cursors(&self) -> Option<Vec<Cursor>> {
        Some(vec![Cursor { name: "out".into(), start: 1, low: 1, ..Cursor::default() }])
    }
}

fn open(dir: &Path) -> Log {
    let mut options = Options::default();
    options.max_bytes = Some(1 << 20);
    options.min_free = Some(0);
    options.tail_bytes = Some(0);
    options.idle_mark = Duration::from_secs(3_600);
    options.snapshot_every = Duration::from_secs(3_600);
    Log::open(dir, options, Arc::new(Consumer)).unwrap()
}

fn accept(log: &Log, len: usize) -> Lsn {
    accept_many(log, 1, len)
}

fn accept_many(log: &Log, count: u16, len: usize) -> Lsn {
    let writer = log.writer();
    let entries = Entries {
        count,
        source: 0,
        arrival: 1,
        body: Bytes::from(vec![7; len]),
        level: Level::Disk,
        tally: Tally::new(),
        permits: Vec::new(),
    };
    let ticket = writer.append(entries).unwrap();
    writer.done(&ticket).wait().unwrap();
    ticket.lsns().unwrap().start
}

fn killed(log: Log, dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    drop(log);
    copy
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: &PathBuf| SegmentName::parse(path.file_name()?.to_str()?);
    let mut found: Vec<_> = names.filter(|path| of(path).is_some()).collect();
    found.sort();
    found
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    *bytes.get_mut(at).unwrap() ^= 1;
    fs::write(file, bytes).unwrap();
}

/// The cursor file with the higher sequence number.
fn newest_snapshot(dir: &Path) -> PathBuf {
    let sequence = |name: &str| {
        let bytes = fs::read(dir.join(name)).unwrap_or_default();
        bytes.get(32..40).map_or(0, |part| u64::from_le_bytes(part.try_into().unwrap()))
    };
    let newer = if sequence("cursor-0") > sequence("cursor-1") { "cursor-0" } else { "cursor-1" };
    dir.join(newer)
}

/// Reads everything. How many LSNs are missing for each cause that is named.
fn missing(log: &Log, cause: MissingCause) -> u64 {
    let mut reader = log.reader(1);
    let items = std::iter::from_fn(|| reader.next_item().unwrap());
    let of = |item: Item| match item {
        Item::Missing(missing) if missing.cause == cause => Some(missing.count()),
        _ => None,
    };
    items.filter_map(of).sum()
}

/// A reader finds damage in a sealed segment; then the segment that is being written is sealed, and
/// then the only snapshot that knows of the damage is damaged itself.
#[test]
fn damage_that_a_reader_found_is_counted_once_though_the_snapshot_is_lost() {
    let scratch = tempfile::tempdir().unwrap();
    let log = open(scratch.path());
    while segments(scratch.path()).len() < 2 {
        accept(&log, 6_000);
    }
    log.snapshot().unwrap();
    flip(segments(scratch.path()).first().unwrap(), 10_000);
    assert_eq!(missing(&log, MissingCause::Damaged), 1);
    while segments(scratch.path()).len() < 3 {
        accept(&log, 6_000);
    }
    log.snapshot().unwrap();
    let accepted = log.status().accepted;
    let dir = killed(log, scratch.path());
    for lost in 0..3 {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        if lost >= 1 {
            flip(&newest_snapshot(copy.path()), 50);
        }
        if lost == 2 {
            for name in ["cursor-0", "cursor-1"] {
                let _ = fs::remove_file(copy.path().join(name));
            }
        }
        for opening in 0..2 {
            let log = open(copy.path());
            assert_eq!(log.status().damaged, 1, "{lost} {opening}: {:?}", log.status());
            assert_eq!(missing(&log, MissingCause::Damaged), 1, "{lost} {opening}");
            let status = log.status();
            assert_eq!((status.damaged, status.accepted), (1, accepted), "{lost} {opening}");
        }
    }
}

/// An unclean end behind a sealed segment; then the segment that the next run began is lost, and with
/// it the snapshot that knew which numbers were passed over. LOCK alone says how far that run was.
#[test]
fn what_was_passed_over_behind_a_sealed_segment_is_never_damage() {
    let scratch = tempfile::tempdir().unwrap();
    let log = open(scratch.path());
    let mut last = 0;
    while segments(scratch.path()).len() < 2 {
        last = accept(&log, 6_000);
    }
    let dir = killed(log, scratch.path());
    // Killed between the seal and the beginning of the next segment, before that was written.
    fs::remove_file(segments(dir.path()).pop().unwrap()).unwrap();
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    let accepted = last - 1;
    let log = open(dir.path());
    assert_eq!((log.recovery().next, log.status().void), (STEP, STEP - 1 - accepted));
    assert_eq!(accept(&log, 100), STEP);
    let dir = killed(log, dir.path());
    fs::remove_file(segments(dir.path()).pop().unwrap()).unwrap();
    flip(&newest_snapshot(dir.path()), 50);
    for opening in 0..2 {
        let log = open(dir.path());
        assert_eq!(missing(&log, MissingCause::Damaged), 0, "{opening}: {:?}", log.status());
        let status = log.status();
        assert_eq!((status.damaged, status.accepted), (0, accepted), "{opening}: {status:?}");
        // It may have been given, for all that is left to see.
        assert!(status.unwitnessed >= 1, "{opening}: {status:?}");
    }
}

/// Of the last record's header the epoch is damaged, and LOCK went with the power: whether anybody was
/// told of its entries nobody can say, of any of them.
#[test]
fn a_damaged_epoch_in_the_last_header_costs_no_count() {
    let scratch = tempfile::tempdir().unwrap();
    let log = open(scratch.path());
    accept(&log, 100);
    assert_eq!(accept_many(&log, 4, 9), 2);
    let dir = killed(log, scratch.path());
    let last = segments(dir.path()).pop().unwrap();
    let len = usize::try_from(fs::metadata(&last).unwrap().len()).unwrap();
    flip(&last, len - 64 + 39);
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    let status = open(dir.path()).status();
    assert_eq!((status.unwitnessed, status.damaged, status.accepted), (4, 0, 1), "{status:?}");
}
