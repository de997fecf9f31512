//! Leases: contiguous ranges of LSNs on their way to a destination.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ingest_entry::{EntryRef, TagName, stored};
use ingest_wal::{LogId, Lsn, RangeSet, Record, Writer};
use tokio::sync::Notify;

use crate::names::Names;
use crate::output::{Account, Filter, Policy, Settled};
use crate::status::{LinkPhase, LinkState};
use crate::sync::lock;

/// Most entries of a lease.
pub(crate) const MAX_ENTRIES: u64 = 4096;
/// Most bytes of a lease, unless a single record is larger.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// After so many confirmations the position is kept, however little time has passed.
const KEEP_AFTER: u64 = 64 * 1024;
/// Leases read ahead for the links of an output.
pub(crate) const READY: usize = 2;

/// State of an output that its feeder, its links and the status share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) filter: Filter,
    pub(crate) policy: Policy,
    pub(crate) names: Arc<Names>,
    pub(crate) log_id: LogId,
    pub(crate) writer: Writer,
    pub(crate) state: Mutex<State>,
    /// Rung when a lease can be taken, or none will come any more.
    pub(crate) ready: Notify,
    /// Rung when the feeder has something to do.
    pub(crate) feed: Notify,
    /// Rung for all when it may be another link's turn.
    pub(crate) standby: Notify,
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
    pub(crate) closed: bool,
    pub(crate) links: Vec<LinkState>,
    pub(crate) resent: u64,
    /// Entries in leases that links hold.
    pub(crate) leased: u64,
    /// Arrival of the oldest entry that was read and is not confirmed, unix nanoseconds.
    pub(crate) oldest_arrival: Option<i64>,
    /// Entries confirmed since the log was last asked to keep the position.
    pub(crate) unkept: u64,
}

/// Entries that were read for an output.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) range: Range<Lsn>,
    pub(crate) records: Vec<Record>,
    /// How many of them the filter lets through.
    pub(crate) matching: u64,
    pub(crate) again: bool,
}

impl State {
    /// Whether a link may take leases: with fail-over none before it is up.
    fn is_turn_of(&self, link: usize, policy: Policy) -> bool {
        let mut before = self.links.iter().take(link);
        self.closed
            || policy == Policy::Share
            || !before.any(|earlier| earlier.phase == LinkPhase::Up)
    }
}

impl Shared {
    /// Puts a range back that nobody delivered. What was read behind it goes back too, so that the
    /// repeat begins with the oldest.
    fn give_back(&self, range: Range<Lsn>) {
        {
            let mut state = lock(&self.state);
            state.again.insert(range);
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
}

/// Where a link takes its work from. Clones share it.
#[derive(Clone, Debug)]
pub struct Leases {
    pub(crate) shared: Arc<Shared>,
    pub(crate) link: usize,
    /// Taken by this link and not settled: when.
    pub(crate) held: Arc<Mutex<VecDeque<(Lsn, Instant)>>>,
}

impl Leases {
    /// The next lease, in the order of the log; `None` when there will be no more.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&self) -> Option<Lease> {
        loop {
            self.turn().await;
            let notified = self.shared.ready.notified();
            {
                let mut state = lock(&self.shared.state);
                if !state.is_turn_of(self.link, self.shared.policy) {
                    drop(state);
                    // It was rung for the link whose turn it is.
                    self.shared.ready.notify_one();
                    continue;
                }
                if let Some(chunk) = state.ready.pop_front() {
                    let more = !state.ready.is_empty();
                    state.leased += chunk.matching;
                    if chunk.again {
                        state.resent += chunk.matching;
                    }
                    drop(state);
                    self.shared.feed.notify_one();
                    if more {
                        // Another link may be waiting for what is left.
                        self.shared.ready.notify_one();
                    }
                    lock(&self.held).push_back((chunk.range.start, Instant::now()));
                    return Some(Lease { leases: self.clone(), chunk, settled: false });
                }
                if state.closed {
                    drop(state);
                    self.shared.ready.notify_one();
                    return None;
                }
            }
            notified.await;
        }
    }

    /// Waits until this link may take leases.
    async fn turn(&self) {
        loop {
            let mut changed = pin!(self.shared.standby.notified());
            changed.as_mut().enable();
            if lock(&self.shared.state).is_turn_of(self.link, self.shared.policy) {
                return;
            }
            changed.await;
        }
    }

    /// To be called when the destination has answered: the operator sees that the link is up.
    pub fn connected(&self) {
        if let Some(link) = lock(&self.shared.state).links.get_mut(self.link) {
            link.set_up();
        }
        self.shared.standby.notify_waiters();
        if self.shared.policy == Policy::FailOver {
            // What waits may be waiting for this link.
            self.shared.ready.notify_one();
        }
    }

    /// The name of a tag number in the entries of the leases.
    #[must_use]
    pub fn tag_name(&self, entry: &EntryRef<'_>) -> Option<TagName> {
        self.shared.names.tag_name(entry.tag)
    }

    pub(crate) fn oldest_held(&self) -> Option<Instant> {
        lock(&self.held).front().map(|(_, since)| *since)
    }

    fn let_go(&self, start: Lsn) {
        lock(&self.held).retain(|(held, _)| *held != start);
    }
}

/// A contiguous range of LSNs, held by one link until it confirms or drops it.
#[derive(Debug)]
#[must_use = "a lease that is dropped goes back"]
pub struct Lease {
    leases: Leases,
    chunk: Chunk,
    settled: bool,
}

/// The identity of an entry for all time: the same whenever it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StableId {
    /// The log's directory.
    pub log_id: LogId,
    /// The log's incarnation when the entry was accepted.
    pub epoch: u32,
    /// The entry.
    pub lsn: Lsn,
}

