//! `bench loss`: what was accepted and never arrived, after kills and power cuts.
//!
//! A sender hands over lines in many short connections. A line counts as accepted when the receiver has
//! ended its connection in order, and the sender has seen that before the kill: an end that comes
//! later may be the system's, closing the sockets of a process that is no more. Nobody takes anything
//! from the receiver meanwhile. At a random instant it is killed, and started again on the same
//! directory with its destination there; what was accepted and has not arrived before a silence is lost.
//!
//! A power cut is a kill of a program whose files are on a file system of its own ([`disk`]), which is
//! shut down at that instant. Each run begins with a control: a receiver that is not killed
//! has to deliver everything, else nothing that follows would count.

mod disk;
mod sender;
mod sink;

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use self::disk::OwnDisk;
use self::sender::Sender;
use self::sink::Sink;
use super::case::{Bar, Case, Context, Figure, Sample};
use super::durable::nobody;
use super::peers::{Kind, Receiver, Running};
use crate::crash::Rng;

/// Kills of a run.
const KILLS: u32 = 4;
/// When nothing has come for so long, nothing more will.
const SILENCE: Duration = Duration::from_secs(4);
/// How long the first connection may take to be accepted.
const PATIENCE: Duration = Duration::from_secs(30);

const LOST: &str = "lost";
const ACCEPTED: &str = "accepted";

/// What happens to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing: everything has to arrive.
    Control,
    Kill,
    PowerCut,
}

/// The cases of ours.
pub(crate) fn cases() -> Vec<Case> {
    let none_lost = || {
        vec![
            Bar::at_most(Figure::Sum(LOST), 0.0, 0.0),
            Bar::at_least(Figure::Sum(ACCEPTED), 1.0, 1.0),
        ]
    };
    [("loss/kill/ours", Fate::Kill), ("loss/power/ours", Fate::PowerCut)]
        .into_iter()
        .map(|(name, fate)| case(name, Receiver::new(Kind::Ours), fate, none_lost()))
        .collect()
}

/// The cases of foreign programs, once they are there. What keeps nothing on disk has nothing that a
/// power cut could take beyond a kill.
pub(crate) fn peers() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for kind in Kind::FOREIGN {
        let (kill, cut) = names(kind);
        let fates = [(Some(kill), Fate::Kill), (cut, Fate::PowerCut)];
        for (name, fate) in fates.into_iter().filter_map(|(name, fate)| Some((name?, fate))) {
            let receiver = Receiver::new(kind);
            receiver.prepare()?;
            cases.push(case(name, receiver, fate, Vec::new()));
        }
    }
    Ok(cases)
}

const fn names(kind: Kind) -> (&'static str, Option<&'static str>) {
    match kind {
        Kind::Ours => ("loss/kill/ours", Some("loss/power/ours")),
        Kind::RsyslogSynced => ("loss/kill/rsyslog-synced", Some("loss/power/rsyslog-synced")),
        Kind::RsyslogDisk => ("loss/kill/rsyslog-disk", Some("loss/power/rsyslog-disk")),
        Kind::RsyslogMemory => ("loss/kill/rsyslog-memory", None),
        Kind::TelegrafSynced => ("loss/kill/telegraf-synced", Some("loss/power/telegraf-synced")),
        Kind::TelegrafMemory => ("loss/kill/telegraf-memory", None),
        Kind::CarbonRelay => ("loss/kill/carbon-relay-memory", None),
        Kind::CarbonCRelay => ("loss/kill/carbon-c-relay-memory", None),
    }
}

fn case(name: &'static str, receiver: Receiver, fate: Fate, bars: Vec<Bar>) -> Case {
    let us = if receiver.kind == Kind::Ours { "gateway" } else { "program" };
    // Every run has its own instants; the first is the same each time.
    let rng = RefCell::new(Rng::new(name.len() as u64));
    let run = move |_: &Context| run(&receiver, fate, &mut rng.borrow_mut());
    Case { name, unit: "lines lost", us, peer: None, beside: &[], bars, run: Box::new(run) }
}

