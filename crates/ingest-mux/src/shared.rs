//! State of an output that its feeder, its links and the status share.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use ingest_wal::{LogId, Lsn, RangeSet, Record, Writer};
use tokio::sync::Notify;

use crate::about::About;
use crate::lease::MAX_BYTES;
use crate::matcher::Matcher;
use crate::names::Names;
use crate::output::{Account, Lag, Policy, Settled};
use crate::rate::Limiter;
use crate::status::{LinkPhase, LinkState};
use crate::sync::lock;

/// Leases read ahead for the links of an output.
pub(crate) const READY: usize = 2;
/// So many ranges that were lost are remembered.
const LOST_RANGES: usize = 256;
/// After so many confirmations the position is kept, however little time has passed.
const KEEP_AFTER: u64 = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) matcher: Matcher,
    pub(crate) policy: Policy,
    pub(crate) lag: Lag,
    pub(crate) names: Arc<Names>,
    pub(crate) about: Arc<About>,
    pub(crate) log_id: LogId,
    pub(crate) writer: Writer,
    /// Those of this output, and of all.
    pub(crate) limiters: Vec<Arc<Limiter>>,
    pub(crate) state: Mutex<State>,
    /// Rung for all links when one of them may take a lease, or none will come any more.
    pub(crate) ready: Notify,
    /// Rung when the feeder has something to do.
    pub(crate) feed: Notify,
    /// Rung for all when something was settled.
    pub(crate) settled: Notify,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) account: Account,
    /// Read and waiting for a link.
    pub(crate) ready: VecDeque<Chunk>,
    /// Taken, and given back by a broken link: to be read again, before anything else.
    pub(crate) again: RangeSet,
    /// The feeder has read everything below.
    pub(crate) fed: Lsn,
    /// No lease is given any more.
    pub(crate) closed: bool,
    /// Nothing will be settled any more.
    pub(crate) ended: bool,
    pub(crate) links: Vec<LinkState>,
    /// What each of the links has on its hands.
    pub(crate) loads: Vec<Load>,
    /// Leases taken so far.
    pub(crate) taken: u64,
    pub(crate) resent: u64,
    /// Entries in leases that links hold.
    pub(crate) leased: u64,
    /// Arrival of the oldest entry that was read and is not confirmed, unix nanoseconds.
    pub(crate) oldest_arrival: Option<i64>,
    /// What was lost of late.
    pub(crate) lost: RangeSet,
    /// Confirmed since the log was last asked to keep the position: entries and bytes.
    pub(crate) unkept: (u64, u64),
}

/// What a link has on its hands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// In leases that are not confirmed.
    pub(crate) bytes: u64,
    /// It asks for a lease.
    pub(crate) waiting: bool,
    /// When it got its last one, in the order of all.
    pub(crate) last: u64,
}

/// Entries that were read for an output.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) range: Range<Lsn>,
    pub(crate) records: Vec<Record>,
    /// How many of them the filter lets through, and the bytes of their records.
    pub(crate) matching: u64,
    pub(crate) bytes: u64,
    pub(crate) again: bool,
}

impl State {
    pub(crate) fn new(account: Account, links: usize) -> Self {
        Self {
            fed: account.low,
            account,
            ready: VecDeque::new(),
            again: RangeSet::new(),
            closed: false,
            ended: false,
            links: vec![LinkState::default(); links],
            loads: vec![Load::default(); links],
            taken: 0,
            resent: 0,
            leased: 0,
            oldest_arrival: None,
            lost: RangeSet::new(),
            unkept: (0, 0),
        }
    }

    /// Whether the next lease is for this link. With fail-over, when none before it is up; with
    /// sharing, when of those that ask none has less on its hands, or as much and has waited longer.
    pub(crate) fn is_turn_of(&self, link: usize, policy: Policy) -> bool {
        match policy {
            Policy::FailOver => {
                let mut before = self.links.iter().take(link);
                !before.any(|earlier| earlier.phase == LinkPhase::Up)
            }
            Policy::Share => {
                let Some(own) = self.loads.get(link) else { return true };
                let others = self.loads.iter().enumerate();
                !others.filter(|(other, load)| *other != link && load.waiting).any(
                    |(other, load)| (load.bytes, load.last, other) < (own.bytes, own.last, link),
                )
            }
        }
    }

    /// Goes on behind what is settled already, in an earlier run, say; and says where the next of it
    /// begins.
    pub(crate) fn skip_settled(&mut self) -> Option<Lsn> {
        self.fed = self.fed.max(self.account.low);
        let above = self.account.above.as_slice();
        let next = above.partition_point(|range| range.end <= self.fed);
        for range in above.get(next..).unwrap_or_default() {
            if range.start > self.fed {
                return Some(range.start);
            }
            self.fed = range.end;
        }
        None
    }

    /// How many LSNs below `end` are not settled.
    pub(crate) fn left_below(&self, end: Lsn) -> u64 {
        let open = self.account.low..end.max(self.account.low);
        open.end - open.start - self.account.above.total_in(&open)
    }

    /// Takes LSNs off what is owed because nobody will ever confirm them.
    pub(crate) fn lose(&mut self, range: Range<Lsn>, reason: &str) {
        self.lost.insert(range.clone());
        // Only those who wait for a delivery ask, and they ask soon.
        while self.lost.as_slice().len() > LOST_RANGES {
            let Some(first) = self.lost.as_slice().first().cloned() else { break };
            self.lost.remove(&first);
        }
        self.account.settle(range, Settled::Lost(reason));
    }

