//! The two programs.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::interop::process::until;
use crate::util;

/// What was read, each message compared with the one of its number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Read {
    what: String,
    pub(super) count: u64,
}

/// Builds the Go program, whose modules come from the registry.
pub(crate) fn go() -> Result<PathBuf> {
    let root = util::project_root()?;
    let program = root.join("target/interop/loggregator-go");
    let mut go = Command::new("go");
    go.current_dir(root.join("xtask/src/interop/loggregator/go"));
    go.args(["build", "-mod=readonly", "-o"]).arg(&program).arg(".");
    let status = go.status().context("Go 1.24 or later is needed to build the peer: go.dev/dl")?;
    ensure!(status.success(), "the peer does not build: {go:?}");
    Ok(program)
}

/// Builds ours.
pub(super) fn ours() -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(util::project_root()?).args(["build", "--locked", "--quiet", "--release"]);
    cargo.args(["--package", "loggregator-consumer", "--example", "loggregator_peer"]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the example does not build: {cargo:?}");
    let text = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    crate::crash::executable(messages).context("cargo did not say where the example is")
}

/// A running server, killed when it is dropped.
pub(super) struct Server {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    pub(super) address: String,
    pub(super) token: String,
}

impl Server {
    pub(super) fn start(program: &Path, count: u64) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("serve").arg(count.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let lines = BufReader::new(child.stdout.take().context("no output")?);
        let mut server = Self { child, lines, address: String::new(), token: String::new() };
        let line = server.line()?;
        let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
        let (address, token) = (text("listening"), text("token"));
        server.address = address.with_context(|| format!("no address in {line}"))?;
        server.token = token.with_context(|| format!("no token in {line}"))?;
        Ok(server)
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the server said {line:?}"))
    }

    /// Ends its input, and with that the server.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        until("the server ends", || Ok(self.child.try_wait()?.is_some()))?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and that is all that can be wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a client, which prints what it read.
pub(super) fn client(
    program: &Path,
    what: &str,
    url: &str,
    token: &str,
    count: u64,
) -> Result<Read> {
    let mut command = Command::new(program);
    command.args([what, url, token]).arg(count.to_string()).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {told}", output.status);
    let text = String::from_utf8(output.stdout)?;
    serde_json::from_str(text.trim()).with_context(|| format!("the client said {text:?}"))
}
