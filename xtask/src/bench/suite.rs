//! The benchmarks that there are, and the work of their sides.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::case::{Case, Context};
use super::document::{self, Run};
use super::rounds::Outcome;
use super::{
    fairness, graphite, hydra, kafka, loggregator, mux, peers, report, rounds, usage, wal, wire,
};
use crate::flags::Bench;

/// A benchmark's cases.
type Cases = fn() -> Vec<Case>;

/// The benchmarks by name.
const SUITES: [(&str, Cases); 10] = [
    ("wire", wire::cases),
    ("wal", wal::cases),
    ("big", wal::big::cases),
    ("mux", mux::cases),
    ("attack", wire::attack::cases),
    ("graphite", graphite::cases),
    ("loggregator", loggregator::cases),
    ("hydra", hydra::cases),
    ("fairness", fairness::cases),
    ("kafka", kafka::cases),
];

/// All of them.
const ALL: &str = "all";

/// The cases of foreign programs; one that is missing is an error.
type Peers = fn() -> Result<Vec<Case>>;

/// What runs beside a benchmark when it is asked for.
const PEERS: [(&str, Peers); 2] =
    [("graphite", graphite::peers), ("loggregator", loggregator::peers)];

/// Benchmarks that cannot do without their foreign programs.
const WITH_PEERS: [&str; 2] = ["hydra", "kafka"];

/// How often each case runs: fewer are for trying things, and say so.
const RUNS: u32 = 5;

/// The names of the benchmarks.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SUITES.iter().map(|suite| suite.0)
}

/// What a call of the command wants.
struct Wish<'a> {
    flags: &'a Bench,
    runs: u32,
    seconds: u32,
    /// What is measured, when it is to be kept.
    commit: Option<String>,
}

