//! An edge gateway writes entries to a topic, two core gateways of one group read them; meanwhile the
//! edge is killed, the broker is killed, and one of the two dies for good, so that the other takes its
//! partitions over. What the edge acknowledged has to be in a core, and what is there twice has to be
//! known by its stable id.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;

use super::broker::Broker;
use crate::interop::process::{Gateway, PATIENCE, until};

/// Lines of a connection, and how long the next one waits.
const LINES: u64 = 100;
const PAUSE: Duration = Duration::from_millis(10);
/// Lines that are acknowledged before each thing that happens.
const STEP: u64 = 8_000;
const TOPIC: &str = "chain";

pub(super) fn run(binary: &Path, dir: &Path, broker: &mut Broker) -> Result<()> {
    let edge = Member::new(binary, dir, "edge", &edge_config(broker.port))?;
    let first = Member::new(binary, dir, "core-1", &core_config(broker.port))?;
    let second = Member::new(binary, dir, "core-2", &core_config(broker.port))?;
    let (mut edge, mut first, mut second) = (edge.started()?, first.started()?, second.started()?);
    let load = Load::default();
    load.aim(&edge)?;
    let copies = std::thread::scope(|scope| {
        let sender = scope.spawn(|| load.send());
        let happened = events(&load, broker, &mut edge, &mut first, &mut second)
            .with_context(|| states(&[&edge, &first, &second]));
        load.stop.store(true, Ordering::Release);
        let sent = sender.join().map_err(|_| anyhow!("the sender panicked"));
        happened?;
        sent?;
        // What is acknowledged now is all that there will be.
        let acknowledged = load.acknowledged();
        let all_sent = until("the edge has sent all", || Ok(edge.queued()? == 0));
        all_sent.with_context(|| states(&[&edge, &first, &second]))?;
        let all = until("all is with the cores", || {
            let found = stored(&[&first, &second])?;
            Ok(acknowledged.iter().all(|line| found.contains_key(line)))
        });
        let found = stored(&[&first, &second])?;
        all.with_context(|| {
            let missing = acknowledged.iter().filter(|line| !found.contains_key(*line));
            let some: Vec<_> = missing.clone().take(5).collect();
            let (missing, of) = (missing.count(), acknowledged.len());
            let states = states(&[&edge, &first, &second]);
            format!("{missing} of {of} are missing: {some:?} …\n{states}")
        })?;
        anyhow::Ok(found)
    })?;

    let acknowledged = load.acknowledged();
    let lost = acknowledged.iter().filter(|line| !copies.contains_key(*line)).count();
    let entries: usize = copies.values().map(Vec::len).sum();
    let again = entries - copies.len();
    let strangers = copies.values().filter(|ids| ids.iter().collect::<BTreeSet<_>>().len() > 1);
    let strangers = strangers.count();
    let ids: BTreeSet<&String> = copies.values().flatten().collect();
    let records = broker.read(TOPIC, "%p %o")?.len();
    println!(
        "kafka: edge, broker and a member killed: {} lines acknowledged, {lost} lost; {records} \
         records in the topic, {entries} entries with the cores, {again} of them again, all known by \
         {} ids",
        acknowledged.len(),
        ids.len()
    );
    ensure!(lost == 0, "{lost} acknowledged lines are missing");
    ensure!(strangers == 0, "{strangers} lines came twice under different ids");
    ensure!(ids.len() == copies.len(), "{} ids for {} lines", ids.len(), copies.len());
    for member in [&edge, &second] {
        let status = member.gateway()?.status()?;
        let balanced = status.get("balanced") == Some(&true.into());
        ensure!(balanced, "the account of {} does not balance: {status}", member.name);
    }
    edge.stop()?;
    second.stop()
}

/// What happens while lines are sent.
fn events(
    load: &Load,
    broker: &mut Broker,
    edge: &mut Member,
    first: &mut Member,
    second: &mut Member,
) -> Result<()> {
    load.wait(STEP)?;
    edge.kill()?;
    *edge = edge.again()?;
    load.aim(edge)?;
    load.wait(STEP)?;
    broker.kill()?;
    load.wait(STEP)?;
    broker.begin()?;
    load.wait(STEP)?;
    // Both have to have something before one goes.
    until("both members read", || Ok(first.accepted()? > 0 && second.accepted()? > 0))?;
    first.kill()?;
    let had = second.accepted()?;
    load.wait(STEP)?;
    until("the other has taken over", || Ok(second.accepted()? > had))?;
    // It comes back, and the partitions are shared again.
    *first = first.again()?;
    until("it reads again", || Ok(first.accepted()? > 0))?;
    load.wait(STEP)
}

/// Where everybody is, for whoever looks into a failure.
fn states(members: &[&Member]) -> String {
    let state = |member: &&Member| {
        let status = member.gateway().and_then(Gateway::status);
        let status = status.map(|status| {
            let part = |pointer| status.pointer(pointer).map(Value::to_string).unwrap_or_default();
            format!("{} {}", part("/sources/0"), part("/outputs/0"))
        });
        let log = std::fs::read_to_string(member.dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(12)).copied().collect::<Vec<_>>();
        format!(
            "{}: {}\n{}\n",
            member.name,
            status.unwrap_or_else(|error| error.to_string()),
            last.join("\n")
        )
    };
    members.iter().map(state).collect()
}

