//! The quick start of the Gravwell ingest API with a muxer: entries to several indexers at once,
//! from a log on disk. `ingest-mux`, with its default feature.
//!
//! ```sh
//! export INGEST_SECRET=IngestSecrets
//! seq 1 1000 | cargo run -p examples --example gravwell_muxer -- \
//!     spool tcp://127.0.0.1:4023 tls://indexer.example.org
//! ```
//!
//! Each line of the standard input is an entry, and goes to whichever indexer takes it first. Those
//! that are away are waited for: what no indexer has acknowledged in ten seconds stays in the
//! directory `spool`, and the next run delivers it.

#![allow(clippy::print_stdout, reason = "an example")]

use std::io::BufRead as _;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use ingest_entry::{EntryRef, Source, TagName, Timestamp};
use ingest_mux::{Durability, Muxer, Output};

/// Lines that go to the log together.
const BATCH: usize = 512;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, targets @ ..] = arguments.as_slice() else {
        bail!("use: gravwell_muxer DIR TARGET…")
    };
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let secret = std::env::var("INGEST_SECRET").unwrap_or_else(|_| "IngestSecrets".to_owned());

    // One output with a link to each target: they share the entries. Two outputs would get all each.
    let muxer = Muxer::builder()
        .dir(dir)
        .output(Output::gravwell("indexers", &targets, &secret)?)
        .tags([TagName::new("testtag")?])
        .start()
        .context("cannot start")?;

    // The muxer's own numbers of tags hold for all indexers.
    let sender = muxer.sender("stdin")?;
    let tag = sender.tag("testtag")?;
    let source = Source::from_ip(Ipv4Addr::LOCALHOST.into());
    let mut lines = std::io::stdin().lock().lines();
    loop {
        let batch = lines.by_ref().take(BATCH).collect::<Result<Vec<String>, _>>();
        let batch = batch.context("cannot read the standard input")?;
        if batch.is_empty() {
            break;
        }
        let now = Timestamp::from_system_time(SystemTime::now()).context("the clock is wrong")?;
        let data = batch.iter().map(String::as_bytes);
        let entries: Vec<_> = data.map(|data| EntryRef::new(now, source, tag, data)).collect();
        // Returns when an fsync covers them: from here on they survive a kill, and a power cut.
        let accepted = sender.send_all(&entries, Durability::Disk).await?;
        println!("{} entries are on disk", accepted.entries);
    }

    drop(sender);
    for output in muxer.close(Duration::from_secs(10)).await.outputs {
        println!("{}: {} confirmed, {} queued", output.name, output.confirmed, output.queued);
        for link in output.links.iter().filter(|link| link.last_error.is_some()) {
            println!("  {}", link.last_error.as_deref().unwrap_or_default());
        }
    }
    Ok(())
}
