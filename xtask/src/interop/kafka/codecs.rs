//! Batches of every kind of compression, read and written: kcat's come into the log, and ours are
//! read by kcat, and lie in the broker's files as they should.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};

use super::broker::Broker;
use super::chain::exchange;
use crate::interop::process::{Gateway, until};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const LINES: usize = 2000;

pub(super) fn run(binary: &Path, dir: &Path, broker: &Broker) -> Result<()> {
    let dir = dir.join("codecs");
    std::fs::create_dir_all(&dir)?;
    let mut lines: Vec<String> = (0..LINES).map(|n| format!("codec.{n} 1 1700000000")).collect();
    lines.sort();
    for codec in CODECS {
        broker.write(&format!("in-{codec}"), codec, &lines)?;
        ensure!(broker.codecs(&format!("in-{codec}"))? == [codec.to_owned()].into(), "{codec}");
    }
    let gateway = Gateway::configured(binary, &dir, &config(broker.port))?;
    exchange(gateway.address("graphite")?, &lines)?;
    let number = |pointer: &str| {
        Ok::<_, anyhow::Error>(gateway.status()?.pointer(pointer).and_then(|it| it.as_u64()))
    };
    let names: BTreeSet<String> = CODECS.iter().map(|codec| format!("in-{codec}")).collect();
    let read = || {
        for name in &names {
            if gateway.search_tag(&format!("kafka-{name}"))?.len() < LINES {
                return Ok(false);
            }
        }
        Ok(true)
    };
    until("batches of each kind are read", read)?;
    for output in 0..CODECS.len() {
        until("the destinations have all", || {
            Ok(number(&format!("/outputs/{output}/queued"))? == Some(0))
        })?;
    }
    for codec in CODECS {
        let mut found = gateway.search_tag(&format!("kafka-in-{codec}"))?;
        found.sort();
        ensure!(found == lines, "{codec}: the log has {} lines", found.len());
        let topic = format!("out-{codec}");
        let mut records = broker.read(&topic, "%s")?;
        records.sort();
        ensure!(records == lines, "{codec}: kcat reads {} lines", records.len());
        let kinds = broker.codecs(&topic)?;
        ensure!(kinds == [codec.to_owned()].into(), "{topic} lies there as {kinds:?}");
    }
    gateway.stop()?;
    println!(
        "kafka: {LINES} records by kcat in batches of {}, all in the log; as many of ours of each kind, \
         read by kcat",
        CODECS.join(", ")
    );
    Ok(())
}

fn config(port: u16) -> String {
    let mut text = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[sources.graphite]\ntype = \"graphite\"\n\
         listen = \"127.0.0.1:0\"\n[sources.topics]\ntype = \"kafka\"\n\
         brokers = [\"127.0.0.1:{port}\"]\ntopics = [\"^in-.*\"]\ngroup = \"codecs\"\n\
         tag_per = \"topic\"\n"
    );
    let mut all = Vec::new();
    for codec in CODECS {
        text.push_str(&format!(
            "[destinations.to-{codec}]\ntype = \"kafka\"\nbrokers = [\"127.0.0.1:{port}\"]\n\
             topic = \"out-{codec}\"\ncompression = \"{codec}\"\nfrom = \"oldest\"\n"
        ));
        all.push(format!("\"to-{codec}\""));
    }
    text.push_str(&format!(
        "[destinations.store]\ntype = \"store\"\n\
         [[routes]]\ntags = [\"graphite\"]\nto = [{}]\n\
         [[routes]]\ntags = [\"*\"]\nto = [\"store\"]\n",
        all.join(", ")
    ));
    text
}
