//! The log beside the bare disk: the same bytes in the same chunks, written and synced.
//!
//! The log's side stands on a file system that notes how much it writes between two syncs; the bare
//! lines of the same round repeat exactly these chunks, in files of a segment's size: appended,
//! written to room that was set aside, and written over what was there. Making the files is not in
//! the time of the bare lines, and is in that of the log. Everything is in the directory for
//! temporary files, and goes when a run ends.

pub(crate) mod big;
mod lone;
mod producer;
mod raw;
mod recorder;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

pub(crate) use self::lone::{bare as lone_bare, log as lone_log};
pub(crate) use self::producer::run as log;
pub(crate) use self::raw::run as raw;
use super::case::{Bar, Case, Figure, Sample};
use super::process::Side;
use super::usage::Spent;

/// The sides.
pub(crate) const LOG: &str = "wal-log";
pub(crate) const RAW: &str = "wal-raw";
pub(crate) const LONE_LOG: &str = "wal-lone-log";
pub(crate) const LONE_BARE: &str = "wal-lone-bare";

/// What the system takes for the bytes alone is in the log's CPU time, too.
const CPU_A_GB: &str = "CPU s a GB";

/// Bytes that one run of the log writes at least.
const VOLUME: u64 = 8_000_000_000;
/// The size of a segment.
const SEGMENT: u64 = 64 << 20;
/// What the log may hold while its files are used again, and what is written over in turn.
const RING: u64 = 2 << 30;

/// What the log's side has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    dir: PathBuf,
    /// Bytes of data of an entry.
    data: usize,
    phase: Phase,
    volume: u64,
}

/// Where the log is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// Its files are new.
    FirstFill,
    /// Its files are those of segments that it has given up.
    Steady,
}

/// What a bare line has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RawJob {
    dir: PathBuf,
    how: How,
    /// Bytes of each write, behind which comes a sync.
    chunks: Vec<u32>,
}

/// What the files of a bare line are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum How {
    Append,
    SetAside,
    Over,
}

/// The chunks that the log wrote in this round.
type Chunks = Rc<RefCell<Vec<u32>>>;

/// The cases.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = of_size(
        59,
        [
            ["wal/59B/fill", "wal/59B/fill/raw-set-aside", "wal/59B/fill/raw-append"],
            ["wal/59B/steady", "wal/59B/steady/raw-over", ""],
        ],
        Some((0.12, 0.06)),
    );
    cases.extend(of_size(
        256,
        [
            ["wal/256B/fill", "wal/256B/fill/raw-set-aside", "wal/256B/fill/raw-append"],
            ["wal/256B/steady", "wal/256B/steady/raw-over", ""],
        ],
        None,
    ));
    cases.extend(lone());
    cases
}

fn of_size(data: usize, names: [[&'static str; 3]; 2], cpu: Option<(f64, f64)>) -> Vec<Case> {
    let [[fill, aside, append], [steady, over, _]] = names;
    let beside: &'static [&'static str] = Box::leak(Box::new([aside, append]));
    let beside_over: &'static [&'static str] = Box::leak(Box::new([over]));
    let (filled, used) = (Chunks::default(), Chunks::default());
    vec![
        written(fill, beside, aside, data, Phase::FirstFill, cpu, &filled),
        bare(aside, How::SetAside, &filled),
        bare(append, How::Append, &filled),
        written(steady, beside_over, over, data, Phase::Steady, cpu, &used),
        bare(over, How::Over, &used),
    ]
}

