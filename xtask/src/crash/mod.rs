//! `cargo xtask crash`: kills the real program at any instant, again and again, and compares what
//! is stored with what was sent and what was acknowledged.
//!
//! A kill leaves the system's caches as they are, so this says nothing about a power cut. It does
//! say that an end of file is never seen too early, that recovery loses and invents nothing, and,
//! with `--plant`, that it would notice if this were not so.

mod client;
mod coverage;
mod oracle;
mod plan;
mod program;
mod round;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail, ensure};

use self::client::{End, Outcome};
use self::coverage::Coverage;
use self::oracle::{Account, Id, Violation};
use self::plan::Planner;
use self::program::{Program, Site};
use self::round::{Player, Traces};
use crate::flags;

pub(crate) use self::program::Profile;

const ROUNDS: u32 = 20;
/// How often a long run says that it is alive.
const PROGRESS: u32 = 10;
/// The planted bugs that the log has behind its feature `plants`.
const PLANTS: &[&str] = &["ack-before-write"];
/// Stands for no bug, in a program that could have one.
const NO_PLANT: &str = "none";

/// A planted bug by its name, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plant(&'static str);

impl FromStr for Plant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = PLANTS.iter().chain([&NO_PLANT]).find(|known| **known == name);
        known
            .map(|known| Self(known))
            .ok_or_else(|| format!("found \"{name}\"; allowed: {}, {NO_PLANT}", PLANTS.join(", ")))
    }
}

/// What made a run end before its last round.
#[derive(Debug)]
enum Failure {
    /// The oracle's reports.
    Violations { when: String, violations: Vec<Violation> },
    /// The gateway, or what is around it, did something that is no matter of what is stored.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violations { when, violations } => {
                writeln!(f, "crash: {} broken promises, seen {when}:", violations.len())?;
                violations.iter().try_for_each(|violation| writeln!(f, "  {violation}"))
            }
            Self::Other(error) => writeln!(f, "crash: {error:#}"),
        }
    }
}

/// Runs the rounds. `Ok(false)`: something is wrong, and was printed.
pub(crate) fn run(flags: &flags::Crash) -> Result<bool> {
    let rounds = flags.rounds.map_or(ROUNDS, Into::into);
    let seed = flags.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 32);
    let plant = flags.plant.map(|Plant(name)| name);
    let profile = flags.profile.unwrap_or_default();
    println!("crash: {rounds} rounds, seed {seed}, plant {}", plant.unwrap_or("not asked for"));
    let built = match &flags.binary {
        Some(binary) => binary.clone(),
        None => program::build(profile, plant.is_some())?,
    };
    let work = Work::new(flags.keep.as_deref())?;
    // A copy, because another build may replace the original.
    let binary = work.path().join("ingestry");
    std::fs::copy(&built, &binary).with_context(|| format!("cannot copy {}", built.display()))?;
    let program = Program { binary, plant };
    let mut trial = Trial::new(&program, work.path(), flags.keep.is_some());
    let result = trial.rounds(seed, rounds).and_then(|()| trial.last_start());
    let is_good = report(plant, &result, &trial.coverage);
    match result {
        Err(_) if !is_good => println!("crash: kept for a look: {}", work.keep().display()),
        _ => drop(work),
    }
    Ok(is_good)
}

/// Says how it went and what that means.
fn report(plant: Option<&str>, result: &Result<(), Failure>, coverage: &Coverage) -> bool {
    if let Err(failure) = result {
        print!("{failure}");
    }
    print!("{coverage}");
    let (text, is_good) = conclusion(plant, result, &coverage.missing());
    println!("crash: {text}");
    is_good
}

fn conclusion(
    plant: Option<&str>,
    result: &Result<(), Failure>,
    missing: &[&str],
) -> (String, bool) {
    let planted = plant.filter(|name| *name != NO_PLANT);
    match (planted, result) {
        (_, Err(Failure::Other(_))) => ("FAILED: the run could not be ended".to_owned(), false),
        (Some(name), Err(_)) => (format!("the planted bug {name} was seen, as it must be"), true),
        (Some(name), Ok(())) => (format!("FAILED: the planted bug {name} went unseen"), false),
        (None, Err(_)) => ("FAILED: a promise was broken".to_owned(), false),
        (None, Ok(())) if plant.is_some() => {
            ("nothing was found, and nothing was planted: exit 1, as it must be".to_owned(), false)
        }
        (None, Ok(())) if !missing.is_empty() => {
            (format!("FAILED: this never happened: {}", missing.join("; ")), false)
        }
        (None, Ok(())) => ("every promise was kept".to_owned(), true),
    }
}

