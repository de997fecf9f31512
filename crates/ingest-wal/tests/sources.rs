//! Several sources hand over at once: each keeps its order, none waits for what another has handed
//! over before it, and every ticket tells the truth, whatever fails meanwhile.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "support/gated.rs"]
mod gated;
#[path = "support/hooked.rs"]
mod hooked;
#[path = "support/killed.rs"]
mod killed;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gated::Gate;
use hooked::Hooked;
use ingest_wal::{
    Catalog, Cursor, Entries, Health, Item, Level, Log, Lsn, NoCatalog, OnFull, Options,
    RefusedError, Tally, Ticket, Writer,
};
use killed::killed_copy;

const MIB: u64 = 1 << 20;

/// One record of a source: who, its number there, and as many bytes as it is to have.
fn append(writer: &Writer, source: u16, serial: u64, level: Level, len: usize) -> Ticket {
    let mut body = [source.to_le_bytes().as_slice(), &serial.to_le_bytes()].concat();
    body.resize(len.max(10), serial as u8);
    let permits = vec![writer.permits().acquire_blocking(body.len() as u64)];
    let count = 1 + (serial % 5) as u16;
    let (body, tally) = (Bytes::from(body), Tally::new());
    writer.append(Entries { count, source, arrival: 0, body, level, tally, permits }).unwrap()
}

fn open(dir: &Path, options: Options, catalog: Arc<dyn Catalog>) -> Log {
    Log::open(dir, options, catalog).unwrap()
}

fn gated(max_bytes: u64) -> (Arc<Gate>, Options) {
    let gate = Arc::new(Gate::default());
    let mut options = Options::default();
    options.max_bytes = Some(max_bytes);
    options.min_free = Some(0);
    options.file_system = Arc::new(Hooked(Arc::clone(&gate)));
    (gate, options)
}

/// By source: the first LSN and the number of each record, in the order of the log.
fn read(log: &Log) -> BTreeMap<u16, Vec<(Lsn, u64)>> {
    let mut reader = log.reader(log.oldest());
    let mut found: BTreeMap<u16, Vec<_>> = BTreeMap::new();
    while let Some(item) = reader.next_item().unwrap() {
        if let Item::Record(record) = item {
            let source = u16::from_le_bytes(record.body[..2].try_into().unwrap());
            let serial = u64::from_le_bytes(record.body[2..10].try_into().unwrap());
            assert_eq!(record.header.source, source);
            found.entry(source).or_default().push((record.header.first, serial));
        }
    }
    for records in found.values() {
        assert!(records.is_sorted_by_key(|(_, serial)| *serial), "in its order");
    }
    found
}

#[test]
fn a_lone_record_goes_into_the_next_group_whatever_stands_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (fs, options) = gated(512 * MIB);
    let log = open(dir.path(), options, Arc::new(NoCatalog));
    let writer = log.writer();
    let flood = |serial| append(&writer, 1, serial, Level::Disk, 60_000);
    fs.close(true);
    let first = flood(0);
    fs.until_one_waits();
    let flooded: Vec<_> = (1..61).map(flood).collect();
    let lone = append(&writer, 2, 0, Level::Disk, 100);
    assert_eq!((first.lsns(), lone.lsns()), (Some(1..2), None));
    fs.close(false);
    writer.done(&lone).wait().unwrap();
    let at = lone.lsns().unwrap().start;
    let behind = flooded.iter().filter(|ticket| ticket.lsns().is_none_or(|lsns| lsns.start > at));
    assert!(behind.count() >= 59, "{at}");
    writer.all_synced().wait().unwrap();
    assert!(flooded.iter().all(|ticket| writer.is_durable(ticket)));
    let all = first.through(flooded.last().unwrap().clone());
    assert_eq!(all.lsns(), Some(1..writer.next()));
    // While there are two, no write is large: what comes meanwhile waits for it. One source alone
    // would have it all in three.
    assert!(log.status().groups >= 5, "{:?}", log.status());
}

#[test]
fn all_that_was_handed_over_is_waited_for_whoever_did() {
    let dir = tempfile::tempdir().unwrap();
    let (fs, mut options) = gated(64 * MIB);
    options.os_sync = Duration::from_secs(3_600);
    let log = open(dir.path(), options, Arc::new(NoCatalog));
    let writer = log.writer();
    assert_eq!(writer.all_synced().wait(), Ok(()), "there is nothing");
    fs.close(true);
    let tickets: Vec<_> = (0..30u16)
        .flat_map(|source| {
            let level = [Level::Memory, Level::Os, Level::Disk][usize::from(source % 3)];
            [0, 1, 2].map(|serial| append(&writer, source, serial, level, 5_000))
        })
        .collect();
    let all = writer.all_synced();
    writer.sync();
    fs.close(false);
    all.wait().unwrap();
    for ticket in &tickets {
        assert!(writer.is_durable(ticket) && ticket.lsns().unwrap().end <= writer.synced_end());
    }
    assert_eq!(log.close(), Default::default());
    assert_eq!(writer.all_synced().wait(), Ok(()), "what was reached stays reached");
    assert_eq!(writer.define(Bytes::new()), Err(RefusedError::Closed));
}

/// What producers were told, while they were at work.
#[derive(Default)]
struct Told {
    /// By source and number: the LSN of a record that is durable.
    durable: BTreeMap<(u16, u64), Lsn>,
    /// The like of those that were dropped.
    dropped: BTreeMap<(u16, u64), Lsn>,
}

