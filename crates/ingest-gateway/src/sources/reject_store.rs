//! Refused items as entries under a tag of their own: a sample, for whoever looks what is wrong.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ingest_entry::{EntryRef, Source as Address, TagId, Timestamp, Values};
use ingest_mux::{Level, Source};
use tokio::time::Instant;

use super::rate::Rate;
use super::unix_nanos;
use crate::counters::Counter;

/// Items that are kept, a second; those beyond are counted alone.
const PER_SECOND: u64 = 100;
/// Bytes of an item that are kept.
const KEPT: usize = 512;
/// Bytes of an entry beside the item, at most.
const BESIDE: u64 = 256;

/// Where refused items of a source go.
#[derive(Debug)]
pub(crate) struct RejectStore {
    source: Source,
    tag: TagId,
    level: Level,
    state: Mutex<State>,
    kept: Arc<Counter>,
}

#[derive(Debug)]
struct State {
    rate: Rate,
    waiting: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    reason: usize,
    peer: Option<IpAddr>,
    offset: Option<u64>,
    bytes: Box<[u8]>,
}

impl RejectStore {
    /// For entries of this tag, by way of a source of their own.
    pub(crate) fn new(source: Source, tag: TagId, level: Level) -> Self {
        let rate = Rate::new(PER_SECOND, Instant::now());
        let state = Mutex::new(State { rate, waiting: Vec::new() });
        Self { source, tag, level, state, kept: Arc::default() }
    }

    /// The same for another tag: the count goes on.
    pub(crate) fn with(&self, tag: TagId, level: Level) -> Self {
        Self { kept: Arc::clone(&self.kept), ..Self::new(self.source.clone(), tag, level) }
    }

    /// Takes an item for the sample.
    pub(super) fn take(
        &self,
        reason: usize,
        peer: Option<IpAddr>,
        offset: Option<u64>,
        item: &[u8],
    ) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.rate.refill(Instant::now());
        if state.rate.admit() {
            let bytes = item.get(..KEPT).unwrap_or(item).into();
            state.waiting.push(Item { reason, peer, offset, bytes });
        }
    }

    /// Entries that the log has taken.
    pub(super) fn kept(&self) -> u64 {
        self.kept.get().saturating_sub(self.source.dropped())
    }

    /// Writes what was taken. What has no room is let go: it was counted.
    pub(super) fn hand_over(&self, source: &str, reasons: &[&'static str]) {
        let waiting = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut state.waiting)
        };
        if waiting.is_empty() {
            return;
        }
        let wanted = waiting.len() as u64 * (KEPT as u64 + BESIDE);
        let Some(grant) = self.source.try_grant(wanted) else { return };
        let now = unix_nanos();
        let ts = Timestamp::from_unix_nanos(now);
        let mut batch = self.source.batch(grant, now, self.level);
        let mut values = Values::new();
        for item in waiting {
            values.clear();
            let reason = reasons.get(item.reason).copied().unwrap_or("unknown");
            let src = item.peer.map_or(Address::NONE, Address::from_ip);
            // Three short values are within every limit.
            let attached =
                values.push("reason", reason).and_then(|()| values.push("source", source));
            let attached = attached.and_then(|()| match item.offset {
                Some(offset) => values.push("offset", offset),
                None => Ok(()),
            });
            let (tag, data) = (self.tag, &*item.bytes);
            let entry = EntryRef { ts, src, tag, data, values: values.as_ref() };
            if attached.is_err() || batch.push(&entry).is_err() {
                break;
            }
        }
        self.kept.add(batch.finish().entries);
    }
}
