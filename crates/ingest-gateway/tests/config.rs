//! Configuration files from outside: what loads, what does not, and what is said about it.
//!
//! The files `configs/*.txt` hold cases: `=== name`, the text of a configuration, `---`, and
//! exactly what is reported about it when the file is called `f`. After a change of a message,
//! `INGESTRY_WRITE_CASES=1 cargo test -p ingest-gateway --test config reported` writes what is
//! reported now into the files, and fails; what is to be read is the difference.
#![allow(clippy::indexing_slicing, clippy::print_stdout)]

#[path = "support/mutate.rs"]
mod mutate;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ingest_gateway::config::{
    BadTags, Config, DestinationKind, Durability, Infinity, LimitPer, LoadError, Loaded, LogFormat,
    LogLevel, MAX_FILE, OnFull, OnLimit, Policy, Profile, Protocol, Sample, SecretFrom, SourceKind,
    Tagged, Values, load, parse,
};

use mutate::{Random, mutate};

const SYNTAX: &str = include_str!("configs/syntax.txt");
const LOG: &str = include_str!("configs/log.txt");
const SOURCES: &str = include_str!("configs/sources.txt");
const UNITS: &str = include_str!("configs/units.txt");
const NAMES: &str = include_str!("configs/names.txt");
const PEERS: &str = include_str!("configs/peers.txt");
const REST: &str = include_str!("configs/rest.txt");
#[cfg(feature = "amqp")]
const AMQP: &str = include_str!("configs/amqp.txt");
#[cfg(feature = "kafka")]
const KAFKA: &str = include_str!("configs/kafka.txt");
#[cfg(feature = "avro")]
const AVRO: &str = include_str!("configs/avro.txt");
const WARNINGS: &str = include_str!("configs/warnings.txt");
const FULL: &str = include_str!("configs/full.toml");
const DEFAULTS: &str = include_str!("configs/defaults.toml");
const EXAMPLE: &str = include_str!("configs/example.toml");

/// Every file of cases that do not load.
const BROKEN: [&str; 7] = [SYNTAX, LOG, SOURCES, UNITS, NAMES, PEERS, REST];

fn read(text: &str) -> Result<Loaded, LoadError> {
    parse(Path::new("f"), text.as_bytes())
}

/// The example, with a variable that is set wherever tests run.
fn example() -> String {
    EXAMPLE.replace("env:INGEST_SECRET", "env:PATH")
}

fn fine(text: &str) -> Config {
    match read(text) {
        Ok(loaded) => {
            assert_eq!(loaded.warnings, []);
            loaded.config
        }
        Err(rejected) => panic!("{rejected}"),
    }
}

/// All that is reported, a line each.
fn report(result: &Result<Loaded, LoadError>) -> String {
    let mut lines = Vec::new();
    let warnings = match result {
        Ok(loaded) => {
            lines.push(format!("fine: {}", loaded.config.summary()));
            &loaded.warnings
        }
        Err(rejected) => {
            assert!(!rejected.errors.is_empty());
            lines.extend(rejected.errors.iter().map(ToString::to_string));
            &rejected.warnings
        }
    };
    lines.extend(warnings.iter().map(ToString::to_string));
    lines.into_iter().map(|line| line + "\n").collect()
}

struct Case<'t> {
    name: &'t str,
    config: &'t str,
    expected: &'t str,
}

fn cases(text: &str) -> impl Iterator<Item = Case<'_>> {
    text.split("=== ").skip(1).map(|case| {
        let (name, rest) = case.split_once('\n').expect("a name");
        let (config, expected) = rest.split_once("---\n").expect("a report");
        Case { name, config, expected }
    })
}

/// Compares every case, prints all that differ, and returns how many there were.
fn check(texts: &[&str]) -> usize {
    let (mut count, mut wrong) = (0, 0);
    for Case { name, config, expected } in texts.iter().copied().flat_map(cases) {
        count += 1;
        let found = report(&read(config));
        if found != expected {
            wrong += 1;
            println!("=== {name}\n{config}--- expected\n{expected}--- found\n{found}");
        }
    }
    assert_eq!(wrong, 0, "{wrong} of {count} cases differ");
    count
}

fn write_what_is_reported_now() -> ! {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs");
    let names = ["syntax", "log", "sources", "units", "names", "peers", "rest"];
    let mut texts: Vec<(&str, &str)> = names.into_iter().zip(BROKEN).collect();
    texts.push(("warnings", WARNINGS));
    #[cfg(feature = "kafka")]
    texts.push(("kafka", KAFKA));
    #[cfg(feature = "avro")]
    texts.push(("avro", AVRO));
    for (name, text) in texts {
        let case = |Case { name, config, .. }: Case<'_>| {
            format!("=== {name}\n{config}---\n{}", report(&read(config)))
        };
        let text: String = cases(text).map(case).collect();
        std::fs::write(dir.join(name).with_extension("txt"), text).expect("a file");
    }
    panic!("written: now read the difference");
}

