//! Generated queries against a naive filter, whatever became of the sidecars.

use std::fs;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;

use ingest_entry::stored::Definition;
use ingest_entry::{Entry, Source, TagId, Timestamp};
use ingest_store::{Net, Query, Sort, Store, TagPattern};
use proptest::prelude::*;

use crate::support::{Found, Writing, copy, files, index, search};

const START: i64 = 1_700_000_000;
const SOURCES: [&str; 8] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.7.1.1",
    "::ffff:10.0.0.1",
    "192.168.3.4",
    "2001:db8::1",
    "2001:db8:5::1",
    "",
];
const TAGS: [u16; 6] = [1, 2, 3, 64, 777, 0];

/// A small generator: the fixture is the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

fn entry(dice: &mut Dice, n: i64) -> Entry {
    let jitter = dice.below(40) as i64 - 20;
    let far = if dice.below(300) == 0 { dice.below(200_000) as i64 - 100_000 } else { 0 };
    let seconds = START + n / 10 + jitter + far + Timestamp::EPOCH_OFFSET;
    // Some are spelled with more nanoseconds than a second has, some are equal.
    let nanos = [0, 500_000_000, 1_500_000_000][dice.below(3) as usize];
    let src = match dice.below(100) {
        0 if n % 997 < 20 => 5,
        1..20 => 3,
        x => [0, 0, 1, 4, 7][x as usize % 5],
    };
    let src = if (6000..6100).contains(&n) { [2, 6][n as usize % 2] } else { src };
    let src = SOURCES[src].parse().map_or(Source::NONE, Source::from_ip);
    let tag = match dice.below(1000) {
        0..3 => 64,
        3..6 => 777,
        6..10 => 0,
        x => 1 + (x % 2) as u16,
    };
    let tag = if (4000..4200).contains(&n) { 3 } else { tag };
    let filling = "x".repeat(60 + dice.below(200) as usize);
    let mut entry =
        Entry::new(Timestamp::from_wire(seconds, nanos), src, TagId(tag), format!("{n} {filling}"));
    if n % 3 == 0 {
        entry.values.add("n", n).unwrap();
    }
    entry
}

pub(crate) struct Fixture {
    pub(crate) written: Vec<Found>,
    /// What was done to the sidecars, and the directory.
    pub(crate) variants: Vec<(&'static str, tempfile::TempDir)>,
    _running: Option<Writing>,
}

pub(crate) fn arrival(n: i64) -> i64 {
    (START + n / 20) * 1_000_000_000
}

pub(crate) fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(build)
}

fn build() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Writing::open(dir.path(), 16 << 20);
    log.define(&[
        Definition::Tag { id: TagId(0), name: "default" },
        Definition::Tag { id: TagId(1), name: "app-1" },
        Definition::Source { number: 4, name: "graphite" },
    ]);
    log.tag(2, "app-2");
    let (mut dice, mut n) = (Dice(7), 0);
    while n < 9000 {
        if n > 3900 && n < 4000 {
            log.tag(3, "app-rare");
            log.tag(64, "#5");
        }
        let size = 1 + dice.below(60) as i64;
        let entries: Vec<_> = (n..n + size).map(|n| entry(&mut dice, n)).collect();
        log.write(4 + (n % 2) as u16, arrival(n), &entries);
        n += size;
        if n > 7000 && n < 7060 {
            // Another epoch, and a segment that ends early.
            let written = std::mem::take(&mut log.written);
            drop(log);
            log = Writing::open(dir.path(), 16 << 20);
            log.written = written;
        }
    }
    // A tag defined late names earlier entries too.
    for found in &mut log.written {
        match found.entry.tag.0 {
            3 => found.tag = "app-rare".into(),
            64 => found.tag = "#5".into(),
            _ => {}
        }
    }
    assert!(files(dir.path(), "log").len() >= 4);
    let written = log.written.clone();
    let bare = copy(dir.path());
    assert!(index(dir.path()) >= 3);
    let mut variants = vec![("none, not closed", bare)];
    variants.extend(damaged(dir.path()));
    let mut running = log;
    running.written.clear();
    variants.push(("all, while it runs", dir));
    Fixture { written, variants, _running: Some(running) }
}

