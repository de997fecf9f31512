//! A queue that survives kills, out of `ingest-wal` alone: one producer, and one consumer whose
//! place is kept in the log's directory.
//!
//! ```sh
//! cargo run -p examples --example durable_queue -- queue put one two three
//! cargo run -p examples --example durable_queue -- queue take 2
//! cargo run -p examples --example durable_queue -- queue take 9
//! cargo run -p examples --example durable_queue -- queue status
//! ```
//!
//! `queue` is a directory of your choice. Kill it at any moment: what `put` has reported is there, and
//! what `take` had printed but not kept yet comes again.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use ingest_wal::{Catalog, Cursor, Entries, Item, Level, Log, Lsn, Options};

/// What the log asks of its user. Here that is the consumer's place, and nothing else.
#[derive(Debug, Default)]
struct Consumer {
    /// `None` until the log has said where it was.
    low: Mutex<Option<Lsn>>,
}

impl Consumer {
    fn set(&self, low: Lsn) {
        *self.low.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(low);
    }
}

impl Catalog for Consumer {
    fn cursors(&self) -> Option<Vec<Cursor>> {
        let low = (*self.low.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))?;
        // All below `low` is passed: the log may remove it when it needs the room.
        Some(vec![Cursor { name: "consumer".into(), start: 1, low, ..Cursor::default() }])
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, command, rest @ ..] = arguments.as_slice() else {
        bail!("use: durable_queue DIR put TEXT…, DIR take N, or DIR status");
    };
    let mut options = Options::default();
    options.max_bytes = Some(64 << 20);
    options.min_free = Some(0);
    let consumer = Arc::new(Consumer::default());
    let catalog = Arc::clone(&consumer) as Arc<dyn Catalog>;
    let log = Log::open(Path::new(dir), options, catalog).context("cannot open the queue")?;
    let low = log.cursors().first().map_or_else(|| log.oldest(), |cursor| cursor.low);
    consumer.set(low);

    match (command.as_str(), rest) {
        ("put", texts) => put(&log, texts)?,
        ("take", [count]) => {
            take(&log, &consumer, low, count.parse().context("how many to take")?)?;
        }
        ("status", []) => {
            let status = log.status();
            print(&format!(
                "{} accepted, {} damaged, next is {}, the consumer is at {low}\n",
                status.accepted, status.damaged, status.next
            ))?;
        }
        _ => bail!("put, take N or status"),
    }
    let _ = log.close();
    Ok(())
}

fn put(log: &Log, texts: &[String]) -> Result<()> {
    let writer = log.writer();
    let mut last = None;
    for text in texts {
        let body = Bytes::copy_from_slice(text.as_bytes());
        let permit = writer.permits().acquire_blocking(body.len() as u64);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ticket = writer.append(Entries {
            count: 1,
            source: 0,
            arrival: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX),
            body,
            level: Level::Disk,
            tally: Default::default(),
            permits: vec![permit],
        })?;
        last = Some(ticket);
    }
    // What holds for the last one holds for those before: one wait, few syncs.
    if let Some(last) = last {
        writer.done(&last).wait()?;
        let newest = last.lsns().map_or(0, |lsns| lsns.end - 1);
        print(&format!("{} texts are on disk, up to number {newest}\n", texts.len()))?;
    }
    Ok(())
}

fn take(log: &Log, consumer: &Consumer, from: Lsn, count: usize) -> Result<()> {
    let mut reader = log.reader(from);
    let mut taken = 0;
    while taken < count {
        match reader.next_item().context("cannot read the queue")? {
            None => break,
            Some(Item::Record(record)) => {
                let text = String::from_utf8_lossy(&record.body);
                print(&format!("{}: {text}\n", record.header.first))?;
                taken += 1;
            }
            // Numbers without an entry: passed over after a kill, or damaged.
            Some(Item::Missing(gap)) => {
                let (first, last) = (gap.range.start, gap.range.end - 1);
                print(&format!("{first} to {last}: {}\n", gap.cause.as_str()))?;
            }
            Some(other) => print(&format!("{other:?}\n"))?,
        }
        consumer.set(reader.position());
    }
    // Only what a snapshot has kept is passed for good.
    log.snapshot().context("cannot keep the place")?;
    print(&format!("{taken} taken\n"))
}

fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write")
}
