//! Telegraf, from the Go proxy: its own agent with the three plugins that a relay of lines needs,
//! because the module has no program that can be built without all the others.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::Kind;
use super::receiver::ROOM;
use crate::util;

/// Builds it, in the target directory.
pub(super) fn program() -> Result<PathBuf> {
    let root = util::project_root()?;
    let peers = root.join("target/peers");
    std::fs::create_dir_all(&peers)?;
    let program = peers.join("telegraf");
    let mut go = Command::new("go");
    go.current_dir(root.join("xtask/src/bench/peers/telegraf"));
    go.args(["build", "-mod=readonly", "-trimpath", "-o"]).arg(&program).arg(".");
    let status =
        go.status().context("needed, and not there: Go 1.25 or later, to build Telegraf")?;
    ensure!(status.success(), "Telegraf does not build: {go:?}");
    Ok(program)
}

/// Its version, as the module file has it.
pub(super) fn version() -> Result<String> {
    let file = util::project_root()?.join("xtask/src/bench/peers/telegraf/go.mod");
    let text = std::fs::read_to_string(file)?;
    let version = super::versions::required(&text, "github.com/influxdata/telegraf");
    Ok(version.context("no version of Telegraf")?.to_owned())
}

pub(super) fn arguments(
    command: &mut Command,
    kind: Kind,
    dir: &Path,
    listen: SocketAddr,
    out: SocketAddr,
) -> Result<()> {
    let file = dir.join("telegraf.conf");
    std::fs::write(&file, config(kind, dir, listen, out))?;
    command.arg(file);
    Ok(())
}

fn config(kind: Kind, dir: &Path, listen: SocketAddr, out: SocketAddr) -> String {
    let buffer = match kind {
        Kind::TelegrafSynced => {
            let dir = dir.join("buffer");
            // Each write is synced, without being asked for: this version has no setting for it.
            format!("buffer_strategy = \"disk\"\nbuffer_directory = {dir:?}\n")
        }
        _ => String::new(),
    };
    format!(
        "[agent]\nflush_interval = \"200ms\"\nmetric_buffer_limit = {ROOM}\nomit_hostname = true\n\
         {buffer}\
         [[inputs.socket_listener]]\nservice_address = \"tcp://{listen}\"\ndata_format = \"graphite\"\n\
         templates = [\"measurement*\"]\n\
         [[outputs.graphite]]\nservers = [\"{out}\"]\ntemplate = \"measurement.field\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_on_disk_when_it_is_to_be() {
        let at = SocketAddr::from(([127, 0, 0, 1], 7));
        let of = |kind| config(kind, Path::new("/d"), at, at);
        assert!(of(Kind::TelegrafSynced).contains("buffer_directory = \"/d/buffer\"\n"));
        assert!(!of(Kind::TelegrafMemory).contains("buffer_strategy"));
        assert!(version().unwrap().contains('.'));
    }
}