pub(crate) fn run(flags: &Bench) -> Result<bool> {
    let asked = flags.name.as_deref().unwrap_or(ALL);
    let suites: Vec<_> = SUITES.iter().filter(|suite| asked == ALL || suite.0 == asked).collect();
    if suites.is_empty() {
        let names: Vec<_> = SUITES.iter().map(|suite| suite.0).collect();
        bail!("found {asked:?}; allowed: {}, {ALL}, page", names.join(", "));
    }
    let knows = |name| WITH_PEERS.contains(&name) || peers_of(name).is_some();
    if flags.peers && asked != ALL && !knows(asked) {
        bail!("bench {asked} knows no foreign program to run beside it");
    }
    if flags.resume && flags.write.is_none() {
        bail!("--resume goes by what --write has kept");
    }
    let commit = match flags.write {
        Some(_) => Some(document::commit()?),
        None => None,
    };
    let runs = flags.runs.map_or(RUNS, u32::from);
    let wish = Wish { flags, runs, seconds: flags.seconds.map_or(3, u32::from), commit };
    let mut json = match &flags.json {
        Some(path) => Some(File::create(path).with_context(|| format!("cannot write {path:?}"))?),
        None => None,
    };
    let mut fine = true;
    for (name, cases) in suites {
        match wish.measure(name, *cases, json.as_mut()) {
            Ok(is_fine) => fine &= is_fine,
            // The others are worth their while: they are kept one by one.
            Err(error) if asked == ALL => {
                eprintln!("bench {name}: {error:#}");
                fine = false;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(fine)
}

fn peers_of(name: &str) -> Option<Peers> {
    PEERS.iter().find(|peers| peers.0 == name).map(|peers| peers.1)
}

impl Wish<'_> {
    /// One benchmark: whether no floor was missed.
    fn measure(&self, name: &str, cases: Cases, json: Option<&mut File>) -> Result<bool> {
        let cases = self.cases(name, cases)?;
        if cases.is_empty() {
            return Ok(true);
        }
        let (runs, seconds, load) = (self.runs, self.seconds, usage::load());
        let context = Context { time: Duration::from_secs(u64::from(seconds)) };
        let outcomes = rounds::run(&cases, &context, runs)?;
        println!("{name}: medians of {runs} runs of {seconds} s, in turn; [lowest .. highest]");
        if let Some(load) = load {
            println!("load of the machine before: {load:.2}");
        }
        print!("{}", report::table(&outcomes));
        if let Some(file) = json {
            for outcome in &outcomes {
                writeln!(file, "{}", report::json(outcome))?;
            }
        }
        if let (Some(page), Some(commit)) = (&self.flags.write, &self.commit) {
            self.keep(page, name, commit, load, &outcomes)?;
        }
        if runs < RUNS {
            println!("fewer than {RUNS} runs: for trying things, no claim");
        }
        Ok(report::fine(&outcomes))
    }

    /// What has to run.
    fn cases(&self, name: &str, cases: Cases) -> Result<Vec<Case>> {
        let mut cases = cases();
        if let (true, Some(peers)) = (self.flags.peers, peers_of(name)) {
            cases.extend(peers().with_context(|| format!("what runs beside {name}"))?);
        }
        let cases = pick(cases, self.flags.only.as_deref());
        if let (true, Some(page), Some(commit)) =
            (self.flags.resume, &self.flags.write, &self.commit)
        {
            let kept = document::kept(page, name)?;
            if cases.iter().all(|case| kept.has(commit, case.name)) {
                println!("{name}: kept at this commit already");
                return Ok(Vec::new());
            }
        }
        Ok(cases)
    }

    fn keep(
        &self,
        page: &Path,
        name: &str,
        commit: &str,
        load: Option<f64>,
        outcomes: &[Outcome],
    ) -> Result<()> {
        let run = Run {
            command: self.command(name),
            date: document::today()?,
            commit: commit.to_owned(),
            rounds: self.runs,
            seconds: self.seconds,
            load,
            machine: document::machine()?,
            programs: peers::versions(name, self.flags.peers)?,
            cases: outcomes.iter().map(report::kept).collect(),
        };
        document::keep(page, name, run)?;
        println!("{name}: kept, and {} written", page.display());
        Ok(())
    }

    /// What measures the same again.
    fn command(&self, name: &str) -> String {
        let mut command = format!("cargo xtask bench {name}");
        if let Some(only) = &self.flags.only {
            let _ = write!(command, " --only {only}");
        }
        if let Some(runs) = self.flags.runs {
            let _ = write!(command, " --runs {runs}");
        }
        if let Some(seconds) = self.flags.seconds {
            let _ = write!(command, " --seconds {seconds}");
        }
        if self.flags.peers && peers_of(name).is_some() {
            command.push_str(" --peers");
        }
        command
    }
}

/// The cases that are asked for, and those that they are compared to.
fn pick(cases: Vec<Case>, only: Option<&str>) -> Vec<Case> {
    let Some(text) = only else { return cases };
    let asked = |case: &&Case| case.name.contains(text);
    let beside: Vec<&str> =
        cases.iter().filter(asked).flat_map(|case| case.beside.iter().copied()).collect();
    let keep = |case: &Case| case.name.contains(text) || beside.contains(&case.name);
    cases.into_iter().filter(keep).collect()
}

/// The work of a side.
pub(crate) fn side(name: &str, args: &str) -> Result<()> {
    match name {
        wire::CLIENT => wire::client(serde_json::from_str(args)?),
        wire::SERVER => wire::server(),
        wire::SENDER => wire::sender(serde_json::from_str(args)?),
        wire::SINK => wire::sink(),
        wire::attack::SERVER => wire::attack::server(serde_json::from_str(args)?),
        wire::attack::ATTACKER => wire::attack::attacker(serde_json::from_str(args)?),
        wire::LONE => wire::lone(serde_json::from_str(args)?),
        wire::CODEC => wire::codec(serde_json::from_str(args)?),
        fairness::FLOOD => fairness::flood(serde_json::from_str(args)?),
        fairness::QUIET => fairness::quiet(serde_json::from_str(args)?),
        graphite::DECODE => graphite::decode(serde_json::from_str(args)?),
        graphite::SENDER => graphite::send(serde_json::from_str(args)?),
        graphite::SINK => graphite::sink(serde_json::from_str(args)?),
        hydra::CLIENT => hydra::client(serde_json::from_str(args)?),
        hydra::ECHO => hydra::echo(),
        kafka::PRODUCER => kafka::producer(serde_json::from_str(args)?),
        kafka::CONSUMER => kafka::consumer(serde_json::from_str(args)?),
        kafka::FILL => kafka::fill(serde_json::from_str(args)?),
        mux::SENDER => mux::sender(serde_json::from_str(args)?),
        mux::SINK => mux::sink(serde_json::from_str(args)?),
        loggregator::CODEC => loggregator::codec(serde_json::from_str(args)?),
        loggregator::SERVER => loggregator::server(serde_json::from_str(args)?),
        loggregator::READER => loggregator::reader(serde_json::from_str(args)?),
        wal::LOG => wal::log(serde_json::from_str(args)?),
        wal::RAW => wal::raw(serde_json::from_str(args)?),
        wal::big::FILL => wal::big::filler(serde_json::from_str(args)?),
        wal::big::READ => wal::big::reader(serde_json::from_str(args)?),
        wal::LONE_LOG => wal::lone_log(serde_json::from_str(args)?),
        wal::LONE_BARE => wal::lone_bare(serde_json::from_str(args)?),
        _ => bail!("no side is called {name:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_is_picked_along() {
        for (_, cases) in SUITES {
            let names: Vec<_> = cases().iter().map(|case| case.name).collect();
            let mut unique = names.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), names.len());
            for case in cases() {
                assert!(case.beside.iter().all(|other| names.contains(other)), "{}", case.name);
                let picked = pick(cases(), Some(case.name));
                assert!(case.beside.iter().all(|other| picked.iter().any(|p| p.name == *other)));
            }
        }
        assert!(pick(wire::cases(), Some("no such case")).is_empty());
    }

    #[test]
    fn the_command_is_what_measures_it_again() {
        let flags = Bench {
            name: Some(ALL.to_owned()),
            only: Some("lines".to_owned()),
            runs: "7".parse().ok(),
            seconds: None,
            peers: true,
            json: Some("file".into()),
            write: Some("page.md".into()),
            resume: true,
        };
        let wish = Wish { flags: &flags, runs: 7, seconds: 3, commit: None };
        let expected = "cargo xtask bench graphite --only lines --runs 7 --peers";
        assert_eq!(wish.command("graphite"), expected);
        assert_eq!(wish.command("wire"), "cargo xtask bench wire --only lines --runs 7");
    }

    #[test]
    fn resuming_needs_something_kept() {
        let words = ["bench", "wire", "--resume"].map(Into::into).to_vec();
        let parsed = crate::flags::Xtask::from_vec(words).unwrap().subcommand;
        let crate::flags::XtaskCmd::Bench(flags) = parsed else { panic!("another command") };
        assert!(run(&flags).unwrap_err().to_string().contains("--write"));
    }
}
