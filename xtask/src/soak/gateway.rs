//! The gateway under test: its configurations, its starts and its ends.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::broken;
use super::destination::Destination;
use crate::interop::{Process, addresses, status, until};

/// The secret of sources and destinations: the name of the variable, and its value.
pub(super) const SECRET: (&str, &str) = ("INGEST_SECRET", "soak");
/// What the process may hold: `log.memory`, and what a gateway takes that does nothing.
pub(super) const MEMORY_KIB: u64 = (16 + 48) * 1024;

/// Its sources, the types of their configuration, and how `ingestry send` names them.
pub(super) const SOURCES: [(&str, &str); 6] = [
    ("graphite", "graphite://"),
    ("graphite-udp", "graphite-udp://"),
    ("graphite-pickle", "graphite-pickle://"),
    ("graphite-protobuf", "graphite-protobuf://"),
    ("gravwell", "gravwell://"),
    ("hydra", "ws://"),
];

/// Whether a configuration has a source more than the others.
pub(super) const fn has_extra(variant: u32) -> bool {
    variant % 2 == 1
}

/// Where it is, and how it is configured.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) binary: PathBuf,
    dir: PathBuf,
    plant: Option<&'static str>,
    /// The same in every configuration, once it has run.
    addresses: BTreeMap<String, SocketAddr>,
}

impl Site {
    pub(super) fn new(binary: &Path, work: &Path, plant: Option<&'static str>) -> Result<Self> {
        let dir = work.join("gateway");
        std::fs::create_dir(&dir)?;
        Ok(Self { binary: binary.to_owned(), dir, plant, addresses: BTreeMap::new() })
    }

    /// A destination beside it.
    pub(super) fn destination(&self, name: &'static str) -> Destination {
        let dir = self.dir.with_file_name(format!("destination-{name}"));
        Destination::new(&self.binary, name, dir)
    }

    pub(super) fn address(&self, name: &str) -> Result<SocketAddr> {
        self.addresses.get(name).copied().with_context(|| format!("no address of {name}"))
    }

    /// Runs it once, for addresses that stay.
    pub(super) fn settle(&mut self, destinations: &[Destination]) -> Result<()> {
        self.write(0, destinations)?;
        self.start(None)?.stop()?;
        self.addresses = addresses(&self.ports())?;
        self.write(0, destinations)
    }

    fn config(&self) -> PathBuf {
        self.dir.join("ingestry.toml")
    }

    fn ports(&self) -> PathBuf {
        self.dir.join("ports.json")
    }

    /// Writes one of the configurations.
    pub(super) fn write(&self, variant: u32, destinations: &[Destination]) -> Result<()> {
        let mut text = format!(
            "[log]\ndir = {:?}\nmax_bytes = \"8 MiB\"\nmin_free = 0\nmemory = \"16 MiB\"\n\
             keep.bytes = \"1 MiB\"\n",
            self.dir.join("data")
        );
        let listen = |name: &str| match self.addresses.get(name) {
            Some(address) => address.to_string(),
            None => "127.0.0.1:0".to_owned(),
        };
        writeln!(text, "[admin]\nlisten = \"{}\"", listen("admin"))?;
        for (name, _) in SOURCES {
            let at = listen(name);
            writeln!(text, "[sources.{name}]\ntype = \"{name}\"\nlisten = \"{at}\"")?;
            if name == "gravwell" {
                writeln!(text, "secret = \"env:{}\"", SECRET.0)?;
            }
            if name.starts_with("graphite-p") && variant % 3 == 1 {
                writeln!(text, "max_frame = \"2 MiB\"")?;
            }
        }
        if has_extra(variant) {
            writeln!(text, "[sources.extra]\ntype = \"graphite\"\nlisten = \"127.0.0.1:0\"")?;
        }
        for destination in destinations {
            let (name, at) = (destination.name, destination.address()?);
            writeln!(
                text,
                "[destinations.{name}]\ntype = \"gravwell\"\ntargets = [\"tcp://{at}\"]\n\
                 secret = \"env:{}\"\non_lag = \"block\"\ncompression = {}",
                SECRET.0,
                name == "b" && variant % 4 >= 2
            )?;
        }
        std::fs::write(self.config(), text).context("cannot write a configuration")
    }

