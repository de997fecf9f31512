//! A collector out of one dependency, the umbrella: Graphite lines become entries in a log, and are
//! found there.
//!
//! ```toml
//! ingestry = { version = "0.1", features = ["mux", "store"] }    # and entry, graphite by default
//! ```
//!
//! ```sh
//! printf 'cpu.load 0.5 1700000000\nmem.free 9 1700000001\nno metric\n' |
//!     cargo run -p examples --example umbrella -- data 'cpu_*'
//! ```
//!
//! `data` is a directory of your choice; the last argument is what is looked for, a tag or a pattern
//! of tags. The tag of an entry is the path of its metric, with `_` for what tags may not hold.

#![allow(clippy::print_stdout, reason = "an example")]

use std::io::Read as _;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ingestry::entry::{EntryRef, Source, TagName, TagPattern, Timestamp};
use ingestry::graphite::{self, Event, LineDecoder};
use ingestry::mux::{Durability, Muxer};
use ingestry::store::{Query, Store};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, pattern] = arguments.as_slice() else { bail!("use: umbrella DIR TAG") };
    let pattern: TagPattern = pattern.parse()?;

    // Lines become points.
    let mut input = Vec::new();
    std::io::stdin().lock().read_to_end(&mut input).context("cannot read the standard input")?;
    let (mut points, mut refused) = (Vec::new(), 0);
    let mut decoder = LineDecoder::new(graphite::Options::default());
    let now = graphite::Timestamp::default();
    let mut sink = |event: Event<'_>| match event {
        Event::Metric(metric) => points.push(metric.to_metric()),
        _ => refused += 1,
    };
    decoder.push(&input, now, &mut sink);
    decoder.finish(now, &mut sink);

    // Points become entries on disk.
    let muxer = Muxer::builder().dir(dir).start().context("cannot open the log")?;
    let sender = muxer.sender("stdin")?;
    for point in &points {
        let tag = sender.tag(TagName::remap(point.path(), '_')?.as_str())?;
        let ts =
            Timestamp::from_unix(point.timestamp().seconds, 0).context("the time of a point")?;
        let value = point.value().to_string();
        let entry = EntryRef::new(ts, Source::NONE, tag, value.as_bytes());
        sender.send(entry, Durability::Disk).await?;
    }
    println!("{} stored, {refused} refused", points.len());

    // They are found while the log is open, by this process or another.
    let mut query = Query::new();
    query.tags.push(pattern);
    let report = Store::open(dir)?.search(&query, &mut |hit| {
        let value = String::from_utf8_lossy(hit.entry.data);
        println!("{} {} {value}", hit.entry.ts, hit.tag_name);
        ControlFlow::Continue(())
    })?;
    println!("{} found", report.hits);
    drop(sender);
    muxer.close(Duration::from_secs(5)).await;
    Ok(())
}
