//! The program under test: built, started, killed, stopped, and asked what it holds.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use crate::interop::addresses;
use crate::util;

/// How long a start, a stop or a search may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the system is asked about what it sends no word of.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Names the planted bug.
const PLANT: &str = "INGESTRY_PLANT";
/// Makes a kill a power cut: a seed.
const POWER: &str = "INGESTRY_POWER";
/// Names the file in which the layer says what a cut would take.
const BEACON: &str = "INGESTRY_POWER_BEACON";

/// The profile that the program is built with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    #[default]
    Release,
}

impl std::str::FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "dev" => Ok(Self::Dev),
            "release" => Ok(Self::Release),
            _ => Err(format!("found \"{name}\"; allowed: dev, release")),
        }
    }
}

/// Builds the program and says where it is.
pub(crate) fn build(profile: Profile, plants: bool) -> Result<PathBuf> {
    build_with(profile, if plants { &["plants"] } else { &[] })
}

/// The same with these features.
pub(crate) fn build_with(profile: Profile, features: &[&str]) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(util::project_root()?);
    cargo.args(["build", "--locked", "--quiet", "--package", "ingest-gateway"]);
    cargo.args(["--bin", "ingestry", "--message-format", "json-render-diagnostics"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    if !features.is_empty() {
        cargo.args(["--features", &features.join(",")]);
    }
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the program does not build: {cargo:?}");
    let text = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    executable(messages).context("cargo did not say where the program is")
}

/// Where the program is, as cargo's messages say.
pub(crate) fn executable(messages: impl Iterator<Item = serde_json::Value>) -> Option<PathBuf> {
    let path = |message: serde_json::Value| message.get("executable")?.as_str().map(Into::into);
    messages.filter_map(path).last()
}

/// How lines come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Source {
    /// As lines; the end of file says that all is stored.
    #[default]
    Graphite,
    /// As messages of Hydra's, each with a report.
    Hydra,
}

impl Source {
    /// Its name, and its type.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Graphite => "graphite",
            Self::Hydra => "hydra",
        }
    }
}

impl std::str::FromStr for Source {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = [Self::Graphite, Self::Hydra].into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| format!("found \"{name}\"; allowed: graphite, hydra"))
    }
}

/// The program, and how it is started.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) binary: PathBuf,
    pub(crate) source: Source,
    pub(crate) plant: Option<&'static str>,
    /// Where a kill is a power cut: the file that says what it takes.
    pub(crate) beacon: Option<PathBuf>,
}

/// What the last cut took, or one would take now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unsynced {
    /// Sectors of cursor files.
    pub(crate) cursors: u64,
    /// Sectors of other files: of segments, nearly always.
    pub(crate) others: u64,
    /// Changes of names.
    pub(crate) names: u64,
}

impl Unsynced {
    fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { cursors: next()?, others: next()?, names: next()? })
    }
}

/// The secret of destinations: the name of the variable, and its value.
const SECRET: (&str, &str) = ("INGEST_SECRET", "crash");

/// Where a destination keeps its things.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) data: PathBuf,
    pub(crate) ports: PathBuf,
    /// What it prints.
    pub(crate) output: PathBuf,
}

/// Where a gateway keeps its things.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) data: &'a Path,
    pub(crate) config: Option<&'a Path>,
    pub(crate) ports: &'a Path,
    /// Decides what a power layer lets through early.
    pub(crate) chance: u64,
    /// What it prints.
    pub(crate) output: &'a Path,
}

