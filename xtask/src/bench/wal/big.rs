//! A log of 20 GiB whose writer was killed: how long opening it takes, and how much memory it takes
//! to read it from the start and follow its end at once.
//!
//! It is made once; each run adds a little, with an output of its own that begins at the oldest entry,
//! and kills itself. Before each run the system forgets what it has of the files.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ingest_entry::{EntryRef, Source as Address, TagId, TagName, Timestamp};
use ingest_mux::{
    Destination, From, Leases, Level, LinkFuture, Lsn, Muxer, Options, Output, Source, Ticket,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::bench::case::{Bar, Case, Figure, Sample};
use crate::bench::process::{Side, say};
use crate::bench::usage::{Meter, Spent};

/// The sides.
pub(crate) const FILL: &str = "wal-big-fill";
pub(crate) const READ: &str = "wal-big-read";

const GIB: u64 = 1 << 30;
/// Bytes that are in the log before anything is measured.
const VOLUME: u64 = 20 * GIB;
/// Bytes of data of an entry.
const DATA: usize = 256;
/// How long the slow output takes over each lease (1 MiB).
const SLOWNESS: Duration = Duration::from_millis(20);
/// Entries that come in each of these intervals, while it reads.
const COMING: (u64, Duration) = (1_000, Duration::from_millis(10));

/// What a side has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    dir: PathBuf,
    run: u64,
    seconds: f64,
}

/// What the reading side found.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    open_s: f64,
    /// Entries that the slow output had read at the end.
    slow: u64,
    /// Most entries that the fast one was behind at any look.
    behind: u64,
    spent: Spent,
}

/// The case.
pub(crate) fn cases() -> Vec<Case> {
    let made: RefCell<Option<(tempfile::TempDir, u64)>> = RefCell::default();
    let run = move |context: &crate::bench::case::Context| {
        let mut made = made.borrow_mut();
        let seconds = context.time.as_secs_f64();
        let (dir, run) = match made.take() {
            Some((dir, run)) => (dir, run + 1),
            None => {
                let dir = super::directory()?;
                fill(&Job { dir: dir.path().to_owned(), run: 0, seconds })?;
                (dir, 1)
            }
        };
        let bytes = forget(dir.path())?;
        ensure!(bytes >= VOLUME, "only {bytes} bytes are in the log");
        let job = Job { dir: dir.path().to_owned(), run, seconds };
        let found: Found = Side::start(READ, &job)?.finish()?;
        *made = Some((dir, run));
        Ok(Sample {
            value: found.open_s,
            cpu: [("log", found.spent.cpu_per_million())].into(),
            rss_mib: found.spent.rss_mib,
            more: [
                ("GiB in the log", bytes as f64 / GIB as f64),
                ("slow entries/s", found.slow as f64 / found.spent.seconds),
                ("entries behind, fast", found.behind as f64),
            ]
            .into(),
            ..Sample::default()
        })
    };
    vec![Case {
        name: "big/open",
        unit: "s",
        us: "log",
        peer: None,
        beside: &[],
        bars: vec![Bar::at_most(Figure::Value, 1.0, 1.0), Bar::at_most(Figure::Rss, 48.0, 48.0)],
        run: Box::new(run),
    }]
}

/// Makes the log; its writer says how far it is, as that takes a while.
fn fill(job: &Job) -> Result<()> {
    let mut side = Side::start(FILL, job)?;
    while side.hear::<u64>()? < VOLUME {}
    side.finish::<u64>()?;
    Ok(())
}

/// Has the system forget what it has of the files, and says how long they are.
fn forget(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let file = std::fs::File::open(entry.path())?;
            file.sync_all()?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

fn options() -> Options {
    let mut options = Options::default();
    // What the slow output is behind is far from what it may be.
    options.max_bytes = Some(2 * VOLUME);
    options.min_free = Some(0);
    options
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// A destination that notes how far it is, and takes its time over each lease.
#[derive(Debug)]
struct Reading {
    slowness: Duration,
    /// One after the last LSN.
    at: AtomicU64,
    entries: AtomicU64,
}

impl Reading {
    fn new(slowness: Duration) -> Arc<Self> {
        Arc::new(Self { slowness, at: AtomicU64::new(0), entries: AtomicU64::new(0) })
    }
}

impl Destination for Reading {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async move {
            leases.connected();
            while let Some(lease) = leases.next().await {
                for (id, entry) in lease.entries() {
                    let before = self.at.swap(id.lsn + 1, Ordering::Relaxed);
                    let is_next = before == 0 || id.lsn == before || id.lsn % (1 << 20) == 0;
                    if !is_next || entry.data.len() != DATA {
                        return Err(ingest_mux::LinkError::lasting("the log skips something"));
                    }
                }
                self.entries.fetch_add(lease.len(), Ordering::Relaxed);
                tokio::time::sleep(self.slowness).await;
                lease.confirm();
            }
            Ok(())
        })
    }
}

