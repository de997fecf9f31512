//! The other end of the oracle: starts it, asks it, and understands what it says.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::destination::Destination;
use super::gateway::{SECRET, SOURCES, Site};
use super::oracle::{Brief, CHECK, END, Report, SIDE};
use crate::interop::{Process, until};

/// The oracle, as a process.
#[derive(Debug)]
pub(super) struct Teller {
    process: Process,
    ask: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Teller {
    /// Starts it; it begins to send at once.
    pub(super) fn start(site: &Site, destinations: &[Destination], seed: u64) -> Result<Self> {
        let source = |(name, scheme): (&str, &str)| {
            let path = if name == "hydra" { "/ws-ingest/gravwell_ingestor" } else { "" };
            Ok((name.to_owned(), format!("{scheme}{}{path}", site.address(name)?)))
        };
        let brief = Brief {
            binary: site.binary.clone(),
            seed,
            sources: SOURCES.into_iter().map(source).collect::<Result<_>>()?,
            destinations: destinations.iter().map(Destination::data).collect(),
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args([SIDE, &serde_json::to_string(&brief)?]).env(SECRET.0, SECRET.1);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command)?;
        let ask = process.0.stdin.take().context("no way to ask the oracle")?;
        let hear = process.0.stdout.take().context("no way to hear the oracle")?;
        Ok(Self { process, ask, hear: BufReader::new(hear) })
    }

    /// It is still there.
    pub(super) fn is_well(&mut self) -> Result<()> {
        ensure!(self.process.0.try_wait()?.is_none(), "the oracle ended by itself");
        Ok(())
    }

    /// Lets it stop sending, wait for what is under way, and compare.
    pub(super) fn check(&mut self) -> Result<Report> {
        writeln!(self.ask, "{CHECK}").context("the oracle does not listen")?;
        let mut line = String::new();
        self.hear.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the oracle said {line:?}"))
    }

    /// It sends no more.
    pub(super) fn end(&mut self) -> Result<()> {
        writeln!(self.ask, "{END}").context("the oracle does not listen")?;
        until("the oracle ends", || Ok(self.process.0.try_wait()?.is_some()))
    }
}
