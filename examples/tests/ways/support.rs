//! Programs to run, and a gateway to run them against.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use ingest_gateway::{Gateway, STOP_DEADLINE, config};
use ingest_store::{Query, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const SECRET: &str = "IngestSecrets";

/// An example, with the secret that all of them know.
pub(crate) fn example(name: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let folder = tests.parent().and_then(Path::parent).unwrap().join("examples");
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let hint = "`cargo build -p examples --examples` makes it";
    assert!(program.is_file(), "{} is missing: {hint}", program.display());
    let mut command = Command::new(program);
    command.env("INGEST_SECRET", SECRET);
    // A proxy of whoever runs the tests is not meant for loopback.
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
    {
        command.env_remove(name);
    }
    command
}

/// What a program says until its end, which is a good one.
pub(crate) fn said(command: &mut Command, input: &str) -> String {
    let (fine, out, err) = ended(command, input);
    assert!(fine, "{command:?} failed: {out}{err}");
    out
}

/// Whether a program's end was a good one, and what it wrote to its two outputs.
pub(crate) fn ended(command: &mut Command, input: &str) -> (bool, String, String) {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // One that ends before it has read everything says why on its own.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// A program that runs beside the test, and not longer.
pub(crate) struct Beside {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Beside {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// The next line of its standard output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it has ended");
        line.trim_end().to_owned()
    }

    /// Ends its input, and gives what it says until its end.
    pub(crate) fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gateway with a source for each protocol, in this process.
pub(crate) struct Served {
    gateway: Gateway,
    runtime: Runtime,
    dir: TempDir,
}

impl Served {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), SECRET).unwrap();
        let source = |name: &str, kind: &str| {
            format!("[sources.{name}]\ntype = \"{kind}\"\nlisten = \"127.0.0.1:0\"\n")
        };
        let text = format!(
            "[log]\ndir = {:?}\nmax_bytes = \"16 MiB\"\nmin_free = \"1 MiB\"\n[admin]\nenabled = false\n\
             {}tag = \"lines\"\n{}tag = \"pickles\"\n{}tag = \"hydra\"\n{}secret = \"file:{}\"\n",
            dir.path().join("data"),
            source("lines", "graphite"),
            source("pickles", "graphite-pickle"),
            source("hydra", "hydra"),
            source("gravwell", "gravwell"),
            dir.path().join("secret").display(),
        );
        let loaded = config::parse(Path::new("ways.toml"), text.as_bytes()).unwrap();
        let runtime = Runtime::new().unwrap();
        let gateway = runtime.block_on(Gateway::builder(loaded.config).start()).unwrap();
        Self { gateway, runtime, dir }
    }

    pub(crate) fn address(&self, source: &str) -> SocketAddr {
        self.gateway.addresses()[source]
    }

    /// Stops it. The tags and data of everything that it has, in order; none was refused.
    pub(crate) fn stop(self) -> Vec<(String, String)> {
        let Self { gateway, runtime, dir } = self;
        let report = runtime.block_on(gateway.stop(STOP_DEADLINE));
        assert!(report.balanced, "{report:?}");
        for (name, _, totals) in &report.sources {
            assert_eq!(totals.received_items, totals.accepted_items, "{name}: {totals:?}");
        }
        let mut found = Vec::new();
        let store = Store::open(dir.path().join("data")).unwrap();
        let search = store.search(&Query::new(), &mut |hit| {
            let data = String::from_utf8_lossy(hit.entry.data).into_owned();
            found.push((hit.tag_name.to_owned(), data));
            ControlFlow::Continue(())
        });
        assert_eq!(search.unwrap().hits, report.stored);
        found
    }
}
