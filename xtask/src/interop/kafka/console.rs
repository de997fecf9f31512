//! The console for web sockets, as a process that is written to and read from.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, anyhow};

use super::broker::Broker;
use crate::interop::process::{Gateway, Process};

/// A gateway in `dir` whose `kafka_ingestor` has this broker, and a console for it.
pub(super) fn start(binary: &Path, dir: &Path, broker: &Broker) -> Result<(Gateway, Console)> {
    std::fs::create_dir_all(dir)?;
    let config = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[sources.hydra]\ntype = \"hydra\"\n\
         listen = \"127.0.0.1:0\"\nkafka = {{ brokers = [\"127.0.0.1:{}\"] }}\n",
        broker.port
    );
    let gateway = Gateway::configured(binary, dir, &config)?;
    let console = Console::start(binary, gateway.address("hydra")?)?;
    Ok((gateway, console))
}

/// A console that runs.
pub(super) struct Console {
    process: Process,
    input: Option<ChildStdin>,
    reader: JoinHandle<Vec<String>>,
}

impl Console {
    pub(super) fn start(binary: &Path, address: SocketAddr) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg("hydra").arg(format!("ws://{address}/ws-ingest/kafka_ingestor"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command)?;
        let input = process.0.stdin.take();
        let output = process.0.stdout.take().context("it has an output")?;
        let reader = std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(std::result::Result::ok).collect()
        });
        Ok(Self { process, input, reader })
    }

    /// Sends whole lines.
    pub(super) fn say(&mut self, lines: &str) -> Result<()> {
        let input = self.input.as_mut().context("it is closed")?;
        input.write_all(lines.as_bytes())?;
        Ok(())
    }

    /// Ends it in order: everything that was answered.
    pub(super) fn finish(mut self) -> Result<Vec<String>> {
        drop(self.input.take());
        self.process.finish("the console")?;
        self.reader.join().map_err(|_| anyhow!("the reader panicked"))
    }
}