/// Sources at work, with records of all sizes and levels.
fn at_work(log: &Log, records: u64) -> Told {
    let (writer, told) = (log.writer(), Mutex::new(Told::default()));
    std::thread::scope(|scope| {
        for source in 1..=5u16 {
            let (writer, told) = (writer.clone(), &told);
            scope.spawn(move || {
                let mut mine = Vec::new();
                for serial in 0..records {
                    let level = [Level::Disk, Level::Os, Level::Memory][(serial % 3) as usize];
                    let len = if source == 1 { 20_000 } else { 37 * (serial as usize % 50) };
                    mine.push((serial, append(&writer, source, serial, level, len)));
                    if source > 1 || serial % 40 == 39 {
                        settle(&writer, source, &mut mine, told);
                    }
                }
                settle(&writer, source, &mut mine, told);
            });
        }
    });
    told.into_inner().unwrap()
}

/// Waits for the last of these records, and writes down what became of each.
fn settle(writer: &Writer, source: u16, mine: &mut Vec<(u64, Ticket)>, told: &Mutex<Told>) {
    let Some((_, last)) = mine.last() else { return };
    writer.sync();
    writer.durable(last).wait().unwrap();
    for (serial, ticket) in mine.drain(..) {
        assert!(writer.is_durable(&ticket));
        let (lsns, dropped) = (ticket.lsns().unwrap(), writer.was_dropped(&ticket));
        assert_eq!(dropped, writer.dropped_in(lsns.clone()));
        if ticket.level() != Level::Memory {
            assert_eq!(writer.done(&ticket).wait().is_err(), dropped);
        }
        let mut told = told.lock().unwrap();
        let list = if dropped { &mut told.dropped } else { &mut told.durable };
        assert!(list.insert((source, serial), lsns.start).is_none());
    }
}

/// Everything that was said to be durable is there, where it was said to be, and nothing that was
/// dropped is.
fn check(log: &Log, told: &Told, records: u64) {
    let found: BTreeMap<_, _> = read(log)
        .into_iter()
        .flat_map(|(source, records)| {
            records.into_iter().map(move |(first, serial)| ((source, serial), first))
        })
        .collect();
    assert_eq!(found, told.durable);
    assert_eq!(told.durable.len() + told.dropped.len(), 5 * records as usize);
    let status = log.status();
    let entries = |of: &BTreeMap<(u16, u64), Lsn>| of.keys().map(|(_, n)| 1 + n % 5).sum::<u64>();
    assert_eq!(status.accepted, entries(&told.durable));
    assert_eq!(status.dropped_newest, entries(&told.dropped));
}

#[test]
fn every_ticket_tells_the_truth_while_syncs_fail() {
    let dir = tempfile::tempdir().unwrap();
    let (fs, options) = gated(256 * MIB);
    let log = open(dir.path(), options.clone(), Arc::new(NoCatalog));
    fs.fail_every(7);
    let told = at_work(&log, 400);
    fs.fail_every(0);
    assert!(log.status().segments_abandoned > 3, "{:?}", log.status());
    check(&log, &told, 400);
    assert_eq!(log.status().void, 0);
    let copy = killed_copy(dir.path());
    check(&open(copy.path(), options.clone(), Arc::new(NoCatalog)), &told, 400);
    let next = log.writer().next();
    assert_eq!(log.close(), Default::default());
    let log = open(dir.path(), options, Arc::new(NoCatalog));
    assert!(log.recovery().clean && log.recovery().next == next, "{:?}", log.recovery());
    check(&log, &told, 400);
}

/// Never moves, so that the log is full in the end.
#[derive(Debug)]
struct Stuck;

impl Catalog for Stuck {
    fn cursors(&self) -> Option<Vec<Cursor>> {
        Some(vec![Cursor { name: "out".into(), start: 1, low: 1, ..Cursor::default() }])
    }
}

#[test]
fn every_ticket_tells_the_truth_when_the_newest_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut options) = gated(2 * MIB);
    options.on_full = OnFull::DropNewest;
    let log = open(dir.path(), options, Arc::new(Stuck));
    let told = at_work(&log, 150);
    assert!(told.dropped.len() > 50, "{}", told.dropped.len());
    check(&log, &told, 150);
    assert_eq!(log.status().void, log.status().dropped_newest);
    for source in 1..=5 {
        let of = told.dropped.keys().filter(|(of, _)| *of == source);
        assert_eq!(log.writer().dropped_of(source), of.map(|(_, n)| 1 + n % 5).sum::<u64>());
    }
}

#[test]
fn whoever_waits_is_told_that_the_log_was_closed_while_it_was_full() {
    let dir = tempfile::tempdir().unwrap();
    let (_, options) = gated(MIB);
    let log = open(dir.path(), options, Arc::new(Stuck));
    let writer = log.writer();
    let mut tickets = Vec::new();
    let mut both = || {
        let serial = tickets.len() as u64 / 2;
        tickets.push(append(&writer, 1, serial, Level::Disk, 2_000));
        tickets.push(append(&writer, 2, serial, Level::Memory, 200));
    };
    while log.status().health == Health::Accepting {
        // The permits of what waits do not come back.
        if writer.permits().available() > 10_000 {
            both();
        }
    }
    both();
    let all = writer.all_synced();
    let next = writer.next();
    let unwritten = log.close();
    let lost: Vec<_> = tickets.iter().filter(|ticket| !writer.is_durable(ticket)).collect();
    assert!(!lost.is_empty() && all.wait() == Err(RefusedError::Closed));
    for ticket in &lost {
        let closed =
            if ticket.level() == Level::Memory { Ok(()) } else { Err(RefusedError::Closed) };
        assert_eq!(writer.done(ticket).wait(), closed);
    }
    assert_eq!(unwritten.acknowledged + unwritten.unacknowledged, next - writer.synced_end());
    assert!(unwritten.acknowledged > 0 && unwritten.unacknowledged > 0, "{unwritten:?}");
}
