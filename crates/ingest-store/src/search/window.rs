//! The lowest entries of many, as many as fit into a bounded memory.

use ingest_entry::{EntryRef, Limits};

use crate::filter::Key;
use crate::segment::Match;

/// Keeps the entries with the lowest keys that it is given, up to its budget; never fewer than
/// one.
#[derive(Debug)]
pub(super) struct Window {
    budget: usize,
    rows: Vec<Row>,
    arena: Vec<u8>,
    /// Some were given up: those above are for another window.
    cap: Option<Key>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    key: Key,
    arrival: i64,
    source: u16,
    at: usize,
    len: u32,
}

impl Row {
    fn range(&self) -> std::ops::Range<usize> {
        self.at..self.at + self.len as usize
    }
}

impl Window {
    /// An empty one for so many bytes of entries and their rows.
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, rows: Vec::new(), arena: Vec::new(), cap: None }
    }

    /// The highest key that it still takes.
    pub(super) fn cap(&self) -> Option<Key> {
        self.cap
    }

    pub(super) fn push(&mut self, key: Key, found: &Match<'_>) {
        if self.cap.is_some_and(|cap| key > cap) {
            return;
        }
        let at = self.arena.len();
        if found.entry.encode_stored(&mut self.arena).is_err() {
            return; // It came from the same form.
        }
        let (arrival, source, len) = (found.arrival, found.source, self.arena.len() - at);
        self.rows.push(Row { key, arrival, source, at, len: len as u32 });
        if self.arena.len() + self.rows.len() * size_of::<Row>() > self.budget {
            self.shrink();
        }
    }

    /// Gives up the highest quarter.
    fn shrink(&mut self) {
        self.rows.sort_unstable_by_key(|row| row.key);
        let (mut bytes, mut keep) = (0, 0);
        for row in &self.rows {
            bytes += row.len as usize + size_of::<Row>();
            if keep > 0 && bytes > self.budget / 4 * 3 {
                break;
            }
            keep += 1;
        }
        if keep == self.rows.len() {
            return;
        }
        self.rows.truncate(keep);
        self.cap = self.rows.last().map(|row| row.key);
        // What stays moves to the front, in the order in which it lies there.
        self.rows.sort_unstable_by_key(|row| row.at);
        let mut at = 0;
        for row in &mut self.rows {
            self.arena.copy_within(row.range(), at);
            row.at = at;
            at += row.len as usize;
        }
        self.arena.truncate(at);
    }

    /// The entries in order.
    pub(super) fn sorted(&mut self) -> impl Iterator<Item = (Key, Match<'_>)> {
        self.rows.sort_unstable_by_key(|row| row.key);
        self.rows.iter().filter_map(|row| {
            let stored = self.arena.get(row.range())?;
            let (entry, _) = EntryRef::decode_stored(stored, &Limits::FORMAT).ok()?;
            let Row { key, arrival, source, .. } = *row;
            Some((key, Match { lsn: key.lsn, arrival, source, entry }))
        })
    }

    /// Makes it empty again, for what comes after.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.arena.clear();
        self.cap = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_entry::{Source, TagId, Timestamp};

    #[test]
    fn windows_follow_each_other_without_gaps() {
        let mut all: Vec<(i64, u64)> =
            (1..500).map(|lsn| ((lsn * 7919 % 13) as i64, lsn)).collect();
        let mut window = Window::new(8000);
        let (mut found, mut passes, mut after) = (Vec::new(), 0, Key { lsn: 0, ..Key::MIN });
        loop {
            passes += 1;
            window.clear();
            for &(time, lsn) in &all {
                let data = lsn.to_string();
                let ts = Timestamp::from_unix_nanos(time);
                let entry = EntryRef::new(ts, Source::NONE, TagId(1), data.as_bytes());
                let key = Key::of(&entry, lsn);
                if key > after {
                    window.push(key, &Match { lsn, arrival: 0, source: 0, entry });
                }
            }
            let more = window.cap().is_some();
            for (key, hit) in window.sorted() {
                assert_eq!(hit.entry.data, hit.lsn.to_string().as_bytes());
                found.push((hit.entry.ts.unix_nanos() as i64, hit.lsn));
                after = key;
            }
            if !more {
                break;
            }
        }
        all.sort();
        assert_eq!(found, all);
        assert!(passes > 5);
    }

    #[test]
    fn one_entry_always_fits() {
        let big = vec![0; 10_000];
        let mut window = Window::new(100);
        for lsn in [3, 1, 2] {
            let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Source::NONE, TagId(1), &big);
            window.push(Key::of(&entry, lsn), &Match { lsn, arrival: 0, source: 0, entry });
        }
        let kept: Vec<_> = window.sorted().map(|(key, _)| key.lsn).collect();
        assert_eq!(kept, [1]);
        assert_eq!(window.cap().map(|cap| cap.lsn), Some(1));
    }
}