/// The directory of everything that a run makes.
enum Work {
    Temporary(tempfile::TempDir),
    Named(PathBuf),
}

impl Work {
    fn new(keep: Option<&Path>) -> Result<Self> {
        let Some(named) = keep else {
            let dir = tempfile::Builder::new().prefix("ingestry-crash-").tempdir();
            return Ok(Self::Temporary(dir.context("cannot make a directory")?));
        };
        std::fs::create_dir_all(named)
            .with_context(|| format!("cannot make {}", named.display()))?;
        let named = std::path::absolute(named)?;
        ensure!(
            std::fs::read_dir(&named)?.next().is_none(),
            "{} is not empty: what is in it is no part of this run",
            named.display()
        );
        Ok(Self::Named(named))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Named(dir) => dir,
        }
    }

    fn keep(self) -> PathBuf {
        match self {
            Self::Temporary(dir) => dir.keep(),
            Self::Named(dir) => dir,
        }
    }
}

/// Rounds on one program.
struct Trial<'a> {
    program: &'a Program,
    player: Player<'a>,
    work: &'a Path,
    keep: bool,
    data: PathBuf,
    config: Option<PathBuf>,
    /// Of all connections whose lines are in the directory.
    accounts: BTreeMap<Id, Account>,
    coverage: Coverage,
}

impl<'a> Trial<'a> {
    fn new(program: &'a Program, work: &'a Path, keep: bool) -> Self {
        Self {
            program,
            player: Player::new(program),
            work,
            keep,
            data: work.join("data"),
            config: None,
            accounts: BTreeMap::new(),
            coverage: Coverage::default(),
        }
    }

    fn rounds(&mut self, seed: u64, rounds: u32) -> Result<(), Failure> {
        let mut planner = Planner::new(seed);
        for number in 1..=rounds {
            let plan = planner.round();
            self.round(&plan).map_err(|failure| match failure {
                Failure::Other(error) => error.context(format!("round {number}")).into(),
                violations => violations,
            })?;
            if number.is_multiple_of(PROGRESS) {
                println!("crash: {number} of {rounds} rounds");
            }
        }
        Ok(())
    }

    fn round(&mut self, plan: &plan::Round) -> Result<(), Failure> {
        if plan.fresh {
            self.begin(plan)?;
        }
        let (ports, output) = (self.work.join("ports.json"), self.output());
        let killed_before = self.data.exists();
        let site = Site {
            data: &self.data,
            config: self.config.as_deref(),
            ports: &ports,
            output: &output,
        };
        let done = self.player.play(plan, &site)?;
        let traces = Traces::read(&self.data)?;
        self.coverage.add(plan, &done, &traces, killed_before);
        for Outcome { connection, sent, end } in &done.outcomes {
            let id = Id { round: plan.number, connection: *connection };
            let (complete, after_kill) = match end {
                End::EndOfFile(at) => (true, *at > done.killed),
                End::Broken(..) => (false, false),
            };
            let account = Account { sent: *sent, complete, after_kill, found_before: 0 };
            self.accounts.insert(id, account);
        }
        let found = self.check(&format!("after the kill of round {}", plan.number))?;
        self.coverage.found += found
            .into_iter()
            .filter(|(id, _)| id.round == plan.number)
            .map(|(_, lines)| lines)
            .sum::<u64>();
        if let Some(status) = done.ended_by_itself {
            bail_with_output(&output, &format!("the gateway ended by itself: {status}"))?;
        }
        for Outcome { connection, end, .. } in &done.outcomes {
            if let End::Broken(at, error) = end
                && *at < done.killed
            {
                let what = format!("connection {connection} broke before the kill: {error}");
                bail_with_output(&output, &what)?;
            }
        }
        self.look_for_panics()?;
        Ok(())
    }

    /// A new directory, with its limits.
    fn begin(&mut self, plan: &plan::Round) -> Result<()> {
        if !self.keep && self.data.exists() {
            std::fs::remove_dir_all(&self.data).context("cannot remove a data directory")?;
        }
        self.accounts.clear();
        self.data = self.work.join(format!("data-{}", plan.number));
        self.config = match plan.max_bytes {
            None => None,
            Some(max_bytes) => {
                let path = self.work.join("ingestry.toml");
                std::fs::write(&path, round::config(max_bytes))?;
                Some(path)
            }
        };
        Ok(())
    }