#[test]
fn what_is_broken_is_reported() {
    if std::env::var_os("INGESTRY_WRITE_CASES").is_some() {
        write_what_is_reported_now();
    }
    let count = check(&BROKEN);
    assert!(count >= 300, "{count}");
}

#[cfg(feature = "amqp")]
#[test]
fn what_is_broken_of_brokers_is_reported() {
    assert!(check(&[AMQP]) >= 2);
}

#[cfg(not(feature = "amqp"))]
#[test]
fn a_build_without_brokers_says_so() {
    let found = report(&read("[sources.a]\ntype = \"amqp\"\n"));
    assert!(found.contains("not in this build") && found.contains("\"amqp\""), "{found}");
}

#[cfg(feature = "kafka")]
#[test]
fn what_is_broken_of_kafka_is_reported() {
    if std::env::var_os("INGESTRY_WRITE_CASES").is_some() {
        write_what_is_reported_now();
    }
    assert!(check(&[KAFKA]) >= 7);
}

#[cfg(feature = "avro")]
#[test]
fn what_is_broken_of_registries_is_reported() {
    assert!(check(&[AVRO]) >= 1);
}

#[cfg(all(feature = "kafka", not(feature = "avro")))]
#[test]
fn a_build_without_avro_says_so() {
    let found = report(&read(
        "[sources.a]\ntype = \"hydra\"\nkafka = { brokers = [\"127.0.0.1:9092\"], \
         registry = { url = \"http://127.0.0.1:8081\" } }\n",
    ));
    assert!(found.contains("not in this build") && found.contains("\"avro\""), "{found}");
}

#[cfg(not(feature = "kafka"))]
#[test]
fn a_build_without_kafka_says_so() {
    for text in [
        "[sources.a]\ntype = \"kafka\"\n",
        "[destinations.a]\ntype = \"kafka\"\n",
        "[sources.a]\ntype = \"hydra\"\nkafka = {}\n",
    ] {
        let found = report(&read(text));
        assert!(found.contains("not in this build") && found.contains("\"kafka\""), "{found}");
    }
}

#[test]
fn what_is_odd_is_warned_about() {
    assert!(check(&[WARNINGS]) >= 6);
}

/// A message that an operator can act on.
#[test]
fn every_message_has_its_place_its_key_what_was_found_and_what_is_allowed() {
    let (mut all, mut keyless) = (0, 0);
    for case in BROKEN.into_iter().flat_map(cases) {
        for line in case.expected.lines().filter(|line| !line.contains(": warning: ")) {
            let mut parts = line.splitn(4, ':');
            let place = [parts.next(), parts.next(), parts.next()];
            assert_eq!(place[0], Some("f"), "{line}");
            for number in &place[1..] {
                assert!(number.unwrap().parse::<usize>().unwrap() >= 1, "{line}");
            }
            let rest = parts.next().unwrap();
            let (key, message) = rest.split_once(": found ").unwrap();
            let (found, allowed) = message.split_once("; allowed: ").unwrap();
            assert!(key.len() > 1 && !found.is_empty() && !allowed.is_empty(), "{line}");
            all += 1;
            keyless += usize::from(key == " syntax");
        }
    }
    // Where the text is so broken that no key can be told.
    assert!(all >= 350 && keyless <= 20, "{keyless} of {all} name no key");
}

#[test]
fn no_broken_case_loads() {
    for case in BROKEN.into_iter().flat_map(cases) {
        assert!(read(case.config).is_err(), "{}", case.name);
    }
}

#[test]
fn nothing_at_all_is_the_default_set() {
    assert_eq!(fine(""), Config::default());
    assert_eq!(fine("# nothing\n"), Config::default());
}

#[test]
fn the_defaults_are_what_they_are_said_to_be() {
    assert_eq!(fine(DEFAULTS), Config::default());
}

