//! The guard of the format: logs of format 1 that were written once and are kept in
//! `testdata/log/format-1/` are taken apart by the parser below, which follows
//! `docs/log-format.md` and shares no code with the crate, down to the last byte. Then the crate
//! opens a copy of each and must find exactly what was put in. At the end: what the document promises
//! of damage, on logs that are made on the spot.
//!
//! `INGESTRY_FIXTURES=write` makes the logs anew. They differ in log id, process id and times only.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "support/wait.rs"]
mod wait;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use bytes::Bytes;
use ingest_wal::{
    Catalog, Cursor, Entries, Item, Level, Log, Lsn, MissingCause, NoCatalog, OpenError, Options,
    Tally,
};
use wait::wait_until;

const STEP: Lsn = 1 << 20;

// ---- The logs, and what is in them ------------------------------------------------------------

/// One entry as the gateway stores it: tag number and data.
type Entry = (u16, &'static str);

const ONE: &[Entry] = &[(1, "cpu.load 0.5 1700000000")];
const TWO: &[Entry] = &[(1, "cpu.load 0.75 1700000060"), (2, "")];
const THREE: &[Entry] = &[(2, "h\u{e9}")];
/// What the names are, in the order of their definition: what, number, name.
const NAMES: [(u8, u16, &str); 3] = [SYSLOG, APP, SOURCE];
const SYSLOG: (u8, u16, &str) = (1, 1, "graphite");
const APP: (u8, u16, &str) = (1, 2, "app");
const SOURCE: (u8, u16, &str) = (2, 7, "plain");

const SECONDS: i64 = 62_135_596_800 + 1_700_000_000;

/// The body of a record of entries: flagged IPv4 source, no values.
fn entries(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, data) in entries {
        out.extend((data.len() as u32 | 1 << 31).to_le_bytes());
        out.extend(SECONDS.to_le_bytes());
        out.extend(500u32.to_le_bytes());
        out.extend(tag.to_le_bytes());
        out.extend([192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.extend(data.as_bytes());
    }
    out
}

fn definition((what, number, name): (u8, u16, &str)) -> Vec<u8> {
    let mut out = vec![what, 0];
    out.extend(number.to_le_bytes());
    out.extend((name.len() as u16).to_le_bytes());
    out.extend(name.as_bytes());
    out
}

fn table(names: &[(u8, u16, &str)]) -> Vec<u8> {
    let mut out = (names.len() as u32).to_le_bytes().to_vec();
    names.iter().for_each(|name| out.extend(definition(*name)));
    out
}

/// The body of a record that says them all.
fn definitions(names: &[(u8, u16, &str)]) -> Vec<u8> {
    names.iter().flat_map(|name| definition(*name)).collect()
}

fn summary(counts: &[(u16, u64)]) -> Vec<u8> {
    let mut out = (counts.len() as u32).to_le_bytes().to_vec();
    for (tag, count) in counts {
        out.extend(tag.to_le_bytes());
        out.extend([0; 2]);
        out.extend(count.to_le_bytes());
    }
    out
}

/// The log's user: names as definitions, counts by tag, consumers as they are set.
#[derive(Debug, Default)]
struct User {
    names: Mutex<Vec<u8>>,
    /// A preamble was given back.
    restored: AtomicBool,
    cursors: Mutex<Option<Vec<Cursor>>>,
}

impl Catalog for User {
    fn preamble(&self) -> Vec<u8> {
        let names = self.names.lock().unwrap();
        let count = Bits(&names).definitions().len() as u32;
        [&count.to_le_bytes()[..], &names[..]].concat()
    }

    fn definitions(&self) -> Vec<u8> {
        self.names.lock().unwrap().clone()
    }

    fn restore(&self, preamble: &[u8]) {
        self.restored.store(true, Ordering::Relaxed);
        *self.names.lock().unwrap() = preamble[4..].to_vec();
    }

    fn define(&self, body: &[u8]) {
        let mut names = self.names.lock().unwrap();
        for (what, number, name) in Bits(body).definitions() {
            // Each comes more than once from the log.
            let known = Bits(&names).definitions();
            if !known.iter().any(|have| (have.0, have.1) == (what, number)) {
                names.extend(definition((what, number, &name)));
            }
        }
    }

    fn tally(&self, body: &[u8], tally: &mut Tally) {
        for (tag, _) in Bits(body).entries() {
            *tally.entry(tag).or_default() += 1;
        }
    }

    fn summary(&self, tally: &Tally) -> Vec<u8> {
        summary(&tally.iter().map(|(tag, count)| (*tag, *count)).collect::<Vec<_>>())
    }

    fn cursors(&self) -> Option<Vec<Cursor>> {
        self.cursors.lock().unwrap().clone()
    }
}

// ---- Making them ------------------------------------------------------------------------------

fn options(idle_mark: Duration) -> Options {
    let mut options = Options::default();
    options.max_bytes = Some(1 << 20);
    options.min_free = Some(0);
    options.idle_mark = idle_mark;
    options.snapshot_every = Duration::from_secs(3600);
    options
}

/// No mark while the log is open.
const NEVER: Duration = Duration::from_secs(3600);

fn open(dir: &Path, idle_mark: Duration) -> (Log, Arc<User>) {
    let user = Arc::new(User::default());
    (Log::open(dir, options(idle_mark), user.clone()).unwrap(), user)
}

fn accept(log: &Log, list: &[Entry], arrival: i64) -> Lsn {
    let body = entries(list);
    let mut tally = Tally::new();
    list.iter().for_each(|(tag, _)| *tally.entry(*tag).or_default() += 1);
    let writer = log.writer();
    let permit = writer.permits().acquire_blocking(body.len() as u64);
    let ticket = writer
        .append(Entries {
            count: list.len() as u16,
            source: 7,
            arrival,
            body: Bytes::from(body),
            level: Level::Disk,
            tally,
            permits: vec![permit],
        })
        .unwrap();
    writer.done(&ticket).wait().unwrap();
    ticket.lsns().unwrap().start
}

fn define(log: &Log, user: &User, name: (u8, u16, &str)) {
    user.define(&definition(name));
    log.writer().define(Bytes::from(definition(name))).unwrap();
}

/// Names, three records; a mark follows each group if `idle_mark` is zero.
fn fill(log: &Log, user: &User) {
    for name in NAMES {
        define(log, user, name);
    }
    accept(log, ONE, 1000);
    accept(log, TWO, 900);
    accept(log, THREE, 1100);
}

fn cursor(low: Lsn, above: Option<Range<Lsn>>, released: bool, extra: &[u8]) -> Cursor {
    let name = if released { "gone" } else { "indexers" };
    Cursor {
        name: name.into(),
        start: 1,
        low,
        above: Vec::from_iter(above),
        released,
        extra: extra.to_vec(),
    }
}

fn make(root: &Path) {
    let case = |name: &str| {
        let dir = root.join(name);
        let _ = fs::remove_dir_all(&dir);
        dir
    };
    // Nobody says who the consumers are.
    let (log, user) = open(&case("clean"), NEVER);
    fill(&log, &user);
    assert_eq!(log.close(), Default::default());

    let scratch = tempfile::tempdir().unwrap();
    let (log, user) = open(scratch.path(), Duration::ZERO);
    fill(&log, &user);
    wait_until("a mark behind each group", || log.status().marks == 3);
    *user.cursors.lock().unwrap() = Some(vec![cursor(1, None, false, b"new")]);
    log.snapshot().unwrap();
    *user.cursors.lock().unwrap() = Some(vec![cursor(2, Some(3..4), false, b"state")]);
    log.snapshot().unwrap();
    let killed = case("killed");
    copy(scratch.path(), &killed);
    drop(log);

    // The same, killed when half of a fourth record had been written and LOCK had not.
    let torn = case("torn");
    copy(&killed, &torn);
    let segment = torn.join("seg-0000000000000001-00000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    let whole = Segment::parse(&bytes, "seg-0000000000000001-00000001.log");
    let header = Header {
        len: entries(ONE).len() as u32,
        count: 1,
        kind: 1,
        first: 5,
        synced: 4,
        arrival: 1200,
        source: 7,
        epoch: 1,
        body_crc: crc(&entries(ONE)),
    };
    bytes.extend(header.bytes(whole.log_id, 1));
    bytes.extend(&entries(ONE)[..20]);
    fs::write(&segment, bytes).unwrap();

    // That, opened, written to, and killed again.
    let scratch = tempfile::tempdir().unwrap();
    copy(&torn, scratch.path());
    let (log, user) = open(scratch.path(), NEVER);
    let gone = cursor(1, None, true, b"");
    *user.cursors.lock().unwrap() = Some(vec![cursor(4, None, false, b"state"), gone]);
    accept(&log, ONE, 1300);
    log.snapshot().unwrap();
    copy(scratch.path(), &case("recovered"));
    drop(log);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn fixture(name: &str) -> PathBuf {
    static MADE: Once = Once::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/log/format-1");
    MADE.call_once(|| {
        if std::env::var_os("INGESTRY_FIXTURES").is_some_and(|what| what == "write") {
            make(&root);
        }
    });
    root.join(name)
}

// ---- Taking them apart: docs/log-format.md, written a second time -----------------------------

/// CRC-32C, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    !crc
}

/// Fields at offsets.
#[derive(Clone, Copy)]
struct Bits<'a>(&'a [u8]);

impl<'a> Bits<'a> {
    fn at<const N: usize>(self, offset: usize) -> [u8; N] {
        self.0[offset..offset + N].try_into().unwrap()
    }

    fn u16(self, offset: usize) -> u16 {
        u16::from_le_bytes(self.at(offset))
    }

    fn u32(self, offset: usize) -> u32 {
        u32::from_le_bytes(self.at(offset))
    }

    fn u64(self, offset: usize) -> u64 {
        u64::from_le_bytes(self.at(offset))
    }

    fn i64(self, offset: usize) -> i64 {
        i64::from_le_bytes(self.at(offset))
    }

    fn zeros(self, range: Range<usize>) {
        assert!(self.0[range.clone()].iter().all(|byte| *byte == 0), "not zero in {range:?}");
    }

    fn from(self, offset: usize) -> Self {
        Self(&self.0[offset..])
    }

    /// A list of missing ranges, and its length.
    fn missing(self) -> (Vec<(Range<Lsn>, u8)>, usize) {
        let count = self.u32(0) as usize;
        let one = |n: usize| {
            let at = 4 + 24 * n;
            self.zeros(at + 17..at + 24);
            (self.u64(at)..self.u64(at + 8), self.0[at + 16])
        };
        ((0..count).map(one).collect(), 4 + 24 * count)
    }

    /// An account, and its length.
    fn account(self) -> (Account, usize) {
        let (d, s) = (self.u32(48) as usize, self.u32(52) as usize);
        let account = Account {
            entries: self.u64(0),
            bytes: self.u64(8),
            lsns: self.u64(16)..self.u64(24),
            arrivals: (self.i64(32), self.i64(40)),
            definitions: (0..d).map(|n| self.u64(56 + 8 * n)).collect(),
            summary: self.0[56 + 8 * d..56 + 8 * d + s].to_vec(),
        };
        (account, 56 + 8 * d + s)
    }

    /// Entries of a body: tag and data, each 34 bytes and the data.
    fn entries(self) -> Vec<(u16, String)> {
        let (mut list, mut at) = (Vec::new(), 0);
        while at < self.0.len() {
            let word = self.u32(at);
            assert_eq!(word >> 30, 0b10, "an IPv4 source and no values");
            assert_eq!((self.i64(at + 4), self.u32(at + 12)), (SECONDS, 500));
            assert_eq!(self.at(at + 18), [192, 0, 2, 1]);
            self.zeros(at + 22..at + 34);
            let len = (word & 0x3FFF_FFFF) as usize;
            let data = self.0[at + 34..at + 34 + len].to_vec();
            list.push((self.u16(at + 16), String::from_utf8(data).unwrap()));
            at += 34 + len;
        }
        list
    }

    fn definitions(self) -> Vec<(u8, u16, String)> {
        let (mut list, mut at) = (Vec::new(), 0);
        while at < self.0.len() {
            self.zeros(at + 1..at + 2);
            let len = self.u16(at + 4) as usize;
            let name = self.0[at + 6..at + 6 + len].to_vec();
            list.push((self.0[at], self.u16(at + 2), String::from_utf8(name).unwrap()));
            at += 6 + len;
        }
        list
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    entries: u64,
    bytes: u64,
    lsns: Range<Lsn>,
    arrivals: (i64, i64),
    definitions: Vec<u64>,
    summary: Vec<u8>,
}

/// 48 bytes before a body.
#[derive(Clone, Debug)]
struct Header {
    len: u32,
    count: u16,
    kind: u8,
    first: Lsn,
    synced: Lsn,
    arrival: i64,
    source: u16,
    epoch: u32,
    body_crc: u32,
}

impl Header {
    fn parse(bytes: &[u8], log_id: [u8; 16], segment_first: Lsn) -> Self {
        let bits = Bits(bytes);
        bits.zeros(7..8);
        bits.zeros(34..36);
        let header = Self {
            len: bits.u32(0),
            count: bits.u16(4),
            kind: bytes[6],
            first: bits.u64(8),
            synced: bits.u64(16),
            arrival: bits.i64(24),
            source: bits.u16(32),
            epoch: bits.u32(36),
            body_crc: bits.u32(40),
        };
        assert_eq!(header.bytes(log_id, segment_first), bytes[..48], "{header:?}");
        header
    }

    fn bytes(&self, log_id: [u8; 16], segment_first: Lsn) -> Vec<u8> {
        let mut out = self.len.to_le_bytes().to_vec();
        out.extend(self.count.to_le_bytes());
        out.extend([self.kind, 0]);
        out.extend(self.first.to_le_bytes());
        out.extend(self.synced.to_le_bytes());
        out.extend(self.arrival.to_le_bytes());
        out.extend(self.source.to_le_bytes());
        out.extend([0; 2]);
        out.extend(self.epoch.to_le_bytes());
        out.extend(self.body_crc.to_le_bytes());
        let seed = [&log_id[..], &segment_first.to_le_bytes(), &self.epoch.to_le_bytes(), &out];
        let crc = crc(&seed.concat());
        out.extend(crc.to_le_bytes());
        out
    }
}

struct Record {
    offset: u64,
    header: Header,
    body: Vec<u8>,
    /// Definitions that repeat the preamble.
    in_front: bool,
}

struct Segment {
    log_id: [u8; 16],
    twice: bool,
    preamble: Vec<u8>,
    records: Vec<Record>,
    /// Bytes at the end that are no whole record.
    torn: usize,
}

impl Segment {
    fn parse(bytes: &[u8], name: &str) -> Self {
        let bits = Bits(bytes);
        assert_eq!(&bytes[..8], b"INGSTRY\n");
        assert_eq!(bits.u16(8), 1, "format");
        let flags = bits.u16(10);
        assert!(flags <= 1);
        let len = bits.u32(12) as usize;
        let log_id = bits.at(16);
        let (first, epoch) = (bits.u64(32), bits.u32(40));
        assert_eq!(name, format!("seg-{first:016x}-{epoch:08x}.log"));
        assert!(bits.i64(44) > 1_700_000_000_000_000_000, "begun in our time");
        bits.zeros(56..60);
        assert_eq!(bits.u32(60), crc(&bytes[..60]));
        let preamble = bytes[64..64 + len].to_vec();
        assert_eq!(bits.u32(52), crc(&preamble));
        let twice = flags == 1;
        let mut at = 64 + len;
        if twice {
            assert_eq!(bytes[at..at + len], preamble);
            at += len;
        }
        bits.zeros(at..at.next_multiple_of(8));
        at = at.next_multiple_of(8);

        let mut records = Vec::new();
        let preamble_is_empty = preamble == table(&[]);
        while at < bytes.len() {
            let header = Header::parse(&bytes[at..at + 48], log_id, first);
            assert_eq!(header.epoch, epoch);
            let end = at + 48 + header.len as usize;
            if end > bytes.len() {
                break;
            }
            let body = bytes[at + 48..end].to_vec();
            assert_eq!(header.body_crc, crc(&body));
            bits.zeros(end..end.next_multiple_of(8));
            // Behind the preamble and void records, and only once.
            let in_front = header.kind == 2
                && !preamble_is_empty
                && records.iter().all(|record: &Record| record.header.kind == 5);
            assert!(!in_front || body == preamble[4..], "what the preamble says");
            records.push(Record { offset: at as u64, header, body, in_front });
            at = end.next_multiple_of(8);
        }
        Self { log_id, twice, preamble, records, torn: bytes.len() - at }
    }

    /// Kind, LSN, synced LSN of each record.
    fn outline(&self) -> Vec<(u8, Lsn, Lsn)> {
        let outline = |record: &Record| {
            let header = &record.header;
            match header.kind {
                1 => assert_eq!((header.source, header.count > 0), (7, true)),
                2 => {
                    assert_eq!((header.source, header.count), (0, 0));
                    // Those in front of a segment say when it was begun.
                    assert_eq!(header.arrival != 0, record.in_front);
                    assert!(!record.in_front || header.arrival > 1_700_000_000_000_000_000);
                }
                _ => {
                    assert_eq!((header.source, header.count), (0, 0));
                    assert!(header.arrival > 1_700_000_000_000_000_000);
                }
            }
            (header.kind, header.first, header.synced)
        };
        self.records.iter().map(outline).collect()
    }

    fn bodies(&self, kind: u8) -> Vec<&[u8]> {
        let of_kind = self.records.iter().filter(|record| record.header.kind == kind);
        of_kind.map(|record| &record.body[..]).collect()
    }

    fn check_entries(&self, expected: &[(&[Entry], i64)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(list, arrival)| {
                let list: Vec<_> =
                    list.iter().map(|(tag, data)| (*tag, data.to_string())).collect();
                (list.len() as u16, *arrival, list)
            })
            .collect();
        let found: Vec<_> = self
            .records
            .iter()
            .filter(|record| record.header.kind == 1)
            .map(|r| (r.header.count, r.header.arrival, Bits(&r.body).entries()))
            .collect();
        assert_eq!(found, expected);
    }

    /// Three definitions, twice each, right after another, alike to the bit.
    fn check_definitions(&self) {
        let expected = [SYSLOG, SYSLOG, APP, APP, SOURCE, SOURCE].map(definition);
        assert_eq!(self.bodies(2), expected);
        let headers: Vec<_> =
            self.records[..6].iter().map(|r| r.header.bytes(self.log_id, 1)).collect();
        assert!(headers.chunks(2).all(|pair| pair[0] == pair[1]));
    }
}

struct LockFile {
    log_id: [u8; 16],
    synced: Lsn,
}

fn lock_file(dir: &Path) -> LockFile {
    let bytes = fs::read(dir.join("LOCK")).unwrap();
    assert_eq!(bytes.len(), 64);
    let bits = Bits(&bytes);
    assert_eq!(&bytes[..8], b"INGLOCK\n");
    assert_ne!(bits.u32(8), 0, "a process");
    bits.zeros(12..16);
    assert_eq!(bits.u32(32), crc(&bytes[..32]));
    bits.zeros(36..40);
    assert_eq!(bits.u32(48), crc(&[&bytes[16..32], &bytes[40..48]].concat()));
    bits.zeros(52..64);
    LockFile { log_id: bits.at(16), synced: bits.u64(40) }
}

struct Snapshot {
    log_id: [u8; 16],
    sequence: u64,
    synced: Lsn,
    next: Lsn,
    epoch: u32,
    /// Void, unwitnessed, damaged, expired.
    totals: [u64; 4],
    missing: Vec<(Range<Lsn>, u8)>,
    /// First LSN, epoch, end offset, account.
    recovered: Vec<(Lsn, u32, u64, Account)>,
    cursors: Vec<Cursor>,
}

fn snapshot(dir: &Path, name: &str) -> Snapshot {
    let bytes = fs::read(dir.join(name)).unwrap();
    let bits = Bits(&bytes);
    assert_eq!(&bytes[..8], b"INGCURS\n");
    assert_eq!(bits.u16(8), 1, "format");
    bits.zeros(10..16);
    bits.zeros(60..64);
    let (missing, len) = bits.from(96).missing();
    let mut at = 96 + len;
    let mut recovered = Vec::new();
    let count = bits.u32(at);
    at += 4;
    for _ in 0..count {
        let (first, epoch, end) = (bits.u64(at), bits.u32(at + 8), bits.u64(at + 16));
        bits.zeros(at + 12..at + 16);
        let (account, len) = bits.from(at + 24).account();
        recovered.push((first, epoch, end, account));
        at += 24 + len;
    }
    let mut cursors = Vec::new();
    let count = bits.u32(at);
    at += 4;
    for _ in 0..count {
        let mut take = |len: usize| {
            at += len;
            at - len
        };
        let len = bits.u32(take(4)) as usize;
        let name = take(len);
        let name = String::from_utf8(bytes[name..name + len].to_vec()).unwrap();
        let flags = bits.u32(take(4));
        assert!(flags <= 1);
        let (start, low) = (bits.u64(take(8)), bits.u64(take(8)));
        let ranges = bits.u32(take(4));
        let above = (0..ranges).map(|_| bits.u64(take(8))..bits.u64(take(8))).collect();
        let len = bits.u32(take(4)) as usize;
        let extra = take(len);
        let extra = bytes[extra..extra + len].to_vec();
        cursors.push(Cursor { name, start, low, above, released: flags == 1, extra });
    }
    assert_eq!(bits.u32(at), crc(&bytes[..at]));
    assert_eq!(at + 4, bytes.len(), "files grow with their snapshots here");
    let sequence = bits.u64(32);
    assert_eq!(name, format!("cursor-{}", sequence % 2));
    Snapshot {
        log_id: bits.at(16),
        sequence,
        synced: bits.u64(40),
        next: bits.u64(48),
        epoch: bits.u32(56),
        totals: [64, 72, 80, 88].map(|at| bits.u64(at)),
        missing,
        recovered,
        cursors,
    }
}

/// Files of a directory by name, with those of its quarantine.
fn names(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(
                self::names(&entry.path()).into_iter().map(|file| format!("{name}/{file}")),
            );
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}

fn segment(dir: &Path, name: &str) -> Segment {
    Segment::parse(&fs::read(dir.join(name)).unwrap(), name)
}

// ---- What the crate makes of them -------------------------------------------------------------

/// What opening a copy must give.
struct Expected {
    clean: bool,
    snapshot: bool,
    next: Lsn,
    epoch: u32,
    /// Void, unwitnessed, damaged of this opening.
    found: [u64; 3],
    /// Accepted, void, unwitnessed, damaged in the life of the directory.
    life: [u64; 4],
    entries: Vec<(Lsn, Entry)>,
    missing: Vec<(Range<Lsn>, MissingCause)>,
    cursors: Vec<Cursor>,
}

fn check_opening(name: &str, expected: &Expected) {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(name), dir.path());
    let (log, user) = open(dir.path(), NEVER);
    let recovery = log.recovery();
    assert_eq!((recovery.clean, recovery.snapshot), (expected.clean, expected.snapshot));
    assert_eq!((recovery.next, recovery.epoch), (expected.next, expected.epoch));
    assert_eq!([recovery.void, recovery.unwitnessed, recovery.damaged], expected.found);
    assert_eq!(log.cursors(), expected.cursors);
    assert_eq!(known_names(&user), NAMES.map(|(what, number, name)| (what, number, name.into())));

    let (mut found, mut missing) = (Vec::new(), Vec::new());
    let mut reader = log.reader(1);
    while let Some(item) = reader.next_item().unwrap() {
        match item {
            Item::Record(record) => {
                let list = Bits(&record.body).entries();
                assert_eq!(list.len(), usize::from(record.header.count));
                found.extend((record.header.first..).zip(list));
            }
            Item::Missing(gap) => missing.push((gap.range, gap.cause)),
            other => panic!("{other:?}"),
        }
    }
    let entry = |&(lsn, (tag, data)): &(Lsn, Entry)| (lsn, (tag, data.to_owned()));
    assert_eq!(found, expected.entries.iter().map(entry).collect::<Vec<_>>());
    assert_eq!(missing, expected.missing);
    let status = log.status();
    let life = [status.accepted, status.void, status.unwitnessed, status.damaged];
    assert_eq!(life, expected.life);
    assert_eq!(accept(&log, ONE, 1), expected.next);
}

fn known_names(user: &User) -> Vec<(u8, u16, String)> {
    Bits(&user.names.lock().unwrap()).definitions()
}

/// LSNs 1 to 4.
fn filled() -> Vec<(Lsn, Entry)> {
    (1..).zip([ONE, TWO, THREE].concat()).collect()
}

fn account(definitions: &[u64]) -> Account {
    Account {
        entries: 4,
        bytes: [ONE, TWO, THREE].map(|list| entries(list).len() as u64).iter().sum(),
        lsns: 1..5,
        arrivals: (900, 1100),
        definitions: definitions.to_vec(),
        summary: summary(&[(1, 2), (2, 2)]),
    }
}

/// Preamble of an empty table, twice; then definitions of 14, 9 and 11 bytes, each twice.
const DEFINITIONS_AT: [u64; 6] = [72, 136, 200, 264, 328, 392];
const FIRST: &str = "seg-0000000000000001-00000001.log";

#[test]
fn the_checksum_is_castagnoli() {
    assert_eq!(crc(b"123456789"), 0xE306_9283);
}

#[test]
fn a_log_that_was_closed() {
    let dir = fixture("clean");
    // Nobody has said who the consumers are: there is no snapshot that could say that there are none.
    assert_eq!(names(&dir), ["LOCK", FIRST]);
    let first = segment(&dir, FIRST);
    assert!(first.twice);
    assert_eq!((first.preamble.clone(), first.torn), (table(&[]), 0));
    let definitions = [(2, 1, 0); 6];
    let entries = [(1, 1, 0), (1, 2, 1), (1, 4, 3), (4, 5, 4), (6, 5, 4)];
    assert_eq!(first.outline(), [&definitions[..], &entries].concat());
    first.check_definitions();
    first.check_entries(&[(ONE, 1000), (TWO, 900), (THREE, 1100)]);
    assert_eq!(first.bodies(4), [b""]);

    let seal = first.bodies(6)[0];
    let bits = Bits(seal);
    assert_eq!([0, 8, 16, 24, 32].map(|at| bits.u64(at)), [4, 5, 0, 0, 0]);
    assert_eq!(bits.u32(40), 1, "closed in order");
    bits.zeros(44..48);
    let (found, len) = bits.from(48).account();
    let offsets: Vec<u64> = first.records[..6].iter().map(|record| record.offset).collect();
    assert_eq!(offsets, DEFINITIONS_AT);
    assert_eq!(found, account(&offsets));
    let end = (48 + len).next_multiple_of(8);
    bits.zeros(48 + len..end);
    assert_eq!(bits.u64(end), 48 + seal.len() as u64);
    assert_eq!(&seal[end + 8..], b"SEALED\r\n");

    let lock = lock_file(&dir);
    assert_eq!((lock.log_id, lock.synced), (first.log_id, 4));

    check_opening(
        "clean",
        &Expected {
            clean: true,
            snapshot: false,
            next: 5,
            epoch: 2,
            found: [0; 3],
            life: [4, 0, 0, 0],
            entries: filled(),
            missing: vec![],
            cursors: vec![],
        },
    );
}

/// A mark stands behind each group.
fn marked() -> Vec<(u8, Lsn, Lsn)> {
    let definitions = [(2, 1, 0); 6];
    let entries = [(1, 1, 0), (4, 2, 1), (1, 2, 1), (4, 4, 3), (1, 4, 3), (4, 5, 4)];
    [&definitions[..], &entries].concat()
}

#[test]
fn a_log_whose_writer_was_killed() {
    let dir = fixture("killed");
    assert_eq!(names(&dir), ["LOCK", "cursor-0", "cursor-1", FIRST]);
    let first = segment(&dir, FIRST);
    assert_eq!((first.outline(), first.torn), (marked(), 0));
    first.check_definitions();
    first.check_entries(&[(ONE, 1000), (TWO, 900), (THREE, 1100)]);
    assert_eq!(lock_file(&dir).synced, 4);
    let cursors = vec![cursor(2, Some(3..4), false, b"state")];
    let older = vec![cursor(1, None, false, b"new")];
    for (name, sequence, cursors) in [("cursor-1", 1, &older), ("cursor-0", 2, &cursors)] {
        let snapshot = snapshot(&dir, name);
        assert_eq!((snapshot.log_id, snapshot.sequence), (first.log_id, sequence));
        assert_eq!((snapshot.synced, snapshot.next, snapshot.epoch), (4, 5, 1));
        assert_eq!(snapshot.totals, [0; 4]);
        assert!(snapshot.missing.is_empty() && snapshot.recovered.is_empty());
        assert_eq!(&snapshot.cursors, cursors);
    }

    check_opening(
        "killed",
        &Expected {
            clean: false,
            snapshot: true,
            next: STEP,
            epoch: 2,
            found: [STEP - 5, 0, 0],
            life: [4, STEP - 5, 0, 0],
            entries: filled(),
            missing: vec![(5..STEP, MissingCause::Void)],
            cursors,
        },
    );
}

#[test]
fn a_log_with_a_torn_end() {
    let dir = fixture("torn");
    let first = segment(&dir, FIRST);
    assert_eq!((first.outline(), first.torn), (marked(), 48 + 20));

    check_opening(
        "torn",
        &Expected {
            clean: false,
            snapshot: true,
            next: STEP,
            epoch: 2,
            // The header is whole: LSN 5 was given. Nothing witnesses it.
            found: [STEP - 6, 1, 0],
            life: [4, STEP - 6, 1, 0],
            entries: filled(),
            missing: vec![(5..6, MissingCause::Unwitnessed), (6..STEP, MissingCause::Void)],
            cursors: vec![cursor(2, Some(3..4), false, b"state")],
        },
    );
}

#[test]
fn a_log_that_was_recovered_and_killed_again() {
    let dir = fixture("recovered");
    let second = "seg-0000000000100000-00000002.log";
    let first = segment(&dir, FIRST);
    let torn_at = fs::metadata(dir.join(FIRST)).unwrap().len() - 68;
    let bad = format!("quarantine/seg-0000000000000001-00000001-{torn_at:x}.bad");
    assert_eq!(names(&dir), ["LOCK", "cursor-0", "cursor-1", &*bad, FIRST, second]);
    let damaged = fs::read(dir.join(bad)).unwrap();
    assert_eq!(fs::read(dir.join(FIRST)).unwrap()[torn_at as usize..], damaged);

    // It begins with what is missing, twice; the names are in front, and once more as a record.
    let second = segment(&dir, second);
    assert!(!second.twice);
    assert_eq!((second.preamble.clone(), second.torn), (table(&NAMES), 0));
    let settled = STEP - 1;
    let kinds = [5, 5, 2, 1];
    assert_eq!(second.outline(), kinds.map(|kind| (kind, STEP, settled)));
    assert!(second.records[2].in_front);
    assert_eq!(second.bodies(2), [definitions(&NAMES)]);
    second.check_entries(&[(ONE, 1300)]);
    let missing = vec![(6..STEP, 0), (5..6, 1)];
    for void in second.bodies(5) {
        let bits = Bits(void);
        assert_eq!([0, 8, 16].map(|at| bits.u64(at)), [STEP - 6, 1, 0]);
        assert_eq!(bits.from(24).missing(), (missing.clone(), void.len() - 24));
    }

    let lock = lock_file(&dir);
    assert_eq!((lock.log_id, lock.synced), (second.log_id, STEP));
    // The third at the opening, the fourth before the kill.
    let newest = snapshot(&dir, "cursor-0");
    assert_eq!((newest.log_id, newest.sequence), (first.log_id, 4));
    assert_eq!((newest.synced, newest.next, newest.epoch), (STEP, STEP + 1, 2));
    assert_eq!(newest.totals, [STEP - 6, 1, 0, 0]);
    assert_eq!(newest.missing, missing);
    let scanned = account(&DEFINITIONS_AT);
    assert_eq!(newest.recovered, [(1, 1, torn_at, scanned)]);
    let cursors = vec![cursor(4, None, false, b"state"), cursor(1, None, true, b"")];
    assert_eq!(newest.cursors, cursors);
    let older = snapshot(&dir, "cursor-1");
    assert_eq!((older.sequence, older.synced, older.next), (3, settled, STEP));

    let mut entries = filled();
    entries.extend((STEP..).zip(ONE.to_vec()));
    check_opening(
        "recovered",
        &Expected {
            clean: false,
            snapshot: true,
            next: 2 * STEP,
            epoch: 3,
            found: [STEP - 1, 0, 0],
            life: [5, 2 * STEP - 7, 1, 0],
            entries,
            missing: vec![
                (5..6, MissingCause::Unwitnessed),
                (6..STEP, MissingCause::Void),
                (STEP + 1..2 * STEP, MissingCause::Void),
            ],
            cursors,
        },
    );
}

#[test]
fn every_fixture_is_looked_at() {
    let entries = fs::read_dir(fixture("")).unwrap();
    let mut cases: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    cases.sort();
    assert_eq!(cases, ["clean", "killed", "recovered", "torn"]);
}

// ---- What is promised of damage ---------------------------------------------------------------

/// Opens with everything that can be removed being removed.
fn open_forgetful(dir: &Path) -> (Log, Arc<User>) {
    let user = Arc::new(User::default());
    let mut options = options(NEVER);
    options.keep_bytes = Some(0);
    (Log::open(dir, options, user.clone()).unwrap(), user)
}

/// The directory of an open log, as a kill would leave it.
fn killed(log: Log, dir: &Path) -> tempfile::TempDir {
    let copied = tempfile::tempdir().unwrap();
    copy(dir, copied.path());
    drop(log);
    copied
}

fn flip(file: &Path, at: usize, bit: u32) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1 << bit;
    fs::write(file, bytes).unwrap();
}

fn lose_snapshots(dir: &Path) {
    let _ = fs::remove_file(dir.join("cursor-0"));
    let _ = fs::remove_file(dir.join("cursor-1"));
}

fn items(log: &Log, from: Lsn) -> Vec<Item> {
    let mut reader = log.reader(from);
    std::iter::from_fn(|| reader.next_item().unwrap()).collect()
}

/// An entry was accepted; of its record the header is damaged, and LOCK, which is not synced, knows
/// nothing of it. Its number is not given again, and it is counted.
#[test]
fn a_number_that_only_a_damaged_header_knows_is_not_given_again() {
    let scratch = tempfile::tempdir().unwrap();
    let (log, _) = open(scratch.path(), NEVER);
    assert_eq!(accept(&log, ONE, 1), 1);
    let second = killed(log, scratch.path());
    let (log, _) = open(second.path(), NEVER);
    let lock = fs::read(second.path().join("LOCK")).unwrap();
    assert_eq!(accept(&log, TWO, 1), STEP);
    let third = killed(log, second.path());
    fs::write(third.path().join("LOCK"), lock).unwrap();
    let name = "seg-0000000000100000-00000002.log";
    let last = segment(third.path(), name).records.pop().unwrap();
    assert_eq!((last.header.kind, last.header.first, last.header.count), (1, STEP, 2));
    for byte in 0..48 {
        let bit = byte % 8;
        let hit = tempfile::tempdir().unwrap();
        copy(third.path(), hit.path());
        flip(&hit.path().join(name), last.offset as usize + byte, bit as u32);
        let (log, _) = open(hit.path(), NEVER);
        let recovery = log.recovery();
        assert_eq!((recovery.next, recovery.damaged), (2 * STEP, 0), "byte {byte}");
        // The count itself may be hit.
        let unwitnessed = match byte {
            4 => 2 ^ (1 << bit),
            5 => 2 ^ (1 << (8 + bit)),
            _ => 2,
        };
        assert_eq!(recovery.unwitnessed, unwitnessed, "byte {byte}");
        assert_eq!(log.status().accepted, 1, "byte {byte}");
    }
}

/// What was lost without any trace is still below where numbering goes on.
#[test]
fn numbering_keeps_clear_of_the_next_multiple() {
    let scratch = tempfile::tempdir().unwrap();
    let (log, _) = open(scratch.path(), NEVER);
    assert_eq!(accept(&log, ONE, 1), 1);
    let mut dir = killed(log, scratch.path());
    // No entry is accepted, so only the name of the segment says how far numbering was.
    for next in [STEP, 2 * STEP, 3 * STEP] {
        let (log, _) = open(dir.path(), NEVER);
        assert_eq!(log.recovery().next, next);
        assert_eq!((log.status().accepted, log.status().void), (1, next - 2));
        dir = killed(log, dir.path());
    }
    // The last group may have used 2^17 numbers. As long as they fit below the next multiple it is
    // the one; with one number less of room it is not.
    let (log, _) = open(dir.path(), NEVER);
    let (writer, last) = (log.writer(), 5 * STEP - (1 << 17) - 1);
    let mut end = 4 * STEP;
    let mut give = |count: u64| {
        let entries = Entries {
            count: count as u16,
            source: 7,
            arrival: 1,
            body: Bytes::from_static(b"many"),
            level: Level::Disk,
            tally: Tally::new(),
            permits: vec![writer.permits().acquire_blocking(4)],
        };
        let ticket = writer.append(entries).unwrap();
        writer.done(&ticket).wait().unwrap();
        end = ticket.lsns().unwrap().end;
        end
    };
    while give(1) <= last {
        let room = last - writer.next();
        if room > 0 {
            give(room.min(65_535));
        }
    }
    let fits = tempfile::tempdir().unwrap();
    copy(dir.path(), fits.path());
    give(1);
    let over = killed(log, dir.path());
    for (dir, next) in [(fits, 5 * STEP), (over, 6 * STEP)] {
        let log = Log::open(dir.path(), options(NEVER), Arc::new(NoCatalog)).unwrap();
        assert_eq!(log.recovery().next, next);
    }
}

/// Whatever the snapshots knew, the void record in front of the newest segment knows.
#[test]
fn totals_outlive_the_snapshots() {
    let scratch = tempfile::tempdir().unwrap();
    let (log, user) = open(scratch.path(), Duration::ZERO);
    *user.cursors.lock().unwrap() = Some(Vec::new());
    fill(&log, &user);
    wait_until("a mark behind each group", || log.status().marks == 3);
    log.snapshot().unwrap();
    let dir = killed(log, scratch.path());
    let record = |lsn: Lsn| {
        let first = segment(dir.path(), FIRST);
        first.records.iter().find(|r| r.header.kind == 1 && r.header.first == lsn).unwrap().offset
    };
    let half = segment(dir.path(), FIRST).records.pop().unwrap();
    // LSNs 2 and 3 were witnessed, and are damaged; behind 4 stands half a record.
    flip(&dir.path().join(FIRST), record(2) as usize + 50, 0);
    let mut bytes = fs::read(dir.path().join(FIRST)).unwrap();
    let header = Header { count: 1, kind: 1, first: 5, len: 90, ..half.header };
    bytes.extend(header.bytes(lock_file(dir.path()).log_id, 1));
    fs::write(dir.path().join(FIRST), bytes).unwrap();
    let expected = (STEP - 6, 1, 2, 4);
    let totals = |log: &Log| {
        let status = log.status();
        (status.void, status.unwitnessed, status.damaged, status.accepted)
    };
    let (log, _) = open(dir.path(), NEVER);
    assert_eq!(totals(&log), expected);
    let killed_once = killed(log, dir.path());
    lose_snapshots(killed_once.path());
    // The damaged segment itself may be gone as well.
    for first_gone in [false, true] {
        let copied = tempfile::tempdir().unwrap();
        copy(killed_once.path(), copied.path());
        if first_gone {
            fs::remove_file(copied.path().join(FIRST)).unwrap();
        }
        let (log, _) = open(copied.path(), NEVER);
        assert!(!log.recovery().snapshot);
        let (void, unwitnessed, damaged, accepted) = expected;
        assert_eq!(totals(&log), (void + STEP, unwitnessed, damaged, accepted), "{first_gone}");
        accept(&log, ONE, 1);
        // Read, it is counted once all the same; and the seal says so to the next opening.
        items(&log, 1);
        let expected = (void + STEP, unwitnessed, damaged, accepted + 1);
        assert_eq!(totals(&log), expected, "{first_gone}");
        drop(log);
        lose_snapshots(copied.path());
        let (log, _) = open(copied.path(), NEVER);
        assert!(log.recovery().clean);
        assert_eq!(totals(&log), expected, "{first_gone}");
    }
}

/// The newest snapshot is damaged, the one before it is of an earlier run: what that run passed over
/// is counted once.
#[test]
fn an_older_snapshot_does_not_count_again() {
    let scratch = tempfile::tempdir().unwrap();
    let (log, user) = open(scratch.path(), NEVER);
    *user.cursors.lock().unwrap() = Some(Vec::new());
    accept(&log, ONE, 1);
    log.snapshot().unwrap();
    let dir = killed(log, scratch.path());
    let (log, _) = open(dir.path(), NEVER);
    assert_eq!(log.close(), Default::default());
    for name in ["cursor-0", "cursor-1"] {
        let hit = tempfile::tempdir().unwrap();
        copy(dir.path(), hit.path());
        flip(&hit.path().join(name), 50, 0);
        let (log, _) = open(hit.path(), NEVER);
        assert!(log.recovery().snapshot && log.recovery().clean);
        let status = log.status();
        assert_eq!((log.recovery().next, status.accepted, status.void), (STEP, 1, STEP - 2));
    }
}

/// Any bit of a segment's front may be wrong, and no other segment be there: the names come back,
/// from the preamble or as definitions.
#[test]
fn either_copy_of_the_names_is_enough() {
    let scratch = tempfile::tempdir().unwrap();
    let (log, user) = open(scratch.path(), NEVER);
    fill(&log, &user);
    assert_eq!(log.close(), Default::default());
    let (log, _) = open(scratch.path(), NEVER);
    accept(&log, ONE, 1);
    let dir = killed(log, scratch.path());
    fs::remove_file(dir.path().join(FIRST)).unwrap();
    let name = "seg-0000000000000005-00000002.log";
    let only = segment(dir.path(), name);
    assert!(!only.twice && only.records[0].in_front);
    let names = NAMES.map(|(what, number, name)| (what, number, name.to_owned()));
    for byte in 0..only.records[1].offset as usize {
        let hit = tempfile::tempdir().unwrap();
        copy(dir.path(), hit.path());
        flip(&hit.path().join(name), byte, byte as u32 % 8);
        let (log, user) = open(hit.path(), NEVER);
        assert_eq!(known_names(&user), names, "byte {byte}");
        let preamble_is_read = byte >= 64 + only.preamble.len();
        assert_eq!(user.restored.load(Ordering::Relaxed), preamble_is_read, "byte {byte}");
        assert_eq!(accept(&log, TWO, 1), STEP);
    }
}

/// The gap behind the last entry of a segment that is gone is said, not taken for entries that
/// were there.
#[test]
fn below_the_oldest_segment_known_gaps_are_told_from_what_expired() {
    let scratch = tempfile::tempdir().unwrap();
    let (log, _) = open_forgetful(scratch.path());
    accept(&log, TWO, 1);
    let dir = killed(log, scratch.path());
    let (log, user) = open_forgetful(dir.path());
    assert_eq!(accept(&log, ONE, 1), STEP);
    *user.cursors.lock().unwrap() = Some(vec![cursor(STEP, None, false, b"")]);
    log.snapshot().unwrap();
    assert_eq!(log.oldest(), STEP);
    let found = items(&log, 1);
    let [Item::Expired(gone), Item::Missing(gap), Item::Record(record)] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((gone.clone(), gap.range.clone(), gap.cause), (1..3, 3..STEP, MissingCause::Void));
    assert_eq!(record.header.first, STEP);
    assert_eq!((log.status().accepted, log.status().expired), (3, 2));
}

/// Before anybody has said who the consumers are, nothing is passed and no snapshot is written.
#[test]
fn nothing_is_passed_before_the_consumers_are_known() {
    let scratch = tempfile::tempdir().unwrap();
    let (log, user) = open_forgetful(scratch.path());
    let long = "x".repeat(30_000);
    let long: &'static str = long.leak();
    for _ in 0..8 {
        accept(&log, &[(1, long)], 1);
    }
    log.snapshot().unwrap();
    assert_eq!((log.oldest(), log.status().snapshots), (1, 0));
    assert!(!names(scratch.path()).iter().any(|name| name.starts_with("cursor")));
    // Who is known from a snapshot holds back, though nobody has said it in this run.
    *user.cursors.lock().unwrap() = Some(vec![cursor(1, None, false, b"")]);
    log.snapshot().unwrap();
    drop(log);
    let (log, user) = open_forgetful(scratch.path());
    log.snapshot().unwrap();
    assert_eq!((log.oldest(), log.cursors().len()), (1, 1));
    assert_eq!(snapshot(scratch.path(), "cursor-1").cursors, log.cursors());
    *user.cursors.lock().unwrap() = Some(Vec::new());
    log.snapshot().unwrap();
    assert!(log.oldest() > 1);
}

/// A directory that a later format has been in is left as it is.
#[test]
fn nothing_is_removed_from_a_directory_of_a_later_format() {
    let scratch = tempfile::tempdir().unwrap();
    let (log, _) = open(scratch.path(), NEVER);
    accept(&log, ONE, 1);
    assert_eq!(log.close(), Default::default());
    // Under a name of its own before the others: a whole segment that says another one.
    let misnamed = scratch.path().join("seg-0000000000000000-00000001.log");
    fs::copy(scratch.path().join(FIRST), &misnamed).unwrap();
    let copied = tempfile::tempdir().unwrap();
    copy(scratch.path(), copied.path());
    let path = scratch.path().join(FIRST);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    let checksum = crc(&bytes[..60]);
    bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let before = names(scratch.path());
    let refused = Log::open(scratch.path(), options(NEVER), Arc::new(User::default()));
    assert!(matches!(refused, Err(OpenError::UnknownFormat { format: 2, .. })), "{refused:?}");
    assert_eq!(names(scratch.path()), before);
    // Without it the misnamed one goes.
    let (log, _) = open(copied.path(), NEVER);
    assert!(!copied.path().join(misnamed.file_name().unwrap()).exists());
    assert_eq!((log.recovery().next, log.status().accepted), (2, 1));
}
