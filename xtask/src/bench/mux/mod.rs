//! `bench mux`: entries from a program's hand to destinations, through the log and its leases.
//!
//! The sender is one process with a muxer, each destination one that takes entries by the Gravwell
//! protocol, over loopback, and throws them away. Entries have 256 bytes of data and are handed over
//! 512 at a time. What is counted ends with the flush: accepted, synced (with a directory), and
//! confirmed by the destinations. The log is in the directory for temporary files. Runs are as long
//! as their entries take.

mod sender;
mod sink;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

pub(crate) use self::sender::run as sender;
pub(crate) use self::sink::run as sink;
use super::case::{Bar, Case, Figure, Sample};
use super::process::Side;
use super::usage::Spent;

/// The sides.
pub(crate) const SENDER: &str = "mux-sender";
pub(crate) const SINK: &str = "mux-sink";

/// Entries of a run, and of one that waits for a timer all the time.
const MANY: u64 = 10_000_000;
const LATE: u64 = 3_000_000;
/// Entries that are sent one at a time, with a pause before each.
const LONE: u64 = 40;
/// Bytes of stored entries behind a destination that is not there.
const BACKLOG: u64 = 4 << 30;
/// An entry as it is stored.
const STORED: u64 = 34 + 256;

const LATE_ONE: &str = "mux/late-5ms/1";
const ALONE: &str = "mux/dead/alone";
/// From a lone entry's hand-over to its arrival.
const WORST: &str = "ms of the slowest";

/// What a sender has to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    to: Vec<SocketAddr>,
    /// Without one the log is in memory.
    dir: Option<PathBuf>,
    what: What,
}

/// What a sender does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum What {
    /// So many entries, and a flush.
    Send(u64),
    /// So many entries one at a time.
    Lone(u64),
    /// So many entries while nobody takes them; it says when they are on disk, and then they are
    /// delivered.
    Backlog(u64),
}

/// What a destination has to know.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The address, if it was given out before.
    at: Option<SocketAddr>,
    /// It confirms so many milliseconds late.
    late_ms: u64,
}

/// What a destination says at its end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Taken {
    spent: Spent,
    /// From an entry's own time to its arrival, the median and the slowest.
    median_ms: f64,
    worst_ms: f64,
}

/// The cases.
pub(crate) fn cases() -> Vec<Case> {
    let disk = || {
        vec![
            Bar::at_least(Figure::Value, 1.5e6, 3e6),
            Bar::at_most(Figure::Cpu("sender"), 0.6, 0.35),
        ]
    };
    let memory = || {
        vec![
            Bar::at_least(Figure::Value, 2.5e6, 4e6),
            Bar::at_most(Figure::Cpu("sender"), 0.5, 0.3),
        ]
    };
    let sharing = |name, on_disk, places: &'static [Place], bars, beside, count| Case {
        name,
        unit: "entries/s",
        us: "sender",
        peer: Some("sinks"),
        beside,
        bars,
        run: Box::new(move |_| transfer(on_disk, places, count, false)),
    };
    const PROMPT: Place = Place { at: None, late_ms: 0 };
    const TARDY: Place = Place { at: None, late_ms: 5 };
    let share = |other, least| vec![Bar::at_least(Figure::Share(other), least, least)];
    vec![
        sharing("mux/disk/1", true, &[PROMPT], disk(), &[], MANY),
        sharing("mux/disk/2", true, &[PROMPT, PROMPT], disk(), &[], MANY),
        sharing("mux/memory/1", false, &[PROMPT], memory(), &[], MANY),
        sharing("mux/memory/2", false, &[PROMPT, PROMPT], memory(), &[], MANY),
        sharing(LATE_ONE, false, &[TARDY], Vec::new(), &[], LATE),
        sharing("mux/late-5ms/2", false, &[TARDY, TARDY], share(LATE_ONE, 1.9), &[LATE_ONE], LATE),
        sharing(ALONE, false, &[PROMPT], Vec::new(), &[], MANY / 2),
        Case {
            name: "mux/dead/one-of-two",
            unit: "entries/s",
            us: "sender",
            peer: Some("sinks"),
            beside: &[ALONE],
            bars: share(ALONE, 0.95),
            run: Box::new(|_| transfer(false, &[PROMPT], MANY / 2, true)),
        },
        Case {
            name: "mux/idle",
            unit: "ms",
            us: "sender",
            peer: None,
            beside: &[],
            bars: vec![Bar::at_most(Figure::More(WORST), 15.0, 15.0)],
            run: Box::new(|_| idle(LONE)),
        },
        Case {
            name: "mux/backlog-4GiB",
            unit: "entries/s",
            us: "sender",
            peer: Some("sinks"),
            beside: &[],
            bars: vec![Bar::at_most(Figure::Rss, 48.0, 48.0)],
            run: Box::new(|_| backlog(BACKLOG / STORED)),
        },
    ]
}