impl Program {
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg(name).stdin(Stdio::null());
        command.env_remove(PLANT).env_remove(POWER).env_remove(BEACON).env(SECRET.0, SECRET.1);
        if let Some(plant) = self.plant {
            command.env(PLANT, plant);
        }
        command
    }

    /// Starts a gateway, which has not opened anything yet.
    pub(crate) fn start(&self, site: &Site<'_>) -> Result<Gateway> {
        remove_if_there(site.ports)?;
        let output = File::create(site.output)
            .with_context(|| format!("cannot write {}", site.output.display()))?;
        let mut command = self.command("run");
        command.arg("--data-dir").arg(site.data);
        if let Some(beacon) = &self.beacon {
            remove_if_there(beacon)?;
            command.env(POWER, site.chance.to_string()).env(BEACON, beacon);
        }
        let name = self.source.name();
        command.args(["--listen", &format!("{name}=127.0.0.1:0"), "--ports-file"]).arg(site.ports);
        if let Some(config) = site.config {
            command.arg("--config").arg(config);
        }
        command.stdout(output.try_clone()?).stderr(output);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let ports = site.ports.to_owned();
        Ok(Gateway { child: Guard(child), started, ports, source: name })
    }

    /// Starts a gateway that is a destination, at the address that it had before, if it had one.
    pub(crate) fn start_destination(
        &self,
        place: &Place,
        at: Option<SocketAddr>,
    ) -> Result<Gateway> {
        remove_if_there(&place.ports)?;
        let output = File::create(&place.output)
            .with_context(|| format!("cannot write {}", place.output.display()))?;
        let at = at.map_or_else(|| "127.0.0.1:0".to_owned(), |at| at.to_string());
        let mut command = self.command("run");
        command.arg("--data-dir").arg(&place.data).arg("--ports-file").arg(&place.ports);
        command.args(["--listen", &format!("gravwell={at}")]);
        command.stdout(output.try_clone()?).stderr(output);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let ports = place.ports.clone();
        Ok(Gateway { child: Guard(child), started, ports, source: "gravwell" })
    }

    /// What no sync covers now; `None` when a kill is no power cut.
    pub(crate) fn unsynced(&self) -> Option<Unsynced> {
        let beacon = self.beacon.as_ref()?;
        // Killed before it has said anything, it had nothing.
        let line = std::fs::read_to_string(beacon).unwrap_or_default();
        Some(Unsynced::parse(&line).unwrap_or_default())
    }

    /// Everything that is stored. Nothing, when the directory was not made yet.
    pub(crate) fn search(&self, data: &Path) -> Result<Found> {
        if !data.exists() {
            return Ok(Found::default());
        }
        let mut command = self.command("search");
        command.arg("--data-dir").arg(data).args(["--tag", "graphite", "--format", "raw"]);
        let (lines, notes) = output_of(command)?;
        let lines = match self.source {
            Source::Graphite => lines,
            Source::Hydra => without_blanks(&lines),
        };
        Ok(Found { lines, notes })
    }

    /// How many entries each output has confirmed, by the state that is kept on the disk.
    pub(crate) fn kept(&self, data: &Path) -> Result<BTreeMap<String, u64>> {
        // A kill may come before there is a log, and a power cut takes its names.
        if !data.exists() || is_empty(data)? {
            return Ok(BTreeMap::new());
        }
        let mut command = self.command("wal");
        command.args(["inspect", "--json", "--data-dir"]).arg(data);
        let (text, _) = output_of(command)?;
        let inspected: Inspected = serde_json::from_slice(&text)
            .context("the output of an inspection has another form")?;
        Ok(inspected.outputs.into_iter().map(|output| (output.name, output.confirmed)).collect())
    }
}

fn is_empty(dir: &Path) -> Result<bool> {
    Ok(std::fs::read_dir(dir).context("cannot list a data directory")?.next().is_none())
}

/// What an inspection says, as far as it is of interest here.
#[derive(Debug, serde::Deserialize)]
struct Inspected {
    outputs: Vec<InspectedOutput>,
}

#[derive(Debug, serde::Deserialize)]
struct InspectedOutput {
    name: String,
    confirmed: u64,
}

/// Runs a command to its end: what it printed, and what it said beside that.
fn output_of(mut command: Command) -> Result<(Vec<u8>, String)> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    let mut child = Guard(child);
    let (out, err) = (child.0.stdout.take(), child.0.stderr.take());
    let (status, out, err) = std::thread::scope(|scope| {
        let out = scope.spawn(|| read_all(out));
        let err = scope.spawn(|| read_all(err));
        let status = child.wait(PATIENCE);
        // The readers end with the child, whatever became of it.
        child.end();
        (status, out.join(), err.join())
    });
    let status = status.with_context(|| format!("{command:?}"))?;
    let (Ok(out), Ok(err)) = (out, err) else { bail!("cannot read what {command:?} prints") };
    let notes = String::from_utf8_lossy(&err?).trim_end().to_owned();
    ensure!(status.success(), "{command:?} ended with {status}: {notes}");
    Ok((out?, notes))
}

/// A payload behind an id begins with the blank between them.
fn without_blanks(lines: &[u8]) -> Vec<u8> {
    let lines = lines.split_inclusive(|byte| *byte == b'\n');
    lines.flat_map(|line| line.strip_prefix(b" ").unwrap_or(line)).copied().collect()
}

