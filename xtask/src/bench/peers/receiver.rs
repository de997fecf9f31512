//! A program that takes lines of Graphite over TCP and is to pass them on to a server, ours among
//! them. All keep what nobody takes from them, in memory or on disk.

use std::cell::OnceCell;
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::{carbon, rsyslog, telegraf};
use crate::crash::{Profile, build};
use crate::interop::addresses;
use crate::interop::process::{Process, free_port};
use crate::interop::programs::{find, python};

/// How long a program may take until it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than any run sends: nothing is dropped because of a limit.
pub(super) const ROOM: u64 = 2_000_000;

/// A program, and how it keeps what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) enum Kind {
    Ours,
    /// A queue on disk, each message synced, and its state with it.
    RsyslogSynced,
    /// A queue on disk as it is when nothing is said about syncs.
    RsyslogDisk,
    RsyslogMemory,
    /// The buffer on disk, synced, which is its default.
    TelegrafSynced,
    TelegrafMemory,
    CarbonRelay,
    CarbonCRelay,
}

impl Kind {
    /// Those that were not written here.
    pub(in crate::bench) const FOREIGN: [Self; 7] = [
        Self::RsyslogSynced,
        Self::RsyslogDisk,
        Self::RsyslogMemory,
        Self::TelegrafSynced,
        Self::TelegrafMemory,
        Self::CarbonRelay,
        Self::CarbonCRelay,
    ];

    pub(in crate::bench) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::RsyslogSynced => "rsyslog-synced",
            Self::RsyslogDisk => "rsyslog-disk",
            Self::RsyslogMemory => "rsyslog-memory",
            Self::TelegrafSynced => "telegraf-synced",
            Self::TelegrafMemory => "telegraf-memory",
            Self::CarbonRelay => "carbon-relay",
            Self::CarbonCRelay => "carbon-c-relay",
        }
    }

    /// The program, built or installed if that can be done from a registry.
    fn program(self) -> Result<PathBuf> {
        match self {
            Self::Ours => build(Profile::Release, false),
            Self::RsyslogSynced | Self::RsyslogDisk | Self::RsyslogMemory => rsyslog::program(),
            Self::TelegrafSynced | Self::TelegrafMemory => telegraf::program(),
            Self::CarbonRelay => python(&[("carbon", "carbon"), ("whisper", "whisper")]),
            Self::CarbonCRelay => find("carbon-c-relay", "carbon-c-relay"),
        }
    }
}

/// One of them, ready to be started.
#[derive(Debug)]
pub(in crate::bench) struct Receiver {
    pub(in crate::bench) kind: Kind,
    program: OnceCell<PathBuf>,
}

/// One that runs: killed and reaped when it is dropped.
#[derive(Debug)]
pub(in crate::bench) struct Running {
    process: Process,
    pub(in crate::bench) to: SocketAddr,
}

impl Receiver {
    pub(in crate::bench) const fn new(kind: Kind) -> Self {
        Self { kind, program: OnceCell::new() }
    }

    /// Finds, builds or installs the program.
    pub(in crate::bench) fn prepare(&self) -> Result<&Path> {
        if self.program.get().is_none() {
            let program = self.kind.program().with_context(|| self.kind.name())?;
            let _ = self.program.set(program);
        }
        self.program.get().map(PathBuf::as_path).context("it was set")
    }

    /// Starts it in a directory, where it may have run before; what it takes is for this address.
    pub(in crate::bench) fn start(&self, dir: &Path, out: SocketAddr) -> Result<Running> {
        let program = self.prepare()?;
        if self.kind == Kind::Ours {
            return ours(program, dir, out);
        }
        let listen = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let mut command = Command::new(program);
        match self.kind {
            Kind::Ours => {}
            Kind::RsyslogSynced | Kind::RsyslogDisk | Kind::RsyslogMemory => {
                rsyslog::arguments(&mut command, self.kind, dir, listen, out)?;
            }
            Kind::TelegrafSynced | Kind::TelegrafMemory => {
                telegraf::arguments(&mut command, self.kind, dir, listen, out)?;
            }
            Kind::CarbonRelay => carbon::relay(&mut command, program, dir, listen, out)?,
            Kind::CarbonCRelay => carbon::c_relay(&mut command, dir, listen, out)?,
        }
        let mut process = spawn(&mut command, dir)?;
        wait(&mut process, self.kind.name(), dir, || TcpStream::connect(listen).is_ok())?;
        Ok(Running { process, to: listen })
    }
}

impl Running {
    pub(in crate::bench) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Lets it stand still.
    pub(in crate::bench) fn stop(&self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }
}

fn ours(program: &Path, dir: &Path, out: SocketAddr) -> Result<Running> {
    let (file, ports) = (dir.join("ingestry.toml"), dir.join("ports.json"));
    let data = dir.join("data");
    let config = format!(
        "[log]\ndir = {data:?}\n[admin]\nenabled = false\n[sources.graphite]\ntype = \"graphite\"\n\
         listen = \"127.0.0.1:0\"\n[destinations.out]\ntype = \"graphite\"\nformat = \"lines\"\n\
         targets = [\"{out}\"]\n"
    );
    std::fs::write(&file, config)?;
    if ports.exists() {
        std::fs::remove_file(&ports)?;
    }
    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(&file).arg("--ports-file").arg(&ports);
    let mut process = spawn(&mut command, dir)?;
    wait(&mut process, "ours", dir, || ports.exists())?;
    let to = addresses(&ports)?.get("graphite").copied().context("no address of the source")?;
    Ok(Running { process, to })
}

fn spawn(command: &mut Command, dir: &Path) -> Result<Process> {
    let output = File::create(dir.join("output"))?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    Process::start(command)
}

/// Waits until it is so, as long as the program runs.
fn wait(process: &mut Process, name: &str, dir: &Path, is_so: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        let ended = process.0.try_wait()?;
        if ended.is_some() || Instant::now() > deadline {
            let output = std::fs::read_to_string(dir.join("output")).unwrap_or_default();
            let last: Vec<_> = output.lines().rev().take(3).collect();
            bail!("{name} does not listen; its end is {ended:?}, its last lines are {last:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_instead_of_listening_is_an_error_with_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let mut process = spawn(command.args(["-c", "echo no such option"]), dir.path()).unwrap();
        let error = wait(&mut process, "it", dir.path(), || false).unwrap_err().to_string();
        assert!(error.contains("no such option"), "{error}");
    }

    #[test]
    fn every_foreign_kind_has_a_name_of_its_own() {
        let mut names: Vec<_> = Kind::FOREIGN.iter().map(|kind| kind.name()).collect();
        names.push(Kind::Ours.name());
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::FOREIGN.len() + 1);
    }
}
