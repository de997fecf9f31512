//! `bench kafka`: entries from the log to a topic and from a topic to the log, by the real program,
//! beside a bare producer and a bare consumer of the same client library with the same settings, on
//! the same broker.
//!
//! Entries have 256 bytes of data. To the topic they go as they are, with two headers that say what
//! else they have. One bare producer sends the same records, with headers of as many bytes: that is
//! what is compared to. Another sends the values alone, which says what the headers cost. From the
//! topic the values alone come, for the bare consumer and the gateway; the gateway's are on disk when they count. What is measured
//! begins with the first confirmation, or the first record, and ends with the last. One broker serves
//! a whole run; each case has a topic, a log or a group of its own.

mod bare;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ingest_mux::{Durability, Muxer, Options};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use self::bare::{consumer, producer};
use super::case::{Bar, Case, Figure, Sample};
use super::process::{Side, say};
use super::usage::{self, Spent};
use super::wire::{TAG, data};
use crate::crash::{Profile, build_with};
use crate::interop::kafka::broker::Broker;
use crate::interop::process::Gateway;

/// The sides.
pub(crate) const PRODUCER: &str = "kafka-producer";
pub(crate) const CONSUMER: &str = "kafka-consumer";
pub(crate) const FILL: &str = "kafka-fill";

/// Entries of a run.
const MANY: u64 = 1_000_000;
const PARTITIONS: u32 = 4;
/// How often the gateway is asked how far it is.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(120);

const BARE_PRODUCER: &str = "kafka/bare-producer";
const BARE_VALUES: &str = "kafka/bare-producer-values";
const BARE_CONSUMER: &str = "kafka/bare-consumer";
/// What consumers read.
const FULL: &str = "full";

/// What a bare client has to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    port: u16,
    topic: String,
    count: u64,
    /// Whether records have the time and the headers that the gateway's have.
    whole: bool,
}

/// What a log is filled with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fill {
    dir: std::path::PathBuf,
    count: u64,
}

/// The broker, once a case needs it.
#[derive(Default)]
struct Stage {
    running: Option<(TempDir, Broker)>,
    topics: u32,
}

impl Stage {
    fn broker(&mut self) -> Result<&mut Broker> {
        if self.running.is_none() {
            let dir = tempfile::tempdir()?;
            let broker = Broker::start(&dir.path().join("broker"), PARTITIONS)?;
            let job = Job { port: broker.port, topic: FULL.to_owned(), count: MANY, whole: false };
            let _: Spent = Side::start(PRODUCER, &job)?.finish()?;
            self.running = Some((dir, broker));
        }
        Ok(&mut self.running.as_mut().context("it was started")?.1)
    }

    fn topic(&mut self) -> String {
        self.topics += 1;
        format!("bench-{}", self.topics)
    }
}

/// The cases.
pub(crate) fn cases() -> Vec<Case> {
    let stage = Rc::new(RefCell::new(Stage::default()));
    let case =
        |name, us, beside: &'static [&'static str], run: fn(&mut Stage) -> Result<Sample>| {
            let stage = Rc::clone(&stage);
            let share = |other: &&'static str| Bar::at_least(Figure::Share(other), 0.6, 0.9);
            // The first of those beside it does the same. What is bare is judged by nothing.
            let judged = beside.iter().take(usize::from(us == "gateway"));
            let bars = judged.map(share).collect();
            Case {
                name,
                unit: "entries/s",
                us,
                peer: Some("broker"),
                beside,
                bars,
                run: Box::new(move |_| run(&mut stage.borrow_mut())),
            }
        };
    vec![
        case(BARE_VALUES, "client", &[], |stage| bare_producer(stage, false)),
        case(BARE_PRODUCER, "client", &[BARE_VALUES], |stage| bare_producer(stage, true)),
        case("kafka/log-to-topic", "gateway", &[BARE_PRODUCER, BARE_VALUES], log_to_topic),
        case(
            "kafka/log-to-topic-entry",
            "gateway",
            &[BARE_PRODUCER, BARE_VALUES],
            log_to_topic_whole,
        ),
        case(BARE_CONSUMER, "client", &[], bare_consumer),
        case("kafka/topic-to-log", "gateway", &[BARE_CONSUMER], topic_to_log),
    ]
}

