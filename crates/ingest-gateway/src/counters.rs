//! What a source counts. Items are what the protocol carries (lines, say); each is accepted, or
//! refused for exactly one reason.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ingest_mux::Source;

use crate::children::Children;
use crate::template::Maker;

/// A number that threads share.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes `n` off again: for gauges.
    pub fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// Replaces the value: for counters that somebody else keeps.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What became of the items of a source. Added up batch by batch, so that a look at it always
/// sees whole batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes read.
    pub received_bytes: u64,
    /// Items found in them.
    pub received_items: u64,
    /// Items handed over to the log.
    pub accepted_items: u64,
    /// Entries made of them.
    pub accepted_entries: u64,
    /// Items refused, in the order of the source's reasons.
    pub refused: Vec<u64>,
    /// Items that the log dropped after it had taken them over, because it was full and
    /// `log.on_full` is `drop-newest`. They are not among the accepted ones.
    pub dropped: u64,
}

impl Totals {
    /// Nothing, with room for this many reasons.
    #[must_use]
    pub fn new(reasons: usize) -> Self {
        Self { refused: vec![0; reasons], ..Self::default() }
    }

    /// Counts an item refused for a reason, by its place in the list.
    pub fn refuse(&mut self, reason: usize) {
        self.refuse_many(reason, 1);
    }

    /// Counts items refused for a reason, by its place in the list.
    pub fn refuse_many(&mut self, reason: usize, items: u64) {
        if let Some(count) = self.refused.get_mut(reason) {
            *count += items;
        }
    }

    /// Whether every item received is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let refused = self.refused.iter().sum::<u64>();
        self.received_items == self.accepted_items + refused + self.dropped
    }

    fn add(&mut self, other: &Self) {
        self.received_bytes += other.received_bytes;
        self.received_items += other.received_items;
        self.accepted_items += other.accepted_items;
        self.accepted_entries += other.accepted_entries;
        self.dropped += other.dropped;
        for (have, more) in self.refused.iter_mut().zip(&other.refused) {
            *have += more;
        }
    }
}

/// The counters of one source, since the start of the process.
#[derive(Debug)]
pub struct SourceCounters {
    /// Name in the configuration.
    pub name: String,
    /// Type in the configuration.
    pub kind: &'static str,
    /// Address that is really bound.
    listen: Mutex<String>,
    /// Why items are refused: the names of [`Totals::refused`].
    pub reasons: Vec<&'static str>,
    totals: Mutex<Totals>,
    /// Where the log says what it dropped.
    log: OnceLock<Source>,
    /// Connections that are open now.
    pub connections_open: Counter,
    /// Connections accepted.
    pub connections_total: Counter,
    /// Connections that ended otherwise than by an end of file that was answered.
    pub connections_aborted: Counter,
    /// Connections that were not let in: no authentication, or a handshake that failed.
    pub connections_refused: Counter,
    /// Who is behind the connections, where the protocol says it.
    pub children: Children,
    /// Times that reading waited for the budget or the log.
    pub waits: Counter,
    /// Times that reading waited because a connection sent more than its rate allows.
    pub rate_waits: Counter,
    /// What makes the tags of its entries.
    maker: Mutex<Option<Arc<Maker>>>,
    /// Refused items that were kept under the tag of the source's `rejects`.
    pub kept_rejects: Counter,
    /// Datagrams that the kernel dropped before they could be read. Not items: nobody knows how
    /// many lines they held.
    pub kernel_drops: Counter,
}

impl SourceCounters {
    /// Counters for a source that can refuse items for these reasons.
    #[must_use]
    pub fn new(name: &str, kind: &'static str, listen: String, reasons: Vec<&'static str>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            listen: Mutex::new(listen),
            totals: Mutex::new(Totals::new(reasons.len())),
            log: OnceLock::new(),
            reasons,
            connections_open: Counter::default(),
            connections_total: Counter::default(),
            connections_aborted: Counter::default(),
            connections_refused: Counter::default(),
            children: Children::default(),
            waits: Counter::default(),
            rate_waits: Counter::default(),
            maker: Mutex::default(),
            kept_rejects: Counter::default(),
            kernel_drops: Counter::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what a batch came to.
    pub fn add(&self, batch: &Totals) {
        self.lock().add(batch);
    }

    /// The address that is really bound; empty if the source connects, or runs no more.
    #[must_use]
    pub fn listen(&self) -> String {
        self.listen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It takes its data from there from now on; nothing when it does no more.
    pub(crate) fn listens(&self, place: String) {
        *self.listen.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    /// What makes the tags of its entries, if they are made.
    #[must_use]
    pub fn maker(&self) -> Option<Arc<Maker>> {
        self.maker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this makes them.
    pub(crate) fn makes(&self, maker: Option<Arc<Maker>>) {
        *self.maker.lock().unwrap_or_else(PoisonError::into_inner) = maker;
    }

    /// From now on what the log drops of this source is not counted as accepted.
    pub(crate) fn follow(&self, source: Source) {
        let _ = self.log.set(source);
    }

    /// The totals now. Each item is one entry, so the log's count of entries is one of items.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let dropped = self.log.get().map_or(0, Source::dropped);
        let mut totals = self.lock().clone();
        // What was handed over a moment ago may be dropped before it is added here.
        let dropped = dropped.min(totals.accepted_items).min(totals.accepted_entries);
        totals.accepted_items -= dropped;
        totals.accepted_entries -= dropped;
        totals.dropped += dropped;
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_without_a_fate_is_seen() {
        let counters = SourceCounters::new("s", "graphite", String::new(), vec!["a", "b"]);
        let mut batch = Totals::new(2);
        batch.received_items = 3;
        batch.accepted_items = 1;
        batch.refuse(1);
        assert!(!batch.is_balanced());
        batch.refuse(0);
        counters.add(&batch);
        counters.add(&batch);
        assert!(counters.totals().is_balanced());
        assert_eq!(counters.totals().refused, [2, 2]);
    }
}
