//! Node's `ws` as a server that echoes.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::install;
use crate::interop::process::Process;

/// An echo that runs until it is dropped.
#[derive(Debug)]
#[cfg_attr(not(feature = "bench"), allow(dead_code, reason = "only benchmarks need it"))]
pub(crate) struct NodeEcho {
    process: Process,
    address: SocketAddr,
}

#[cfg_attr(not(feature = "bench"), allow(dead_code, reason = "only benchmarks need it"))]
impl NodeEcho {
    /// Starts one.
    pub(crate) fn start() -> Result<Self> {
        let dir = install::node()?;
        let script = install::script(&dir, "echo.mjs", include_str!("echo.mjs"))?;
        let mut node = Command::new("node");
        node.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut node)?;
        let output = process.0.stdout.take().context("its output is piped")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse().with_context(|| format!("node said {line:?}"))?;
        Ok(Self { process, address })
    }

    /// The version of `ws` that it is.
    pub(crate) fn version() -> &'static str {
        install::ws()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }
}
