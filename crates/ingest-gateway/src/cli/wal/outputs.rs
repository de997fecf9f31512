//! Where the outputs stand, by what the log keeps of them.

use ingest_mux::KeptOutput;
use ingest_wal::{Cursor, Inspection};

use crate::suggest::nearest;

/// An output and what it still owes.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) kept: KeptOutput,
    /// Entries that it has not settled; those that its filter will pass over are among them.
    pub(super) queued: u64,
    /// About how many bytes of the log that is.
    pub(super) queued_bytes: u64,
}

impl Standing {
    pub(super) fn new(cursor: &Cursor, log: &Inspection) -> Self {
        let kept = KeptOutput::read(cursor);
        let from = kept.low.clamp(log.oldest(), log.durable_end);
        let settled: u64 = kept.settled_above.iter().map(|range| log.given_in(range)).sum();
        let queued = log.given_in(&(from..log.durable_end)).saturating_sub(settled);
        let bytes = log.segments.iter().filter_map(|segment| {
            let account = segment.account.as_ref()?;
            let all = account.end.saturating_sub(account.start);
            let left = account.end.saturating_sub(account.start.max(from)).min(all);
            let part = u128::from(account.bytes) * u128::from(left) / u128::from(all.max(1));
            u64::try_from(part).ok()
        });
        let queued_bytes = if queued == 0 { 0 } else { bytes.sum() };
        Self { kept, queued, queued_bytes }
    }

    /// In a word: `configured` in the last run, `absent` since, `released` when it holds nothing
    /// back any more.
    pub(super) fn state(&self) -> &'static str {
        match self.kept.absent_since {
            _ if self.kept.released => "released",
            Some(_) => "absent",
            None => "configured",
        }
    }
}

/// The outputs that a log knows.
pub(super) fn all(log: &Inspection) -> Vec<Standing> {
    let cursors = log.cursors.iter().flatten();
    cursors.map(|cursor| Standing::new(cursor, log)).collect()
}

/// Why there is no output of this name, and which there are.
pub(super) fn unknown(name: &str, log: &Inspection) -> String {
    let Some(cursors) = &log.cursors else {
        return format!("the log knows no output {name:?}: no valid snapshot says who they are");
    };
    let names: Vec<&str> = cursors.iter().map(|cursor| cursor.name.as_str()).collect();
    let known = match names.as_slice() {
        [] => "it knows none (the store is the log itself, and has no position)".to_owned(),
        names => format!("it knows {}", names.join(", ")),
    };
    let meant = nearest(name, names.iter().copied());
    let meant = meant.map_or_else(String::new, |meant| format!("; did you mean {meant:?}?"));
    format!("the log knows no output {name:?}: {known}{meant}")
}