/// Entries durable in the log, from the encoding to the last acknowledgement, in bytes of the log.
fn written(
    name: &'static str,
    beside: &'static [&'static str],
    line: &'static str,
    data: usize,
    phase: Phase,
    cpu: Option<(f64, f64)>,
    chunks: &Chunks,
) -> Case {
    let mut bars = vec![Bar::at_least(Figure::Share(line), 0.65, 0.85)];
    bars.extend(cpu.map(|(floor, goal)| Bar::at_most(Figure::Cpu("log"), floor, goal)));
    let chunks = Rc::clone(chunks);
    let run = move |_: &super::case::Context| {
        let dir = directory()?;
        let job = Job { dir: dir.path().to_owned(), data, phase, volume: VOLUME };
        let mut side = Side::start(LOG, &job)?;
        let written: Vec<u32> = side.hear()?;
        let spent: Spent = side.finish()?;
        let bytes: u64 = written.iter().map(|&chunk| u64::from(chunk)).sum();
        ensure!(bytes >= VOLUME, "only {bytes} bytes were written");
        let (count, entries) = (written.len(), spent.count as f64);
        *chunks.borrow_mut() = written;
        Ok(Sample {
            value: bytes as f64 / spent.seconds / 1e6,
            cpu: [("log", spent.cpu_per_million())].into(),
            rss_mib: spent.rss_mib,
            more: [
                ("entries/s", entries / spent.seconds),
                ("KiB a sync", bytes as f64 / count as f64 / 1024.0),
                (CPU_A_GB, spent.cpu / bytes as f64 * 1e9),
            ]
            .into(),
            ..Sample::default()
        })
    };
    Case { name, unit: "MB/s", us: "log", peer: None, beside, bars, run: Box::new(run) }
}

/// The same chunks without a log.
fn bare(name: &'static str, how: How, chunks: &Chunks) -> Case {
    let chunks = Rc::clone(chunks);
    let run = move |_: &super::case::Context| {
        let chunks = chunks.borrow().clone();
        if chunks.is_empty() {
            bail!("the log has not run before its bare line");
        }
        let bytes: u64 = chunks.iter().map(|&chunk| u64::from(chunk)).sum();
        let dir = directory()?;
        let job = RawJob { dir: dir.path().to_owned(), how, chunks };
        let spent: Spent = Side::start(RAW, &job)?.finish()?;
        Ok(Sample {
            value: bytes as f64 / spent.seconds / 1e6,
            rss_mib: spent.rss_mib,
            more: [(CPU_A_GB, spent.cpu / bytes as f64 * 1e9)].into(),
            ..Sample::default()
        })
    };
    Case {
        name,
        unit: "MB/s",
        us: "raw",
        peer: None,
        beside: &[],
        bars: Vec::new(),
        run: Box::new(run),
    }
}

/// One writer that waits for each acknowledgement, and the least that this can take.
fn lone() -> Vec<Case> {
    const LINE: &str = "wal/lone/raw-4KiB";
    let case = |name, side: &'static str, beside, bars| Case {
        name,
        unit: "us",
        us: "log",
        peer: None,
        beside,
        bars,
        run: Box::new(move |context: &super::case::Context| {
            let dir = directory()?;
            let job = (dir.path(), context.time.as_secs_f64());
            let mut side = Side::start(side, &job)?;
            let median: f64 = side.hear()?;
            let spent: Spent = side.finish()?;
            Ok(Sample {
                value: median,
                cpu: [("log", spent.cpu_per_million())].into(),
                rss_mib: spent.rss_mib,
                ..Sample::default()
            })
        }),
    };
    let bars = vec![Bar::at_most(Figure::Share(LINE), 2.0, 2.0)];
    vec![case("wal/lone", LONE_LOG, &[LINE], bars), case(LINE, LONE_BARE, &[], Vec::new())]
}

/// A directory of its own for one run.
fn directory() -> Result<tempfile::TempDir> {
    let dir = tempfile::Builder::new().prefix("ingestry-bench-").tempdir()?;
    on_disk(dir.path())?;
    Ok(dir)
}

/// A file system in memory says nothing about syncs.
fn on_disk(dir: &Path) -> Result<()> {
    let found = rustix::fs::statfs(dir).context("cannot measure the file system")?.f_type;
    let (tmpfs, ramfs) = (0x0102_1994, 0x8584_58f6);
    let found = found as u64 & 0xffff_ffff;
    ensure!(
        found != tmpfs && found != ramfs,
        "{} is in memory; TMPDIR names a directory on a disk",
        dir.display()
    );
    Ok(())
}
