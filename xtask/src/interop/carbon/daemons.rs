//! carbon-cache and carbon-relay, on loopback, each with its own directory.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::interop::process::{Process, free_port, until};

const READ: &str = include_str!("read.py");

/// A daemon, with the ports of lines and of pickles.
#[derive(Debug)]
pub(crate) struct Daemon {
    dir: PathBuf,
    pub(crate) lines: u16,
    pub(crate) pickles: u16,
    #[cfg_attr(not(feature = "bench"), allow(dead_code, reason = "it ends with its owner"))]
    process: Process,
}

/// A point as it is stored: its series, its time, its value.
pub(super) type Points = BTreeSet<(String, i64, String)>;

impl Daemon {
    /// A cache that writes whisper files of a second for two hours.
    pub(super) fn cache(python: &Path, dir: PathBuf) -> Result<Self> {
        let query = free_port()?;
        let keys = format!(
            "CACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = {query}\n\
             MAX_CREATES_PER_MINUTE = inf\nMAX_UPDATES_PER_SECOND = inf\nENABLE_TAGS = False\n"
        );
        Self::start(python, dir, "cache", &keys)
    }

    /// A cache that may not create a file: what it takes is in memory, then nowhere.
    #[cfg(feature = "bench")]
    pub(crate) fn cache_in_memory(python: &Path, dir: PathBuf) -> Result<Self> {
        let query = free_port()?;
        let keys = format!(
            "CACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = {query}\n\
             MAX_CREATES_PER_MINUTE = 0\nENABLE_TAGS = False\n"
        );
        Self::start(python, dir, "cache", &keys)
    }

    /// Its process.
    #[cfg(feature = "bench")]
    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// A relay to these destinations, by carbon's consistent hash.
    pub(super) fn relay(python: &Path, dir: PathBuf, destinations: &str) -> Result<Self> {
        let keys = format!(
            "RELAY_METHOD = consistent-hashing\nREPLICATION_FACTOR = 1\n\
             DESTINATIONS = {destinations}\nMAX_QUEUE_SIZE = 1000000\n"
        );
        Self::start(python, dir, "relay", &keys)
    }

    fn start(python: &Path, dir: PathBuf, program: &str, keys: &str) -> Result<Self> {
        std::fs::create_dir_all(dir.join("storage"))?;
        let (lines, pickles, own) = (free_port()?, free_port()?, dir.display());
        let config = dir.join("carbon.conf");
        std::fs::write(
            &config,
            format!(
                "[{program}]\nSTORAGE_DIR = {own}/storage\nLOCAL_DATA_DIR = {own}/storage/whisper\n\
                 CONF_DIR = {own}\nLOG_DIR = {own}/log\nPID_DIR = {own}\nUSER =\n\
                 LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {lines}\n\
                 PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = {pickles}\n\
                 CARBON_METRIC_INTERVAL = 0\nENABLE_LOGROTATION = False\n{keys}"
            ),
        )?;
        std::fs::write(
            dir.join("storage-schemas.conf"),
            "[all]\npattern = .*\nretentions = 1s:2h\n",
        )?;
        let bin = python.parent().context("no directory of the Python")?;
        let log = std::fs::File::create(dir.join("out"))?;
        let mut command = Command::new(python);
        command.arg(bin.join(format!("carbon-{program}.py")));
        command.arg(format!("--config={}", config.display())).args(["--nodaemon", "start"]);
        command.env("GRAPHITE_ROOT", &dir).stdin(Stdio::null());
        let process = Process::start(command.stdout(log.try_clone()?).stderr(log))?;
        until("carbon listens", || Ok(TcpStream::connect(("127.0.0.1", pickles)).is_ok()))?;
        Ok(Self { dir, lines, pickles, process })
    }

    /// What it has stored.
    pub(super) fn points(&self, python: &Path) -> Result<Points> {
        let script = self.dir.join("read.py");
        std::fs::write(&script, READ)?;
        let root = self.dir.join("storage/whisper");
        let output = Command::new(python).arg(script).arg(root).output()?;
        // A file that is being made has no header yet: it is asked again.
        if !output.status.success() {
            return Ok(Points::new());
        }
        let text = String::from_utf8(output.stdout)?;
        let points = text.lines().map(|line| {
            let mut fields = line.split(' ');
            let mut next = || fields.next().context("a field is missing");
            Ok((next()?.to_owned(), next()?.parse()?, next()?.to_owned()))
        });
        points.collect()
    }
}

/// The series of each daemon.
pub(super) fn placed(stored: &BTreeMap<&str, Points>) -> BTreeMap<String, BTreeSet<String>> {
    let of = |points: &Points| points.iter().map(|(series, _, _)| series.clone()).collect();
    stored.iter().map(|(instance, points)| ((*instance).to_owned(), of(points))).collect()
}

/// Waits until the daemons together have so many points.
pub(super) fn wait<'a>(
    python: &Path,
    daemons: &'a BTreeMap<&'a str, Daemon>,
    count: usize,
) -> Result<BTreeMap<&'a str, Points>> {
    let mut stored = BTreeMap::new();
    until("everything is stored", || {
        stored = daemons
            .iter()
            .map(|(instance, daemon)| Ok((*instance, daemon.points(python)?)))
            .collect::<Result<_>>()?;
        Ok(stored.values().map(Points::len).sum::<usize>() >= count)
    })?;
    let all: usize = stored.values().map(Points::len).sum();
    ensure!(all == count, "{all} points instead of {count}");
    Ok(stored)
}
