//! The program as a child process.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::wait::until;

/// The default set on ports that the system chooses.
pub(crate) const ANY_PORTS: [&str; 6] = [
    "--listen",
    "graphite=127.0.0.1:0",
    "--listen",
    "graphite-udp=127.0.0.1:0",
    "--listen",
    "admin=127.0.0.1:0",
];

/// The program with these arguments, at work in `work`.
fn command(work: &Path, args: &[&str]) -> Command {
    at_work(work, Command::new(env!("CARGO_BIN_EXE_ingestry")), args)
}

fn at_work(work: &Path, mut command: Command, args: &[&str]) -> Command {
    command
        .args(args)
        .current_dir(work)
        .env_remove("INGESTRY_LOG")
        .env_remove("INGEST_SECRET")
        .env_remove("GRAVWELL_INGEST_SECRET")
        .stdin(Stdio::null());
    command
}

/// The program as a service manager starts it: with sockets that are bound already.
fn activated(work: &Path, tcp: &TcpListener, udp: &UdpSocket, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    // Descriptors 3 and 4 are what the manager hands over.
    let script = "exec 3<&0 4>&1 </dev/null >/dev/null; LISTEN_PID=$$ exec \"$@\"";
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_ingestry")]);
    let mut command = at_work(work, command, args);
    let (tcp, udp) = (tcp.try_clone().unwrap(), udp.try_clone().unwrap());
    command
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", "graphite:ingestry.socket")
        .stdin(OwnedFd::from(tcp))
        .stdout(OwnedFd::from(udp));
    command
}

/// Runs a command that ends by itself.
pub(crate) fn ended(work: &Path, args: &[&str]) -> Output {
    let child = command(work, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.wait_with_output().unwrap()
}

/// Runs a command that reads its input to the end: its exit code, and what it printed.
pub(crate) fn piped(work: &Path, args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let file = work.join("input");
    std::fs::write(&file, input).unwrap();
    let output = command(work, args).stdin(File::open(&file).unwrap()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Runs a command that must end well, and gives out what it printed.
pub(crate) fn printed(work: &Path, args: &[&str]) -> String {
    let output = ended(work, args);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {:?}, {err}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// A gateway in a process of its own. Dropping it kills and reaps the process.
#[derive(Debug)]
pub(crate) struct Ingestry {
    child: Child,
    ports: BTreeMap<String, SocketAddr>,
    out: PathBuf,
    err: PathBuf,
}

impl Ingestry {
    /// Starts the program in `work`, where its output goes to files, and waits until it listens.
    pub(crate) fn start(work: &Path, args: &[&str]) -> Self {
        let (mut command, number) = (command(work, args), next());
        command.stdout(File::create(work.join(format!("out-{number}"))).unwrap());
        Self::spawn(work, command, number)
    }

    /// Starts it with sockets that are bound already, and without an output.
    pub(crate) fn start_activated(
        work: &Path,
        tcp: &TcpListener,
        udp: &UdpSocket,
        args: &[&str],
        env: &[(&str, &OsStr)],
    ) -> Self {
        let mut command = activated(work, tcp, udp, args);
        command.envs(env.iter().copied());
        let number = next();
        File::create(work.join(format!("out-{number}"))).unwrap();
        Self::spawn(work, command, number)
    }

    fn spawn(work: &Path, mut command: Command, number: usize) -> Self {
        let file = |what: &str| work.join(format!("{what}-{number}"));
        let (out, err, ports) = (file("out"), file("err"), file("ports"));
        let child = command
            .arg("--ports-file")
            .arg(&ports)
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let mut ingestry = Self { child, ports: BTreeMap::new(), out, err };
        let text = until("the ports file", || {
            if let Some(status) = ingestry.child.try_wait().unwrap() {
                panic!("ended at once: {status}, {}", ingestry.err());
            }
            std::fs::read_to_string(&ports).ok()
        });
        ingestry.ports = serde_json::from_str(&text).unwrap();
        ingestry
    }

    /// The address that a source, or `admin`, has bound.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.ports[name]
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What `ingestry send`, at work in `work`, makes of a text for one of its sources: its exit
    /// code, and what it printed.
    pub(crate) fn sent(
        &self,
        work: &Path,
        source: &str,
        scheme: &str,
        tag: &str,
        text: &str,
    ) -> (Option<i32>, String, String) {
        let path = if scheme == "ws" { "/ws-ingest/gravwell_ingestor" } else { "" };
        let to = format!("{scheme}://{}{path}", self.address(source));
        let mut args = vec!["send", "--to", &to, "--secret", "file:secret", "--tag", tag];
        args.extend(["--header", "hydra-ack=persisted"]);
        piped(work, &args, text)
    }

    /// What it has printed.
    pub(crate) fn out(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap()
    }

    /// What it has logged.
    pub(crate) fn err(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap()
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.pid());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// How it ended, if it has.
    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        until("the end of the program", || self.try_wait())
    }

    /// Asks it to stop, and waits: it must end well. What it printed comes back.
    pub(crate) fn stop(mut self) -> String {
        self.signal("TERM");
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}{}", self.out(), self.err());
        self.out()
    }

    /// Ends it without a warning.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A number for each process that is started.
fn next() -> usize {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    STARTED.fetch_add(1, Ordering::Relaxed)
}

impl Drop for Ingestry {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
