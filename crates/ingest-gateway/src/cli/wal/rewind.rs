//! `ingestry wal replay --output`: an output begins again at another place, at the next run.

use std::io::{self, Write as _};
use std::time::SystemTime;

use anyhow::Context as _;
use ingest_entry::Timestamp;
use ingest_mux::KeptOutput;
use ingest_wal::{Directory, Inspection, Kind, Lsn};

use super::outputs::{Standing, unknown};
use super::{ReplayArgs, Start, count, counted, hold, note, usage};
use crate::cli::Exit;

pub(super) fn run(dir: &Directory, args: &ReplayArgs) -> anyhow::Result<Exit> {
    let (Some(name), Some(from)) = (&args.output, args.from) else {
        return usage("--output and --from belong together");
    };
    let hold = hold(dir)?;
    let dir = hold.directory();
    let log = dir.inspect(&mut |_| {})?;
    let mut cursors = log.cursors.clone().unwrap_or_default();
    let Some(cursor) = cursors.iter_mut().find(|cursor| cursor.name == *name) else {
        return usage(&unknown(name, &log));
    };
    let before = Standing::new(cursor, &log);
    let wanted = match from {
        Start::Oldest => log.oldest(),
        Start::At(lsn) => lsn,
        Start::Time(time) => {
            let now = Timestamp::from_system_time(SystemTime::now());
            arrived(dir, &log, time.resolve(now.unwrap_or(Timestamp::UNIX_EPOCH)))?
        }
    };
    if wanted > log.durable_end {
        let last = log.durable_end.saturating_sub(1);
        return usage(&format!("there is no LSN {wanted}: the last one is {last}"));
    }
    if wanted < log.oldest() {
        note(&format!("LSN {wanted} has expired: the oldest that is there is {}.", log.oldest()))?;
    }
    let start = wanted.max(log.oldest());
    *cursor = KeptOutput::begin(name, start, log.accepted_before(start));
    let after = Standing::new(cursor, &log);
    // What it has not settled and will now never get.
    let low = before.kept.low.max(log.oldest()).min(start);
    let settled = before
        .kept
        .settled_above
        .iter()
        .map(|range| log.given_in(&(range.start.min(start)..range.end.min(start))));
    let skipped = log.given_in(&(low..start)).saturating_sub(settled.sum());
    if skipped > 0 {
        note(&format!(
            "{name} stands at LSN {}: {} before LSN {start} were not delivered to it, and never \
             will be.",
            before.kept.low,
            counted(skipped, "entry", "entries")
        ))?;
        if !args.yes {
            note("Nothing was changed. With --yes it is done.")?;
            return Ok(Exit::Usage);
        }
    }
    hold.write_cursors(&cursors).context("cannot keep the outputs' positions")?;
    writeln!(
        io::stdout().lock(),
        "{name} begins again at LSN {start} at the next run of the gateway: {} to go, {} before. \
         Its counts begin again; it had confirmed {}.",
        counted(after.queued, "entry", "entries"),
        count(before.queued),
        count(before.kept.confirmed)
    )?;
    Ok(Exit::Fine)
}

/// The LSN of the first entry that arrived then or later; one after the last if there is none.
fn arrived(dir: &Directory, log: &Inspection, time: Timestamp) -> io::Result<Lsn> {
    let time = time.unix_nanos();
    for info in &log.segments {
        let may = |account: &ingest_wal::Account| {
            account.entries > 0 && i128::from(account.max_arrival) >= time
        };
        if !info.account.as_ref().is_some_and(may) {
            continue;
        }
        let Some(file) = dir.open(&info.segment)? else { continue };
        let mut records = file.records();
        while let Some(record) = records.next_record()? {
            let header = record.header;
            if header.kind == Kind::Entries && i128::from(header.arrival) >= time {
                return Ok(header.first);
            }
        }
    }
    Ok(log.durable_end)
}