impl Lease {
    /// The LSNs it covers; not each of them need hold an entry for this output.
    #[must_use]
    pub fn range(&self) -> Range<Lsn> {
        self.chunk.range.clone()
    }

    /// How many entries there are to deliver.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.chunk.matching
    }

    /// Whether there is nothing to deliver.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunk.matching == 0
    }

    /// The entries to deliver, in order, each with its identity.
    pub fn entries(&self) -> impl Iterator<Item = (StableId, EntryRef<'_>)> {
        let shared = &self.leases.shared;
        self.chunk.records.iter().flat_map(move |record| {
            let (first, epoch) = (record.header.first, record.header.epoch);
            stored::entries(&record.body).flatten().zip(first..).filter_map(move |(entry, lsn)| {
                let inside = self.chunk.range.contains(&lsn);
                let meant = inside && shared.matches(&entry);
                let id = StableId { log_id: shared.log_id, epoch, lsn };
                meant.then_some((id, entry))
            })
        })
    }

    /// The identity of the entry at `lsn`, if the lease covers it.
    #[must_use]
    pub fn id(&self, lsn: Lsn) -> Option<StableId> {
        let holds = |record: &&Record| (record.header.first..record.header.end()).contains(&lsn);
        let record = self.chunk.records.iter().find(holds)?;
        let log_id = self.leases.shared.log_id;
        Some(StableId { log_id, epoch: record.header.epoch, lsn })
    }

    /// The destination has all of it.
    pub fn confirm(mut self) {
        self.settled = true;
        self.leases.let_go(self.chunk.range.start);
        self.settle(self.chunk.range.clone(), self.chunk.matching);
    }

    /// The destination has the first so many of its entries, and has not said so of the others:
    /// they are all that goes back when the lease is dropped.
    pub fn confirm_first(&mut self, entries: u64) {
        let Some(last) = entries.min(self.chunk.matching).checked_sub(1) else { return };
        let nth = usize::try_from(last).ok().and_then(|last| self.entries().nth(last));
        let Some(end) = nth.map(|(id, _)| id.lsn.saturating_add(1)) else { return };
        self.settle(self.chunk.range.start..end, last + 1);
        if let Some((start, _)) =
            lock(&self.leases.held).iter_mut().find(|(start, _)| *start == self.chunk.range.start)
        {
            *start = end;
        }
        self.chunk.range.start = end;
        self.chunk.matching -= last + 1;
    }

    fn settle(&self, range: Range<Lsn>, matching: u64) {
        let shared = &self.leases.shared;
        let mut state = lock(&shared.state);
        state.leased = state.leased.saturating_sub(matching);
        state.account.settle(range, Settled::Confirmed { matching });
        if state.account.low >= state.fed {
            state.oldest_arrival = None;
        }
        if let Some(link) = state.links.get_mut(self.leases.link) {
            link.confirmed += matching;
        }
        state.unkept += matching;
        let keep = state.unkept >= KEEP_AFTER;
        if keep {
            state.unkept = 0;
        }
        drop(state);
        if keep {
            shared.writer.look();
        }
        shared.feed.notify_one();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.leases.let_go(self.chunk.range.start);
        let shared = &self.leases.shared;
        {
            let mut state = lock(&shared.state);
            state.leased = state.leased.saturating_sub(self.chunk.matching);
        }
        shared.give_back(self.chunk.range.clone());
    }
}

impl Shared {
    pub(crate) fn matches(&self, entry: &EntryRef<'_>) -> bool {
        match &self.filter {
            Filter::All => true,
            filter => {
                let name = self.names.tag_name(entry.tag);
                filter.matches(name.as_ref().map(TagName::as_str))
            }
        }
    }
}
