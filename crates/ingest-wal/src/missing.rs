//! Every LSN that holds no entry, and the totals of the directory's life.

use std::ops::Range;

use crate::format::{Missing, MissingCause, Snapshot};
use crate::{Lsn, RangeSet};

/// Most ranges that the void record and the seal of a segment name (24 bytes each).
const LISTED: usize = 64;

/// Known ranges (of the segments that are still there) and totals (of all time).
#[derive(Clone, Debug, Default)]
pub(crate) struct MissingTable {
    void: RangeSet,
    unwitnessed: RangeSet,
    damaged: RangeSet,
    /// Below the oldest segment; kept until all have passed them.
    dropped: RangeSet,
    pub(crate) void_total: u64,
    pub(crate) unwitnessed_total: u64,
    pub(crate) damaged_total: u64,
}

/// LSNs without an entry in the life of the directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) void: u64,
    pub(crate) unwitnessed: u64,
    pub(crate) damaged: u64,
}

impl Totals {
    /// What a snapshot says.
    pub(crate) const fn of(snapshot: &Snapshot) -> Self {
        Self {
            void: snapshot.void_total,
            unwitnessed: snapshot.unwitnessed_total,
            damaged: snapshot.damaged_total,
        }
    }
}

impl MissingTable {
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            void: self.void_total,
            unwitnessed: self.unwitnessed_total,
            damaged: self.damaged_total,
        }
    }

    /// Takes totals over that were written down: they only rise.
    pub(crate) fn raise(&mut self, totals: Totals) {
        self.void_total = self.void_total.max(totals.void);
        self.unwitnessed_total = self.unwitnessed_total.max(totals.unwitnessed);
        self.damaged_total = self.damaged_total.max(totals.damaged);
    }

    /// Where the first known range at or above `lsn` begins.
    pub(crate) fn next_known(&self, lsn: Lsn) -> Option<Lsn> {
        let all = lsn..Lsn::MAX;
        [&self.void, &self.unwitnessed, &self.damaged, &self.dropped]
            .into_iter()
            .filter_map(|set| set.overlapping(&all).next())
            .map(|range| range.start)
            .min()
    }

    /// Takes ranges over from a snapshot or a void record, which counted them when they were new.
    pub(crate) fn know(&mut self, list: &[Missing]) {
        for missing in list {
            self.set(missing.cause).insert(missing.range.clone());
        }
    }

    fn set(&mut self, cause: MissingCause) -> &mut RangeSet {
        match cause {
            MissingCause::Void => &mut self.void,
            MissingCause::Unwitnessed => &mut self.unwitnessed,
            MissingCause::Damaged => &mut self.damaged,
            MissingCause::Dropped => &mut self.dropped,
        }
    }

    /// Adds a range that was not known and counts what of it is new. Says how much that was.
    pub(crate) fn count(&mut self, range: Range<Lsn>, cause: MissingCause) -> u64 {
        let mut added = 0;
        for gap in self.unknown_in(&range) {
            added += self.set(cause).insert(gap);
        }
        match cause {
            MissingCause::Void => self.void_total += added,
            MissingCause::Unwitnessed => self.unwitnessed_total += added,
            MissingCause::Damaged => self.damaged_total += added,
            MissingCause::Dropped => {}
        }
        added
    }

    /// The parts of `range` of which nothing is known.
    pub(crate) fn unknown_in(&self, range: &Range<Lsn>) -> Vec<Range<Lsn>> {
        self.void
            .gaps_in(range)
            .iter()
            .flat_map(|gap| self.unwitnessed.gaps_in(gap))
            .collect::<Vec<_>>()
            .iter()
            .flat_map(|gap| self.damaged.gaps_in(gap))
            .collect::<Vec<_>>()
            .iter()
            .flat_map(|gap| self.dropped.gaps_in(gap))
            .collect()
    }

    /// What is known of `lsn`: the range around it and its cause.
    pub(crate) fn at(&self, lsn: Lsn) -> Option<Missing> {
        [
            (&self.void, MissingCause::Void),
            (&self.unwitnessed, MissingCause::Unwitnessed),
            (&self.damaged, MissingCause::Damaged),
            (&self.dropped, MissingCause::Dropped),
        ]
        .into_iter()
        .find_map(|(set, cause)| Some(Missing { range: set.range_of(lsn)?, cause }))
    }

    /// How many LSNs of `range` hold no entry because of `cause`.
    pub(crate) fn total_in(&self, range: &Range<Lsn>, cause: MissingCause) -> u64 {
        match cause {
            MissingCause::Void => self.void.total_in(range),
            MissingCause::Unwitnessed => self.unwitnessed.total_in(range),
            MissingCause::Damaged => self.damaged.total_in(range),
            MissingCause::Dropped => self.dropped.total_in(range),
        }
    }

    /// All known ranges at or above `from`, by cause.
    pub(crate) fn list_from(&self, from: Lsn) -> Vec<Missing> {
        let all = from..Lsn::MAX;
        [
            (&self.void, MissingCause::Void),
            (&self.unwitnessed, MissingCause::Unwitnessed),
            (&self.damaged, MissingCause::Damaged),
            (&self.dropped, MissingCause::Dropped),
        ]
        .into_iter()
        .flat_map(|(set, cause)| {
            set.overlapping(&all).map(move |range| Missing { range, cause }).collect::<Vec<_>>()
        })
        .collect()
    }

    /// The newest known ranges, as many as a segment says in front and at its end. Those before are
    /// in both snapshots, unless there are very many new ones.
    pub(crate) fn newest(&self) -> Vec<Missing> {
        let mut list = self.list_from(0);
        list.sort_by_key(|missing| missing.range.start);
        list.split_off(list.len().saturating_sub(LISTED))
    }

    /// Forgets what was dropped and has been passed by all since.
    pub(crate) fn forget_dropped_below(&mut self, lsn: Lsn) {
        self.dropped.remove_below(lsn);
    }

    /// Forgets ranges below the oldest segment, but for what was dropped; the totals stay.
    pub(crate) fn forget_below(&mut self, lsn: Lsn) {
        for set in [&mut self.void, &mut self.unwitnessed, &mut self.damaged] {
            set.remove_below(lsn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_not_counted_again() {
        let mut table = MissingTable::default();
        table.know(&[Missing { range: 10..20, cause: MissingCause::Void }]);
        assert_eq!(table.count(5..25, MissingCause::Damaged), 10);
        assert_eq!(table.count(5..25, MissingCause::Damaged), 0);
        assert_eq!((table.void_total, table.damaged_total), (0, 10));
        assert_eq!(table.at(12).unwrap().cause, MissingCause::Void);
        assert_eq!(table.at(22).unwrap().range, 20..25);
        assert_eq!(table.total_in(&(0..7), MissingCause::Damaged), 2);
        assert_eq!(
            table.newest(),
            [
                (5..10, MissingCause::Damaged),
                (10..20, MissingCause::Void),
                (20..25, MissingCause::Damaged)
            ]
            .map(|(range, cause)| Missing { range, cause })
        );
        for n in 0..100 {
            table.count(30 + 2 * n..31 + 2 * n, MissingCause::Damaged);
        }
        assert_eq!(table.newest().len(), LISTED);
        assert_eq!(table.newest().last().unwrap().range, 228..229);
        table.forget_below(15);
        assert_eq!(table.list_from(0).len(), 102);
        assert_eq!(table.damaged_total, 110);
    }
}
