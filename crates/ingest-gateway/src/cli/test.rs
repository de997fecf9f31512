//! `ingestry test`: the samples of a configuration through the sources that it describes.
//!
//! A gateway with these sources, rules and limits runs in a directory of its own and takes the samples
//! as any client's: over connections and in datagrams, on loopback. What is in its log then, and what
//! its sources counted, is compared. Nothing is sent anywhere: where an entry would go is what the
//! routes say of its tag.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use ingest_store::{Query, Store};

use super::Exit;
use super::hydra::Field;
use super::logs::Logs;
use super::send::{SendArgs, feed};
use crate::config::{
    self, AmqpBroker, ClientTls, Config, Durability, ExpectedEntry, GraphiteCompression,
    GraphiteUdpSource, ListenAddr, LogLevel, LogsConfig, Overrides, Sample, SecretFrom,
    SourceConfig, SourceKind, TestConfig, UnixSocket,
};
use crate::counters::{SourceCounters, Totals};
use crate::gateway::Gateway;
use crate::sources::samples::{Inlet, Message, samples};

/// How long a sample may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks whether a datagram has come.
const LOOK: Duration = Duration::from_millis(2);
/// What clients and the source know.
const SECRET: &str = "ingestry test";
/// How much of what was found is shown.
const SHOWN: usize = 120;

/// Arguments of `test`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TestArgs {
    /// The configuration, with its tests
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only tests whose names hold this text
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
}