/// What a search printed.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// A line an entry, in the order of the log.
    pub(crate) lines: Vec<u8>,
    /// What it said beside them.
    pub(crate) notes: String,
}

/// A running gateway: killed and reaped when it is dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Guard,
    started: Instant,
    ports: PathBuf,
    /// The source whose address is wanted.
    source: &'static str,
}

impl Gateway {
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// Waits until it accepts: its address, and how long that took.
    pub(crate) fn ready(&mut self) -> Result<(SocketAddr, Duration)> {
        // No event says that a file has appeared, so this looks again.
        while !self.is_ready() {
            if let Some(status) = self.child.0.try_wait()? {
                bail!("the gateway ended by itself while it started: {status}");
            }
            ensure!(self.started.elapsed() < PATIENCE, "the gateway did not start in {PATIENCE:?}");
            std::thread::sleep(LOOK_AGAIN);
        }
        let took = self.started.elapsed();
        let ports = addresses(&self.ports)?;
        let address = ports.get(self.source).context("its source has no address")?;
        Ok((*address, took))
    }

    /// Whether it has said that it accepts.
    pub(crate) fn is_ready(&self) -> bool {
        self.ports.exists()
    }

    /// SIGKILL, and whether it was still running then.
    pub(crate) fn kill(mut self) -> Result<Option<ExitStatus>> {
        let ended = self.child.0.try_wait()?;
        self.child.0.kill().context("cannot kill the gateway")?;
        self.child.wait(PATIENCE)?;
        Ok(ended)
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.child.wait(PATIENCE)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child.0);
        rustix::process::kill_process(pid, signal).context("cannot send a gateway a signal")
    }
}

fn read_all(pipe: Option<impl io::Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A child that is killed and reaped when it is dropped.
#[derive(Debug)]
struct Guard(Child);

impl Guard {
    /// Waits for its end; the standard library has no such wait with a deadline.
    fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "a process did not end within {patience:?}");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn end(&mut self) {
        // One that has ended cannot be killed, and that is all that can be wrong.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Gateway {
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let ports = "no/such/file".into();
        Gateway { child: Guard(child), started: Instant::now(), ports, source: "graphite" }
    }

    #[test]
    fn sources_have_names() {
        assert_eq!("hydra".parse(), Ok(Source::Hydra));
        assert!("kafka".parse::<Source>().unwrap_err().contains("allowed: graphite, hydra"));
    }

    #[test]
    fn one_blank_is_no_part_of_a_line() {
        assert_eq!(without_blanks(b" a b\n  c\nd\n"), b"a b\n c\nd\n");
    }

    #[test]
    fn profiles_have_names() {
        assert_eq!("dev".parse(), Ok(Profile::Dev));
        assert_eq!("release".parse(), Ok(Profile::Release));
        assert!("fast".parse::<Profile>().unwrap_err().contains("allowed: dev, release"));
    }

    #[test]
    fn the_last_executable_is_the_program() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
            {"reason":"compiler-artifact","executable":"/t/ingestry"}
            {"reason":"build-finished","success":true}"#;
        let messages = || messages.lines().filter_map(|line| serde_json::from_str(line).ok());
        assert_eq!(executable(messages()), Some("/t/ingestry".into()));
        assert_eq!(executable(messages().take(1)), None);
    }

    #[test]
    fn beacons_are_read() {
        let unsynced = Unsynced { cursors: 1, others: 20, names: 3 };
        assert_eq!(Unsynced::parse("         1         20          3\n"), Some(unsynced));
        assert_eq!(Unsynced::parse("         1         20"), None);
        assert_eq!(Unsynced::parse(""), None);
    }

    #[test]
    fn kills_say_whether_somebody_was_there() {
        assert_eq!(shell("exec cat /dev/zero >/dev/null").kill().unwrap(), None);
        let mut gone = shell("exit 7");
        let status = gone.child.wait(PATIENCE).unwrap();
        assert_eq!(gone.kill().unwrap(), Some(status));
        assert_eq!(status.code(), Some(7));
    }

    #[test]
    fn a_program_that_ends_by_itself_never_gets_ready() {
        let error = shell("exit 3").ready().unwrap_err().to_string();
        assert!(error.contains("ended by itself") && error.contains('3'), "{error}");
    }

    #[test]
    fn nobody_outlives_the_guard() {
        let mut gateway = shell("exec cat /dev/zero >/dev/null");
        let pid = gateway.child.0.id();
        assert!(gateway.child.0.try_wait().unwrap().is_none());
        drop(gateway);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