/// A directory for a log.
fn log_dir(on_disk: bool) -> Result<Option<tempfile::TempDir>> {
    on_disk.then(tempfile::tempdir).transpose().context("cannot make a directory")
}

fn path(dir: Option<&tempfile::TempDir>) -> Option<PathBuf> {
    dir.map(|dir| Path::to_owned(dir.path()))
}

/// Many entries to destinations that share them; with `dead` beside one that is not there.
fn transfer(on_disk: bool, places: &[Place], count: u64, dead: bool) -> Result<Sample> {
    let dir = log_dir(on_disk)?;
    let (mut sinks, mut to) = (Vec::new(), Vec::new());
    for place in places {
        let mut sink = Side::start(SINK, place)?;
        to.push(sink.hear()?);
        sinks.push(sink);
    }
    if dead {
        to.push(nobody()?);
    }
    let job = Job { to, dir: path(dir.as_ref()), what: What::Send(count) };
    let sent: Spent = Side::start(SENDER, &job)?.finish()?;
    let taken = sinks.into_iter().map(Side::finish).collect::<Result<Vec<Taken>>>()?;
    sample(sent, &taken)
}

/// An address at which nobody listens.
fn nobody() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn sample(sent: Spent, taken: &[Taken]) -> Result<Sample> {
    let arrived: u64 = taken.iter().map(|taken| taken.spent.count).sum();
    // Nothing broke, so nothing comes twice.
    ensure!(sent.count == arrived, "{} were sent and {arrived} arrived", sent.count);
    let cpu: f64 = taken.iter().map(|taken| taken.spent.cpu).sum();
    Ok(Sample {
        value: sent.rate(),
        cpu: [("sender", sent.cpu_per_million()), ("sinks", cpu * 1e6 / arrived as f64)].into(),
        rss_mib: sent.rss_mib,
        ..Sample::default()
    })
}

/// One entry at a time, long after the last.
fn idle(count: u64) -> Result<Sample> {
    let dir = log_dir(true)?;
    let mut sink = Side::start(SINK, &Place::default())?;
    let job = Job { to: vec![sink.hear()?], dir: path(dir.as_ref()), what: What::Lone(count) };
    let sent: Spent = Side::start(SENDER, &job)?.finish()?;
    let taken: Taken = sink.finish()?;
    let mut sample = sample(sent, &[taken])?;
    sample.value = taken.median_ms;
    sample.more.insert(WORST, taken.worst_ms);
    Ok(sample)
}

/// A destination comes back to a long backlog.
fn backlog(count: u64) -> Result<Sample> {
    let dir = log_dir(true)?;
    let at = nobody()?;
    let job = Job { to: vec![at], dir: path(dir.as_ref()), what: What::Backlog(count) };
    let mut sender = Side::start(SENDER, &job)?;
    let filled: f64 = sender.hear()?;
    let mut sink = Side::start(SINK, &Place { at: Some(at), late_ms: 0 })?;
    let _: SocketAddr = sink.hear()?;
    let sent: Spent = sender.finish()?;
    let mut sample = sample(sent, &[sink.finish()?])?;
    sample.more.insert("entries/s into the log", filled);
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_listens_where_nobody_is() {
        assert!(std::net::TcpStream::connect(nobody().unwrap()).is_err());
    }
}
