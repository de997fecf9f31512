//! `bench durable`: lines a second for a sender that waits until the other side has ended.
//!
//! The sender writes lines of 59 bytes into one connection, ends its side, and reads until the other
//! side ends: that is all that a sender of Graphite's or of syslog's plain lines can know. Nobody takes
//! anything from the receiver meanwhile. Ours ends when every line is in a file that was synced; the
//! others end when they have read everything, which with a synced queue comes to nearly the same and
//! with a queue in memory says nothing. Beside them each line is written and synced by itself, without
//! a program around it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::case::{Case, Context, Sample};
use super::document::Disk;
use super::graphite::{POINTS, What, stream};
use super::peers::{Kind, Receiver};
use super::process::{Side, say};
use super::usage::{self, Meter, Spent};

/// The sides.
pub(crate) const SENDER: &str = "durable-sender";
pub(crate) const RAW: &str = "durable-raw";

const OURS: &str = "durable/ours";
const RAW_LINE: &str = "durable/raw-line";

/// How much is sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Much {
    Lines(u64),
    Seconds(f64),
}

/// What the sender is told.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Job {
    to: SocketAddr,
    much: Much,
    /// A connection for each line, one after another.
    alone: bool,
}

/// The cases of ours, and of the machine.
pub(crate) fn cases() -> Vec<Case> {
    let ours = |name, alone| {
        let receiver = Receiver::new(Kind::Ours);
        let run = move |context: &Context| {
            taken(&receiver, Much::Seconds(context.time.as_secs_f64()), alone)
        };
        let (us, peer, beside) = ("program", Some("sender"), &[RAW_LINE][..]);
        Case { name, unit: "lines/s", us, peer, beside, bars: Vec::new(), run: Box::new(run) }
    };
    let raw = Case {
        name: RAW_LINE,
        unit: "lines/s",
        us: "raw",
        peer: None,
        beside: &[],
        bars: Vec::new(),
        run: Box::new(|context| {
            let dir = directory()?;
            let job = (dir.path(), context.time.as_secs_f64());
            let spent: Spent = Side::start(RAW, &job)?.finish()?;
            Ok(Sample {
                value: spent.rate(),
                cpu: [("raw", spent.cpu_per_million())].into(),
                rss_mib: spent.rss_mib,
                ..Sample::default()
            })
        }),
    };
    vec![ours(OURS, false), ours("durable/ours/a-connection-a-line", true), raw]
}

/// The cases of foreign programs, once they are there.
pub(crate) fn peers() -> Result<Vec<Case>> {
    let case = |(kind, name)| {
        let receiver = Receiver::new(kind);
        receiver.prepare()?;
        let much = Much::Lines(lines(kind));
        Ok(Case {
            name,
            unit: "lines/s",
            us: "program",
            peer: Some("sender"),
            beside: &[OURS],
            bars: Vec::new(),
            run: Box::new(move |_| taken(&receiver, much, false)),
        })
    };
    let names = [
        (Kind::RsyslogSynced, "durable/rsyslog-synced"),
        (Kind::TelegrafSynced, "durable/telegraf-synced"),
        (Kind::RsyslogDisk, "durable/rsyslog-disk"),
        (Kind::RsyslogMemory, "durable/rsyslog-memory"),
        (Kind::TelegrafMemory, "durable/telegraf-memory"),
        (Kind::CarbonRelay, "durable/carbon-relay-memory"),
        (Kind::CarbonCRelay, "durable/carbon-c-relay-memory"),
    ];
    names.into_iter().map(case).collect()
}

/// As many lines as keep a program busy for about two seconds, and no more than it has room for.
const fn lines(kind: Kind) -> u64 {
    match kind {
        Kind::RsyslogSynced | Kind::TelegrafSynced => 1_500,
        Kind::RsyslogDisk | Kind::CarbonRelay => 60_000,
        Kind::TelegrafMemory => 300_000,
        Kind::RsyslogMemory => 600_000,
        Kind::Ours | Kind::CarbonCRelay => 1_500_000,
    }
}

fn taken(receiver: &Receiver, much: Much, alone: bool) -> Result<Sample> {
    let dir = directory()?;
    let running = receiver.start(dir.path(), nobody()?)?;
    let before = usage::cpu_of(running.pid())?;
    let job = Job { to: running.to, much, alone };
    let sent: Spent = Side::start(SENDER, &job)?.finish()?;
    let cpu = (usage::cpu_of(running.pid())? - before) * 1e6 / sent.count as f64;
    Ok(Sample {
        value: sent.rate(),
        cpu: [("program", cpu), ("sender", sent.cpu_per_million())].into(),
        rss_mib: usage::peak_rss_mib(&running.pid().to_string())?,
        ..Sample::default()
    })
}

