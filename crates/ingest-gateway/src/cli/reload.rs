//! `ingestry reload`: the gateway on a directory reads its configuration again, and says what came
//! of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use ingest_wal::{Directory, OpenError, StdFileSystem};
use rustix::process::{Pid, Signal, kill_process};

use super::Exit;
use crate::config::{self, Overrides};
use crate::reload_files::{Answer, Request};

/// How long the gateway may take.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// Arguments of `reload`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ReloadArgs {
    /// The configuration that the gateway was started with: it is checked first, and names the
    /// directory of the log
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The directory of the log, instead of log.dir [default: ingestry-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Also when a destination is gone for which entries are queued; they are kept for a day
    #[arg(long)]
    pub drop_undelivered: bool,
}

/// Asks, and prints the answer.
pub(super) fn run(args: &ReloadArgs) -> anyhow::Result<Exit> {
    let overrides = Overrides { data_dir: args.data_dir.clone(), ..Overrides::default() };
    let config = match config::for_run(args.config.as_deref(), &overrides) {
        Ok(loaded) => loaded.config,
        Err(error) => {
            note(&format!("{error}\nNothing was changed."));
            return Ok(Exit::Usage);
        }
    };
    let dir = &config.log.dir;
    let Some(pid) = gateway_on(dir)? else {
        note(&format!("error: no gateway runs on {}", dir.display()));
        return Ok(Exit::Failed);
    };
    let mut number = [0; 8];
    getrandom::fill(&mut number)?;
    let number = u64::from_le_bytes(number);
    Request { number, drop_undelivered: args.drop_undelivered }.write(dir)?;
    kill_process(pid, Signal::HUP)?;
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = Answer::take(dir, number) {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{}", answer.text);
            return Ok(if answer.applied { Exit::Fine } else { Exit::Failed });
        }
        if Instant::now() >= until {
            anyhow::bail!("the gateway (process {}) has not answered", pid.as_raw_nonzero());
        }
        std::thread::sleep(LOOK);
    }
}

/// Who holds the log.
fn gateway_on(dir: &Path) -> anyhow::Result<Option<Pid>> {
    match Directory::new(dir, Arc::new(StdFileSystem)).hold(Duration::ZERO) {
        Ok(_) => Ok(None),
        Err(OpenError::InUse { pid, .. }) => {
            Ok(pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw))
        }
        Err(_) if !dir.exists() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