fn damaged(dir: &Path) -> Vec<(&'static str, tempfile::TempDir)> {
    let variant = |name, spoil: &dyn Fn(&Path)| {
        let copy = copy(dir);
        spoil(copy.path());
        (name, copy)
    };
    vec![
        variant("all", &|_| {}),
        variant("one torn", &|dir| {
            let path = &files(dir, "idx")[1];
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        variant("one flipped", &|dir| {
            let path = &files(dir, "idx")[0];
            let mut bytes = fs::read(path).unwrap();
            bytes[200] ^= 1;
            fs::write(path, &bytes).unwrap();
        }),
        variant("two exchanged, one empty", &|dir| {
            let paths = files(dir, "idx");
            let (a, b) = (fs::read(&paths[0]).unwrap(), fs::read(&paths[1]).unwrap());
            fs::write(&paths[0], b).unwrap();
            fs::write(&paths[1], a).unwrap();
            fs::write(&paths[2], b"").unwrap();
        }),
    ]
}

/// Whether the text of a network holds the source, by comparing bits as text.
fn inside(net: &Net, source: Source) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => format!("4{:032b}", ip.to_bits()),
        IpAddr::V6(ip) => format!("6{:0128b}", ip.to_bits()),
    };
    let text = net.to_string();
    let (address, prefix) = text.split_once('/').unwrap_or((&text, "128"));
    let net = bits(address.parse().unwrap());
    let len = net.len().min(1 + prefix.parse::<usize>().unwrap());
    source.to_ip().is_some_and(|ip| bits(ip).starts_with(&net[..len]))
}

fn covers(pattern: &TagPattern, tag: &str) -> bool {
    let text = pattern.to_string();
    match text.strip_suffix('*') {
        Some(start) => tag.starts_with(start),
        None => tag == text,
    }
}

/// What the query asks for, said as plainly as possible.
pub(crate) fn expected(written: &[Found], query: &Query) -> Vec<Found> {
    let time = |ts: Timestamp| ts.unix_nanos();
    let text = |pattern: &TagPattern| pattern.to_string();
    let mut found: Vec<Found> = written
        .iter()
        .filter(|found| {
            let unknown = found.tag == "#777";
            let tag = query.tags.iter().any(|pattern| {
                covers(pattern, &found.tag) && (!unknown || text(pattern).starts_with('#'))
            });
            let data = &found.entry.data;
            (query.tags.is_empty() || tag)
                && query.since.is_none_or(|since| time(found.entry.ts) >= time(since))
                && query.until.is_none_or(|until| time(found.entry.ts) < time(until))
                && query.arrived_since.is_none_or(|since| i128::from(found.arrived) >= time(since))
                && query.from.is_none_or(|from| found.lsn >= from)
                && query.src.is_none_or(|net| inside(&net, found.entry.src))
                && query.contains.as_ref().is_none_or(|needle| {
                    needle.is_empty() || data.windows(needle.len()).any(|part| part == needle)
                })
        })
        .cloned()
        .collect();
    if query.sort == Sort::Time {
        found.sort_by_key(|found| (time(found.entry.ts), found.lsn));
    }
    let limit = query.limit.unwrap_or(usize::MAX);
    found.split_off(found.len().saturating_sub(limit))
}

