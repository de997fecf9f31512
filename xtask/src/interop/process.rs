//! Processes that end with their owner, a gateway among them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

/// How long anything may take before it counts as stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How long the admin pages may take.
const ANSWER: Duration = Duration::from_secs(30);

/// A child that is killed and reaped when it is dropped.
#[derive(Debug)]
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        Ok(Self(command.spawn().with_context(|| format!("cannot start {command:?}"))?))
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.0);
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Waits for its end, which has to be a success.
    pub(crate) fn finish(mut self, what: &str) -> Result<()> {
        until(what, || Ok(self.0.try_wait()?.is_some()))?;
        let status = self.0.wait()?;
        ensure!(status.success(), "{what} ended with {status}");
        Ok(())
    }

    /// SIGTERM, and its end.
    pub(crate) fn terminate(mut self, what: &str) -> Result<()> {
        self.signal(Signal::TERM)?;
        until(what, || Ok(self.0.try_wait()?.is_some()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and that is all that can be wrong.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks again and again until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "{what}: not within {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A gateway in a directory of its own.
#[derive(Debug)]
pub(crate) struct Gateway {
    binary: PathBuf,
    data: PathBuf,
    process: Process,
    addresses: BTreeMap<String, SocketAddr>,
}

impl Gateway {
    /// With `graphite` and `admin`.
    pub(crate) fn start(binary: &Path, dir: &Path) -> Result<Self> {
        Self::with(binary, dir, "graphite")
    }

    /// With this source and `admin`.
    pub(crate) fn with(binary: &Path, dir: &Path, source: &str) -> Result<Self> {
        let (data, ports) = (dir.join("data"), dir.join("ports.json"));
        let mut command = Command::new(binary);
        command.arg("run").arg("--data-dir").arg(&data).arg("--ports-file").arg(&ports);
        command.args(["--listen", &format!("{source}=127.0.0.1:0")]);
        command.args(["--listen", "admin=127.0.0.1:0"]);
        let process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
        until("the gateway accepts", || Ok(ports.exists()))?;
        let addresses = addresses(&ports)?;
        Ok(Self { binary: binary.to_owned(), data, process, addresses })
    }

    /// One with a configuration; the file's `[log]` table is this function's.
    pub(crate) fn configured(binary: &Path, dir: &Path, config: &str) -> Result<Self> {
        let (data, ports) = (dir.join("data"), dir.join("ports.json"));
        let file = dir.join("ingestry.toml");
        std::fs::write(&file, format!("[log]\ndir = {data:?}\n{config}"))?;
        let _ = std::fs::remove_file(&ports);
        let mut command = Command::new(binary);
        command.arg("run").arg("--config").arg(&file).arg("--ports-file").arg(&ports);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("log"))?;
        let process =
            Process::start(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))?;
        until("the gateway accepts", || Ok(ports.exists()))?;
        let addresses = addresses(&ports)?;
        Ok(Self { binary: binary.to_owned(), data, process, addresses })
    }

    pub(crate) fn address(&self, name: &str) -> Result<SocketAddr> {
        self.addresses.get(name).copied().with_context(|| format!("no address of {name}"))
    }

    /// Every stored line, as it was sent.
    pub(crate) fn search(&self) -> Result<Vec<String>> {
        self.search_tag("graphite")
    }

    /// The data of every entry of a tag, which has to hold no line feed.
    pub(crate) fn search_tag(&self, tag: &str) -> Result<Vec<String>> {
        let mut command = Command::new(&self.binary);
        command.arg("search").arg("--data-dir").arg(&self.data);
        let output = command.args(["--tag", tag, "--format", "raw"]).output()?;
        ensure!(output.status.success(), "`ingestry search` ended with {}", output.status);
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    }

    /// The status page.
    pub(crate) fn status(&self) -> Result<serde_json::Value> {
        status(self.address("admin")?)
    }

    /// Lets it stand still where it is.
    pub(crate) fn pause(&self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }

    #[cfg_attr(not(feature = "bench"), allow(dead_code, reason = "only benchmarks need it"))]
    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.0.wait()?;
        Ok(())
    }

    /// Stops it in order.
    pub(crate) fn stop(self) -> Result<()> {
        self.process.terminate("the gateway stops")
    }
}

/// The status page of the admin pages at an address.
pub(crate) fn status(admin: SocketAddr) -> Result<serde_json::Value> {
    let mut stream = TcpStream::connect_timeout(&admin, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let Some((_, body)) = answer.split_once("\r\n\r\n") else { bail!("no answer: {answer}") };
    serde_json::from_str(body).with_context(|| format!("the status is no JSON: {body}"))
}

/// The addresses in the file that a gateway writes once it accepts.
pub(crate) fn addresses(ports: &Path) -> Result<BTreeMap<String, SocketAddr>> {
    let text = std::fs::read(ports).context("cannot read the file of the ports")?;
    serde_json::from_slice(&text).context("the file of the ports has another form")
}

/// A port of the loopback that nobody has at this moment.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
