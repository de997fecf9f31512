//! The benchmarks that there are, and the work of their sides.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::case::{Case, Context};
use super::{fairness, graphite, hydra, kafka, loggregator, mux, report, rounds, usage, wal, wire};
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

/// The cases of foreign programs; one that is missing is an error.
type Peers = fn() -> Result<Vec<Case>>;

/// What runs beside a benchmark.
const PEERS: [(&str, Peers); 1] = [("graphite", graphite::peers)];

/// How often each case runs: fewer are for trying things, and say so.
const RUNS: u32 = 5;

pub(crate) fn run(flags: &Bench) -> Result<bool> {
    let name = flags.name.as_deref().unwrap_or("all");
    let mut suites: Vec<_> =
        SUITES.iter().filter(|suite| name == "all" || suite.0 == name).collect();
    if suites.is_empty() {
        let names: Vec<_> = SUITES.iter().map(|suite| suite.0).collect();
        bail!("found {name:?}; allowed: {}, all", names.join(", "));
    }
    let peers = PEERS.iter().find(|peers| peers.0 == name);
    if flags.peers && peers.is_none() {
        bail!("bench {name} knows no foreign program to run beside it");
    }
    let runs = flags.runs.map_or(RUNS, u32::from);
    let seconds = flags.seconds.map_or(3, u32::from);
    let context = Context { time: Duration::from_secs(u64::from(seconds)) };
    let mut json = match &flags.json {
        Some(path) => {
            Some(std::fs::File::create(path).with_context(|| format!("cannot write {path:?}"))?)
        }
        None => None,
    };
    let mut fine = true;
    for (name, cases) in suites.drain(..) {
        let mut cases = cases();
        if let (true, Some((_, peers))) = (flags.peers, peers) {
            cases.extend(peers()?);
        }
        let cases = pick(cases, flags.only.as_deref());
        if cases.is_empty() {
            continue;
        }
        let load = usage::load();
        let outcomes = rounds::run(&cases, &context, runs)?;
        println!("{name}: medians of {runs} runs of {seconds} s, in turn; [lowest .. highest]");
        if let Some(load) = load {
            println!("load of the machine before: {load:.2}");
        }
        print!("{}", report::table(&outcomes));
        fine &= report::fine(&outcomes);
        if let Some(file) = &mut json {
            for outcome in &outcomes {
                writeln!(file, "{}", report::json(outcome))?;
            }
        }
        if runs < RUNS {
            println!("fewer than {RUNS} runs: for trying things, no claim");
        }
    }
    Ok(fine)
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
}
