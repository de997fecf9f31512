//! The side that sends one entry, waits for its acknowledgement, and asks for none: whatever holds
//! it back, a timer for one, is seen. No runtime is in the way.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ingest_entry::{TagId, TagName};
use ingest_wire::{ClientConfig, ClientEvent, ClientMachine, Secret};
use rustix::fs::{FallocateFlags, fallocate};
use serde::{Deserialize, Serialize};

use super::{Job, SECRET, TAG, data, entry};
use crate::bench::process::say;
use crate::bench::rounds::median;
use crate::bench::usage::{Meter, Spent};

/// What is written and synced for comparison.
const BLOCK: usize = 4 << 10;
/// The file for that: as long as a segment of the log, reserved like one.
const RESERVED: u64 = 64 << 20;

/// What came of it: medians.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Alone {
    pub(super) spent: Spent,
    /// From the entry to its acknowledgement.
    pub(super) ack_ms: f64,
    /// The time that one of 100 exceeds.
    pub(super) slow_ms: f64,
    /// A bare write and sync, done in turn with the entries.
    pub(super) sync_ms: f64,
    /// An entry's time less that of the bare sync after it.
    pub(super) over_ms: f64,
}

pub(crate) fn run((job, dir): (Job, PathBuf)) -> Result<()> {
    say(&measure(&job, &dir)?)
}

fn measure(job: &Job, dir: &Path) -> Result<Alone> {
    let (data, time) = (data(), Duration::from_secs_f64(job.seconds));
    let mut client = Lone::connect(job.to)?;
    let mut bare = Bare::create(dir)?;
    let (mut acks, mut syncs) = (Vec::new(), Vec::new());
    let (meter, start) = (Meter::start(), Instant::now());
    while start.elapsed() < time {
        acks.push(client.send(&data, acks.len() as u64)?);
        syncs.push(bare.sync()?);
    }
    let spent = meter.stop(acks.len() as u64)?;
    let over_ms = median(acks.iter().zip(&syncs).map(|(ack, sync)| ack - sync));
    acks.sort_by(f64::total_cmp);
    let slow_ms = acks.get(acks.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    let (ack_ms, sync_ms) = (median(acks.into_iter()), median(syncs.into_iter()));
    Ok(Alone { spent, ack_ms, slow_ms, sync_ms, over_ms })
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// A client with nothing around its machine.
#[derive(Debug)]
pub(crate) struct Lone {
    machine: ClientMachine,
    stream: TcpStream,
    tag: TagId,
}

impl Lone {
    /// A client with the benchmarks' secret and tag.
    pub(crate) fn connect(to: SocketAddr) -> Result<Self> {
        let tag = TagName::new(TAG)?;
        let config = ClientConfig { tags: vec![tag.clone()], ..ClientConfig::default() };
        let machine = ClientMachine::new(config, Instant::now());
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut client = Self { machine, stream, tag: TagId::DEFAULT };
        while !client.machine.is_ready() {
            client.turn()?;
        }
        client.tag = client.machine.tag(&tag).unwrap_or(TagId::DEFAULT);
        Ok(client)
    }

    /// Writes all there is, reads once.
    fn turn(&mut self) -> Result<()> {
        while let Some(bytes) = self.machine.transmit(Instant::now())? {
            self.stream.write_all(&bytes)?;
        }
        let len = self.stream.read(self.machine.space())?;
        ensure!(len > 0, "the server hung up");
        self.machine.filled(len);
        while let Some(event) = self.machine.poll(Instant::now())? {
            if let ClientEvent::Challenge(challenge) = event {
                self.machine.respond(Secret::new(SECRET).respond(&challenge))?;
            }
        }
        Ok(())
    }

    /// Sends an entry: how many ms it took to be acknowledged.
    pub(crate) fn send(&mut self, data: &[u8], number: u64) -> Result<f64> {
        let start = Instant::now();
        self.machine.send(entry(data, self.tag, number))?;
        while self.machine.outstanding() > 0 {
            self.turn()?;
        }
        Ok(ms(start))
    }
}

/// A file that is written and synced bare.
struct Bare {
    file: File,
    at: u64,
}

impl Bare {
    fn create(dir: &Path) -> Result<Self> {
        let file = File::create_new(dir.join("bare"))?;
        fallocate(&file, FallocateFlags::empty(), 0, RESERVED)?;
        file.sync_all()?;
        Ok(Self { file, at: 0 })
    }

    /// Writes a block and syncs: how many ms it took.
    fn sync(&mut self) -> Result<f64> {
        let start = Instant::now();
        self.file.write_all_at(&[7; BLOCK], self.at)?;
        self.file.sync_data()?;
        self.at = (self.at + BLOCK as u64) % RESERVED;
        Ok(ms(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::wire::{How, server};

    #[test]
    fn lone_entries_are_acknowledged() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener =
            runtime.block_on(async { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap() });
        let job = Job { to: listener.local_addr().unwrap(), seconds: 0.01, how: How::OneByOne };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let client = std::thread::spawn(move || measure(&job, &path).unwrap());
        let served = runtime.block_on(server::serve(&listener)).unwrap();
        let alone = client.join().unwrap();
        assert_eq!(alone.spent.count, served.count);
        assert!(alone.ack_ms > 0.0 && alone.sync_ms > 0.0 && alone.slow_ms >= alone.ack_ms);
    }
}
