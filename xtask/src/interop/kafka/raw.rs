//! Entries whose data is the record's value, with the rest in one header or in one each: other programs
//! read the value, and another gateway has the entries as they were.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::broker::Broker;
use super::chain::exchange;
use crate::interop::process::{Gateway, until};

const WAYS: [&str; 2] = ["line", "each"];
const LINES: usize = 2000;

/// What an entry is, but for its place in a log: time, source, tag and data.
type Entry = [String; 4];

pub(super) fn run(binary: &Path, dir: &Path, broker: &Broker) -> Result<()> {
    let (from, to) = (dir.join("raw-from"), dir.join("raw-to"));
    std::fs::create_dir_all(&from)?;
    std::fs::create_dir_all(&to)?;
    let lines: Vec<String> =
        (0..LINES).map(|n| format!("raw.{n} 1 {}", 1_700_000_000 + n)).collect();
    let sender = Gateway::configured(binary, &from, &sending(broker.port))?;
    exchange(sender.address("graphite")?, &lines)?;
    for output in 0..WAYS.len() {
        let queued = format!("/outputs/{output}/queued");
        until("the destinations have all", || Ok(number(&sender, &queued)? == Some(0)))?;
    }
    sender.stop()?;
    let receiver = Gateway::configured(binary, &to, &receiving(broker.port))?;
    let all = WAYS.len() * LINES;
    let accepted = "/sources/0/accepted/items";
    until("the other gateway has all", || Ok(number(&receiver, accepted)? == Some(all as u64)))?;
    receiver.stop()?;

    let (sent, _) = entries(binary, &from)?;
    let (came, ids) = entries(binary, &to)?;
    ensure!(sent.len() == LINES, "{} of {LINES} lines in the log", sent.len());
    ensure!(came.len() == all, "{} of {all} entries came", came.len());
    let distinct: BTreeSet<&Entry> = came.iter().collect();
    ensure!(distinct == sent.iter().collect(), "other entries came than were sent");
    ensure!(ids.len() == LINES, "{} stable ids of {LINES} entries", ids.len());
    for way in WAYS {
        let mut values = broker.read(&format!("raw-{way}"), "%s")?;
        values.sort();
        let mut expected = lines.clone();
        expected.sort();
        ensure!(values == expected, "{way}: kcat reads {} values", values.len());
    }
    println!(
        "kafka: {LINES} entries as data with the rest in one header, and as many in one each, read by \
         kcat and as they were by another gateway, {LINES} stable ids"
    );
    Ok(())
}

fn number(gateway: &Gateway, pointer: &str) -> Result<Option<u64>> {
    Ok(gateway.status()?.pointer(pointer).and_then(Value::as_u64))
}

/// The entries of a log, and the stable ids that are attached to them.
fn entries(binary: &Path, dir: &Path) -> Result<(Vec<Entry>, BTreeSet<String>)> {
    let mut command = std::process::Command::new(binary);
    command.arg("search").arg("--data-dir").arg(dir.join("data"));
    let output = command.args(["--format", "json"]).output()?;
    ensure!(output.status.success(), "`ingestry search` ended with {}", output.status);
    let (mut entries, mut ids) = (Vec::new(), BTreeSet::new());
    for line in String::from_utf8(output.stdout)?.lines() {
        let entry: Value = serde_json::from_str(line)?;
        let text = |name| {
            let text = entry.get(name).and_then(Value::as_str).map(str::to_owned);
            text.with_context(|| format!("no {name}: {line}"))
        };
        entries.push([text("ts")?, text("src")?, text("tag")?, text("data")?]);
        let id = entry.pointer("/values/ingestry.id").and_then(Value::as_str);
        ids.extend(id.map(str::to_owned));
    }
    Ok((entries, ids))
}

fn sending(port: u16) -> String {
    let mut text = "[admin]\nlisten = \"127.0.0.1:0\"\n[sources.graphite]\ntype = \"graphite\"\n\
                    listen = \"127.0.0.1:0\"\ntag = \"raw\"\n"
        .to_owned();
    for way in WAYS {
        text.push_str(&format!(
            "[destinations.{way}]\ntype = \"kafka\"\nbrokers = [\"127.0.0.1:{port}\"]\n\
             topic = \"{{tag}}-{way}\"\nheaders = \"{way}\"\nfrom = \"oldest\"\n"
        ));
    }
    text
}

fn receiving(port: u16) -> String {
    format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[sources.topics]\ntype = \"kafka\"\n\
         brokers = [\"127.0.0.1:{port}\"]\ntopics = [\"^raw-.*\"]\ngroup = \"raw\"\n\
         values = \"headers\"\n"
    )
}
