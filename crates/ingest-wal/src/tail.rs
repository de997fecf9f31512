//! The newest records, shared with readers by reference.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::Lsn;
use crate::format::RecordHeader;

/// A record as readers get it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// Its header.
    pub header: RecordHeader,
    /// Its body: shared, not copied, while the record is among the newest.
    pub body: Bytes,
}

/// The newest records of kind entries, up to a number of bytes.
#[derive(Debug)]
pub(crate) struct Tail {
    limit: u64,
    state: Mutex<State>,
}

/// What a record costs beside its body.
const OVERHEAD: u64 = 192;

fn cost(record: &Record) -> u64 {
    record.body.len() as u64 + OVERHEAD
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<Record>,
    bytes: u64,
}

impl Tail {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds records that have become durable, in order.
    pub(crate) fn push(&self, records: impl IntoIterator<Item = Record>) {
        let mut gone = Vec::new();
        let mut state = self.lock();
        for record in records {
            state.bytes += cost(&record);
            state.records.push_back(record);
        }
        while state.bytes > self.limit {
            let Some(old) = state.records.pop_front() else { break };
            state.bytes -= cost(&old);
            gone.push(old);
        }
        drop(state);
        // Their memory is freed outside the lock.
        drop(gone);
    }

    /// Lets go of the records below `end`, though there is room for them: they are not to be read.
    pub(crate) fn forget_below(&self, end: Lsn) {
        let gone = {
            let mut state = self.lock();
            let below = state.records.partition_point(|record| record.header.end() <= end);
            let gone: Vec<_> = state.records.drain(..below).collect();
            state.bytes -= gone.iter().map(cost).sum::<u64>();
            gone
        };
        drop(gone);
    }

    /// The first record that ends behind `lsn`.
    pub(crate) fn from(&self, lsn: Lsn) -> Option<Record> {
        let state = self.lock();
        let at = state.records.partition_point(|record| record.header.end() <= lsn);
        state.records.get(at).cloned()
    }

    /// The record that holds `lsn`, if the tail reaches back to it.
    pub(crate) fn get(&self, lsn: Lsn) -> Option<Record> {
        self.from(lsn).filter(|record| record.header.first <= lsn)
    }
}
