//! Outputs that lag while others are healthy.

use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ingest_wal::{Log, Lsn, MissingCause};

use crate::output::{OnLag, Settled};
use crate::outputs::Outputs;
use crate::shared::Shared;
use crate::sync::lock;

/// How often the lag of outputs is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// The reason under which it is counted.
const REASON: &str = "lag";

/// Looks until the log is gone.
pub(crate) async fn watch(log: Weak<Log>, outputs: Outputs) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(log) = log.upgrade() else { return };
        look(&log, &outputs.all());
    }
}

/// Gives up what an output lags too far behind with, if another one is healthy.
pub(crate) fn look(log: &Log, outputs: &[Arc<Shared>]) {
    let max_bytes = log.writer().limits().max_bytes;
    let lag = |output: &Shared| log.bytes_since(lock(&output.state).account.low);
    let late = |output: &&Arc<Shared>| lag(output) > output.lag.most(max_bytes);
    let (late, healthy): (Vec<_>, Vec<_>) = outputs.iter().partition(late);
    if healthy.is_empty() {
        return;
    }
    let mut dropped = false;
    for output in late.into_iter().filter(|output| output.lag.then == OnLag::DropOldest) {
        let low = lock(&output.state).account.low;
        let most = output.lag.most(max_bytes);
        let from = reaching(low..log.writer().synced_end(), |lsn| log.bytes_since(lsn) <= most);
        output.give_up(log, low..from, REASON);
        dropped = true;
    }
    if dropped {
        log.look();
    }
}

/// The first LSN of `range` from which it is so; its end if it never is.
pub(crate) fn reaching(range: Range<Lsn>, mut is_so: impl FnMut(Lsn) -> bool) -> Lsn {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_so(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

impl Shared {
    /// Counts what is not settled of `range` as lost. LSNs that hold no entry are nobody's loss.
    fn give_up(&self, log: &Log, range: Range<Lsn>, reason: &str) {
        let missing = log.missing();
        let mut state = lock(&self.state);
        let before = state.account.lost_total();
        for open in state.account.above.gaps_in(&(range.start.max(state.account.low)..range.end)) {
            let mut at = open.start;
            for missing in &missing {
                let (start, end) = (missing.range.start.max(at), missing.range.end.min(open.end));
                if start < end {
                    state.lose(at..start, reason);
                    match missing.cause {
                        MissingCause::Damaged => state.lose(start..end, "damaged"),
                        MissingCause::Dropped => state.lose(start..end, "dropped"),
                        _ => state.account.settle(start..end, Settled::Nothing),
                    }
                    at = end;
                }
            }
            state.lose(at..open.end, reason);
        }
        let entries = state.account.lost_total() - before;
        // What was read of it, and behind it, is read again or not at all.
        while let Some(chunk) = state.ready.pop_back() {
            if chunk.again {
                state.again.insert(chunk.range);
            } else {
                state.fed = state.fed.min(chunk.range.start);
            }
        }
        state.fed = state.fed.max(range.end);
        state.again.remove(&(0..range.end));
        drop(state);
        if entries > 0 {
            tracing::error!(
                output = %self.name, entries, reason,
                "An output lags too far behind: its oldest entries are given up."
            );
        }
        self.settled.notify_waiters();
        self.feed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_so_is_found() {
        assert_eq!(reaching(10..100, |lsn| lsn >= 57), 57);
        assert_eq!(reaching(10..100, |_| true), 10);
        assert_eq!(reaching(10..100, |_| false), 100);
        assert_eq!(reaching(10..10, |_| false), 10);
    }
}
