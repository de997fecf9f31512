//! The broker killed and started again while requests with `hydra-ack = explicit` come in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::broker::Broker;
use super::console::{Console, start};

/// Lines in one go, and how often these come.
const BURST: u64 = 50;
const PAUSE: Duration = Duration::from_millis(10);
/// How long there is load before the kill, while the broker is away, and after it is back.
const BEFORE: Duration = Duration::from_secs(4);
const AWAY: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(6);

pub(super) fn run(binary: &Path, dir: &Path, broker: &mut Broker) -> Result<()> {
    let (gateway, mut console) = start(binary, &dir.join("outage"), broker)?;
    console.say("-c set hydra-kafka-topic = outage\n-c set hydra-ack = explicit\n")?;
    let mut sent = 0;
    load(&mut console, &mut sent, BEFORE)?;
    broker.kill()?;
    load(&mut console, &mut sent, AWAY)?;
    let during = sent;
    // The load goes on while it starts.
    std::thread::scope(|scope| {
        let started = scope.spawn(|| broker.begin());
        load(&mut console, &mut sent, AFTER)?;
        started.join().map_err(|_| anyhow::anyhow!("the start panicked"))?
    })?;
    load(&mut console, &mut sent, AFTER)?;
    let answers = console.finish()?;
    let status = gateway.status()?;
    ensure!(status.get("balanced") == Some(&true.into()), "the account does not balance: {status}");
    // What the client library still holds gets there, or is given up, before the end.
    gateway.stop()?;

    let mut codes: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut reported, mut well) = (BTreeSet::new(), BTreeSet::new());
    for answer in &answers {
        let value: Value = serde_json::from_str(answer).with_context(|| answer.clone())?;
        let Some(id) = value.get("requestId").and_then(Value::as_str) else { continue };
        let code = value.pointer("/status/code").and_then(Value::as_u64).context("no code")?;
        let id: u64 = id.parse()?;
        ensure!(reported.insert(id), "two reports of {id}");
        *codes.entry(code).or_default() += 1;
        if code == 200 {
            well.insert(id);
        }
    }
    let records = broker.read("outage", "%s")?;
    let mut there = BTreeSet::new();
    for record in &records {
        there.insert(record.trim().parse::<u64>().with_context(|| record.clone())?);
    }
    let lost = well.difference(&there).count();
    println!(
        "kafka: killed under load: {sent} sent, {during} of them before it was started again; reports \
         by code {codes:?}; {} records of {} requests in the topic; {lost} of {} with 200 missing",
        records.len(),
        there.len(),
        well.len()
    );
    ensure!(reported.len() as u64 == sent, "{} of {sent} requests got a report", reported.len());
    ensure!(lost == 0, "what got a 200 is missing");
    ensure!(records.len() == there.len(), "the idempotent producer has written something twice");
    ensure!(codes.len() > 1, "the kill was not noticed: nothing failed");
    Ok(())
}

fn load(console: &mut Console, sent: &mut u64, time: Duration) -> Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        let lines = (0..BURST).fold(String::new(), |mut lines, _| {
            *sent += 1;
            lines.push_str(&format!("-i {sent} {sent}\n"));
            lines
        });
        console.say(&lines)?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
