//! Leases: contiguous ranges of LSNs on their way to a destination.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ingest_entry::{EntryRef, TagId, TagName, stored};
use ingest_wal::{LogId, Lsn, Plant, Record};

use crate::about::Identity;
use crate::matcher::Memo;
use crate::output::Settled;
use crate::shared::{Chunk, Shared};
use crate::sync::lock;

/// Most entries of a lease.
pub(crate) const MAX_ENTRIES: u64 = 4096;
/// Most bytes of a lease, unless a single record is larger.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// Where a link takes its work from. Clones share it.
#[derive(Clone, Debug)]
pub struct Leases {
    pub(crate) shared: Arc<Shared>,
    pub(crate) link: usize,
    /// Taken by this link and not settled: when.
    pub(crate) held: Arc<Mutex<VecDeque<(Lsn, Instant)>>>,
}

/// A link that asks for a lease, until it is dropped.
struct Asking<'a>(&'a Leases);

impl<'a> Asking<'a> {
    fn new(leases: &'a Leases) -> Self {
        leases.set_waiting(true);
        Self(leases)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.set_waiting(false);
        // It may have been this one's turn.
        self.0.shared.ready.notify_waiters();
    }
}

impl Leases {
    /// The next lease, in the order of the log; `None` when there will be no more. With sharing it
    /// goes to the link that has the fewest unconfirmed bytes among those that ask. Waits for the
    /// rate limits of the output and of all outputs.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&self) -> Option<Lease> {
        let asking = Asking::new(self);
        for limiter in &self.shared.limiters {
            limiter.ready().await;
        }
        loop {
            let mut changed = pin!(self.shared.ready.notified());
            changed.as_mut().enable();
            {
                let mut state = lock(&self.shared.state);
                if state.closed {
                    return None;
                }
                if state.is_turn_of(self.link, self.shared.policy)
                    && let Some(chunk) = state.ready.pop_front()
                {
                    if Plant::CursorBeforeAck.is_active() {
                        let matching = chunk.matching;
                        let sent = Settled::Confirmed { matching };
                        state.account.settle(chunk.range.clone(), sent);
                    }
                    state.leased += chunk.matching;
                    if chunk.again {
                        state.resent += chunk.matching;
                    }
                    state.taken += 1;
                    let last = state.taken;
                    if let Some(load) = state.loads.get_mut(self.link) {
                        load.bytes += chunk.bytes;
                        load.last = last;
                    }
                    drop(state);
                    drop(asking);
                    self.shared.feed.notify_one();
                    self.shared.limiters.iter().for_each(|limiter| limiter.spend(chunk.bytes));
                    lock(&self.held).push_back((chunk.range.start, Instant::now()));
                    return Some(Lease { leases: self.clone(), chunk, settled: false });
                }
            }
            changed.await;
        }
    }

    fn set_waiting(&self, waiting: bool) {
        if let Some(load) = lock(&self.shared.state).loads.get_mut(self.link) {
            load.waiting = waiting;
        }
    }

    /// To be called when the destination has answered: the operator sees that the link is up.
    pub fn connected(&self) {
        if let Some(link) = lock(&self.shared.state).links.get_mut(self.link) {
            link.set_up();
        }
        self.shared.ready.notify_waiters();
    }

    /// Who the muxer is, to be told to the destination.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.shared.about.identity
    }

    /// The output that the link belongs to.
    #[must_use]
    pub fn output(&self) -> &str {
        &self.shared.name
    }

    /// The name of a tag number in the entries of the leases.
    #[must_use]
    pub fn tag_name(&self, tag: TagId) -> Option<TagName> {
        self.shared.names.tag_name(tag)
    }

    /// The tags that entries for this output may carry, from the `seen`-th that the log defined,
    /// and how many it has defined by now: for destinations that negotiate tags before they are
    /// used. Waits until there is a new one.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn new_tags(&self, seen: usize) -> (Vec<(TagId, TagName)>, usize) {
        loop {
            let mut defined = pin!(self.shared.names.defined());
            defined.as_mut().enable();
            let (mut tags, now) = self.shared.names.tags_from(seen);
            if now > seen {
                tags.retain(|(tag, _)| self.shared.matcher.takes(*tag));
                return (tags, now);
            }
            defined.await;
        }
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
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        let shared = &self.leases.shared;
        Entries {
            log_id: shared.log_id,
            memo: shared.matcher.memo(),
            range: self.chunk.range.clone(),
            records: self.chunk.records.iter(),
            epoch: 0,
            next: 0,
            entries: stored::entries(&[]),
        }
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
        let Chunk { range, matching, bytes, .. } = &self.chunk;
        self.leases.shared.confirm(self.leases.link, range.clone(), *matching, *bytes);
    }

    /// The destination has the first so many of its entries, and has not said so of the others:
    /// they are all that goes back when the lease is dropped.
    pub fn confirm_first(&mut self, entries: u64) {
        let Some(last) = entries.min(self.chunk.matching).checked_sub(1) else { return };
        let nth = usize::try_from(last).ok().and_then(|last| self.entries().nth(last));
        let Some(end) = nth.map(|(id, _)| id.lsn.saturating_add(1)) else { return };
        let shared = &self.leases.shared;
        shared.confirm(self.leases.link, self.chunk.range.start..end, last + 1, 0);
        if let Some((start, _)) =
            lock(&self.leases.held).iter_mut().find(|(start, _)| *start == self.chunk.range.start)
        {
            *start = end;
        }
        self.chunk.range.start = end;
        self.chunk.matching -= last + 1;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.leases.let_go(self.chunk.range.start);
        let shared = &self.leases.shared;
        if Plant::SkipResend.is_active() {
            let Chunk { range, matching, bytes, .. } = &self.chunk;
            shared.confirm(self.leases.link, range.clone(), *matching, *bytes);
            return;
        }
        {
            let mut state = lock(&shared.state);
            state.leased = state.leased.saturating_sub(self.chunk.matching);
            if let Some(load) = state.loads.get_mut(self.leases.link) {
                load.bytes = load.bytes.saturating_sub(self.chunk.bytes);
            }
        }
        shared.give_back(self.chunk.range.clone());
    }
}

/// The entries of a lease: see [`Lease::entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    log_id: LogId,
    memo: Memo<'a>,
    range: Range<Lsn>,
    records: std::slice::Iter<'a, Record>,
    epoch: u32,
    /// The LSN of the next entry of the record.
    next: Lsn,
    entries: stored::EntriesIter<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (StableId, EntryRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(Ok(entry)) = self.entries.next() else {
                let record = self.records.next()?;
                (self.epoch, self.next) = (record.header.epoch, record.header.first);
                self.entries = stored::entries(&record.body);
                continue;
            };
            let lsn = self.next;
            self.next += 1;
            if self.range.contains(&lsn) && self.memo.takes(entry.tag) {
                return Some((StableId { log_id: self.log_id, epoch: self.epoch, lsn }, entry));
            }
        }
    }
}