/// Runs the tests: 0 when all of them hold, 1 when one does not, 2 when the file is wrong or has none.
pub(super) fn run(args: &TestArgs, logs: &Logs) -> anyhow::Result<Exit> {
    // Not locked: the gateway may have something to say meanwhile.
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let loaded = match config::for_run(Some(&args.file), &Overrides::default()) {
        Ok(loaded) => loaded,
        Err(error) => {
            writeln!(err, "{error}")?;
            return Ok(Exit::Usage);
        }
    };
    let config = loaded.config;
    // What samples make it say is not about the configuration.
    logs.apply(&LogsConfig { level: LogLevel::Error, ..config.logs });
    let wanted = |test: &&TestConfig| {
        args.only.as_ref().is_none_or(|text| test.name.contains(text.as_str()))
    };
    let tests: Vec<&TestConfig> = config.tests.iter().filter(wanted).collect();
    if tests.is_empty() {
        let of = if args.only.is_some() { " of such a name" } else { "" };
        writeln!(err, "error: {}: no [[tests]]{of}", args.file.display())?;
        return Ok(Exit::Usage);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let dir = Scratch::new()?;
    let failed = runtime.block_on(run_all(&config, &tests, &dir.0, &mut out))?;
    drop(dir);
    let (count, all) = (tests.len(), if tests.len() == 1 { "test" } else { "tests" });
    writeln!(out, "{count} {all}: {} hold, {failed} do not", count - failed)?;
    Ok(if failed == 0 { Exit::Fine } else { Exit::Failed })
}

/// A directory that is removed again.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
        let name = format!("ingestry-test-{:016x}", u64::from_ne_bytes(name));
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is in the way of nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How many do not hold.
async fn run_all(
    config: &Config,
    tests: &[&TestConfig],
    dir: &Path,
    out: &mut impl Write,
) -> anyhow::Result<usize> {
    let tried = tried(config, tests, dir);
    let (inlets, taken): (BTreeMap<_, _>, BTreeMap<_, _>) = tried
        .sources
        .iter()
        .filter(|source| source.listen().is_none())
        .map(|source| {
            let (inlet, samples) = samples();
            ((source.name.clone(), inlet), (source.name.clone(), samples))
        })
        .unzip();
    let gateway = Gateway::builder(tried).samples(taken).start().await?;
    let addresses = gateway.addresses();
    let (mut failed, mut seen) = (0, 0);
    for test in tests {
        let counters = gateway.sources().into_iter().find(|one| one.name == test.source);
        let to = match inlets.get(&test.source) {
            Some(inlet) => Some(To::Inlet(inlet)),
            None => addresses.get(&test.source).copied().map(To::Address),
        };
        let source = config.source(&test.source);
        let (Some(counters), Some(to), Some(source)) = (counters, to, source) else {
            anyhow::bail!("the source {} does not run", test.source);
        };
        let before = counters.totals();
        let trouble = send(test, source, to, &counters, before.received_bytes).await.err();
        let after = counters.totals();
        let accepted = after.accepted_entries - before.accepted_entries;
        let found = stored(dir, &mut seen, accepted).await?;
        let mut wrong = compare_entries(config, test, &found);
        wrong.extend(compare_counts(test, &rejected(&counters, &before, &after)));
        // A source may well end a connection for what comes over it; then it has counted that.
        let told = after.received_items > before.received_items && wrong.is_empty();
        if let (Some(trouble), false) = (trouble, told) {
            wrong.push(format!("the sample: {trouble:#}"));
        }
        writeln!(out, "{} {}", if wrong.is_empty() { "holds " } else { "FAILED" }, test.name)?;
        for line in &wrong {
            writeln!(out, "       {line}")?;
        }
        failed += usize::from(!wrong.is_empty());
    }
    gateway.stop(PATIENCE).await;
    Ok(failed)
}

/// Where a sample goes.
#[derive(Clone, Copy)]
enum To<'i> {
    /// To a source that listens.
    Address(SocketAddr),
    /// To one that connects.
    Inlet(&'i Inlet),
}

/// The configuration with the same sources, rules and limits, that touches nothing outside.
fn tried(config: &Config, tests: &[&TestConfig], dir: &Path) -> Config {
    let mut tried = config.clone();
    let used = |source: &SourceConfig| tests.iter().any(|test| test.source == source.name);
    tried.sources.retain(used);
    for source in &mut tried.sources {
        source.allow.clear();
        source.kind = match std::mem::replace(&mut source.kind, SourceKind::Hydra(Box::default())) {
            SourceKind::GraphiteUnix(unix) if unix.socket == UnixSocket::Datagram => {
                let lines = unix.stream.lines;
                SourceKind::GraphiteUdp(GraphiteUdpSource { lines, ..GraphiteUdpSource::default() })
            }
            SourceKind::GraphiteUnix(unix) => SourceKind::Graphite(Box::new(unix.stream)),
            kind => kind,
        };
        match &mut source.kind {
            SourceKind::Graphite(graphite) => {
                (graphite.tls, graphite.compression) = (None, GraphiteCompression::None);
                graphite.proxies.clear();
            }
            SourceKind::Gravwell(gravwell) => {
                gravwell.tls = None;
                gravwell.secret = Some(SecretFrom::Literal(SECRET.to_owned()));
            }
            SourceKind::Hydra(hydra) => (hydra.tls, hydra.token) = (None, None),
            SourceKind::Amqp(amqp) => amqp.broker = AmqpBroker::default(),
            SourceKind::Loggregator(loggregator) => loggregator.tls = ClientTls::default(),
            _ => {}
        }
        if let Some((listen, _)) = source.binding_mut() {
            *listen = ListenAddr::loopback(0);
        }
    }
    let defaults = Config::default();
    (tried.log, tried.admin, tried.delivery) = (defaults.log, defaults.admin, defaults.delivery);
    tried.log.dir = dir.join("data");
    (tried.log.max_bytes, tried.log.min_free) = (Some(1 << 30), Some(0));
    tried.log.durability = Durability::Disk;
    tried.admin.enabled = false;
    // Everything is kept, and goes nowhere.
    tried.destinations = defaults.destinations;
    tried.routes.clear();
    tried
}

/// Hands a sample to its source, and waits until that has taken it.
async fn send(
    test: &TestConfig,
    source: &SourceConfig,
    to: To<'_>,
    counters: &SourceCounters,
    received: u64,
) -> anyhow::Result<()> {
    let to = match to {
        To::Address(to) => to,
        To::Inlet(inlet) => return give(test, source, inlet).await,
    };
    let datagrams = match &source.kind {
        SourceKind::GraphiteUdp(_) => true,
        SourceKind::GraphiteUnix(unix) => unix.socket == UnixSocket::Datagram,
        _ => false,
    };
    let bytes: &[u8] = match &test.sample {
        Sample::Bytes(bytes) => bytes,
        Sample::Lines(text) => text.as_bytes(),
    };
    if datagrams {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        socket.send_to(bytes, to)?;
        let deadline = Instant::now() + PATIENCE;
        while counters.totals().received_bytes < received + bytes.len() as u64 {
            anyhow::ensure!(Instant::now() < deadline, "the datagram has not come");
            tokio::time::sleep(LOOK).await;
        }
        return Ok(());
    }
    let mut bytes = bytes.to_vec();
    if matches!(test.sample, Sample::Lines(_)) && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    feed(&arguments(test, source, to)?, bytes).await
}

/// Gives a sample to a source that connects: a message, or of envelopes one for each line.
async fn give(test: &TestConfig, source: &SourceConfig, inlet: &Inlet) -> anyhow::Result<()> {
    let bodies: Vec<&[u8]> = match (&test.sample, &source.kind) {
        (Sample::Lines(text), SourceKind::Loggregator(_)) => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            lines.map(str::as_bytes).collect()
        }
        (Sample::Lines(text), _) => vec![text.as_bytes()],
        (Sample::Bytes(bytes), _) => vec![bytes],
    };
    for body in bodies {
        let message = Message { key: test.key.clone().unwrap_or_default(), body: body.to_vec() };
        inlet.give(message).await.map_err(anyhow::Error::msg)?;
    }
    Ok(())
}