    /// Writes one that cannot be taken.
    pub(super) fn write_wrong(&self) -> Result<()> {
        let mut text = std::fs::read_to_string(self.config())?;
        text.push_str("[sources.wrong]\ntype = \"graphit\"\n");
        std::fs::write(self.config(), text).context("cannot write a configuration")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg(name).arg("--config").arg(self.config());
        command.env(SECRET.0, SECRET.1).env_remove("INGESTRY_PLANT").env_remove("INGESTRY_POWER");
        command
    }

    /// `ingestry reload`: how it ended, and how long it took.
    pub(super) fn reload(&self) -> Result<(ExitStatus, Duration)> {
        let mut command = self.command("reload");
        let output = File::options().create(true).append(true).open(self.dir.join("reload.txt"))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let began = Instant::now();
        Ok((command.status().context("cannot reload")?, began.elapsed()))
    }

    /// Starts it, and waits until it accepts. With `power`, a kill is a power cut.
    pub(super) fn start(&self, power: Option<u64>) -> Result<Gateway> {
        let _ = std::fs::remove_file(self.ports());
        let output = File::options().create(true).append(true).open(self.dir.join("output.txt"))?;
        let mut command = self.command("run");
        command.arg("--ports-file").arg(self.ports());
        if let Some(plant) = self.plant {
            command.env("INGESTRY_PLANT", plant);
        }
        if let Some(seed) = power {
            command.env("INGESTRY_POWER", seed.to_string());
        }
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut process = Process::start(&mut command)?;
        let ports = self.ports();
        until("the gateway accepts", || {
            ensure!(process.0.try_wait()?.is_none(), broken("the gateway does not start"));
            Ok(ports.exists())
        })?;
        let admin = *addresses(&ports)?.get("admin").context("no address of admin")?;
        Ok(Gateway { process, admin, power: power.is_some() })
    }
}

/// It, running.
#[derive(Debug)]
pub(super) struct Gateway {
    process: Process,
    admin: SocketAddr,
    power: bool,
}

impl Gateway {
    pub(super) fn status(&self) -> Result<serde_json::Value> {
        status(self.admin)
    }

    pub(super) fn log_health(&self) -> Result<String> {
        let status = self.status()?;
        let health = status.pointer("/log/health").and_then(|health| health.as_str());
        Ok(health.context("the status says nothing of the log's health")?.to_owned())
    }

    pub(super) fn has_source(&self, name: &str) -> Result<bool> {
        let status = self.status()?;
        let sources = status.get("sources").and_then(|sources| sources.as_array());
        let sources = sources.context("the status has no sources")?;
        let listens = |row: &serde_json::Value| {
            row.get("name").is_some_and(|it| it == name)
                && row.get("listen").is_some_and(|listen| listen != "")
        };
        Ok(sources.iter().any(listens))
    }

    /// The most that was ever resident.
    pub(super) fn peak_kib(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))
            .map_err(|_| broken("the gateway ended by itself"))?;
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix("kB"));
        peak.context("no peak of the memory")?.trim().parse().context("the peak of the memory")
    }

    /// SIGHUP.
    pub(super) fn hang_up(&self) -> Result<()> {
        self.process.signal(Signal::HUP)
    }

    /// SIGKILL, and whether that was a power cut.
    pub(super) fn kill(&mut self) -> Result<bool> {
        if let Some(status) = self.process.0.try_wait()? {
            return Err(broken(format!("the gateway ended by itself: {status}")));
        }
        self.process.0.kill()?;
        self.process.0.wait()?;
        Ok(self.power)
    }

    /// SIGTERM: it has to end well.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM)?;
        until("the gateway stops", || Ok(self.process.0.try_wait()?.is_some()))?;
        let status = self.process.0.wait()?;
        ensure!(status.success(), broken(format!("a stop ended with {status}")));
        Ok(())
    }
}
