//! A destination of your own behind `ingest-mux`: it prints what it gets. What it has not confirmed
//! comes again, also after a restart.
//!
//! ```sh
//! seq 1 3 | cargo run -p examples --example mux_to_destination -- spool
//! seq 4 6 | cargo run -p examples --example mux_to_destination -- spool 2
//! seq 7 9 | cargo run -p examples --example mux_to_destination -- spool down
//! cargo run -p examples --example mux_to_destination -- spool < /dev/null
//! ```
//!
//! `spool` is a directory of your choice. With a number the link breaks so many times before it
//! confirms anything; with `down` it cannot be made at all, and everything waits for the next run.
//! Kill it at any moment: nothing that was reported as durable is lost.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use ingest_entry::{EntryRef, Source as Address, TagName, Timestamp};
use ingest_mux::{Destination, Leases, Level, LinkError, LinkFuture, Muxer, Options, Output};

/// Prints entries.
#[derive(Debug)]
struct Printer {
    /// It does not answer at all.
    down: bool,
    /// So many leases are still to be broken off.
    breaks: AtomicU64,
}

impl Destination for Printer {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async move {
            // Here one would connect; an error is shown to the operator, and it is tried again.
            if self.down {
                return Err(LinkError::passing("nobody answers"));
            }
            leases.connected();
            while let Some(lease) = leases.next().await {
                let mut text = String::new();
                for (id, entry) in lease.entries() {
                    let tag = leases.tag_name(entry.tag);
                    let tag = tag.as_ref().map_or("?", TagName::as_str);
                    // `id` is the same whenever the entry is sent again: a key for duplicates.
                    let data = String::from_utf8_lossy(entry.data);
                    text.push_str(&format!("    {}: {tag}: {data}\n", id.lsn));
                }
                print(&text).map_err(|error| LinkError::passing(error.to_string()))?;
                let left = self.breaks.load(Ordering::Relaxed);
                if left > 0 {
                    self.breaks.store(left - 1, Ordering::Relaxed);
                    // The lease is dropped, and goes back.
                    return Err(LinkError::passing("the link broke before it confirmed"));
                }
                lease.confirm();
            }
            Ok(())
        })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().context("use: mux_to_destination DIR [BREAKS or down]")?;
    let printer = match arguments.next().as_deref() {
        None => Printer { down: false, breaks: 0.into() },
        Some("down") => Printer { down: true, breaks: 0.into() },
        Some(n) => Printer { down: false, breaks: n.parse::<u64>().context("breaks")?.into() },
    };

    let mut options = Options::default();
    options.max_bytes = Some(64 << 20);
    options.min_free = Some(0);
    let muxer = Muxer::builder()
        .dir(&dir)
        .log(options)
        .output(Output::new("printer").link(Arc::new(printer)))
        .longest_wait(Duration::from_secs(1))
        .start()
        .context("cannot start")?;

    // A line of input is an entry.
    let source = muxer.source("stdin", 1 << 20)?;
    let tag = muxer.tag(&TagName::new("lines")?)?;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("cannot read the standard input")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is wrong")?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or_default();
        let ts = Timestamp::from_unix(seconds, now.subsec_nanos()).context("the clock is wrong")?;
        let arrival = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);

        let entry = EntryRef::new(ts, Address::NONE, tag, line.as_bytes());
        let grant = source.grant(entry.stored_len() as u64).await;
        let mut batch = source.batch(grant, arrival, Level::Disk);
        batch.push(&entry)?;
        let sent = batch.finish();
        if let Some(ticket) = &sent.ticket {
            source.done(ticket).await?;
            print(&format!("durable: {line}\n"))?;
        }
    }
    drop(source);

    // Two seconds for the printer; what it has not confirmed stays in the log.
    for output in muxer.close(Duration::from_secs(2)).await.outputs {
        let (confirmed, queued, resent) = (output.confirmed, output.queued, output.resent);
        let ever = "since the directory was made";
        print(&format!("{confirmed} confirmed {ever}, {queued} queued, {resent} sent again\n"))?;
    }
    Ok(())
}

fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write")
}
