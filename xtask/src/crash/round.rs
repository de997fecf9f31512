//! One round: start, send, kill.

use std::path::Path;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};

use super::client::{self, Contact, Outcome};
use super::fleet::{Fleet, Harm};
use super::plan::{self, Aim};
use super::program::{Program, Site, Source, Unsynced};
use super::sessions;

/// How often the directory is looked at for a rotation.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// What a start takes, until one was measured.
const FIRST_GUESS: Duration = Duration::from_millis(30);

/// How a round went.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) killed: Instant,
    /// The same instant on the clock of the file system.
    pub(crate) killed_at: SystemTime,
    /// It accepted before it was killed.
    pub(crate) ready: bool,
    /// It was not there any more when it was to be killed.
    pub(crate) ended_by_itself: Option<ExitStatus>,
    /// What the cut took, where a kill is one.
    pub(crate) unsynced: Option<Unsynced>,
    pub(crate) outcomes: Vec<Outcome>,
    /// What happened to the destinations.
    pub(crate) harm: Harm,
}

/// Plays rounds; knows how long a start takes.
#[derive(Debug)]
pub(crate) struct Player<'a> {
    program: &'a Program,
    start_up: Duration,
}

impl<'a> Player<'a> {
    pub(crate) const fn new(program: &'a Program) -> Self {
        Self { program, start_up: FIRST_GUESS }
    }

    pub(crate) fn play(
        &mut self,
        plan: &plan::Round,
        site: &Site<'_>,
        fleet: &mut Fleet,
    ) -> Result<Done> {
        let mut gateway = self.program.start(site)?;
        if let Aim::StartUp(thousandths) = plan.aim {
            let until = gateway.started() + self.start_up * thousandths / 1000;
            let (_alive, nothing) = channel();
            wait_for(u32::MAX, until, &nothing);
            let (killed, killed_at) = (Instant::now(), SystemTime::now());
            let ended_by_itself = gateway.kill()?;
            let (ready, unsynced) = (site.ports.exists(), self.program.unsynced());
            return Ok(Done {
                killed,
                killed_at,
                ready,
                ended_by_itself,
                unsynced,
                outcomes: Vec::new(),
                harm: Harm::default(),
            });
        }
        let (address, took) = gateway.ready()?;
        self.start_up = took;
        let before = segments(site.data)?;
        let (ends_of_file, seen) = channel();
        let mut alive = Vec::new();
        let mut clients = Vec::new();
        for (number, connections) in plan.clients.iter().cloned().enumerate() {
            let (sender, killed) = channel();
            alive.push(sender);
            let ends_of_file = ends_of_file.clone();
            let contact = Contact { round: plan.number, address, killed, ends_of_file };
            let client = thread::Builder::new().name(format!("client {number}"));
            let run = match self.program.source {
                Source::Graphite => client::run,
                Source::Hydra => sessions::run,
            };
            clients.push(client.spawn(move || run(&connections, &contact))?);
        }
        let start = Instant::now();
        let (lasts, end) = channel::<()>();
        thread::scope(|scope| {
            let acting = scope.spawn(move || fleet.act(&plan.acts, start, &end));
            let lasting = lasts;
            self.until_the_kill(plan, site, start, before, &seen)?;
            let (killed, killed_at) = (Instant::now(), SystemTime::now());
            let ended_by_itself = gateway.kill()?;
            let unsynced = self.program.unsynced();
            drop(alive);
            drop(lasting);
            let mut outcomes = Vec::new();
            for client in clients {
                let of_client = client.join().ok().context("a client panicked")?;
                outcomes.extend(of_client);
            }
            let harm = acting.join().ok().context("what acts on destinations panicked")??;
            let ready = true;
            Ok(Done { killed, killed_at, ready, ended_by_itself, unsynced, outcomes, harm })
        })
    }

    /// Waits for the instant that the plan aims at.
    fn until_the_kill(
        &self,
        plan: &plan::Round,
        site: &Site<'_>,
        start: Instant,
        before: usize,
        seen: &Receiver<()>,
    ) -> Result<()> {
        match plan.aim {
            Aim::EndOfFile { count, latest } => wait_for(count, start + latest, seen),
            Aim::Instant(after) => wait_for(u32::MAX, start + after, seen),
            Aim::Rotation { count, latest } => {
                let until = start + latest;
                // A cut takes names while a segment is begun, and not once it is there.
                let is_there = |target: usize| {
                    Ok::<_, anyhow::Error>(match self.program.unsynced() {
                        Some(unsynced) => unsynced.names > 0 && segments(site.data)? + 1 >= target,
                        None => segments(site.data)? >= target,
                    })
                };
                while Instant::now() < until && !is_there(before + count as usize)? {
                    wait_for(u32::MAX, until.min(Instant::now() + LOOK_AGAIN / 4), seen);
                }
            }
            Aim::Cursors { latest } => {
                let (before, until) = (Traces::read(site.data)?.cursors, start + latest);
                while Instant::now() < until {
                    let written = match self.program.unsynced() {
                        Some(unsynced) => unsynced.cursors > 0,
                        None => Traces::read(site.data)?.cursors != before,
                    };
                    if written {
                        break;
                    }
                    wait_for(u32::MAX, until.min(Instant::now() + LOOK_AGAIN / 4), seen);
                }
            }
            Aim::StartUp(_) => {}
        }
        Ok(())
    }
}

