//! Peers that were not written here, against the real program. A peer that is missing is an error,
//! never a pass.

pub(crate) mod carbon;
mod cpython;
mod gravwell;
mod hydra;
pub(crate) mod kafka;
mod loggregator;
mod million;
pub(crate) mod process;
pub(crate) mod programs;
mod rabbitmq;

use std::process::Command;

use anyhow::{Result, bail, ensure};

#[cfg_attr(not(feature = "bench"), allow(unused_imports, reason = "only benchmarks need it"))]
pub(crate) use self::hydra::NodeEcho;
#[cfg_attr(not(feature = "bench"), allow(unused_imports, reason = "only benchmarks need it"))]
pub(crate) use self::loggregator::peer::go as loggregator_go;
pub(crate) use self::process::{Process, addresses, status, until};
use crate::flags::Interop;
use crate::util;

/// What can be asked for.
const PEERS: [&str; 10] = [
    "nc",
    "carbon-c-relay",
    "small-disk",
    "loggregator",
    "gravwell",
    "hydra",
    "rabbitmq",
    "carbon",
    "cpython",
    "kafka",
];

/// Runs one of them, or all.
pub(crate) fn run(flags: &Interop) -> Result<bool> {
    let peers: Vec<&str> = match flags.peer.as_deref() {
        None => PEERS.to_vec(),
        Some(name) => match PEERS.iter().find(|peer| **peer == name) {
            Some(peer) => vec![peer],
            None => bail!("found {name:?}; allowed: {}", PEERS.join(", ")),
        },
    };
    for peer in peers {
        match peer {
            "nc" => million::nc()?,
            "loggregator" => loggregator::run(flags)?,
            "gravwell" => gravwell::run(flags)?,
            "rabbitmq" => rabbitmq::run()?,
            "carbon" => carbon::run()?,
            "cpython" => cpython::run()?,
            "kafka" => kafka::run()?,
            "hydra" => hydra::run()?,
            "carbon-c-relay" => million::carbon_c_relay()?,
            _ => small_disk()?,
        }
        println!("{peer}: fine");
    }
    Ok(true)
}

/// The gateway on a file system of 3 MiB: the test mounts one, so it has to be root.
fn small_disk() -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(util::project_root()?);
    cargo.args(["test", "--locked", "--package", "ingest-gateway", "--features", "needs-root"]);
    cargo.args(["--test", "small_disk", "--", "--nocapture"]);
    ensure!(cargo.status()?.success(), "the test on a small file system failed");
    Ok(())
}