#[test]
fn the_example_loads() {
    let config = fine(&example());
    assert_eq!(config.summary(), "3 sources, 2 destinations, 1 route");
    assert_eq!(config.log.max_bytes, Some(10 << 30));
    assert_eq!(config.log.keep.bytes, Some(10 << 30));
    assert_eq!(config.log.keep.age, Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(config.sources[..2], Config::default().sources[..2]);
    let SourceKind::Gravwell(gravwell) = &config.sources[2].kind else { panic!("{config:?}") };
    assert_eq!(gravwell.secret, Some(SecretFrom::Env("PATH".to_owned())));
    assert_eq!(config.destinations[0].name, "archive");
    let DestinationKind::Gravwell(indexers) = &config.destinations[1].kind else {
        panic!("{config:?}")
    };
    assert_eq!(indexers.targets[1].to_string(), "tls://10.0.0.2:4024");
    assert_eq!((indexers.policy, indexers.compression), (Policy::Share, false));
    assert!(config.routes[0].tags[0].matches("app-1"));
    assert_eq!(config.routes[0].tags[1].exact(), Some("graphite"));
    assert_eq!(config.routes[0].to, ["archive", "indexers"]);
}

#[test]
fn a_literal_secret_wants_a_file_of_its_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("g.toml");
    let text = "[sources.g]\ntype = \"gravwell\"\nsecret = \"literal:open sesame\"\n";
    std::fs::write(&file, text).unwrap();
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode));
    mode(0o640).unwrap();
    let error = load(&file).unwrap_err().to_string();
    assert!(error.contains("a file that other users can read") && error.contains("0600"));
    assert!(!error.contains("sesame"), "{error}");
    mode(0o600).unwrap();
    let loaded = load(&file).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(!format!("{loaded:?}").contains("sesame"));
}

#[test]
fn every_key_arrives() {
    let loaded = read(FULL).unwrap();
    let warned: Vec<&str> = loaded.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(warned, ["admin.control"]);
    let config = loaded.config;
    assert!(!config.hydra.websocket_enabled);
    assert_eq!(config.log.dir, PathBuf::from("/var/lib/ingestry"));
    assert_eq!(config.log.max_bytes, Some(2 << 30));
    assert_eq!(config.log.durability, Durability::Os);
    assert_eq!(config.log.min_free, Some(100_000_000));
    assert_eq!(config.log.on_full, OnFull::DropOldest);
    assert_eq!(config.log.memory, 128 << 20);
    assert_eq!(config.log.keep.bytes, Some(3 << 29));
    assert_eq!(config.log.keep.age, Some(Duration::from_secs(36 * 3600)));
    assert_eq!((config.logs.format, config.logs.level), (LogFormat::Json, LogLevel::Warn));
    assert_eq!((config.logs.repeat, config.logs.period), (5, Some(Duration::from_secs(60))));
    assert!(!config.admin.enabled && config.admin.control && config.admin.allow_public);
    assert_eq!(config.admin.listen.to_string(), "[::]:8911");

    let [lines, made, datagrams] = config.sources.as_slice() else {
        panic!("{:?}", config.sources)
    };
    assert_eq!((lines.name.as_str(), lines.kind.type_name()), ("lines", "graphite"));
    assert_eq!((lines.protocol(), lines.listen().unwrap().port()), (Protocol::Tcp, 2013));
    let SourceKind::Graphite(tcp) = &lines.kind else { panic!("{lines:?}") };
    assert!(tcp.allow_public);
    let allow: Vec<String> = lines.allow.iter().map(ToString::to_string).collect();
    assert_eq!(allow, ["10.0.0.0/8", "192.0.2.7"]);
    assert_eq!((tcp.read_ahead, tcp.max_connections), (1 << 20, 64));
    assert_eq!(tcp.idle_timeout, Some(Duration::from_secs(120)));
    assert_eq!((tcp.lines.tag.as_str(), tcp.lines.values), ("carbon", Values::All));
    assert_eq!((tcp.lines.profile, tcp.lines.tagged), (Profile::RelayNgStrict, Tagged::Raw));
    assert_eq!((tcp.lines.bad_tags, tcp.lines.infinity), (BadTags::Reject, Infinity::Drop));
    assert_eq!((tcp.lines.fraction, tcp.lines.max_line), (true, 32 << 10));
    assert_eq!(tcp.lines.max_past, Some(Duration::from_secs(36 * 3600)));
    assert_eq!(tcp.lines.max_future, Some(Duration::from_secs(600)));

    assert_eq!((datagrams.protocol(), datagrams.tag().unwrap().as_str()), (Protocol::Udp, "udp"));
    let SourceKind::GraphiteUdp(udp) = &datagrams.kind else { panic!("{datagrams:?}") };
    assert_eq!((udp.receive_buffer, udp.lines.max_line), (8 << 20, 8 << 10));

    let (template, most) = made.kind.template().unwrap();
    assert_eq!((template.to_string().as_str(), most), ("x-{path.0}-{tag.host|none}", 20));
    assert_eq!(made.tag().unwrap().as_str(), "urest");
    assert!(lines.kind.template().is_none());
    let [limit] = config.limits.as_slice() else { panic!("{:?}", config.limits) };
    assert_eq!((limit.name.as_str(), limit.sources.as_slice()), ("few", &["lines".to_owned()][..]));
    assert_eq!((limit.tags.len(), limit.per, limit.on_limit), (2, LimitPer::Tag, OnLimit::Drop));
    assert_eq!(limit.entries, Some(10));
    assert_eq!(limit.bytes.map(ingest_mux::Rate::bytes_per_second), Some(1_000_000));
    let [first, second] = config.tests.as_slice() else { panic!("{:?}", config.tests) };
    assert_eq!((first.name.as_str(), first.source.as_str()), ("a line", "lines"));
    assert_eq!(first.sample, Sample::Lines("a 1 2".to_owned()));
    assert_eq!(first.entries[0].to.as_deref(), Some(&["archive".to_owned()][..]));
    assert_eq!((second.name.as_str(), &second.sample), ("test 2", &Sample::Bytes(b"a 1".to_vec())));
    assert_eq!(second.rejected, [("field_count".to_owned(), 1)]);
}