/// An address where nobody listens, and where nobody comes from: a program that tries a port of its own
/// address again and again meets itself in the end.
pub(super) fn nobody() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.2:0")?.local_addr()?)
}

/// A directory on a disk: one in memory says nothing about syncs.
fn directory() -> Result<tempfile::TempDir> {
    let dir = tempfile::Builder::new().prefix("ingestry-bench-").tempdir()?;
    let kind = Disk::of(dir.path())?.kind;
    ensure!(
        !["tmpfs", "ramfs"].contains(&kind.as_str()),
        "{} is in memory; TMPDIR names a directory on a disk",
        dir.path().display()
    );
    Ok(dir)
}

/// Sends, ends its side, and waits for the end of the other one.
pub(crate) fn send(job: Job) -> Result<()> {
    let meter = Meter::start();
    let count = sent(job)?;
    say(&meter.stop(count)?)
}

fn sent(job: Job) -> Result<u64> {
    let buffer = stream(What::Lines)?;
    let line = buffer.len() / POINTS;
    let start = Instant::now();
    let (mut count, mut socket) = (0, None);
    while job.much.goes_on(count, start) {
        let most = if job.alone { 1 } else { POINTS as u64 };
        let lines = job.much.left(count).min(most);
        let piece = buffer.get(..lines as usize * line).context("no such lines")?;
        let mut open = match socket.take() {
            Some(open) => open,
            None => TcpStream::connect(job.to)?,
        };
        open.write_all(piece)?;
        count += lines;
        if job.alone {
            ended(open)?;
        } else {
            socket = Some(open);
        }
    }
    socket.map_or(Ok(()), ended)?;
    Ok(count)
}

impl Much {
    fn goes_on(self, count: u64, start: Instant) -> bool {
        match self {
            Self::Lines(lines) => count < lines,
            Self::Seconds(seconds) => start.elapsed() < Duration::from_secs_f64(seconds),
        }
    }

    fn left(self, count: u64) -> u64 {
        match self {
            Self::Lines(lines) => lines - count,
            Self::Seconds(_) => u64::MAX,
        }
    }
}

fn ended(mut socket: TcpStream) -> Result<()> {
    socket.shutdown(Shutdown::Write)?;
    ensure!(socket.read(&mut [0; 8])? == 0, "the other side has said something");
    Ok(())
}

/// Lines written and synced one by one.
pub(crate) fn raw((dir, seconds): (PathBuf, f64)) -> Result<()> {
    let buffer = stream(What::Lines)?;
    let mut file = File::create(dir.join("lines"))?;
    let time = Duration::from_secs_f64(seconds);
    let (meter, start, mut count) = (Meter::start(), Instant::now(), 0);
    for line in buffer.split_inclusive(|byte| *byte == b'\n').cycle() {
        if start.elapsed() >= time {
            break;
        }
        file.write_all(line)?;
        file.sync_data()?;
        count += 1;
    }
    say(&meter.stop(count)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads connections to their ends, so many: the lines, and the connections.
    fn reader(connections: usize) -> (SocketAddr, std::thread::JoinHandle<u64>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut lines = 0;
            for _ in 0..connections {
                let mut bytes = Vec::new();
                listener.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
                assert!(bytes.ends_with(b"\n"));
                lines += memchr::memchr_iter(b'\n', &bytes).count() as u64;
            }
            lines
        });
        (to, thread)
    }

    #[test]
    fn as_many_lines_come_as_are_sent() {
        for (lines, alone, connections) in [(25_001, false, 1), (3, true, 3)] {
            let (to, reader) = reader(connections);
            let job = Job { to, much: Much::Lines(lines), alone };
            assert_eq!(sent(job).unwrap(), lines);
            assert_eq!(reader.join().unwrap(), lines);
        }
    }

    #[test]
    fn nothing_is_sent_in_more_than_its_time() {
        let (to, reader) = reader(1);
        let job = Job { to, much: Much::Seconds(0.01), alone: false };
        let count = sent(job).unwrap();
        assert!(count > 0 && reader.join().unwrap() == count);
    }

    #[test]
    fn nobody_listens_where_nobody_is() {
        assert!(TcpStream::connect(nobody().unwrap()).is_err());
    }
}
