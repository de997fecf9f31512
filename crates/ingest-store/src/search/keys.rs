//! The highest keys of many.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::filter::Key;

/// Keeps the `limit` highest keys that it is given. 24 bytes a key.
#[derive(Debug)]
pub(super) struct Highest {
    limit: usize,
    heap: BinaryHeap<Reverse<Key>>,
}

impl Highest {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::with_capacity(limit) }
    }

    pub(super) fn push(&mut self, key: Key) {
        if self.heap.len() < self.limit {
            self.heap.push(Reverse(key));
        } else if let Some(mut lowest) = self.heap.peek_mut()
            && lowest.0 < key
        {
            *lowest = Reverse(key);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.heap.len() >= self.limit
    }

    /// The lowest of them.
    pub(super) fn lowest(&self) -> Option<Key> {
        self.heap.peek().map(|key| key.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_entry::Timestamp;

    #[test]
    fn the_highest_stay() {
        let key = |n: u64| Key { ts: Timestamp::from_unix_nanos(n as i64 % 7), lsn: n };
        let mut highest = Highest::new(4);
        let mut all: Vec<_> = (0..50).map(|n| key(n * 31 % 50)).collect();
        all.iter().for_each(|&key| highest.push(key));
        all.sort();
        assert!(highest.is_full());
        assert_eq!(highest.lowest(), Some(all[46]));
    }
}