/// What `ingestry send` would be told.
fn arguments(test: &TestConfig, source: &SourceConfig, to: SocketAddr) -> anyhow::Result<SendArgs> {
    let scheme = match (&test.sample, source.kind.type_name()) {
        // As they are, whatever they are.
        (Sample::Bytes(_), _) | (_, "graphite-unix") => "graphite",
        (_, "hydra") => "ws",
        (_, other) => other,
    };
    let path = if scheme == "ws" { "/ws-ingest/gravwell_ingestor" } else { "" };
    let url = format!("{scheme}://{to}{path}");
    let tag = test.tag.as_ref().map_or("default", |tag| tag.as_str());
    let mut args = SendArgs {
        to: url.parse().map_err(anyhow::Error::msg)?,
        files: Vec::new(),
        tag: ingest_entry::TagName::new(tag)?,
        secret: format!("literal:{SECRET}").parse().map_err(anyhow::Error::msg)?,
        header: vec![Field("hydra-ack".to_owned(), "persisted".to_owned())],
        rate: None,
        repeat: std::num::NonZeroU64::MIN,
        ca: None,
        insecure: false,
        wait: PATIENCE.as_secs(),
    };
    if test.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("hydra-ack")) {
        args.header.clear();
    }
    args.header.extend(test.headers.iter().map(|(name, value)| Field(name.clone(), value.clone())));
    Ok(args)
}

/// An entry that was found.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    tag: String,
    data: String,
}

/// What is in the log behind the last LSN that was seen: so many entries were handed over, and a
/// datagram's are not durable at once.
async fn stored(dir: &Path, seen: &mut u64, accepted: u64) -> anyhow::Result<Vec<Found>> {
    let (mut found, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    loop {
        Store::open(dir.join("data"))?.search(&Query::new(), &mut |hit| {
            if hit.lsn > *seen {
                *seen = hit.lsn;
                let data = String::from_utf8_lossy(hit.entry.data).into_owned();
                found.push(Found { tag: hit.tag_name.to_owned(), data });
            }
            ControlFlow::Continue(())
        })?;
        if found.len() as u64 >= accepted {
            return Ok(found);
        }
        anyhow::ensure!(Instant::now() < deadline, "the log does not show what it took");
        tokio::time::sleep(LOOK).await;
    }
}

/// The destinations that get entries of a tag.
fn routed<'c>(config: &'c Config, tag: &str) -> Vec<&'c str> {
    let names = config.destinations.iter().map(|destination| destination.name.as_str());
    let takes = |name: &&str| {
        config.routes.is_empty()
            || config.routes.iter().any(|route| {
                route.to.iter().any(|to| to == name)
                    && route.tags.iter().any(|pattern| pattern.matches(tag))
            })
    };
    names.filter(takes).collect()
}

/// What was expected and not found, and what was found and not expected.
fn compare_entries(config: &Config, test: &TestConfig, found: &[Found]) -> Vec<String> {
    let mut wrong = Vec::new();
    for index in 0..test.entries.len().max(found.len()) {
        let number = index + 1;
        match (test.entries.get(index), found.get(index)) {
            (Some(expected), Some(found)) => {
                for (what, found, expected) in differences(config, expected, found) {
                    wrong.push(format!(
                        "entry {number}: {what}: found {found}, expected {expected}"
                    ));
                }
            }
            (Some(expected), None) => wrong.push(format!(
                "entry {number}: found none, expected {} of tag {}",
                shown(&expected.data),
                shown(&expected.tag)
            )),
            (None, Some(found)) => wrong.push(format!(
                "entry {number}: found {} of tag {}, expected none",
                shown(&found.data),
                shown(&found.tag)
            )),
            (None, None) => {}
        }
    }
    wrong
}

/// What, as it was found, and as it was expected.
type Difference = (&'static str, String, String);

fn differences(config: &Config, expected: &ExpectedEntry, found: &Found) -> Vec<Difference> {
    let mut differences = Vec::new();
    if found.tag != expected.tag {
        differences.push(("tag", shown(&found.tag), shown(&expected.tag)));
    }
    if found.data != expected.data {
        differences.push(("data", shown(&found.data), shown(&expected.data)));
    }
    if let Some(to) = &expected.to {
        let routed = routed(config, &found.tag);
        let mut wanted: Vec<&str> = to.iter().map(String::as_str).collect();
        wanted.sort_by_key(|name| config.destinations.iter().position(|one| one.name == *name));
        if routed != wanted {
            differences.push(("to", format!("{routed:?}"), format!("{wanted:?}")));
        }
    }
    differences
}

/// What a source refused meanwhile, by reason.
fn rejected(
    counters: &SourceCounters,
    before: &Totals,
    after: &Totals,
) -> BTreeMap<&'static str, u64> {
    let counts = counters.reasons.iter().zip(before.refused.iter().zip(&after.refused));
    let mut rejected = BTreeMap::new();
    for (reason, (before, after)) in counts.filter(|(_, (before, after))| after > before) {
        *rejected.entry(*reason).or_default() += after - before;
    }
    rejected
}

fn compare_counts(test: &TestConfig, found: &BTreeMap<&'static str, u64>) -> Vec<String> {
    let mut wrong = Vec::new();
    let expected = |reason: &str| {
        test.rejected.iter().find(|(name, _)| name == reason).map_or(0, |(_, count)| *count)
    };
    for (reason, count) in found {
        let expected = expected(reason);
        if *count != expected {
            wrong.push(format!("rejected for {reason}: found {count}, expected {expected}"));
        }
    }
    for (reason, count) in &test.rejected {
        if !found.contains_key(reason.as_str()) {
            wrong.push(format!("rejected for {reason}: found 0, expected {count}"));
        }
    }
    wrong
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}