/// Until there were `count` words or the instant has come.
fn wait_for(count: u32, until: Instant, words: &Receiver<()>) {
    let mut left = count;
    loop {
        match words.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(()) if left == 1 => return,
            Ok(()) => left = left.saturating_sub(1),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Text of a configuration for a log of that size, with these destinations.
pub(crate) fn config(source: Source, max_bytes: Option<u64>, destinations: &str) -> String {
    let limit = max_bytes.map(|bytes| format!("[log]\nmax_bytes = \"{bytes} B\"\n\n"));
    let name = source.name();
    // A machine that is busy with kills may keep a report waiting; that is no broken promise.
    let more = match source {
        Source::Graphite => "",
        Source::Hydra => "ingest_timeout = \"60s\"\n",
    };
    format!(
        "{}[admin]\nenabled = false\n\n\
         [sources.{name}]\ntype = \"{name}\"\nlisten = \"127.0.0.1:0\"\n{more}{destinations}",
        limit.unwrap_or_default(),
    )
}

/// A name of a segment: the order of the names is that of the segments of an epoch.
fn epoch(name: &str) -> Option<&str> {
    let (_first, epoch) = name.strip_prefix("seg-")?.strip_suffix(".log")?.split_once('-')?;
    Some(epoch)
}

/// How many segments there are.
fn segments(data: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(data).context("cannot list the data directory")? {
        count += usize::from(entry?.file_name().to_str().and_then(epoch).is_some());
    }
    Ok(count)
}

/// What the files of the log tell about the instant of the kill.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Traces {
    /// When the last segment that was followed by another in the same run was written last.
    pub(crate) rotation: Option<SystemTime>,
    /// When the outputs' state was written last.
    pub(crate) cursors: Option<SystemTime>,
}

impl Traces {
    pub(crate) fn read(data: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let listing = match std::fs::read_dir(data) {
            Ok(listing) => listing,
            Err(_) if !data.exists() => return Ok(Self::default()),
            Err(error) => return Err(error).context("cannot list the data directory"),
        };
        for entry in listing {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push((name, entry.metadata()?.modified()?));
        }
        Ok(Self::of(files))
    }

    fn of(mut files: Vec<(String, SystemTime)>) -> Self {
        files.sort();
        let newest = files.iter().filter_map(|(name, _)| epoch(name)).max().map(str::to_owned);
        let mut of_run = files.iter().rev().filter(|(name, _)| epoch(name) == newest.as_deref());
        let rotation = match newest {
            Some(_) => of_run.nth(1).map(|(_, time)| *time),
            None => None,
        };
        let cursors = files.iter().filter(|(name, _)| name.starts_with("cursor-"));
        Self { rotation, cursors: cursors.map(|(_, time)| *time).max() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(files: &[(&str, u64)]) -> (Option<u64>, Option<u64>) {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let files = files.iter().map(|(name, time)| ((*name).to_owned(), at(*time)));
        let Traces { rotation, cursors } = Traces::of(files.collect());
        let seconds =
            |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        (rotation.map(seconds), cursors.map(seconds))
    }

    #[test]
    fn rotations_are_those_of_the_last_run() {
        assert_eq!(traces(&[]), (None, None));
        assert_eq!(traces(&[("LOCK", 9), ("cursor-0", 3), ("cursor-1", 2)]), (None, Some(3)));
        let mut files = vec![
            ("seg-0000000000000001-00000001.log", 1),
            ("seg-0000000000000001-00000001.idx", 7),
            ("seg-0000000000000005-00000001.log", 2),
        ];
        assert_eq!(traces(&files), (Some(1), None));
        files.push(("seg-0000000000100000-00000002.log", 3));
        assert_eq!(traces(&files), (None, None));
        files.push(("seg-00000000001000a0-00000002.log", 4));
        files.push(("seg-0000000000100200-00000002.log", 5));
        assert_eq!(traces(&files), (Some(4), None));
    }

    #[test]
    fn waiting_ends_with_the_last_word_or_in_time() {
        let (words, heard) = channel();
        for _ in 0..3 {
            words.send(()).unwrap();
        }
        let far = Instant::now() + Duration::from_secs(3600);
        wait_for(2, far, &heard);
        assert_eq!(heard.try_iter().count(), 1);
        words.send(()).unwrap();
        wait_for(9, Instant::now(), &heard);
        assert!(Instant::now() < far);
    }
}
