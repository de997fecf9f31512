//! One writer, one entry, one acknowledgement, again and again.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use ingest_wal::{Entries, Level, Log, NoCatalog, Options, Tally};

use crate::bench::process::say;
use crate::bench::rounds::median;
use crate::bench::usage::Meter;

/// Through the log, at level `disk`.
pub(crate) fn log((dir, seconds): (PathBuf, f64)) -> Result<()> {
    let log = Log::open(&dir, Options::default(), Arc::new(NoCatalog))?;
    let writer = log.writer();
    let body = Bytes::from(vec![7; 93]);
    measure(seconds, || {
        let permit = writer.permits().acquire_blocking(93);
        let ticket = writer.append(Entries {
            count: 1,
            source: 1,
            arrival: 0,
            body: body.clone(),
            level: Level::Disk,
            tally: Tally::from([(1, 1)]),
            permits: vec![permit],
        })?;
        Ok(writer.done(&ticket).wait()?)
    })
}

/// 4 KiB appended to a file, and synced.
pub(crate) fn bare((dir, seconds): (PathBuf, f64)) -> Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(dir.join("raw"))?;
    let (bytes, mut at) = (vec![7; 4096], 0);
    measure(seconds, || {
        file.write_all_at(&bytes, at)?;
        at += bytes.len() as u64;
        Ok(file.sync_data()?)
    })
}

/// Says the median in microseconds, and what was spent.
fn measure(seconds: f64, mut once: impl FnMut() -> Result<()>) -> Result<()> {
    let (start, meter) = (Instant::now(), Meter::start());
    let mut times = Vec::new();
    while start.elapsed() < Duration::from_secs_f64(seconds) {
        let before = Instant::now();
        once()?;
        times.push(before.elapsed().as_secs_f64() * 1e6);
    }
    say(&median(times.iter().copied()))?;
    say(&meter.stop(times.len() as u64)?)
}
