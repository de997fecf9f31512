//! The log's side: one thread encodes entries into records as the muxer makes them, and hands them
//! over as fast as the permits allow.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use ingest_entry::{EntryRef, Source, TagId, Timestamp};
use ingest_wal::{Entries, Level, Log, NoCatalog, Options, Tally, Ticket, Writer};

use super::recorder::Recorder;
use super::{Job, Phase, RING, SEGMENT};
use crate::bench::process::say;
use crate::bench::usage::Meter;

/// Body of a record.
const TARGET: usize = 64 * 1024;
/// Bytes in flight: four groups. What waits longer than that has left the processor's caches when it
/// is written, and is copied from memory; the bare lines write one buffer again and again.
const MEMORY: u64 = 8 << 20;

pub(crate) fn run(job: Job) -> Result<()> {
    let recorder = Recorder::default();
    let mut options = Options::default();
    options.max_bytes = Some(match job.phase {
        Phase::FirstFill => (job.volume + job.volume / 8).max(32 * SEGMENT),
        Phase::Steady => RING,
    });
    options.min_free = Some(0);
    options.memory = Some(MEMORY);
    options.file_system = Arc::new(recorder.clone());
    let log = Log::open(&job.dir, options, Arc::new(NoCatalog))?;
    let mut producer = Producer::new(&log, job.data);
    if job.phase == Phase::Steady {
        while log.status().spares_used < 4 {
            producer.records(16)?;
        }
        producer.settle()?;
    }
    let before = log.status();
    recorder.begin();
    let (meter, started) = (Meter::start(), producer.entries);
    while producer.bytes_since(&before, &log) < job.volume {
        producer.records(64)?;
    }
    producer.settle()?;
    let spent = meter.stop(producer.entries - started)?;
    let after = log.status();
    let reused = after.spares_used - before.spares_used;
    let begun = after.segments_created - before.segments_created;
    match job.phase {
        Phase::FirstFill => ensure!(after.segments_recycled == 0, "files were used again"),
        Phase::Steady => ensure!(reused * 10 >= begun * 9, "{reused} of {begun} were used again"),
    }
    say(&recorder.chunks())?;
    say(&spent)?;
    drop(log);
    Ok(())
}

struct Producer {
    writer: Writer,
    data: Vec<u8>,
    entries: u64,
    last: Option<Ticket>,
}

impl Producer {
    fn new(log: &Log, len: usize) -> Self {
        let line = "servers.host-17.cpu.total.user 98.123456 1732184231 and so on, ";
        let data = line.bytes().cycle().take(len).collect();
        Self { writer: log.writer(), data, entries: 0, last: None }
    }

    fn bytes_since(&self, before: &ingest_wal::Status, log: &Log) -> u64 {
        log.status().written_bytes - before.written_bytes
    }

    /// Hands so many records over.
    fn records(&mut self, count: usize) -> Result<()> {
        let src = Source::from(std::net::Ipv4Addr::new(192, 0, 2, 7));
        for _ in 0..count {
            let permit = self.writer.permits().acquire_blocking(TARGET as u64);
            let mut body = Vec::with_capacity(TARGET);
            let mut entries = 0u16;
            loop {
                let seconds = 1_700_000_000 + (self.entries >> 20) as i64;
                let ts = Timestamp::from_unix(seconds, self.entries as u32 & 0xF_FFFF);
                let ts = ts.unwrap_or(Timestamp::UNIX_EPOCH);
                let entry = EntryRef::new(ts, src, TagId(1), &self.data);
                if body.len() + entry.stored_len() > TARGET {
                    break;
                }
                entry.encode_stored(&mut body)?;
                entries += 1;
                self.entries += 1;
            }
            self.last = Some(self.writer.append(Entries {
                count: entries,
                source: 1,
                arrival: 1_700_000_000_000_000_000,
                body: Bytes::from(body),
                level: Level::Disk,
                tally: Tally::from([(1, u64::from(entries))]),
                permits: vec![permit],
            })?);
        }
        Ok(())
    }

    /// Waits for the last acknowledgement.
    fn settle(&self) -> Result<()> {
        let last = self.last.as_ref().context("nothing was handed over")?;
        Ok(self.writer.done(last).wait()?)
    }
}
