//! Round after round on one program, each on the directory that the last one left or a new one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::client::{End, Outcome};
use super::coverage::Coverage;
use super::delivery::{self, Arrival};
use super::fleet::Fleet;
use super::oracle::{self, Account, Id, Violation};
use super::plan::{self, Focus, Planner};
use super::program::{Gateway, Program, Site};
use super::round::{self, Player, Traces};

/// How often a long run says that it is alive.
const PROGRESS: u32 = 10;

/// How often the gateway may start and stop until everything has arrived.
const TRIES: u32 = 3;

/// What made a run end before its last round.
#[derive(Debug)]
pub(crate) enum Failure {
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
                writeln!(f, "crash: {when}, broken promises: {}", violations.len())?;
                violations.iter().try_for_each(|violation| writeln!(f, "  {violation}"))
            }
            Self::Other(error) => writeln!(f, "crash: {error:#}"),
        }
    }
}

/// Rounds on one program.
pub(crate) struct Trial<'a> {
    program: &'a Program,
    player: Player<'a>,
    work: &'a Path,
    keep: bool,
    /// The directory of the last round.
    pub(crate) data: PathBuf,
    config: Option<PathBuf>,
    fleet: Option<Fleet>,
    /// How often the gateway was killed on the directory.
    kills: u32,
    /// By output, what had arrived at these kills and was not kept as confirmed.
    unkept: BTreeMap<String, u64>,
    /// Of all connections whose lines are in the directory.
    accounts: BTreeMap<Id, Account>,
    pub(crate) coverage: Coverage,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(program: &'a Program, work: &'a Path, keep: bool) -> Self {
        Self {
            program,
            player: Player::new(program),
            work,
            keep,
            data: work.join("data"),
            config: None,
            fleet: None,
            kills: 0,
            unkept: BTreeMap::new(),
            accounts: BTreeMap::new(),
            coverage: Coverage::default(),
        }
    }

    pub(crate) fn rounds(&mut self, seed: u64, rounds: u32, focus: Focus) -> Result<(), Failure> {
        let mut planner = Planner::new(seed, focus);
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
            self.settle()?;
            self.begin(plan)?;
        }
        let (ports, output) = (self.work.join("ports.json"), self.output());
        let killed_before = self.data.exists();
        let site = Site {
            data: &self.data,
            config: self.config.as_deref(),
            ports: &ports,
            chance: plan.chance,
            output: &output,
        };
        let fleet = self.fleet.as_mut().context("the first round has a new directory")?;
        let done = self.player.play(plan, &site, fleet)?;
        self.kills += 1;
        let kept = self.program.kept(&self.data)?;
        for (name, output) in fleet.outputs()? {
            let confirmed = kept.get(&name).copied().unwrap_or(0);
            let unkept = output.arrived().saturating_sub(confirmed);
            *self.unkept.entry(name).or_default() += unkept;
        }
        let traces = Traces::read(&self.data)?;
        self.coverage.add(plan, &done, &traces, killed_before);
        for Outcome { connection, sent, reported, end } in &done.outcomes {
            let id = Id { round: plan.number, connection: *connection };
            let (complete, after_kill) = match end {
                End::EndOfFile(at) => (true, *at > done.killed),
                End::Broken(..) => (false, false),
            };
            let (sent, reported) = (*sent, *reported);
            let cut = done.unsynced.is_some();
            let account = Account { sent, complete, after_kill, reported, found_before: 0, cut };
            self.accounts.insert(id, account);
        }
        self.check(&format!("after the kill of round {}", plan.number), Some(plan.number))?;
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
        self.kills = 0;
        self.unkept.clear();
        let name = format!("data-{}", plan.number);
        self.data = self.work.join(&name);
        let fleet = Fleet::start(self.program, self.work, &name, plan.spread)?;
        let path = self.work.join("ingestry.toml");
        std::fs::write(&path, round::config(self.program.source, plan.max_bytes, &fleet.config()))?;
        self.config = Some(path);
        self.fleet = Some(fleet);
        Ok(())
    }

    /// Gives a directory that is to be left the time to deliver all that is stored, and looks at
    /// what has arrived.
    fn settle(&mut self) -> Result<(), Failure> {
        let Some(mut fleet) = self.fleet.take() else { return Ok(()) };
        fleet.wake_all()?;
        let mut arrival = Arrival::default();
        for _ in 0..TRIES {
            self.start_and_stop()?;
            let stored = self.program.search(&self.data)?;
            let with = |(name, output)| delivery::Output {
                unkept: self.unkept.get(&name).copied().unwrap_or(0),
                ..output
            };
            let outputs: Vec<_> = fleet.outputs()?.into_iter().map(with).collect();
            arrival = delivery::judge(&stored.lines, &outputs, self.kills);
            if arrival.missing == 0 {
                break;
            }
        }
        let Arrival { violations, lines, copies, allowed, .. } = arrival;
        self.coverage.settled(fleet.spread.policy, lines, copies, allowed);
        if !violations.is_empty() {
            let when = format!("once everything in {} was to be delivered", self.data.display());
            self.fleet = Some(fleet);
            return Err(Failure::Violations { when, violations });
        }
        if !self.keep {
            fleet.remove()?;
        }
        Ok(())
    }

    /// Starts the gateway on the directory and stops it in order, for which it has ten seconds to
    /// deliver.
    fn start_and_stop(&mut self) -> Result<()> {
        let gateway = self.start("a start to deliver")?;
        self.stop(gateway)
    }

    fn start(&self, what: &'static str) -> Result<Gateway> {
        let (ports, output) = (self.work.join("ports.json"), self.output());
        let site = Site {
            data: &self.data,
            config: self.config.as_deref(),
            ports: &ports,
            chance: 0,
            output: &output,
        };
        let mut gateway = self.program.start(&site)?;
        gateway.ready().context(what)?;
        Ok(gateway)
    }

    fn stop(&self, gateway: Gateway) -> Result<()> {
        let status = gateway.stop().context("the orderly stop")?;
        if status.code() != Some(0) {
            bail_with_output(&self.output(), &format!("the orderly stop ended with {status}"))?;
        }
        Ok(())
    }

    /// Asks the oracle. `round`: the one whose lines are seen for the first time.
    fn check(&mut self, when: &str, round: Option<u32>) -> Result<(), Failure> {
        let found = self.program.search(&self.data).with_context(|| when.to_owned())?;
        if !found.notes.is_empty() {
            println!("crash: a search {when} says: {}", found.notes);
        }
        let verdict = oracle::judge(&self.accounts, &found.lines);
        let of_round = verdict.found.iter().filter(|(id, _)| Some(id.round) == round);
        self.coverage.found += of_round.map(|(_, lines)| lines).sum::<u64>();
        if !verdict.violations.is_empty() {
            let when = when.to_owned();
            return Err(Failure::Violations { when, violations: verdict.violations });
        }
        for (id, account) in &mut self.accounts {
            account.found_before = verdict.found.get(id).copied().unwrap_or(0);
        }
        Ok(())
    }

    /// The directory that was left opens, holds the same, and is closed in order.
    pub(crate) fn last_start(&mut self) -> Result<(), Failure> {
        let gateway = self.start("the last start")?;
        self.check("while the gateway runs after the last round", None)?;
        self.stop(gateway)?;
        self.check("after the orderly stop", None)?;
        self.settle()?;
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
