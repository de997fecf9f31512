//! Who sends, and compares. A process of its own: it knows what it sent, which of it was
//! acknowledged, and what the destinations stored, and nothing of what happens to the gateway.

mod ledger;
mod sender;

use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use self::ledger::{Arrived, Ledger};
use crate::interop::Process;

/// The hidden first argument of the process.
pub(super) const SIDE: &str = "soak-oracle";
/// What it is asked for.
pub(super) const CHECK: &str = "check";
pub(super) const END: &str = "end";

/// How long deliveries may make no progress before they count as lost.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What it has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Brief {
    pub(super) binary: PathBuf,
    pub(super) seed: u64,
    /// Names, and where `ingestry send` sends to.
    pub(super) sources: Vec<(String, String)>,
    /// Their data directories.
    pub(super) destinations: Vec<PathBuf>,
}

/// What a comparison came to.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    /// Stored, at all destinations together.
    pub(super) arrived: u64,
    /// Beyond the first, at all destinations together.
    pub(super) copies: u64,
    /// By source: acknowledged of sent.
    pub(super) sources: Vec<(String, u64, u64)>,
    /// The promise that was broken.
    pub(super) broken: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, acknowledged, arrived, copies, .. } = self;
        write!(f, "{sent} sent, {acknowledged} acknowledged (")?;
        for (at, (name, acknowledged, sent)) in self.sources.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {acknowledged} of {sent}")?;
        }
        write!(f, "), {arrived} arrived, {copies} of them again")
    }
}

/// Does its work, if that is what this process was started for.
pub(crate) fn side() -> Option<Result<()>> {
    let mut args = std::env::args().skip(1);
    if args.next()? != SIDE {
        return None;
    }
    Some(serve(&args.next().unwrap_or_default()))
}

/// Whether anybody may send now.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    is_closed: bool,
    inside: usize,
}

impl Gate {
    /// Waits until it may, and counts as sending until [`Gate::leave`].
    fn enter(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = |state: &mut GateState| state.is_closed;
        let state = self.changed.wait_while(state, closed);
        state.unwrap_or_else(PoisonError::into_inner).inside += 1;
    }

    fn leave(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).inside -= 1;
        self.changed.notify_all();
    }

    /// Waits until nobody sends.
    fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_closed = true;
        drop(self.changed.wait_while(state, |state| state.inside > 0));
    }

    fn open(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_closed = false;
        self.changed.notify_all();
    }
}

fn serve(brief: &str) -> Result<()> {
    let brief: Brief = serde_json::from_str(brief).context("the brief of the oracle")?;
    let (gate, ledger) = (Arc::new(Gate::default()), Arc::new(Mutex::new(Ledger::default())));
    for (number, (name, url)) in brief.sources.iter().enumerate() {
        let sender = sender::Sender {
            binary: brief.binary.clone(),
            source: number,
            url: url.clone(),
            ledger: Arc::clone(&ledger),
        };
        ledger.lock().unwrap_or_else(PoisonError::into_inner).add_source(name);
        let (gate, seed) = (Arc::clone(&gate), brief.seed + number as u64);
        // They end with the process, which ends them between two bursts.
        std::thread::spawn(move || sender.run(&gate, seed));
    }
    for line in std::io::stdin().lock().lines() {
        gate.close();
        if line? != CHECK {
            break;
        }
        let report = compare(&brief, &ledger)?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
        out.flush()?;
        gate.open();
    }
    Ok(())
}

/// Looks at what has arrived until that is everything, or nothing more comes.
fn compare(brief: &Brief, ledger: &Mutex<Ledger>) -> Result<Report> {
    let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut had, mut moved) = (0, Instant::now());
    loop {
        let arrived = brief.destinations.iter().map(|data| search(&brief.binary, data, &ledger));
        let arrived: Vec<Arrived> = arrived.collect::<Result<_>>()?;
        let report = ledger.judge(&arrived);
        if report.arrived != had {
            (had, moved) = (report.arrived, Instant::now());
        }
        if report.broken.is_none() || moved.elapsed() > PATIENCE {
            return Ok(report);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// What a destination stored.
fn search(binary: &Path, data: &Path, ledger: &Ledger) -> Result<Arrived> {
    let mut command = Command::new(binary);
    command.arg("search").arg("--data-dir").arg(data).args(["--format", "raw"]);
    let mut process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let out = process.0.stdout.take().context("no output of a search")?;
    let mut arrived = ledger.nothing();
    let mut out = BufReader::with_capacity(1 << 20, out);
    let mut line = Vec::new();
    while out.read_until(b'\n', &mut line)? > 0 {
        arrived.add(&line);
        line.clear();
    }
    let status = process.0.wait()?;
    ensure!(status.success(), "`ingestry search` ended with {status}");
    Ok(arrived)
}
