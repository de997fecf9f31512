//! A verification finds what is wrong, wherever it is, and nothing where nothing is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ingest_wal::{
    Catalog, Cursor, Directory, Entries, Finding, FindingKind, Kind, Level, Log, Lsn, NoCatalog,
    Observer, OpenError, Options, RangeSet, RecordRef, StdFileSystem, Tally, Verified,
};

/// Keeps everything that is found.
#[derive(Default)]
struct Found(Vec<Finding>);

impl Observer for Found {
    fn finding(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    fn record(&mut self, record: RecordRef<'_>) -> Result<(), String> {
        let sound = record.header.kind != Kind::Entries || record.body.first() == Some(&b'e');
        if sound { Ok(()) } else { Err("it does not begin with e".to_owned()) }
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.max_bytes = Some(1 << 20);
    options.min_free = Some(0);
    options.idle_mark = Duration::from_secs(3600);
    options
}

fn write(log: &Log, count: u16, body: &'static [u8]) {
    let writer = log.writer();
    let permits = vec![writer.permits().acquire_blocking(body.len() as u64)];
    let body = Bytes::from_static(body);
    let (tally, level) = (Tally::new(), Level::Disk);
    let entries = Entries { count, source: 0, arrival: 5, body, level, tally, permits };
    let ticket = writer.append(entries).unwrap();
    writer.done(&ticket).wait().unwrap();
}

/// A catalog with a name in front and one consumer.
#[derive(Debug)]
struct One;

impl Catalog for One {
    fn preamble(&self) -> Vec<u8> {
        b"names".to_vec()
    }

    fn definitions(&self) -> Vec<u8> {
        b"definitions".to_vec()
    }

    fn cursors(&self) -> Option<Vec<Cursor>> {
        Some(vec![Cursor { name: "out".into(), start: 1, low: 1, ..Cursor::default() }])
    }
}

/// A small log of two segments, closed.
fn written() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for first in [true, false] {
        let log = Log::open(dir.path(), options(), Arc::new(One)).unwrap();
        if first {
            write(&log, 2, b"entries one and two");
            write(&log, 3, b"entries three to five, a little longer");
        }
        write(&log, 1, b"e");
        drop(log);
    }
    dir
}

fn directory(dir: &Path) -> Directory {
    Directory::new(dir, Arc::new(StdFileSystem))
}

fn verify(dir: &Path) -> (Verified, Vec<Finding>) {
    let mut found = Found::default();
    let verified = directory(dir).verify(&mut found).unwrap();
    let problems = found.0.iter().filter(|finding| !finding.note).count() as u64;
    assert_eq!((verified.problems, verified.notes), (problems, found.0.len() as u64 - problems));
    (verified, found.0)
}

/// LSNs of valid records.
fn readable(dir: &Path) -> RangeSet {
    let directory = directory(dir);
    let mut lsns = RangeSet::new();
    for segment in directory.segments().unwrap() {
        let Some(file) = directory.open(&segment).unwrap() else { continue };
        let mut records = file.records();
        while let Some(record) = records.next_record().unwrap() {
            if record.header.kind == Kind::Entries {
                lsns.insert(record.header.first..record.header.end());
            }
        }
    }
    lsns
}

/// LSNs that are said to be missing. What may have stood behind the last of the seven is left out:
/// nobody knows what torn bytes were.
fn said(found: &[Finding]) -> RangeSet {
    let mut said = RangeSet::new();
    for finding in found {
        said.insert(finding.lsns.clone());
    }
    said.remove(&(8..Lsn::MAX));
    said
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

#[test]
fn a_whole_log_is_well() {
    let dir = written();
    let (verified, found) = verify(dir.path());
    assert_eq!(found, []);
    assert_eq!((verified.segments, verified.entries), (2, 7));
}

#[test]
fn every_flipped_byte_is_found_and_what_it_costs_is_said() {
    let dir = written();
    let all: RangeSet = readable(dir.path()).as_slice().iter().cloned().collect();
    assert_eq!(all.total(), 7);
    let (mut found_in, mut looked_at) = (0, 0);
    for path in files(dir.path()) {
        let bytes = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            let (_, found) = verify(dir.path());
            let mut lost = all.clone();
            readable(dir.path()).as_slice().iter().for_each(|range| lost.remove(range));
            let said = said(&found);
            looked_at += 1;
            if found.is_empty() {
                assert_eq!(lost.total(), 0, "{name} {at}");
            } else {
                found_in += 1;
                assert!(found.iter().all(|one| one.file == name), "{name} {at}: {found:?}");
            }
            let lost: Vec<_> = lost.as_slice().to_vec();
            assert_eq!(said.as_slice(), lost, "{name} {at}: {found:?}");
        }
        fs::write(&path, &bytes).unwrap();
    }
    // What is in no checksum: zeros up to the next multiple of 8, and the reserved parts of LOCK.
    let uncovered = looked_at - found_in;
    assert!(uncovered * 10 < looked_at, "{uncovered} of {looked_at}");
    assert_eq!(verify(dir.path()).1, []);
}

#[test]
fn every_cut_is_found() {
    let dir = written();
    let all = readable(dir.path());
    let segment = files(dir.path()).into_iter().rfind(|path| path.extension().is_some()).unwrap();
    let bytes = fs::read(&segment).unwrap();
    for cut in 0..bytes.len() {
        fs::write(&segment, &bytes[..cut]).unwrap();
        let (_, found) = verify(dir.path());
        let said = said(&found);
        let mut lost = all.clone();
        readable(dir.path()).as_slice().iter().for_each(|range| lost.remove(range));
        // The snapshot says that it was durable.
        assert_eq!(said, lost, "cut at {cut}: {found:?}");
    }
}

#[test]
fn a_segment_that_is_gone_is_missed_and_content_is_judged() {
    let dir = written();
    fs::remove_file(&files(dir.path())[3]).unwrap();
    let (_, found) = verify(dir.path());
    // It was the first: what was before the oldest has expired.
    assert_eq!(found, []);
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), options(), Arc::new(NoCatalog)).unwrap();
    write(&log, 4, b"unsound");
    drop(log);
    let (_, found) = verify(dir.path());
    assert_eq!((found[0].kind, found[0].lsns.clone()), (FindingKind::Content, 1..5));
    assert_eq!(found[0].detail.as_deref(), Some("it does not begin with e"));
}

