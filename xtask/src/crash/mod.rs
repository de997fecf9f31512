//! `cargo xtask crash`: kills the real program at any instant, again and again, and compares what
//! is stored with what was sent and what was acknowledged.
//!
//! A kill leaves the system's caches as they are. It says that an end of file is never seen too
//! early, that recovery loses and invents nothing, and, with `--plant`, that it would notice if this
//! were not so. The gateway sends on to one to three others, honest ones, which are killed and
//! stalled meanwhile; before a directory is left, everything must have arrived, in the order that is
//! promised, and not more often than what was on its way and what the kept state did not know. With
//! `--power` a kill is a power cut: a layer in the program (`ingest_wal::PowerCut` says what it covers)
//! keeps every byte and name that no sync covered in the process's memory.

mod client;
mod coverage;
mod delivery;
mod fleet;
mod oracle;
mod plan;
mod program;
mod round;
mod sessions;
mod trial;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};

use self::coverage::Coverage;
use self::plan::Focus;
use self::program::Program;
use self::trial::{Failure, Trial};
use crate::flags;

pub(crate) use self::plan::Rng;
pub(crate) use self::program::{Profile, Source, build, build_with, executable};

const ROUNDS: u32 = 20;
/// The planted bugs that the log and the muxer have behind the feature `plants`, whether only a
/// power cut shows them, and what a run has to be about to meet them soon.
const PLANTS: &[(&str, bool, Focus)] = &[
    ("ack-before-write", false, Focus::All),
    ("no-fsync", true, Focus::All),
    ("ack-before-fsync", true, Focus::All),
    ("no-dir-sync", true, Focus::All),
    ("drop-tail", false, Focus::All),
    ("reuse-lsn", true, Focus::Tail),
    ("cursor-before-ack", false, Focus::Links),
    ("skip-resend", false, Focus::Links),
];
/// Stands for no bug, in a program that could have one.
pub(crate) const NO_PLANT: &str = "none";

/// A planted bug by its name, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plant(&'static str);

impl Plant {
    /// Every bug, by its name.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        PLANTS.iter().map(|(name, ..)| *name)
    }

    /// Its row; `none` has none.
    fn row(self) -> Option<&'static (&'static str, bool, Focus)> {
        PLANTS.iter().find(|(name, ..)| *name == self.0)
    }

    pub(crate) const fn name(self) -> &'static str {
        self.0
    }

    fn needs_power(self) -> bool {
        self.row().is_some_and(|(_, needs_power, _)| *needs_power)
    }

    fn focus(self) -> Focus {
        self.row().map_or(Focus::All, |(.., focus)| *focus)
    }
}

impl FromStr for Plant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::names().chain([NO_PLANT]).find(|known| *known == name);
        known.map(Self).ok_or_else(|| {
            let names: Vec<_> = Self::names().chain([NO_PLANT]).collect();
            format!("found \"{name}\"; allowed: {}", names.join(", "))
        })
    }
}

/// Runs the rounds. `Ok(false)`: something is wrong, and was printed.
pub(crate) fn run(flags: &flags::Crash) -> Result<bool> {
    let rounds = flags.rounds.map_or(ROUNDS, Into::into);
    let seed = flags.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 32);
    let plant = flags.plant.map(|Plant(name)| name);
    let needs_power = flags.plant.is_some_and(Plant::needs_power);
    let power = flags.power || needs_power;
    let profile = flags.profile.unwrap_or_default();
    println!(
        "crash: {rounds} rounds, seed {seed}, source {}, plant {}, each kill {}",
        flags.source.unwrap_or_default().name(),
        plant.unwrap_or("not asked for"),
        match (power, flags.power) {
            (false, _) => "leaves what the system has in memory",
            (true, true) => "is a power cut (--power)",
            (true, false) => "is a power cut (nothing else shows this plant)",
        }
    );
    let built = match &flags.binary {
        Some(binary) => binary.clone(),
        None => build(profile, power || plant.is_some())?,
    };
    let work = Work::new(flags.keep.as_deref())?;
    // A copy, because another build may replace the original.
    let binary = work.path().join("ingestry");
    std::fs::copy(&built, &binary).with_context(|| format!("cannot copy {}", built.display()))?;
    let beacon = power.then(|| work.path().join("beacon"));
    let source = flags.source.unwrap_or_default();
    let program = Program { binary, source, plant, beacon };
    let mut trial = Trial::new(&program, work.path(), flags.keep.is_some());
    let focus = flags.plant.map_or(Focus::All, Plant::focus);
    let result = trial.rounds(seed, rounds, focus).and_then(|()| trial.last_start());
    let is_good = report(plant, &result, &trial.coverage);
    if result.is_err() && !is_good {
        println!("crash: kept for a look: {}", trial.data.display());
        work.keep();
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

    /// Leaves everything where it is.
    fn keep(self) {
        if let Self::Temporary(dir) = self {
            let _path = dir.keep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::oracle::Violation;
    use super::*;

    fn violated() -> Result<(), Failure> {
        let violations = vec![Violation::Invented { lines: 1, shown: vec!["x".to_owned()] }];
        Err(Failure::Violations { when: "in a test".to_owned(), violations })
    }

    #[test]
    fn plants_are_those_of_the_log() {
        let all = ingest_wal::Plant::ALL.iter();
        let all: Vec<_> = all.map(|plant| (plant.as_str(), plant.needs_power_cut())).collect();
        let ours: Vec<_> =
            PLANTS.iter().map(|(name, needs_power, _)| (*name, *needs_power)).collect();
        assert_eq!(ours, all);
        for (name, needs_power) in all {
            assert_eq!(name.parse().map(Plant::needs_power), Ok(needs_power));
            assert_eq!(name.parse(), Ok(Plant(name)));
        }
        assert_eq!("none".parse(), Ok(Plant("none")));
    }

    #[test]
    fn unknown_plants_are_told_the_names() {
        let error = "weeds".parse::<Plant>().unwrap_err();
        assert_eq!(
            error,
            "found \"weeds\"; allowed: ack-before-write, no-fsync, ack-before-fsync, no-dir-sync, \
             drop-tail, reuse-lsn, cursor-before-ack, skip-resend, none"
        );
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
