//! Following a log that is being written.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use ingest_entry::{Entry, Source, TagId, Timestamp};
use ingest_store::{Follow, Query, Store};

use crate::support::{Found, Writing, copy, files};

fn entry(tag: u16, n: u64) -> Entry {
    let ts = Timestamp::from_unix(n as i64, 0).unwrap();
    Entry::new(ts, Source::NONE, TagId(tag), format!("{n} ").repeat(100))
}

fn poll(follow: &mut Follow) -> Vec<Found> {
    let mut found = Vec::new();
    let shown = follow
        .poll(&mut |hit| {
            found.push(Found::of(&hit));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(shown, found.len());
    found
}

fn everything(dir: &Path) -> Follow {
    Follow::new(dir, &Query::new(), 0)
}

#[test]
fn across_rotation_and_reopening() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("log");
    let mut follow = everything(&dir);
    assert_eq!(poll(&mut follow), []);
    let (mut shown, mut written) = (Vec::new(), Vec::new());
    for round in 0..4 {
        let mut log = Writing::open(&dir, 2 << 20);
        log.tag(1, "app");
        for n in 0..120 {
            // What is durable is shown by the next look, and nothing before it is.
            log.write(0, 1, &[entry(1, n), entry(1, n), entry(2, n)]);
            if n % 7 == round {
                shown.extend(poll(&mut follow));
                assert_eq!(shown.len(), written.len() + log.written.len());
                assert_eq!(poll(&mut follow), []);
            }
        }
        written.append(&mut log.written);
        if round == 2 {
            shown.extend(poll(&mut follow));
        }
        drop(log);
    }
    shown.extend(poll(&mut follow));
    assert_eq!(poll(&mut follow), []);
    assert!(files(&dir, "log").len() >= 5);
    assert_eq!(shown, written);
    assert_eq!(follow.position(), written.last().unwrap().lsn + 1);
    assert_eq!(follow.report().hits, written.len() as u64);
}

#[test]
fn after_a_kill_with_names_that_come_later() {
    let first = tempfile::tempdir().unwrap();
    let mut log = Writing::open(first.path(), 2 << 20);
    (0..50).for_each(|n| log.write(0, 1, &[entry(9, n)]));
    let dir = copy(first.path());
    let mut query = Query::new();
    query.tags = vec!["late".parse().unwrap(), "#9".parse().unwrap()];
    let mut follow = Follow::new(dir.path(), &query, 0);
    assert_eq!(poll(&mut follow), log.written);
    let mut log = Writing::open(dir.path(), 2 << 20);
    assert_eq!(poll(&mut follow), []);
    log.write(0, 1, &[entry(3, 1)]);
    assert_eq!(poll(&mut follow), []);
    log.tag(4, "late");
    log.write(0, 1, &[entry(4, 2), entry(3, 3), entry(4, 4)]);
    let lsns: Vec<_> = poll(&mut follow).iter().map(|found| found.lsn).collect();
    assert_eq!(lsns, [log.written[1].lsn, log.written[3].lsn]);
    assert!(lsns[0] > 1 << 20);
}

#[test]
fn it_takes_over_where_a_search_ended() {
    let dir = tempfile::tempdir().unwrap();
    for running in [true, false] {
        let mut log = Writing::open(dir.path(), 2 << 20);
        (0..100).for_each(|n| log.write(0, 1, &[entry(1, n)]));
        let written = log.written.len();
        let log = running.then_some(log);
        let store = Store::open(dir.path()).unwrap();
        let report = store.search(&Query::new(), &mut |_| ControlFlow::Continue(())).unwrap();
        let mut follow = store.follow(&Query::new(), report.next);
        assert_eq!(poll(&mut follow), []);
        let mut log = log.unwrap_or_else(|| Writing::open(dir.path(), 2 << 20));
        (0..100).for_each(|n| log.write(0, 1, &[entry(1, n)]));
        let fresh = if running { &log.written[written..] } else { &log.written[..] };
        assert_eq!(poll(&mut follow), fresh);
    }
}

#[test]
fn a_break_loses_and_repeats_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Writing::open(dir.path(), 2 << 20);
    (0..40).for_each(|n| log.write(0, 1, &[entry(1, n), entry(1, n + 1), entry(1, n + 2)]));
    let mut follow = everything(dir.path());
    let mut shown = Vec::new();
    while shown.len() < log.written.len() {
        let mut room = 1 + shown.len() % 5;
        follow
            .poll(&mut |hit| {
                shown.push(Found::of(&hit));
                room -= 1;
                if room == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
    }
    assert_eq!(poll(&mut follow), []);
    assert_eq!(shown, log.written);
}

#[test]
fn what_expired_is_passed_over_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Writing::open(dir.path(), 1 << 20);
    let mut follow = everything(dir.path());
    (0..100).for_each(|n| log.write(0, 1, &[entry(1, n)]));
    let mut shown = poll(&mut follow);
    assert_eq!(shown, log.written);
    while log.log.oldest() <= follow.position() {
        (0..100).for_each(|n| log.write(0, 1, &[entry(1, n)]));
    }
    shown.extend(poll(&mut follow));
    let last = shown.last().unwrap().lsn;
    assert_eq!(last, log.written.last().unwrap().lsn);
    assert!(shown.iter().map(|found| found.lsn).is_sorted());
    let kept = log.written.iter().rev().zip(shown.iter().rev());
    assert!(kept.take(300).all(|(a, b)| a == b));
}

#[test]
fn another_log_in_its_place_is_followed_from_its_start() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("log");
    let mut log = Writing::open(&dir, 2 << 20);
    (0..10).for_each(|n| log.write(0, 1, &[entry(1, n)]));
    let mut follow = everything(&dir);
    assert_eq!(poll(&mut follow).len(), 10);
    drop(log);
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(poll(&mut follow), []);
    let mut log = Writing::open(&dir, 2 << 20);
    log.write(0, 1, &[entry(1, 0)]);
    assert_eq!(poll(&mut follow), log.written);
}

#[test]
fn a_writer_in_another_thread() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let writer = std::thread::spawn(move || {
        let mut log = Writing::open(&path, 2 << 20);
        log.tag(1, "app");
        (0..600).for_each(|n| log.write(0, 1, &[entry(1, n), entry(1, n)]));
        log.written
    });
    let mut follow = everything(dir.path());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let mut shown = Vec::new();
    while shown.len() < 1200 {
        assert!(std::time::Instant::now() < deadline, "only {} came", shown.len());
        shown.extend(poll(&mut follow));
        std::thread::yield_now();
    }
    assert_eq!(shown, writer.join().unwrap());
}