/// What came of one kill.
#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    lost: u64,
    twice: u64,
    refused: Option<String>,
}

fn run(receiver: &Receiver, fate: Fate, rng: &mut Rng) -> Result<Sample> {
    let control = trial(receiver, Fate::Control, rng).context("the control, without a kill")?;
    ensure!(
        control.lost == 0,
        "{} of {} lines were lost without any kill: this run does not count",
        control.lost,
        control.accepted
    );
    if fate == Fate::PowerCut {
        disk::prove()?;
    }
    let (mut sums, mut sample) = (Tally::default(), Sample::default());
    let (mut lossy, mut refused) = (0, 0);
    for _ in 0..KILLS {
        let tally = trial(receiver, fate, rng)?;
        sums.accepted += tally.accepted;
        sums.lost += tally.lost;
        sums.twice += tally.twice;
        lossy += u32::from(tally.lost > 0);
        if let Some(why) = tally.refused {
            refused += 1;
            eprintln!("    it did not start again: {why}");
        }
    }
    sample.value = sums.lost as f64;
    sample.sums = [
        (LOST, sums.lost as f64),
        (ACCEPTED, sums.accepted as f64),
        ("arrived twice", sums.twice as f64),
        (if fate == Fate::Kill { "kills" } else { "power cuts" }, f64::from(KILLS)),
        ("with a loss", f64::from(lossy)),
        ("did not start again", f64::from(refused)),
    ]
    .into();
    Ok(sample)
}

/// Where a receiver keeps its files.
enum Stage {
    Plain(TempDir),
    Own(OwnDisk),
}

impl Stage {
    fn new(fate: Fate) -> Result<Self> {
        Ok(match fate {
            Fate::PowerCut => Self::Own(OwnDisk::new()?),
            _ => Self::Plain(tempfile::Builder::new().prefix("ingestry-bench-").tempdir()?),
        })
    }

    fn dir(&self) -> &Path {
        match self {
            Self::Plain(dir) => dir.path(),
            Self::Own(disk) => disk.dir(),
        }
    }
}

fn trial(receiver: &Receiver, fate: Fate, rng: &mut Rng) -> Result<Tally> {
    let stage = Stage::new(fate)?;
    let out = nobody()?;
    let running = receiver.start(stage.dir(), out)?;
    let sender = Sender::start(running.to, rng.next());
    let deadline = Instant::now() + PATIENCE;
    while sender.accepted() == 0 {
        ensure!(Instant::now() < deadline, "{} accepts nothing", receiver.kind.name());
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(rng.millis(50, 600));
    // From here on nothing counts as accepted: what the kill makes of a connection is no answer.
    sender.close();
    let mut tally = Tally::default();
    let arrived = if fate == Fate::Control {
        let accepted = sender.finish()?;
        tally.accepted = accepted.len() as u64;
        let sink = Sink::listen(out)?;
        let arrived = sink.gather(&accepted, SILENCE)?;
        drop(running);
        tally.lost = arrived.missing(&accepted);
        arrived
    } else {
        end(running, &stage)?;
        let accepted = sender.finish()?;
        tally.accepted = accepted.len() as u64;
        let sink = Sink::listen(out)?;
        let again = receiver.start(stage.dir(), out);
        let arrived = match &again {
            Ok(_) => sink.gather(&accepted, SILENCE)?,
            Err(_) => sink.gather(&accepted, Duration::ZERO)?,
        };
        tally.refused = again.err().map(|error| format!("{error:#}"));
        tally.lost = arrived.missing(&accepted);
        arrived
    };
    tally.twice = arrived.twice();
    Ok(tally)
}

/// SIGKILL, with the disk going first if it is a power cut.
fn end(running: Running, stage: &Stage) -> Result<()> {
    match stage {
        Stage::Plain(_) => drop(running),
        Stage::Own(disk) => {
            running.stop()?;
            disk.cut()?;
            drop(running);
            disk.back()?;
        }
    }
    Ok(())
}