/// Runs something, with the broker's CPU time meanwhile.
fn beside_broker(
    stage: &mut Stage,
    us: &'static str,
    run: impl FnOnce(u16, String) -> Result<Spent>,
) -> Result<Sample> {
    let topic = stage.topic();
    let broker = stage.broker()?;
    let (port, pid) = (broker.port, broker.pid().context("it runs")?);
    let before = usage::cpu_of(pid)?;
    let spent = run(port, topic)?;
    let broker = (usage::cpu_of(pid)? - before) * 1e6 / spent.count as f64;
    Ok(Sample {
        value: spent.rate(),
        cpu: [(us, spent.cpu_per_million()), ("broker", broker)].into(),
        rss_mib: spent.rss_mib,
        ..Sample::default()
    })
}

fn bare_producer(stage: &mut Stage, whole: bool) -> Result<Sample> {
    beside_broker(stage, "client", |port, topic| {
        Side::start(PRODUCER, &Job { port, topic, count: MANY, whole })?.finish()
    })
}

fn bare_consumer(stage: &mut Stage) -> Result<Sample> {
    beside_broker(stage, "client", |port, _| {
        let job = Job { port, topic: FULL.to_owned(), count: MANY, whole: false };
        Side::start(CONSUMER, &job)?.finish()
    })
}

fn log_to_topic(stage: &mut Stage) -> Result<Sample> {
    deliver(stage, "raw")
}

fn log_to_topic_whole(stage: &mut Stage) -> Result<Sample> {
    deliver(stage, "entry")
}

fn deliver(stage: &mut Stage, encoding: &str) -> Result<Sample> {
    let dir = tempfile::tempdir()?;
    let fill = Fill { dir: dir.path().join("data"), count: MANY };
    let _: u64 = Side::start(FILL, &fill)?.finish()?;
    let binary = build_with(Profile::Release, &["kafka"])?;
    beside_broker(stage, "gateway", |port, topic| {
        let config = format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n[sources]\n[destinations.topic]\ntype = \"kafka\"\n\
             brokers = [\"127.0.0.1:{port}\"]\ntopic = \"{topic}\"\nencoding = \"{encoding}\"\n\
             from = \"oldest\"\n"
        );
        let gateway = Gateway::configured(&binary, dir.path(), &config)?;
        watch(gateway, "/outputs/0/confirmed")
    })
}

fn topic_to_log(stage: &mut Stage) -> Result<Sample> {
    let dir = tempfile::tempdir()?;
    let binary = build_with(Profile::Release, &["kafka"])?;
    beside_broker(stage, "gateway", |port, group| {
        let config = format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n[sources.topic]\ntype = \"kafka\"\n\
             brokers = [\"127.0.0.1:{port}\"]\ntopics = [\"{FULL}\"]\ngroup = \"{group}\"\n"
        );
        let gateway = Gateway::configured(&binary, dir.path(), &config)?;
        watch(gateway, "/log/synced_lsn")
    })
}

/// Looks at a number of the status until it is as many as there are.
fn watch(gateway: Gateway, pointer: &str) -> Result<Spent> {
    let begin = Instant::now();
    let mut first = None;
    loop {
        let status = gateway.status()?;
        let number = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64);
        let now = number(pointer).with_context(|| format!("no {pointer}: {status}"))?;
        if now > 0 && first.is_none() {
            first = Some((now, Instant::now()));
        }
        if let (Some((had, since)), true) = (first, now >= MANY) {
            ensure!(now == MANY, "{now} of {MANY}");
            ensure!(status.get("balanced") == Some(&true.into()), "not balanced: {status}");
            let seconds = since.elapsed().as_secs_f64() * MANY as f64 / (MANY - had).max(1) as f64;
            let cpu = usage::cpu_of(gateway.pid())?;
            let rss_mib = usage::peak_rss_mib(&gateway.pid().to_string())?;
            gateway.stop()?;
            return Ok(Spent { count: MANY, seconds, cpu, rss_mib });
        }
        if begin.elapsed() > PATIENCE {
            bail!("{pointer} is {now}: {status}");
        }
        std::thread::sleep(LOOK);
    }
}

/// Fills a log.
pub(crate) fn fill(fill: Fill) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut options = Options::default();
        options.max_bytes = Some(8 << 30);
        options.min_free = Some(0);
        let muxer = Muxer::builder().dir(&fill.dir).log(options).start()?;
        let sender = muxer.sender("fill")?;
        let tag = sender.tag(TAG)?;
        let data = data();
        let mut batch = Vec::new();
        for first in (0..fill.count).step_by(512) {
            batch.clear();
            let numbers = first..(first + 512).min(fill.count);
            batch.extend(numbers.map(|number| super::wire::entry(&data, tag, number)));
            // The flush below waits for all of them.
            let _ = sender.hand_over(&batch, Durability::Disk).await?;
        }
        muxer.flush_to_disk().await?;
        drop(sender);
        muxer.close(Duration::from_secs(10)).await;
        say(&fill.count)
    })
}
