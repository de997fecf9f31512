//! The real program, as users get it, with a data directory of its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use super::usage;
use crate::crash::{Profile, build};
use crate::interop::addresses;

/// How long it may take to start and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";

/// A gateway that runs; killed and reaped when it is dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    dir: TempDir,
    addresses: BTreeMap<String, SocketAddr>,
}

impl Gateway {
    /// Starts one with only this source, with these variables in its environment.
    pub(crate) fn start(source: &str, env: &[(&str, &str)]) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, source, env)
    }

    /// Starts one whose data directory is in memory: its disk is not what is measured.
    pub(crate) fn start_in_memory(source: &str) -> Result<Self> {
        let dir = tempfile::tempdir_in(MEMORY).context("a file system in memory is needed")?;
        Self::start_in(dir, source, &[])
    }

    fn start_in(dir: TempDir, source: &str, env: &[(&str, &str)]) -> Result<Self> {
        let data = dir.path().join("data").into_os_string();
        let listen = format!("{source}=127.0.0.1:0");
        Self::run(dir, &["--data-dir".into(), data, "--listen".into(), listen.into()], env)
    }

    /// Starts one with this configuration, but for the directory of its log, and with these variables
    /// in its environment.
    pub(crate) fn configured(config: &str, env: &[(&str, &str)]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("ingestry.toml");
        let data = dir.path().join("data");
        std::fs::write(&file, format!("[log]\ndir = {data:?}\n{config}"))?;
        Self::run(dir, &["--config".into(), file.into_os_string()], env)
    }

    fn run(dir: TempDir, args: &[OsString], env: &[(&str, &str)]) -> Result<Self> {
        let program = build(Profile::Release, false)?;
        let ports = dir.path().join("ports.json");
        let output = File::create(dir.path().join("output"))?;
        let mut command = Command::new(program);
        command.arg("run").args(args).arg("--ports-file").arg(&ports).envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().context("cannot start the gateway")?;
        let mut gateway = Self { child, dir, addresses: BTreeMap::new() };
        gateway.until("it listens", |_| Ok(ports.exists()))?;
        gateway.addresses = addresses(&ports)?;
        Ok(gateway)
    }

    pub(crate) fn address(&self, source: &str) -> Result<SocketAddr> {
        self.addresses.get(source).copied().with_context(|| format!("no address of {source}"))
    }

    /// A directory on the disk of its data.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// CPU seconds so far.
    pub(crate) fn cpu(&self) -> Result<f64> {
        usage::cpu_of(self.child.id())
    }

    /// The peak of its resident memory.
    pub(crate) fn rss_mib(&self) -> Result<f64> {
        usage::peak_rss_mib(&self.child.id().to_string())
    }

    /// Its resident memory now.
    pub(crate) fn rss_now_mib(&self) -> Result<f64> {
        usage::rss_mib(self.child.id())
    }

    /// Stops it in order.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(Instant::now() < deadline, "the gateway does not stop: {}", self.output());
            pause();
        };
        ensure!(status.success(), "the gateway ended with {status}: {}", self.output());
        Ok(())
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self)? {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("the gateway: not so that {what}; it said: {}", self.output());
            }
            pause();
        }
        Ok(())
    }

    fn output(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("output")).unwrap_or_default()
    }
}

/// Between two looks at something that another process does.
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and that is all that can be wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
