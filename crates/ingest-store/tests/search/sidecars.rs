//! Whatever becomes of a sidecar, no answer changes.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use ingest_entry::{Entry, Source, TagId, Timestamp};
use ingest_store::{
    Digests, Query, SidecarCheck, SidecarState, Sort, Store, Watch, missing_sidecars,
    missing_sidecars_but, write_sidecar, write_sidecar_with,
};
use proptest::prelude::*;

use crate::model::{expected, fixture, queries};
use crate::support::{Found, Writing, copy, files, index, search};

/// What happens to the bytes of a sidecar.
#[derive(Clone, Debug)]
enum Fate {
    Flipped(usize, u8),
    Cut(usize),
    Longer(Vec<u8>),
    /// A stretch of it is of another place: zeros, or noise.
    Overwritten(usize, Vec<u8>),
    Missing,
    Empty,
    /// It is that of another segment.
    Exchanged(usize),
    /// It is what an earlier try left.
    Temporary,
}

fn fates() -> impl Strategy<Value = Fate> {
    let at = 0..1_000_000_usize;
    prop_oneof![
        6 => (at.clone(), 0..8u8).prop_map(|(at, bit)| Fate::Flipped(at, bit)),
        3 => at.clone().prop_map(Fate::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..100).prop_map(Fate::Longer),
        2 => (at.clone(), prop::collection::vec(any::<u8>(), 1..600))
            .prop_map(|(at, bytes)| Fate::Overwritten(at, bytes)),
        2 => (at.clone(), 1..600usize).prop_map(|(at, len)| Fate::Overwritten(at, vec![0; len])),
        1 => Just(Fate::Missing),
        1 => Just(Fate::Empty),
        1 => at.prop_map(Fate::Exchanged),
        1 => Just(Fate::Temporary),
    ]
}

fn befall(path: &Path, all: &[(PathBuf, Vec<u8>)], sound: &[u8], fate: &Fate) {
    let mut bytes = sound.to_vec();
    let len = bytes.len();
    match fate {
        Fate::Flipped(at, bit) => bytes[at % len] ^= 1 << bit,
        Fate::Cut(at) => bytes.truncate(at % len),
        Fate::Longer(more) => bytes.extend(more),
        Fate::Overwritten(at, with) => {
            let at = at % len;
            let end = (at + with.len()).min(len);
            bytes[at..end].copy_from_slice(&with[..end - at]);
        }
        Fate::Missing => return fs::remove_file(path).unwrap(),
        Fate::Empty => bytes.clear(),
        Fate::Exchanged(other) => bytes.clone_from(&all[other % all.len()].1),
        Fate::Temporary => return fs::rename(path, path.with_extension("idx.tmp")).unwrap(),
    }
    fs::write(path, bytes).unwrap();
}

/// A log, and its sidecars as they should be.
type Indexed = (tempfile::TempDir, Vec<(PathBuf, Vec<u8>)>);

