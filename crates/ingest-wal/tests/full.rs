//! A full log: who waits, what is dropped, and that all of it is counted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "support/killed.rs"]
mod killed;
#[path = "support/wait.rs"]
mod wait;

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ingest_wal::{
    Catalog, Cursor, Entries, Health, Item, Level, Log, Lsn, MissingCause, OnFull, Options,
    RefusedError, Tally, Ticket,
};
use killed::killed_copy;
use wait::wait_until;

const MIB: u64 = 1 << 20;

#[derive(Debug)]
struct Consumer(Mutex<Lsn>);

impl Catalog for Consumer {
    fn cursors(&self) -> Option<Vec<Cursor>> {
        let low = *self.0.lock().unwrap();
        Some(vec![Cursor { name: "out".into(), start: 1, low, ..Cursor::default() }])
    }
}

fn open(dir: &Path, on_full: OnFull, consumer: &Arc<Consumer>) -> Log {
    let mut options = Options::default();
    options.max_bytes = Some(MIB);
    options.min_free = Some(0);
    options.tail_bytes = Some(0);
    options.idle_mark = Duration::ZERO;
    options.on_full = on_full;
    Log::open(dir, options, Arc::clone(consumer) as Arc<dyn Catalog>).unwrap()
}

fn consumer() -> Arc<Consumer> {
    Arc::new(Consumer(Mutex::new(1)))
}

fn append(log: &Log) -> Ticket {
    let writer = log.writer();
    let permit = writer.permits().acquire_blocking(2000);
    let entries = Entries {
        count: 2,
        source: 0,
        arrival: 1,
        body: Bytes::from(vec![7; 2000]),
        level: Level::Disk,
        tally: Tally::new(),
        permits: vec![permit],
    };
    writer.append(entries).unwrap()
}

fn wait(log: &Log, ticket: &Ticket) -> Result<(), RefusedError> {
    log.writer().done(ticket).wait()
}

/// Of what is written, or was dropped.
fn lsns(ticket: &Ticket) -> Range<Lsn> {
    ticket.lsns().unwrap()
}

/// Of each LSN from 1 on: held, or missing and why.
fn fates(log: &Log) -> Vec<(Lsn, Option<MissingCause>)> {
    let mut reader = log.reader(1);
    let mut fates = Vec::new();
    let mut next = 1;
    while let Some(item) = reader.next_item().unwrap() {
        let (range, fate) = match item {
            Item::Record(record) => (record.header.first..record.header.end(), None),
            Item::Missing(missing) => (missing.range, Some(missing.cause)),
            other => panic!("{other:?}"),
        };
        assert_eq!(range.start, next);
        next = range.end;
        fates.extend(range.map(|lsn| (lsn, fate)));
    }
    fates
}

fn without_snapshots(dir: tempfile::TempDir) -> tempfile::TempDir {
    for name in ["cursor-0", "cursor-1"] {
        let _ = fs::remove_file(dir.path().join(name));
    }
    dir
}

#[test]
fn the_newest_are_dropped_and_whoever_waits_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = consumer();
    let log = open(dir.path(), OnFull::DropNewest, &consumer);
    let (mut held, mut dropped) = (Vec::new(), Vec::new());
    let fill = |held: &mut Vec<Lsn>, dropped: &mut Vec<Lsn>| {
        let before = dropped.len();
        let mut last = None;
        while dropped.len() < before + 20 {
            let ticket = append(&log);
            match wait(&log, &ticket) {
                Ok(()) => held.extend(lsns(&ticket)),
                Err(RefusedError::Dropped) => {
                    dropped.extend(lsns(&ticket));
                    last = Some(ticket.clone());
                }
                Err(other) => panic!("{other:?}"),
            }
            // What was said stays said.
            assert_eq!(wait(&log, &ticket).is_ok(), held.contains(&lsns(&ticket).start));
            assert_eq!(log.writer().was_dropped(&ticket), log.writer().dropped_in(lsns(&ticket)));
        }
        last.unwrap()
    };
    let mut gone = fill(&mut held, &mut dropped);
    let status = log.status();
    assert_eq!((status.health, status.dropped_newest), (Health::Full, dropped.len() as u64));
    assert_eq!((status.accepted, status.void), (held.len() as u64, dropped.len() as u64));
    // Killed while full, with or without what the snapshots knew: what was dropped was never
    // accepted, and what was accepted is there.
    log.snapshot().unwrap();
    for lost in [false, true] {
        let copy = killed_copy(dir.path());
        let copy = if lost { without_snapshots(copy) } else { copy };
        let again = open(copy.path(), OnFull::Block, &consumer);
        let status = again.status();
        assert_eq!((status.accepted, status.damaged), (held.len() as u64, 0), "{lost} {status:?}");
        assert!(status.next > log.status().next - 20 * u64::from(lost), "{status:?}");
        let there = fates(&again).into_iter().filter(|(_, fate)| fate.is_none());
        assert!(there.map(|(lsn, _)| lsn).eq(held.iter().copied()));
    }
    // A consumer moves on: it accepts again, and the gap is named.
    for _ in 0..3 {
        *consumer.0.lock().unwrap() = log.writer().next();
        log.snapshot().unwrap();
        let ticket = loop {
            let ticket = append(&log);
            match wait(&log, &ticket) {
                Ok(()) => break ticket,
                Err(RefusedError::Dropped) => {
                    dropped.extend(lsns(&ticket));
                    gone = ticket;
                }
                Err(other) => panic!("{other:?}"),
            }
        };
        held.extend(lsns(&ticket));
        // A wait for several, of which one was dropped, fails.
        let both = gone.through(ticket);
        assert_eq!(wait(&log, &both), Err(RefusedError::Dropped));
        let copy = without_snapshots(killed_copy(dir.path()));
        let again = open(copy.path(), OnFull::Block, &consumer);
        let status = again.status();
        assert_eq!((status.accepted, status.damaged), (held.len() as u64, 0), "{status:?}");
        gone = fill(&mut held, &mut dropped);
    }
    let status = log.status();
    assert_eq!((status.accepted, status.void), (held.len() as u64, dropped.len() as u64));
    assert_eq!(status.dropped_newest, dropped.len() as u64);
    // Closed in order while something is dropped at the end.
    let next = status.next;
    assert_eq!(log.close(), Default::default());
    for lost in [false, true] {
        let copy = killed_copy(dir.path());
        let copy = if lost { without_snapshots(copy) } else { copy };
        let log = open(copy.path(), OnFull::Block, &consumer);
        assert!(log.recovery().clean && log.recovery().next == next, "{:?}", log.recovery());
        let mut reader = log.reader(log.oldest());
        while reader.next_item().unwrap().is_some() {}
        let status = log.status();
        assert_eq!((status.accepted, status.damaged), (held.len() as u64, 0), "{lost} {status:?}");
        assert_eq!(status.void, dropped.len() as u64);
    }
}