    /// Asks the oracle.
    fn check(&mut self, when: &str) -> Result<BTreeMap<Id, u64>, Failure> {
        let found = self.program.search(&self.data).with_context(|| when.to_owned())?;
        if !found.notes.is_empty() {
            println!("crash: a search {when} says: {}", found.notes);
        }
        let verdict = oracle::judge(&self.accounts, &found.lines);
        if !verdict.violations.is_empty() {
            let when = format!("{when}, in {}", self.data.display());
            return Err(Failure::Violations { when, violations: verdict.violations });
        }
        for (id, account) in &mut self.accounts {
            account.found_before = verdict.found.get(id).copied().unwrap_or(0);
        }
        Ok(verdict.found)
    }

    /// The directory that was left opens, holds the same, and is closed in order.
    fn last_start(&mut self) -> Result<(), Failure> {
        let (ports, output) = (self.work.join("ports.json"), self.output());
        let site = Site {
            data: &self.data,
            config: self.config.as_deref(),
            ports: &ports,
            output: &output,
        };
        let mut gateway = self.program.start(&site)?;
        gateway.ready().context("the last start")?;
        self.check("while the gateway runs after the last round")?;
        let status = gateway.stop().context("the orderly stop")?;
        if status.code() != Some(0) {
            bail_with_output(&output, &format!("the orderly stop ended with {status}"))?;
        }
        self.check("after the orderly stop")?;
        self.look_for_panics()?;
        Ok(())
    }

    fn output(&self) -> PathBuf {
        self.work.join("gateway.txt")
    }

    /// A thread may panic and the program go on.
    fn look_for_panics(&self) -> Result<()> {
        let text = std::fs::read(self.output()).context("cannot read what the gateway printed")?;
        if String::from_utf8_lossy(&text).contains("panicked at") {
            bail_with_output(&self.output(), "the gateway panicked")?;
        }
        Ok(())
    }
}

/// An error, with the end of what the gateway printed.
fn bail_with_output(output: &Path, what: &str) -> Result<()> {
    let text = std::fs::read(output).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
    bail!("{what}; it printed last:\n{}", last.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violated() -> Result<(), Failure> {
        let violations = vec![Violation::Invented { lines: 1, shown: vec!["x".to_owned()] }];
        Err(Failure::Violations { when: "in a test".to_owned(), violations })
    }

    #[test]
    fn plants_are_those_of_the_log() {
        let all: Vec<_> = ingest_wal::Plant::ALL.iter().map(|plant| plant.as_str()).collect();
        assert_eq!(PLANTS, all);
        for name in all {
            assert_eq!(name.parse(), Ok(Plant(name)));
        }
        assert_eq!("none".parse(), Ok(Plant("none")));
    }

    #[test]
    fn unknown_plants_are_told_the_names() {
        let error = "weeds".parse::<Plant>().unwrap_err();
        assert_eq!(error, "found \"weeds\"; allowed: ack-before-write, none");
    }

    #[test]
    fn the_honest_program_has_to_keep_everything_and_meet_everything() {
        assert!(conclusion(None, &Ok(()), &[]).1);
        assert!(!conclusion(None, &violated(), &[]).1);
        let (text, is_good) = conclusion(None, &Ok(()), &["kills"]);
        assert!(!is_good && text.contains("never happened: kills"), "{text}");
    }

    #[test]
    fn a_planted_bug_has_to_be_seen() {
        let plant = Some("ack-before-write");
        assert!(conclusion(plant, &violated(), &[]).1);
        assert!(!conclusion(plant, &Ok(()), &[]).1);
        let other = || Err(Failure::Other(anyhow::anyhow!("no room")));
        assert!(!conclusion(plant, &other(), &[]).1, "an accident is no report of the oracle");
        assert!(!conclusion(None, &other(), &[]).1);
    }

    #[test]
    fn without_a_bug_the_same_path_fails() {
        assert!(!conclusion(Some("none"), &Ok(()), &[]).1);
        assert!(!conclusion(Some("none"), &violated(), &[]).1);
    }

    #[test]
    fn a_directory_that_is_in_use_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("a/b");
        assert_eq!(Work::new(Some(&new)).unwrap().path(), new);
        std::fs::write(new.join("x"), "").unwrap();
        assert!(Work::new(Some(&new)).is_err());
    }
}