/// The indexed log of the model, one for all cases.
fn indexed() -> &'static Mutex<Indexed> {
    static ONE: OnceLock<Mutex<Indexed>> = OnceLock::new();
    ONE.get_or_init(|| {
        let (_, all) = fixture().variants.iter().find(|(name, _)| *name == "all").unwrap();
        let dir = copy(all.path());
        let sound = files(dir.path(), "idx")
            .into_iter()
            .map(|path| (path.clone(), fs::read(path).unwrap()));
        let sound = sound.collect();
        Mutex::new((dir, sound))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_fate_of_sidecars_changes_an_answer(
        query in queries(),
        fates in prop::collection::vec((0..64usize, fates()), 1..4),
    ) {
        let expected = expected(&fixture().written, &query);
        let guard = indexed().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (dir, sound) = &*guard;
        // What an earlier case that failed may have left.
        for (path, bytes) in sound {
            fs::write(path, bytes).unwrap();
        }
        for (which, fate) in &fates {
            let (path, bytes) = &sound[which % sound.len()];
            if path.exists() {
                befall(path, sound, bytes, fate);
            }
        }
        let (found, report) = search(dir.path(), &query);
        prop_assert_eq!(&found, &expected, "{:?}", fates);
        prop_assert_eq!((report.damaged_bytes, report.undecodable), (0, 0));
        // What is not as it was is missing, and is made again, the same to the byte.
        let changed = |(path, bytes): &&(PathBuf, Vec<u8>)| fs::read(path).ok().as_ref() != Some(bytes);
        let changed = sound.iter().filter(changed).count();
        prop_assert_eq!(index(dir.path()), changed);
        prop_assert_eq!(sound.iter().filter(|(path, bytes)| fs::read(path).unwrap() != *bytes).count(), 0);
    }
}

const SOURCES: [&str; 4] = ["10.0.0.1", "10.9.0.1", "2001:db8::7", ""];

/// A small log of a few segments with an index each.
fn small() -> (tempfile::TempDir, Vec<Found>) {
    let dir = tempfile::tempdir().unwrap();
    let written = write_small(dir.path(), 0).written.clone();
    assert!(index(dir.path()) >= 2);
    (dir, written)
}

/// The same LSNs, with other contents for another `at`.
fn write_small(dir: &Path, at: i64) -> Writing {
    let mut log = Writing::open(dir, 1 << 20);
    log.tag(1, "app");
    log.tag(2, "rare");
    for n in 0..24u64 {
        let ts = Timestamp::from_unix(1000 + at + n as i64, 0).unwrap();
        let src = SOURCES[n as usize % 4].parse().map_or(Source::NONE, Source::from_ip);
        let tag = TagId(1 + u16::from(n == 11));
        log.write(0, 500 + n as i64, &[Entry::new(ts, src, tag, format!("n{n} ").repeat(1500))]);
    }
    log
}

#[test]
fn digests_of_new_records_make_the_same_sidecars() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let digests = Digests::default();
    let log = write_small(dir.path(), 0);
    let records = log.newest();
    assert!(records.len() > 10);
    // Of some there is none; of others there is one of a record with the same LSN.
    let foreign = write_small(other.path(), 5_000_000).newest();
    for (n, record) in records.iter().enumerate() {
        match n % 5 {
            0 => {}
            1 => {
                digests.add(foreign.iter().find(|f| f.header.first == record.header.first).unwrap())
            }
            _ => digests.add(record),
        }
    }
    drop(log);
    let store = Store::open(dir.path()).unwrap();
    let directory = store.directory();
    let had = digests.len();
    for segment in missing_sidecars(directory).unwrap() {
        write_sidecar_with(directory, &segment, Some(&digests)).unwrap().unwrap();
        let path = dir.path().join(segment.name.companion("idx"));
        let with = fs::read(&path).unwrap();
        write_sidecar(directory, &segment).unwrap().unwrap();
        assert_eq!(with, fs::read(&path).unwrap());
    }
    assert!(had > 10 && digests.len() <= had / 3, "{} of {had} left", digests.len());
}

/// A query by each condition that a sidecar answers, and one by content.
fn by_each() -> Vec<Query> {
    let time = |seconds| Timestamp::from_unix(seconds, 0);
    let changes: [&dyn Fn(&mut Query); 7] = [
        &|_| {},
        &|query| query.tags = vec!["rare".parse().unwrap()],
        &|query| (query.since, query.until) = (time(1005), time(1009)),
        &|query| query.arrived_since = Some(Timestamp::from_unix_nanos(520)),
        &|query| query.src = Some("10.9.0.0/16".parse().unwrap()),
        &|query| query.contains = Some(b"n13 ".to_vec()),
        &|query| (query.from, query.limit) = (Some(7), Some(9)),
    ];
    let mut queries = Vec::new();
    for sort in [Sort::Arrival, Sort::Time] {
        for change in changes {
            let mut query = Query::new();
            change(&mut query);
            query.sort = sort;
            queries.push(query);
        }
    }
    queries
}

