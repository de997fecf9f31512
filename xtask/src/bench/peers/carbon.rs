//! carbon's relay, from Python's registry, and carbon-c-relay, from Debian: both hold in memory what
//! nobody takes.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::receiver::ROOM;
use crate::interop::process::free_port;

/// By lines on both sides.
pub(super) fn relay(
    command: &mut Command,
    python: &Path,
    dir: &Path,
    listen: SocketAddr,
    out: SocketAddr,
) -> Result<()> {
    let config = dir.join("carbon.conf");
    let (pickles, own) = (free_port()?, dir.display());
    std::fs::create_dir_all(dir.join("storage"))?;
    std::fs::write(
        &config,
        format!(
            "[relay]\nSTORAGE_DIR = {own}/storage\nLOCAL_DATA_DIR = {own}/storage/whisper\n\
             CONF_DIR = {own}\nLOG_DIR = {own}/log\nPID_DIR = {own}\nUSER =\n\
             LINE_RECEIVER_INTERFACE = {}\nLINE_RECEIVER_PORT = {}\n\
             PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = {pickles}\n\
             CARBON_METRIC_INTERVAL = 0\nENABLE_LOGROTATION = False\n\
             RELAY_METHOD = consistent-hashing\nREPLICATION_FACTOR = 1\n\
             DESTINATIONS = {out}:a\nDESTINATION_PROTOCOL = line\nMAX_QUEUE_SIZE = {ROOM}\n",
            listen.ip(),
            listen.port()
        ),
    )?;
    std::fs::write(dir.join("storage-schemas.conf"), "[all]\npattern = .*\nretentions = 1s:2h\n")?;
    // One that was killed leaves it behind.
    let pid = dir.join("carbon-relay-a.pid");
    if pid.exists() {
        std::fs::remove_file(pid)?;
    }
    let bin = python.parent().context("no directory of the Python")?;
    command.arg(bin.join("carbon-relay.py"));
    command.arg(format!("--config={}", config.display())).args(["--nodaemon", "start"]);
    command.env("GRAPHITE_ROOT", dir);
    Ok(())
}

pub(super) fn c_relay(
    command: &mut Command,
    dir: &Path,
    listen: SocketAddr,
    out: SocketAddr,
) -> Result<()> {
    let config = dir.join("relay.conf");
    let text = format!(
        "listen type linemode {listen} proto tcp ;\ncluster out forward {out} ;\n\
         match * send to out stop ;\n"
    );
    std::fs::write(&config, text)?;
    command.arg("-f").arg(config).args(["-q", &ROOM.to_string()]);
    Ok(())
}
