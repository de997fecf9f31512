//! A destination: an honest gateway that takes entries by the Gravwell protocol and keeps them. It
//! comes and goes.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::gateway::SECRET;
use crate::interop::{Process, addresses, until};

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    Kill,
    Stall,
    Stop,
}

#[derive(Debug)]
pub(super) struct Destination {
    pub(super) name: &'static str,
    binary: PathBuf,
    dir: PathBuf,
    /// The same from its first start on.
    address: Option<SocketAddr>,
    running: Option<Process>,
    stalled: bool,
}

impl Destination {
    /// One that is not running.
    pub(super) fn new(binary: &Path, name: &'static str, dir: PathBuf) -> Self {
        let binary = binary.to_owned();
        Self { name, binary, dir, address: None, running: None, stalled: false }
    }

    /// Where it stores.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) fn address(&self) -> Result<SocketAddr> {
        self.address.context("a destination that never ran has no address")
    }

    /// It is up, and takes entries.
    pub(super) fn wake(&mut self) -> Result<()> {
        if let Some(process) = &self.running {
            if self.stalled {
                process.signal(Signal::CONT)?;
                self.stalled = false;
            }
            return Ok(());
        }
        std::fs::create_dir_all(&self.dir)?;
        let ports = self.dir.join("ports.json");
        let output = File::options().create(true).append(true).open(self.dir.join("output.txt"))?;
        let _ = std::fs::remove_file(&ports);
        let listen = match self.address {
            Some(address) => format!("gravwell={address}"),
            None => "gravwell=127.0.0.1:0".to_owned(),
        };
        let mut command = Command::new(&self.binary);
        command.arg("run").arg("--data-dir").arg(self.data()).args(["--listen", &listen]);
        command.arg("--ports-file").arg(&ports).env(SECRET.0, SECRET.1);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        self.running = Some(Process::start(&mut command)?);
        until("a destination accepts", || Ok(ports.exists()))?;
        self.address = addresses(&ports)?.get("gravwell").copied();
        Ok(())
    }

    /// Whether there was somebody to suffer.
    pub(super) fn suffer(&mut self, harm: Harm) -> Result<bool> {
        let Some(process) = &self.running else { return Ok(false) };
        match harm {
            Harm::Stall if self.stalled => return Ok(false),
            Harm::Stall => {
                process.signal(Signal::STOP)?;
                self.stalled = true;
                return Ok(true);
            }
            Harm::Stop if !self.stalled => {
                if let Some(process) = self.running.take() {
                    process.terminate("a destination stops")?;
                }
            }
            // One that stands still hears no other signal than this.
            Harm::Kill | Harm::Stop => drop(self.running.take()),
        }
        self.stalled = false;
        Ok(true)
    }
}