#[test]
fn the_oldest_are_dropped_by_segments_and_a_consumer_meets_the_gap() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = consumer();
    let log = open(dir.path(), OnFull::DropOldest, &consumer);
    let mut last = append(&log);
    *consumer.0.lock().unwrap() = 21;
    log.snapshot().unwrap();
    let mut slow = None;
    while log.status().dropped_oldest < 500 {
        last = append(&log);
        assert_eq!(wait(&log, &last), Ok(()));
        assert!(log.status().used_bytes <= MIB);
        if lsns(&last).start == 31 {
            // In the middle of a segment that will be dropped.
            let mut reader = log.reader(21);
            assert!(matches!(reader.next_item(), Ok(Some(Item::Record(_)))));
            slow = Some(reader);
        }
    }
    let told = slow.unwrap().next_item().unwrap().unwrap();
    let Item::Missing(gap) = &told else { panic!("{told:?}") };
    assert_eq!((gap.range.start, gap.cause), (23, MissingCause::Dropped));
    log.snapshot().unwrap();
    let status = log.status();
    let end = lsns(&last).end;
    assert_eq!((status.accepted, status.damaged, status.void), (end - 1, 0, 0));
    // Of the first segment the consumer had passed a part.
    assert_eq!(status.expired, 20);
    assert_eq!(status.dropped_oldest + status.expired + 1, log.oldest());
    assert!(status.spares_used > 0, "files are used again");
    let check = |log: &Log, end: Lsn| {
        let mut reader = log.reader(21);
        let first = reader.next_item().unwrap().unwrap();
        let Item::Missing(gap) = &first else { panic!("{first:?}") };
        assert_eq!((gap.range.clone(), gap.cause), (21..log.oldest(), MissingCause::Dropped));
        let mut next = gap.range.end;
        while let Some(item) = reader.next_item().unwrap() {
            let Item::Record(record) = item else { break };
            assert_eq!(record.header.first, next);
            next = record.header.end();
        }
        assert_eq!(next, end);
    };
    check(&log, end);
    let copy = killed_copy(dir.path());
    drop(log);
    // After a kill as well, as long as the consumer has not passed it.
    let log = open(copy.path(), OnFull::DropOldest, &consumer);
    assert_eq!((log.status().accepted, log.status().damaged), (end - 1, 0));
    check(&log, end);
    *consumer.0.lock().unwrap() = log.oldest();
    log.snapshot().unwrap();
    assert!(log.missing().iter().all(|missing| missing.cause != MissingCause::Dropped));
}

#[test]
fn by_default_it_waits_and_nothing_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = consumer();
    let log = open(dir.path(), OnFull::Block, &consumer);
    let mut tickets = Vec::new();
    while log.status().health != Health::Full {
        tickets.push(append(&log));
    }
    let end = log.writer().next();
    *consumer.0.lock().unwrap() = log.writer().synced_end();
    log.snapshot().unwrap();
    wait_until("everything is durable", || log.writer().synced_end() == end);
    assert!(tickets.iter().all(|ticket| wait(&log, ticket).is_ok()));
    let status = log.status();
    assert_eq!((status.dropped_newest, status.dropped_oldest, status.void), (0, 0, 0));
}