/// The lines that the cores have, each with the stable ids under which it came.
fn stored(members: &[&Member]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for member in members {
        for line in member.search()? {
            let entry: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            let data = entry.get("data").and_then(Value::as_str).context("no data")?;
            let id = entry.pointer("/values/ingestry.id").and_then(Value::as_str);
            let id = id.with_context(|| format!("no id: {line}"))?;
            ensure!(entry.get("tag").and_then(Value::as_str) == Some("edge"), "{line}");
            found.entry(data.to_owned()).or_default().push(id.to_owned());
        }
    }
    Ok(found)
}

fn edge_config(port: u16) -> String {
    format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[sources.graphite]\ntype = \"graphite\"\n\
         listen = \"127.0.0.1:0\"\ntag = \"edge\"\n[destinations.topic]\ntype = \"kafka\"\n\
         brokers = [\"127.0.0.1:{port}\"]\ntopic = \"{TOPIC}\"\nencoding = \"entry\"\n\
         from = \"oldest\"\n"
    )
}

fn core_config(port: u16) -> String {
    format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[sources.topic]\ntype = \"kafka\"\n\
         brokers = [\"127.0.0.1:{port}\"]\ntopics = [\"^{TOPIC}$\"]\ngroup = \"cores\"\n\
         values = \"headers\"\n\
         properties = {{ \"session.timeout.ms\" = 6000, \"heartbeat.interval.ms\" = 1000, \
         \"topic.metadata.refresh.interval.ms\" = 1000 }}\n"
    )
}

/// A gateway that comes and goes.
struct Member {
    name: &'static str,
    binary: PathBuf,
    dir: PathBuf,
    config: String,
    gateway: Option<Gateway>,
}

impl Member {
    fn new(binary: &Path, dir: &Path, name: &'static str, config: &str) -> Result<Self> {
        let dir = dir.join(name);
        std::fs::create_dir_all(&dir)?;
        let (binary, config) = (binary.to_owned(), config.to_owned());
        Ok(Self { name, binary, dir, config, gateway: None })
    }

    fn started(mut self) -> Result<Self> {
        self.gateway = Some(Gateway::configured(&self.binary, &self.dir, &self.config)?);
        Ok(self)
    }

    /// The same, started again.
    fn again(&self) -> Result<Self> {
        let (binary, dir) = (self.binary.clone(), self.dir.clone());
        Self { name: self.name, binary, dir, config: self.config.clone(), gateway: None }.started()
    }

    fn kill(&mut self) -> Result<()> {
        self.gateway.take().context("it runs")?.kill()
    }

    fn gateway(&self) -> Result<&Gateway> {
        self.gateway.as_ref().with_context(|| format!("{} does not run", self.name))
    }

    fn accepted(&self) -> Result<u64> {
        let status = self.gateway()?.status()?;
        let accepted = status.pointer("/sources/0/accepted/items").and_then(Value::as_u64);
        accepted.with_context(|| format!("no such number: {status}"))
    }

    fn queued(&self) -> Result<u64> {
        let status = self.gateway()?.status()?;
        let queued = status.pointer("/outputs/0/queued").and_then(Value::as_u64);
        queued.with_context(|| format!("no such number: {status}"))
    }

    fn search(&self) -> Result<Vec<String>> {
        let mut command = std::process::Command::new(&self.binary);
        command.arg("search").arg("--data-dir").arg(self.dir.join("data"));
        let output = command.args(["--format", "json"]).output()?;
        ensure!(output.status.success(), "`ingestry search` ended with {}", output.status);
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    }

    fn stop(self) -> Result<()> {
        self.gateway.context("it runs")?.stop()
    }
}

/// Lines to an edge, over one connection after another. The end of a connection's stream is its
/// acknowledgement: those of a connection that breaks count for nothing, and are not sent again.
#[derive(Default)]
struct Load {
    address: Mutex<Option<SocketAddr>>,
    stop: AtomicBool,
    count: AtomicU64,
    acknowledged: Mutex<Vec<String>>,
}

impl Load {
    fn aim(&self, edge: &Member) -> Result<()> {
        let address = edge.gateway()?.address("graphite")?;
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
        Ok(())
    }

    fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many more are acknowledged.
    fn wait(&self, more: u64) -> Result<()> {
        let goal = self.count.load(Ordering::Acquire) + more;
        until("lines are acknowledged", || Ok(self.count.load(Ordering::Acquire) >= goal))
    }

    fn send(&self) {
        let mut connection = 0_u64;
        while !self.stop.load(Ordering::Acquire) {
            let address = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(address) = address else { continue };
            connection += 1;
            let lines: Vec<String> =
                (0..LINES).map(|n| format!("chain.{connection}.{n} 1 1700000000")).collect();
            if exchange(address, &lines).is_ok() {
                let mut all = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                all.extend(lines);
                self.count.fetch_add(LINES, Ordering::AcqRel);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Sends lines, ends its side, and waits for the end of the other.
pub(super) fn exchange(address: SocketAddr, lines: &[String]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all((lines.join("\n") + "\n").as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    Ok(())
}
