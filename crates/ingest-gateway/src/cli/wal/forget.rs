//! `ingestry wal forget`: an output that left the configuration for good.

use std::io::{self, Write as _};

use anyhow::Context as _;
use ingest_wal::Directory;

use super::outputs::{Standing, unknown};
use super::{ForgetArgs, counted, hold, note, usage};
use crate::cli::Exit;

pub(super) fn run(dir: &Directory, args: &ForgetArgs) -> anyhow::Result<Exit> {
    let hold = hold(dir)?;
    let dir = hold.directory();
    let log = dir.inspect(&mut |_| {})?;
    let mut cursors = log.cursors.clone().unwrap_or_default();
    let Some(at) = cursors.iter().position(|cursor| cursor.name == args.name) else {
        return usage(&unknown(&args.name, &log));
    };
    let standing = Standing::new(&cursors.remove(at), &log);
    let name = &args.name;
    let owed = counted(standing.queued, "entry", "entries");
    let configured = standing.kept.absent_since.is_none();
    let mut given_up = Vec::new();
    if configured {
        given_up.push(format!(
            "{name} was in the configuration of the last run. If it still is, it begins anew at \
             the next run, with what is accepted from then on."
        ));
    }
    if standing.queued > 0 {
        given_up.push(format!(
            "{name} stands at LSN {}: {owed} were not delivered to it, and never will be.",
            standing.kept.low
        ));
    }
    given_up.iter().try_for_each(|line| note(line))?;
    if !given_up.is_empty() && !args.yes {
        note("Nothing was changed. With --yes it is forgotten.")?;
        return Ok(Exit::Usage);
    }
    hold.write_cursors(&cursors).context("cannot keep the outputs' positions")?;
    writeln!(io::stdout().lock(), "{name} is forgotten; {owed} given up.")?;
    Ok(Exit::Fine)
}
