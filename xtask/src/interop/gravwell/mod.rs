//! The Gravwell protocol: the examples `wire_client` and `wire_server` against programs that the
//! operator brings. `docs/interop.md` says what those have to understand.

mod cases;
mod long;
mod programs;

use anyhow::{Context as _, Result};
use programs::Programs;

use crate::flags::Interop;

/// Entries of the runs that measure, unless told otherwise.
const MANY: u64 = 1_000_000;

pub(super) fn run(flags: &Interop) -> Result<()> {
    let missing =
        "is needed: the command of a program that was not written here; nothing was tried";
    let programs = Programs::new(
        flags.peer_server.as_deref().with_context(|| format!("--peer-server {missing}"))?,
        flags.peer_client.as_deref().with_context(|| format!("--peer-client {missing}"))?,
    )?;
    let many = flags.entries.unwrap_or(MANY);
    let mut run = 0;
    for case in cases::CASES {
        run += cases::both(&programs, case).with_context(|| format!("case {}", case.name))?;
    }
    println!("{run} exchanges: what was sent was what came, entry by entry");
    long::race(&programs).context("connects under load")?;
    for (who, client, server) in [
        ("our client", &programs.our_client, &programs.peer_server),
        ("peer's client", &programs.peer_client, &programs.our_server),
    ] {
        long::killed(&programs, client, server, many / 4)
            .with_context(|| format!("{who}, server killed"))?;
    }
    long::rates(&programs, many)
}