#[test]
fn sources_keep_the_order_of_the_file() {
    let text = "[sources.z]\ntype = 'graphite'\nlisten = 'localhost:1'\n\
                [sources.a]\ntype = 'graphite'\nlisten = 'localhost:2'\n\
                [sources.m]\ntype = 'graphite'\nlisten = 'localhost:0'\n";
    let names: Vec<_> = fine(text).sources.into_iter().map(|source| source.name).collect();
    assert_eq!(names, ["z", "a", "m"]);
}

#[test]
fn bytes_that_are_no_text_have_a_place() {
    let error = parse(Path::new("f"), b"[log]\ndir = \"\xff\"\n").unwrap_err().to_string();
    assert_eq!(error, "f:2:8: syntax: found bytes that are no UTF-8; allowed: UTF-8 text");
}

#[test]
fn line_ends_and_marks_do_not_move_places() {
    let expected = "f:2:7: log.dir: found \"\"; allowed: a path, not empty";
    for text in ["[log]\ndir = \"\"", "[log]\r\ndir = \"\"\r\n", "\u{feff}[log]\ndir = \"\"\n"] {
        assert_eq!(read(text).unwrap_err().to_string(), expected, "{text:?}");
    }
}

#[test]
fn deep_and_long_files_are_refused_not_suffered() {
    for text in [
        "a.".repeat(200_000) + "a = 1",
        format!("[{}a]", "a.".repeat(200_000)),
        format!("a = {}", "[".repeat(200_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        "x".repeat(500_000),
        (0..20_000).map(|n| format!("key{n} = 1\n")).collect(),
        format!("log = {{ {} }}", (0..20_000).map(|n| format!("k{n} = 1,")).collect::<String>()),
    ] {
        assert!(read(&text).is_err());
    }
}

#[test]
fn files_are_read_up_to_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("large.toml");
    std::fs::write(&file, "#".repeat(MAX_FILE as usize)).unwrap();
    assert_eq!(load(&file).unwrap().config, Config::default());
    std::fs::write(&file, "#".repeat(MAX_FILE as usize + 1)).unwrap();
    let error = load(&file).unwrap_err().to_string();
    assert_eq!(error, format!("{}: cannot be read: larger than 1 MiB", file.display()));
    assert!(load(dir.path()).unwrap_err().to_string().contains(": cannot be read: "));
    assert!(load(&dir.path().join("none")).unwrap_err().errors[0].place().is_none());
}

#[test]
fn no_text_makes_it_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let example = example();
    let seeds: Vec<&str> = [FULL, DEFAULTS, example.as_str()]
        .into_iter()
        .chain(
            [LOG, SOURCES, UNITS, NAMES, PEERS, REST, WARNINGS]
                .into_iter()
                .flat_map(cases)
                .map(|case| case.config),
        )
        .collect();
    let (mut good, mut bad) = (0, 0);
    for round in 0..20_000 {
        let seed = if round % 3 != 0 { random.below(3) } else { random.below(seeds.len()) };
        let text = mutate(seeds[seed].as_bytes(), &mut random);
        let result = parse(Path::new("f"), &text);
        let lines = text.iter().filter(|b| **b == b'\n').count() + 1;
        match &result {
            Ok(loaded) => {
                good += 1;
                for warning in &loaded.warnings {
                    assert!(warning.place.as_ref().is_some_and(|place| place.line <= lines));
                }
            }
            Err(rejected) => {
                bad += 1;
                for error in &rejected.errors {
                    let place = error.place().expect("a place");
                    assert!((1..=lines).contains(&place.line) && place.column >= 1, "{error}");
                }
                let places: Vec<_> = rejected.errors.iter().map(|error| error.place()).collect();
                assert!(places.is_sorted(), "{rejected}");
            }
        }
        assert!(report(&result).ends_with('\n'));
    }
    assert!(good > 500 && bad > 5_000, "{good} good, {bad} bad: the mutations are too one-sided");
}
