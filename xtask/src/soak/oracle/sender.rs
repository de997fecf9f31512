//! Bursts of lines to one source, one after the other.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Gate;
use super::ledger::{Ledger, text};
use crate::crash::Rng;
use crate::interop::{Process, until};

/// Lines of the longest burst.
const MOST: u64 = 4_000;
/// Lines a second.
const RATE: &str = "800";
/// After a burst that was not acknowledged.
const PAUSE: Duration = Duration::from_millis(200);

/// Sends to one source, for ever.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) binary: PathBuf,
    pub(super) source: usize,
    pub(super) url: String,
    pub(super) ledger: Arc<Mutex<Ledger>>,
}

impl Sender {
    pub(super) fn run(&self, gate: &Gate, seed: u64) {
        let mut rng = Rng::new(seed);
        loop {
            gate.enter();
            let sent = self.burst(rng.within(1, MOST));
            gate.leave();
            if !matches!(sent, Ok(true)) {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Whether all of it was acknowledged.
    fn burst(&self, lines: u64) -> Result<bool> {
        let ledger = || self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let burst = ledger().begin(self.source, lines);
        let mut command = Command::new(&self.binary);
        command.args(["send", "--to", &self.url, "--rate", RATE, "--wait", "60", "--tag", "soak"]);
        command.args(["--header", "hydra-ack=persisted"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::start(&mut command)?;
        let mut input = process.0.stdin.take().context("no input")?;
        for line in 1..=lines {
            writeln!(input, "{}", text(burst, line))?;
        }
        drop(input);
        until("a burst ends", || Ok(process.0.try_wait()?.is_some()))?;
        let acknowledged = process.0.wait()?.success() && !self.url.starts_with("graphite-udp:");
        if acknowledged {
            ledger().acknowledged(burst);
        }
        // Datagrams are not acknowledged, and that is no reason to wait.
        Ok(acknowledged || self.url.starts_with("graphite-udp:"))
    }
}