/// Hands entries over.
struct Sender {
    source: Source,
    tag: TagId,
    sent: u64,
    last: Option<Ticket>,
}

impl Sender {
    fn new(muxer: &Muxer) -> Result<Self> {
        let tag = muxer.tag(&TagName::new("big")?)?;
        Ok(Self { source: muxer.source("bench", 16 << 20)?, tag, sent: 0, last: None })
    }

    async fn send(&mut self, entries: u64) -> Result<()> {
        let grant = self.source.grant(entries * (DATA as u64 + 64)).await;
        let mut batch = self.source.batch(grant, 0, Level::Disk);
        let mut data = [0x2e; DATA];
        for _ in 0..entries {
            self.sent += 1;
            if let Some(front) = data.first_chunk_mut() {
                *front = self.sent.to_le_bytes();
            }
            batch.push(&EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, self.tag, &data))?;
        }
        let sent = batch.finish();
        ensure!(sent.refused.is_none(), "refused: {:?}", sent.refused);
        self.last = sent.ticket;
        Ok(())
    }

    async fn settle(&self) -> Result<Lsn> {
        let last = self.last.as_ref().context("nothing was sent")?;
        self.source.done(last).await?;
        Ok(last.lsns().context("what is durable has its LSNs")?.end)
    }
}

/// The side that makes the log. It ends without closing it.
pub(crate) fn filler(job: Job) -> Result<()> {
    runtime()?.block_on(async {
        let fast = Reading::new(Duration::ZERO);
        let muxer = Muxer::builder()
            .dir(&job.dir)
            .log(options())
            .output(Output::new("fast").link(fast))
            .start()?;
        let mut sender = Sender::new(&muxer)?;
        let mut said = 0;
        loop {
            for _ in 0..64 {
                sender.send(200).await?;
            }
            let written = muxer.status().log.written_bytes;
            if written > VOLUME {
                break;
            }
            if written / GIB > said {
                said = written / GIB;
                say(&written)?;
            }
        }
        sender.settle().await?;
        say(&VOLUME)?;
        say(&sender.sent)?;
        // As a kill would.
        std::process::exit(0)
    })
}

/// The side that opens it and reads. It ends without closing it, too.
pub(crate) fn reader(job: Job) -> Result<()> {
    let runtime = runtime()?;
    let (slow, fast) = (Reading::new(SLOWNESS), Reading::new(Duration::ZERO));
    let started = Instant::now();
    let muxer = {
        let _entered = runtime.enter();
        Muxer::builder()
            .dir(&job.dir)
            .log(options())
            .output(Output::new(format!("slow-{}", job.run)).from(From::Oldest).link(slow.clone()))
            .output(Output::new("fast").link(fast.clone()))
            .start()?
    };
    let open_s = started.elapsed().as_secs_f64();
    let found = runtime.block_on(async {
        let mut sender = Sender::new(&muxer)?;
        let meter = Meter::start();
        let (each, every) = COMING;
        let mut ticks = tokio::time::interval(every);
        let mut behind = 0;
        let behind_now = || {
            let status = muxer.status();
            let fast = status.outputs.iter().find(|output| output.name == "fast");
            fast.map_or(0, |output| output.queued)
        };
        // It has what the run before left to do.
        while behind_now() > 0 {
            ticks.tick().await;
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs_f64(job.seconds * 3.0) {
            ticks.tick().await;
            sender.send(each).await?;
            behind = behind.max(behind_now());
        }
        let end = sender.settle().await?;
        while fast.at.load(Ordering::Relaxed) < end {
            ticks.tick().await;
            ensure!(
                begun.elapsed() < Duration::from_secs(100),
                "the fast output never came to the end"
            );
        }
        let slow = slow.entries.load(Ordering::Relaxed);
        ensure!(slow > 0, "the slow output has read nothing");
        let spent = meter.stop(slow + sender.sent)?;
        Ok::<_, anyhow::Error>(Found { open_s, slow, behind, spent })
    })?;
    ensure!(
        muxer.status().outputs.iter().all(|output| output.balanced && output.lost.is_empty()),
        "the outputs do not add up"
    );
    say(&found)?;
    std::process::exit(0)
}