pub(crate) fn queries() -> impl Strategy<Value = Query> {
    let tags = prop::sample::select(vec![
        "app-1", "app-*", "app-rare", "#*", "#5", "#777", "*", "none", "default",
    ]);
    let nets = prop::sample::select(vec![
        "10.0.0.1",
        "10.0.0.0/8",
        "10.0.0.0/12",
        "10.7.0.0/16",
        "0.0.0.0/0",
        "0.0.0.0/1",
        "::ffff:10.0.0.1",
        "192.168.3.4/31",
        "172.16.0.0/12",
        "::/0",
        "2001:db8::/40",
        "2001:db8::1",
        "2001:db8:5::/48",
    ]);
    let seconds = |spread: i64| {
        (-spread..1000 + spread, prop::sample::select(vec![0u32, 1, 500_000_000, 1_500_000_000]))
            .prop_map(|(s, n)| Timestamp::from_wire(START + s + Timestamp::EPOCH_OFFSET, n))
    };
    let needles = prop::sample::select(vec!["", "1", "99", "4444 ", "x8", "888 xx", "none"]);
    // Before the second epoch, at its beginning, and in it.
    let second = 1u64 << 20;
    let from = prop_oneof![0..9000u64, Just(second), second..second + 3000];
    let limits = prop_oneof![Just(0), Just(1), 2..40usize, 100..12_000usize];
    (
        prop::collection::vec(tags, 0..3),
        prop::option::weighted(0.3, seconds(150)),
        prop::option::weighted(0.3, seconds(150)),
        prop::option::weighted(0.2, seconds(10)),
        prop::option::weighted(0.4, nets),
        prop::option::weighted(0.2, needles),
        prop::option::weighted(0.5, limits),
        any::<bool>(),
        prop::option::weighted(0.3, from),
    )
        .prop_map(|(tags, since, until, arrived, net, needle, limit, by_time, from)| {
            let mut query = Query::new();
            query.tags = tags.into_iter().map(|tag| tag.parse().unwrap()).collect();
            (query.since, query.until, query.arrived_since) = (since, until, arrived);
            query.src = net.map(|net| net.parse::<Net>().unwrap());
            query.contains = needle.map(|needle| needle.as_bytes().to_vec());
            query.limit = limit;
            query.from = from;
            query.sort = if by_time { Sort::Time } else { Sort::Arrival };
            query
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_query_finds_what_was_written(query in queries()) {
        let Fixture { written, variants, .. } = fixture();
        let expected = expected(written, &query);
        for (name, dir) in variants {
            let (found, report) = search(dir.path(), &query);
            let lsns = |list: &[Found]| list.iter().map(|found| found.lsn).collect::<Vec<_>>();
            prop_assert_eq!(lsns(&found), lsns(&expected), "sidecars: {}", name);
            prop_assert_eq!(&found, &expected, "sidecars: {}", name);
            prop_assert_eq!((report.damaged_bytes, report.undecodable), (0, 0));
            if query.sort == Sort::Time {
                // Many passes give the same.
                let small = Store::open(dir.path()).unwrap().with_sort_memory(100_000);
                let mut again = Vec::new();
                let sink = &mut |hit: ingest_store::Hit<'_>| {
                    again.push(Found::of(&hit));
                    ControlFlow::Continue(())
                };
                let report = small.search(&query, sink).unwrap();
                prop_assert_eq!(report.hits, expected.len() as u64);
                prop_assert_eq!(&again, &expected, "sidecars: {}, in many passes", name);
            }
        }
    }
}

#[test]
fn the_fixture_has_what_the_queries_ask_for() {
    let written = &fixture().written;
    for tag in TAGS {
        assert!(written.iter().any(|found| found.entry.tag.0 == tag), "{tag}");
    }
    for source in SOURCES {
        let source = source.parse().map_or(Source::NONE, Source::from_ip);
        assert!(written.iter().any(|found| found.entry.src == source), "{source}");
    }
}

#[test]
fn sidecars_spare_reading() {
    let fixture = fixture();
    let (_, dir) = fixture.variants.iter().find(|(name, _)| *name == "all").unwrap();
    let (_, bare) = &fixture.variants[0];
    let with = |spoil: &dyn Fn(&mut Query)| {
        let mut query = Query::new();
        spoil(&mut query);
        let (found, report) = search(dir.path(), &query);
        assert!(!found.is_empty() && report.pruned_blocks > 0, "{query:?}: {report:?}");
        let all = search(bare.path(), &Query::new()).1.scanned_bytes;
        assert!(report.scanned_bytes * 2 < all, "{query:?}: {report:?} of {all}");
    };
    with(&|query| query.tags = vec!["app-rare".parse().unwrap()]);
    with(&|query| query.src = Some("10.7.0.0/16".parse().unwrap()));
    with(&|query| query.src = Some("2001:db8:5::1".parse().unwrap()));
    with(&|query| query.arrived_since = Some(Timestamp::from_unix_nanos(arrival(8500))));
}
