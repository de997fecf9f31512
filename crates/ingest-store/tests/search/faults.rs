//! Damage, expiry and directories that are not logs.

use std::fs;
use std::ops::ControlFlow;

use ingest_entry::{Entry, Source, TagId, Timestamp};
use ingest_store::{Query, Sort, Store, StoreError, missing_sidecars, write_sidecar};
use ingest_wal::Directory;

use crate::support::{Writing, copy, files, index, search};

fn entry(n: u64) -> Entry {
    let ts = Timestamp::from_unix(n as i64, 0).unwrap();
    Entry::new(
        ts,
        Source::from_ip([10, 0, 0, 1].into()),
        TagId(1),
        format!("entry {n} ").repeat(50),
    )
}

/// A closed log of several segments with one entry a record.
fn written(entries: u64) -> (tempfile::TempDir, Vec<u64>) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Writing::open(dir.path(), 2 << 20);
    log.tag(1, "app");
    (0..entries).for_each(|n| log.write(0, 1, &[entry(n)]));
    let lsns = log.written.iter().map(|found| found.lsn).collect();
    (dir, lsns)
}

fn lsns(dir: &std::path::Path, query: &Query) -> Vec<u64> {
    search(dir, query).0.iter().map(|found| found.lsn).collect()
}

fn orders() -> Vec<Query> {
    let mut queries = Vec::new();
    for sort in [Sort::Arrival, Sort::Time] {
        for limit in [None, Some(1000)] {
            let mut query = Query::new();
            (query.sort, query.limit) = (sort, limit);
            queries.push(query);
        }
    }
    queries
}

#[test]
fn a_damaged_record_costs_its_entries_and_is_counted_once() {
    let (dir, all) = written(300);
    let segments = files(dir.path(), "log");
    assert!(segments.len() >= 3);
    for (at, offset) in [(0, 20_000), (1, 30_003), (2, 9_000)] {
        let hurt = copy(dir.path());
        index(hurt.path());
        let path = hurt.path().join(segments[at].file_name().unwrap());
        let mut bytes = fs::read(&path).unwrap();
        bytes[offset] ^= 0x20;
        fs::write(&path, &bytes).unwrap();
        for query in orders() {
            let with = search(hurt.path(), &query);
            let found: Vec<_> = with.0.iter().map(|found| found.lsn).collect();
            assert_eq!(found.len(), all.len() - 1);
            assert!(found.iter().all(|lsn| all.contains(lsn)));
            assert!((1..1000).contains(&with.1.damaged_bytes), "{:?}", with.1);
            files(hurt.path(), "idx").iter().for_each(|path| fs::remove_file(path).unwrap());
            let without = search(hurt.path(), &query);
            assert_eq!((with.0, with.1.damaged_bytes), (without.0, without.1.damaged_bytes));
            index(hurt.path());
        }
    }
}

#[test]
fn a_torn_tail_is_not_damage() {
    let (dir, all) = written(20);
    let path = files(dir.path(), "log").pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    // The seal goes first, then the records.
    for cut in [1, 40, 300, 700, 1100] {
        fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
        let (found, report) = search(dir.path(), &Query::new());
        assert!(!found.is_empty() && found.iter().zip(&all).all(|(a, b)| a.lsn == *b));
        assert_eq!(report.damaged_bytes, 0);
        assert_eq!(report.next, all[found.len() - 1] + 1);
    }
}

#[test]
fn a_segment_that_expires_is_passed_over() {
    let (dir, all) = written(400);
    for indexed in [false, true] {
        for query in orders() {
            let dir = copy(dir.path());
            if indexed {
                index(dir.path());
            }
            let gone = files(dir.path(), "log").remove(2);
            let (mut found, mut first) = (Vec::new(), true);
            let report = Store::open(dir.path())
                .unwrap()
                .search(&query, &mut |hit| {
                    if first {
                        fs::remove_file(&gone).unwrap();
                        first = false;
                    }
                    found.push(hit.lsn);
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert!(found.is_sorted() && found.iter().all(|lsn| all.contains(lsn)));
            if query.sort == Sort::Arrival {
                assert_eq!(report.expired_segments, 1);
                assert!(found.len() < 400 && found.len() > 200);
            }
            assert_eq!(report.damaged_bytes, 0);
        }
    }
}

#[test]
fn the_sink_ends_the_search() {
    let (dir, _) = written(200);
    for query in orders() {
        let mut left = 70;
        let report = Store::open(dir.path())
            .unwrap()
            .search(&query, &mut |_| {
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        assert_eq!((left, report.hits), (0, 70));
    }
}

#[test]
fn what_a_killed_process_left_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Writing::open(dir.path(), 2 << 20);
    (0..150).for_each(|n| log.write(0, 1, &[entry(n)]));
    let copy = copy(dir.path());
    let all: Vec<_> = log.written.iter().map(|found| found.lsn).collect();
    assert_eq!(lsns(copy.path(), &Query::new()), all);
    let mut again = Writing::open(copy.path(), 2 << 20);
    again.write(0, 1, &[entry(0)]);
    let next = again.written[0].lsn;
    assert_eq!(next, 1 << 20);
    for _ in 0..2 {
        let found = lsns(copy.path(), &Query::new());
        assert_eq!((found.len(), found[150], &found[..150]), (151, next, &all[..]));
        // The segment without a seal gets a sidecar too.
        index(copy.path());
    }
}

#[test]
fn directories_that_are_not_logs() {
    let dir = tempfile::tempdir().unwrap();
    let (found, report) = search(dir.path(), &Query::new());
    assert_eq!((found.len(), report.next), (0, 0));
    let missing = dir.path().join("none");
    let error = Store::open(&missing).unwrap_err();
    assert!(matches!(&error, StoreError::NoDirectory { path } if *path == missing));
    assert_eq!(error.to_string(), format!("there is no directory {}", missing.display()));
    let file_system = std::sync::Arc::new(ingest_wal::StdFileSystem);
    assert_eq!(missing_sidecars(&Directory::new(&missing, file_system)).unwrap(), []);
}

#[test]
fn the_segment_that_is_written_gets_no_sidecar() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Writing::open(dir.path(), 2 << 20);
    (0..150).for_each(|n| log.write(0, 1, &[entry(n)]));
    let store = Store::open(dir.path()).unwrap();
    let segments = store.directory().segments().unwrap();
    let missing = missing_sidecars(store.directory()).unwrap();
    assert_eq!(missing, segments[..segments.len() - 1]);
    assert_eq!(write_sidecar(store.directory(), segments.last().unwrap()).unwrap(), None);
    // One that is gone needs none, and nothing stays behind.
    fs::remove_file(&files(dir.path(), "log")[0]).unwrap();
    assert_eq!(write_sidecar(store.directory(), &segments[0]).unwrap(), None);
    assert_eq!(files(dir.path(), "idx").len() + files(dir.path(), "tmp").len(), 0);
}