#[test]
fn a_log_that_is_written_is_looked_at_and_not_held() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), options(), Arc::new(One)).unwrap();
    write(&log, 2, b"entries");
    let (verified, found) = verify(dir.path());
    assert_eq!((verified.entries, found), (2, vec![]));
    let inspection = directory(dir.path()).inspect(&mut |_| {}).unwrap();
    assert!(inspection.holder.is_held());
    assert_eq!((inspection.durable_end, inspection.accepted()), (3, 2));
    let error = directory(dir.path()).hold(Duration::ZERO).unwrap_err();
    let own = std::process::id();
    assert!(matches!(error, OpenError::InUse { pid: Some(pid), .. } if pid == own), "{error}");
    drop(log);
    let hold = directory(dir.path()).hold(Duration::ZERO).unwrap();
    assert!(hold.directory().inspect(&mut |_| {}).unwrap().clean);
    assert!(Log::open(dir.path(), quick(), Arc::new(One)).is_err());
    let cursor = Cursor { name: "new".into(), start: 2, low: 2, ..Cursor::default() };
    hold.write_cursors(std::slice::from_ref(&cursor)).unwrap();
    drop(hold);
    let log = Log::open(dir.path(), options(), Arc::new(NoCatalog)).unwrap();
    assert_eq!((log.cursors(), log.recovery().clean), (&[cursor][..], true));
}

fn quick() -> Options {
    let mut options = options();
    options.lock_wait = Duration::ZERO;
    options
}

#[test]
fn either_cursor_file_knows_what_was_written_while_held() {
    let dir = written();
    let hold = directory(dir.path()).hold(Duration::ZERO).unwrap();
    hold.write_cursors(&[]).unwrap();
    drop(hold);
    for name in ["cursor-0", "cursor-1"] {
        let path = dir.path().join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, b"torn").unwrap();
        let inspection = directory(dir.path()).inspect(&mut |_| {}).unwrap();
        assert_eq!(inspection.cursors.as_deref(), Some(&[][..]), "{name}");
        fs::write(&path, bytes).unwrap();
    }
    let keep = |lsn: Lsn| directory(dir.path()).inspect(&mut |_| {}).unwrap().accepted_before(lsn);
    assert_eq!([1, 2, 7, 8].map(keep), [0, 1, 6, 7]);
}

/// A log that goes round in few files: what is written has been passed.
fn recycling(dir: &Path) -> Log {
    Log::open(dir, options(), Arc::new(NoCatalog)).unwrap()
}

static ENTRY: [u8; 3000] = [b'e'; 3000];

#[test]
fn what_a_reused_file_held_before_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let log = recycling(dir.path());
    let mut looked = 0;
    for n in 0..1200 {
        write(&log, 1, &ENTRY);
        if n % 60 == 59 {
            // Beside the writer, and as a kill would leave it.
            let (verified, found) = verify(dir.path());
            assert_eq!(verified.problems, 0, "{found:?}");
            // The keeper has done what it had to: no file goes while they are copied.
            log.snapshot().unwrap();
            let copy = tempfile::tempdir().unwrap();
            for path in files(dir.path()) {
                fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
            }
            let (verified, found) = verify(copy.path());
            assert_eq!(verified.problems, 0, "{found:?}");
            looked += 1;
        }
    }
    assert!(log.status().spares_used > 3, "{:?}", log.status());
    assert_eq!(looked, 20);
    drop(log);
    let (verified, found) = verify(dir.path());
    assert_eq!((verified.problems, found), (0, vec![]));
}

#[test]
fn a_verification_meets_a_writer_that_uses_files_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(recycling(dir.path()));
    let writing = {
        let log = Arc::clone(&log);
        std::thread::spawn(move || (0..1500).for_each(|_| write(&log, 1, &ENTRY)))
    };
    let mut rounds = 0;
    while !writing.is_finished() {
        let (verified, found) = verify(dir.path());
        assert_eq!(verified.problems, 0, "{found:?}");
        rounds += 1;
    }
    writing.join().unwrap();
    assert!(rounds > 1 && log.status().spares_used > 3, "{rounds}, {:?}", log.status());
}

#[test]
fn with_keep_all_no_limit_takes_history() {
    let dir = tempfile::tempdir().unwrap();
    let log = recycling(dir.path());
    (0..200).for_each(|_| write(&log, 1, &ENTRY));
    drop(log);
    let before = readable(dir.path());
    let spares =
        files(dir.path()).iter().filter(|path| path.to_string_lossy().contains("free-")).count();
    let mut options = options();
    options.keep_all = true;
    options.keep_bytes = Some(0);
    options.keep_age = Some(Duration::ZERO);
    let log = Log::open(dir.path(), options, Arc::new(NoCatalog)).unwrap();
    write(&log, 1, b"e");
    log.snapshot().unwrap();
    drop(log);
    let after = readable(dir.path());
    assert_eq!(after.total(), before.total() + 1);
    let now =
        files(dir.path()).iter().filter(|path| path.to_string_lossy().contains("free-")).count();
    assert_eq!(now, spares);
}