    /// Everything of `range` is settled.
    pub(crate) fn has_settled(&self, range: &Range<Lsn>) -> bool {
        let start = range.start.max(self.account.low);
        start >= range.end || self.account.above.total_in(&(start..range.end)) == range.end - start
    }
}

impl Shared {
    /// Puts a range back that nobody delivered. What was read behind it goes back too, so that the
    /// repeat begins with the oldest.
    pub(crate) fn give_back(&self, range: Range<Lsn>) {
        {
            let mut state = lock(&self.state);
            for left in
                state.account.above.gaps_in(&(range.start.max(state.account.low)..range.end))
            {
                state.again.insert(left);
            }
            while let Some(chunk) = state.ready.pop_back() {
                if chunk.again {
                    state.again.insert(chunk.range);
                } else {
                    // Never seen by a destination: it is simply read once more.
                    state.fed = state.fed.min(chunk.range.start);
                }
            }
        }
        self.feed.notify_one();
    }

    /// Takes what a link has confirmed off what is owed.
    pub(crate) fn confirm(&self, link: usize, range: Range<Lsn>, matching: u64, bytes: u64) {
        let mut state = lock(&self.state);
        state.leased = state.leased.saturating_sub(matching);
        state.account.settle(range, Settled::Confirmed { matching });
        if state.account.low >= state.fed {
            state.oldest_arrival = None;
        }
        if let Some(link) = state.links.get_mut(link) {
            link.confirmed += matching;
        }
        if let Some(load) = state.loads.get_mut(link) {
            load.bytes = load.bytes.saturating_sub(bytes);
        }
        state.unkept.0 += matching;
        state.unkept.1 += bytes;
        // A log that is full of confirmed entries waits for nothing else.
        let keep =
            state.unkept.0 >= KEEP_AFTER || state.unkept.1 >= self.writer.limits().max_bytes / 8;
        if keep {
            state.unkept = (0, 0);
        }
        drop(state);
        if keep {
            self.writer.look();
        }
        self.settled.notify_waiters();
        self.feed.notify_one();
    }

    /// The most bytes of a lease, unless a single record is larger.
    pub(crate) fn lease_bytes(&self) -> usize {
        self.limiters
            .iter()
            .map(|limiter| limiter.portion())
            .min()
            .unwrap_or(MAX_BYTES)
            .min(MAX_BYTES)
    }

    /// Waits until all of `range` is settled, or the output is closed: whether all of it was
    /// delivered.
    pub(crate) async fn until_settled(&self, range: &Range<Lsn>) -> bool {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            {
                let state = lock(&self.state);
                if state.has_settled(range) {
                    return state.lost.total_in(range) == 0;
                }
                if state.ended {
                    return false;
                }
            }
            settled.await;
        }
    }

    /// No lease is given any more; links still get confirmed what they sent.
    pub(crate) fn retire(&self) {
        lock(&self.state).closed = true;
        self.feed.notify_one();
        self.ready.notify_waiters();
    }

    /// Ends the output.
    pub(crate) fn close(&self) {
        lock(&self.state).ended = true;
        self.retire();
        self.settled.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(loads: &[(u64, bool, u64)]) -> State {
        let mut state = State::new(Account::new(1, 0), loads.len());
        for (load, &(bytes, waiting, last)) in state.loads.iter_mut().zip(loads) {
            *load = Load { bytes, waiting, last };
        }
        state
    }

    fn turns(state: &State, policy: Policy) -> Vec<usize> {
        (0..state.loads.len()).filter(|&link| state.is_turn_of(link, policy)).collect()
    }

    #[test]
    fn the_link_with_the_least_on_its_hands_is_next() {
        let busy = state(&[(9, true, 1), (5, true, 3), (5, true, 2), (0, false, 0)]);
        assert_eq!(turns(&busy, Policy::Share), [2, 3], "link 3 does not ask");
        let equal = state(&[(0, true, 0), (0, true, 0)]);
        assert_eq!(turns(&equal, Policy::Share), [0]);
    }

    #[test]
    fn with_fail_over_the_first_that_is_up_is_next() {
        let mut state = state(&[(9, true, 0), (0, true, 0), (0, true, 0)]);
        assert_eq!(turns(&state, Policy::FailOver), [0, 1, 2]);
        state.links[1].set_up();
        assert_eq!(turns(&state, Policy::FailOver), [0, 1]);
    }

    #[test]
    fn what_is_settled_is_not_read_again() {
        let mut state = state(&[]);
        state.account.settle(4..6, Settled::Confirmed { matching: 2 });
        state.account.settle(8..9, Settled::Nothing);
        assert_eq!((state.skip_settled(), state.fed), (Some(4), 1));
        state.fed = 4;
        assert_eq!((state.skip_settled(), state.fed), (Some(8), 6));
        state.fed = 8;
        assert_eq!((state.skip_settled(), state.fed), (None, 9));
        state.fed = 3;
        state.account.settle(1..4, Settled::Confirmed { matching: 3 });
        assert_eq!((state.skip_settled(), state.fed), (Some(8), 6), "the low-water mark is there");
    }

    #[test]
    fn settled_ranges_are_seen_as_such() {
        let mut state = state(&[]);
        state.account.settle(1..5, Settled::Nothing);
        state.account.settle(7..9, Settled::Confirmed { matching: 2 });
        assert!(state.has_settled(&(2..5)) && state.has_settled(&(7..9)));
        assert!(!state.has_settled(&(4..6)) && !state.has_settled(&(8..10)));
    }
}
