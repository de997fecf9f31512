//! Starts a server and a client, and takes their reports.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::interop::process::until;
use crate::util;

pub(super) const SECRET: &str = "open sesame";

/// A command and its first arguments.
pub(super) type Words = Vec<String>;

/// The four programs, and a directory with certificates.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) our_client: Words,
    pub(super) our_server: Words,
    pub(super) peer_client: Words,
    pub(super) peer_server: Words,
    pub(super) dir: tempfile::TempDir,
}

impl Programs {
    pub(super) fn new(peer_server: &str, peer_client: &str) -> Result<Self> {
        let [client, server, certificate] =
            ["wire_client", "wire_server", "wire_certificate"].map(example);
        let dir = tempfile::tempdir()?;
        let certificate = certificate?;
        for name in ["own", "other"] {
            let made = Command::new(&certificate).arg(dir.path().join(name)).status()?;
            ensure!(made.success(), "no certificates: {made}");
        }
        let text =
            |path: PathBuf| path.to_str().map(str::to_owned).context("a path that is no text");
        let words = |command: &str| command.split_whitespace().map(str::to_owned).collect();
        Ok(Self {
            our_client: vec![text(client?)?],
            our_server: vec![text(server?)?],
            peer_client: words(peer_client),
            peer_server: words(peer_server),
            dir,
        })
    }

    /// A new path in the directory.
    pub(super) fn path(&self, name: &str) -> Result<String> {
        let path = self.dir.path().join(name);
        if path.exists() {
            std::fs::remove_file(&path)?;
        }
        path.to_str().map(str::to_owned).context("a path that is no text")
    }

    /// The arguments, `@NAME` standing for a file of the directory.
    pub(super) fn arguments(&self, arguments: &str) -> Words {
        let dir = self.dir.path();
        let word = |word: &str| match word.split_once('@') {
            Some((scheme, name)) => format!("{scheme}{}", dir.join(name).display()),
            None => word.to_owned(),
        };
        arguments.split_whitespace().map(word).collect()
    }
}

/// Builds an example of ours.
fn example(name: &str) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(util::project_root()?).args(["build", "--locked", "--quiet", "--release"]);
    cargo.args(["--package", "examples", "--example", name]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "{name} does not build");
    let text = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    let path = text.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let named = message.get("target")?.get("name")? == name;
        message.get("executable")?.as_str().filter(|_| named).map(PathBuf::from)
    });
    path.with_context(|| format!("cargo did not say where {name} is"))
}

fn command(words: &[String], arguments: &[String]) -> Result<Command> {
    let (program, first) = words.split_first().context("an empty command")?;
    let mut command = Command::new(program);
    command.args(first).args(arguments).env("INGEST_SECRET", SECRET).env("RUST_BACKTRACE", "0");
    Ok(command)
}

/// A running server, killed when it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    pub(super) target: String,
}

impl Server {
    pub(super) fn start(words: &[String], arguments: &[String]) -> Result<Self> {
        let mut command = command(words, arguments)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let lines = BufReader::new(child.stdout.take().context("no output")?);
        let mut server = Self { child, lines, target: String::new() };
        let line = server.line()?;
        let target = line.get("listening").and_then(Value::as_str);
        server.target = target.with_context(|| format!("no target in {line}"))?.to_owned();
        Ok(server)
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the server said {line:?}"))
    }

    /// Ends its input and takes its report.
    pub(super) fn finish(mut self) -> Result<Value> {
        drop(self.child.stdin.take());
        let report = self.line()?;
        until("the server ends", || Ok(self.child.try_wait()?.is_some()))?;
        Ok(report)
    }

    /// SIGKILL.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
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

/// A running client.
#[derive(Debug)]
pub(super) struct Client {
    child: Child,
    dir: PathBuf,
}

impl Client {
    pub(super) fn start(
        words: &[String],
        target: &str,
        arguments: &[String],
        dir: &Path,
    ) -> Result<Self> {
        let mut command = command(words, &[])?;
        command.arg(target).args(arguments).stdin(Stdio::null());
        command.stdout(File::create(dir.join("client.out"))?);
        command.stderr(File::create(dir.join("client.err"))?);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, dir: dir.to_owned() })
    }

    pub(super) fn is_over(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Its report if it ended well, else what it complained of.
    pub(super) fn finish(mut self) -> Result<Result<Value, String>> {
        until("the client ends", || self.is_over())?;
        let read = |name| std::fs::read_to_string(self.dir.join(name));
        if !self.child.wait()?.success() {
            return Ok(Err(read("client.err")?.trim().to_owned()));
        }
        let out = read("client.out")?;
        let Some(line) = out.lines().last() else { bail!("the client said nothing") };
        Ok(Ok(serde_json::from_str(line).with_context(|| format!("the client said {line:?}"))?))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // As above.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