#[test]
fn every_flipped_byte_and_every_cut_of_every_sidecar() {
    let (dir, written) = small();
    let answers: Vec<_> =
        by_each().into_iter().map(|query| (expected(&written, &query), query)).collect();
    assert!(answers.iter().all(|(expected, _)| !expected.is_empty()));
    let mut turn = 0;
    for path in files(dir.path(), "idx") {
        let sound = fs::read(&path).unwrap();
        let flipped = (0..sound.len()).map(|at| {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 8);
            bytes
        });
        let cut = (0..sound.len()).map(|at| sound[..at].to_vec());
        for bytes in flipped.chain(cut).chain([sound.clone()]) {
            fs::write(&path, bytes).unwrap();
            // Each byte meets two of the queries, and each query every byte near it.
            for _ in 0..2 {
                let (expected, query) = &answers[turn % answers.len()];
                turn += 1;
                assert_eq!(&search(dir.path(), query).0, expected, "{query:?}");
            }
        }
    }
}

/// Compares every sidecar with its segment.
fn states(dir: &Path) -> Vec<SidecarState> {
    let store = Store::open(dir).unwrap();
    let directory = store.directory();
    let mut states = Vec::new();
    for segment in directory.segments().unwrap() {
        let mut check = SidecarCheck::new(&segment);
        let file = directory.open(&segment).unwrap().unwrap();
        let mut records = file.records();
        while let Some(record) = records.next_record().unwrap() {
            check.record(&record);
        }
        states.push(check.finish(directory, records.damaged_bytes() == 0).unwrap());
    }
    states
}

#[test]
fn a_sidecar_is_compared_with_its_segment() {
    let (dir, _) = small();
    assert!(states(dir.path()).iter().all(|state| *state == SidecarState::Valid));
    let paths = files(dir.path(), "idx");
    let (first, second) = (fs::read(&paths[0]).unwrap(), fs::read(&paths[1]).unwrap());
    fs::remove_file(&paths[0]).unwrap();
    fs::write(&paths[1], &first).unwrap();
    assert_eq!(states(dir.path())[..2], [SidecarState::Missing, SidecarState::Ignored]);
    // A lie with a right checksum: searches would believe it.
    let mut lie = second.clone();
    let end = lie.len() - 4;
    lie[80] ^= 1;
    let crc = crc32c(&lie[..end]);
    lie[end..].copy_from_slice(&crc.to_le_bytes());
    fs::write(&paths[1], lie).unwrap();
    fs::write(&paths[0], first).unwrap();
    assert_eq!(states(dir.path())[..2], [SidecarState::Valid, SidecarState::Wrong]);
}

fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[test]
fn sidecars_that_are_known_are_not_read() {
    let (dir, _) = small();
    let store = Store::open(dir.path()).unwrap();
    let directory = store.directory();
    let segments = directory.segments().unwrap();
    let paths = files(dir.path(), "idx");
    fs::write(&paths[0], "no sidecar").unwrap();
    fs::write(&paths[1], "neither").unwrap();
    assert_eq!(missing_sidecars(directory).unwrap(), segments[..2]);
    let mut asked = 0;
    let missing = missing_sidecars_but(directory, &mut |segment| {
        asked += 1;
        *segment == segments[0]
    });
    assert_eq!((missing.unwrap(), asked), (segments[1..2].to_vec(), segments.len()));
    write_sidecar(directory, &segments[0]).unwrap();
    assert_eq!(missing_sidecars(directory).unwrap(), segments[1..2]);
}

#[test]
fn a_search_says_how_far_it_is() {
    let (dir, written) = small();
    let watch = Arc::new(Watch::new());
    let store = Store::open(dir.path()).unwrap().watched(Arc::clone(&watch));
    assert_eq!((watch.done(), watch.total()), (0, 0));
    let mut seen = vec![0];
    let report = store.search(&Query::new(), &mut |_| {
        seen.push(watch.done());
        ControlFlow::Continue(())
    });
    let total: u64 = store.directory().segments().unwrap().iter().map(|segment| segment.len).sum();
    assert_eq!(report.unwrap().hits, written.len() as u64);
    assert_eq!((watch.done(), watch.total()), (total, total));
    seen.dedup();
    assert!(seen.is_sorted() && seen.len() >= 3, "{seen:?}");
    assert_eq!(store.names().unwrap().tags().count(), 2);
}
