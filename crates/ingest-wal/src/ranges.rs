//! Sorted, disjoint ranges of LSNs.

use std::ops::Range;

use crate::Lsn;

/// A set of LSNs, kept as sorted ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<Range<Lsn>>,
}

impl RangeSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// The ranges in rising order.
    #[must_use]
    pub fn as_slice(&self) -> &[Range<Lsn>] {
        &self.ranges
    }

    /// How many LSNs it holds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// How many LSNs of `within` it holds.
    #[must_use]
    pub fn total_in(&self, within: &Range<Lsn>) -> u64 {
        self.overlapping(within).map(|range| range.end - range.start).sum()
    }

    /// Adds `range`; says how many LSNs that added.
    pub fn insert(&mut self, range: Range<Lsn>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let from = self.ranges.partition_point(|have| have.end < range.start);
        let to = self.ranges.partition_point(|have| have.start <= range.end);
        let touched = self.ranges.get(from..to).unwrap_or_default();
        let had: u64 = touched.iter().map(|have| have.end - have.start).sum();
        let start = touched.first().map_or(range.start, |have| have.start.min(range.start));
        let end = touched.last().map_or(range.end, |have| have.end.max(range.end));
        self.ranges.splice(from..to, std::iter::once(start..end));
        (end - start) - had
    }

    /// Whether `lsn` is in it.
    #[must_use]
    pub fn contains(&self, lsn: Lsn) -> bool {
        self.range_of(lsn).is_some()
    }

    /// The range that holds `lsn`.
    #[must_use]
    pub fn range_of(&self, lsn: Lsn) -> Option<Range<Lsn>> {
        let at = self.ranges.partition_point(|have| have.end <= lsn);
        self.ranges.get(at).filter(|have| have.start <= lsn).cloned()
    }

    /// The parts of the set inside `within`, in rising order.
    pub fn overlapping(&self, within: &Range<Lsn>) -> impl Iterator<Item = Range<Lsn>> + '_ {
        let within = within.clone();
        let from = self.ranges.partition_point(|have| have.end <= within.start);
        self.ranges
            .iter()
            .skip(from)
            .map(move |have| have.start.max(within.start)..have.end.min(within.end))
            .take_while(|part| !part.is_empty())
    }

    /// The parts of `within` that are not in the set, in rising order.
    #[must_use]
    pub fn gaps_in(&self, within: &Range<Lsn>) -> Vec<Range<Lsn>> {
        let mut gaps = Vec::new();
        let mut at = within.start;
        for part in self.overlapping(within) {
            if part.start > at {
                gaps.push(at..part.start);
            }
            at = part.end;
        }
        if at < within.end {
            gaps.push(at..within.end);
        }
        gaps
    }

    /// Takes the oldest ranges together, with what is between them, until there are at most `most`.
    pub(crate) fn merge_oldest(&mut self, most: usize) {
        let Some(surplus) = self.ranges.len().checked_sub(most.max(1)).filter(|n| *n > 0) else {
            return;
        };
        let start = self.ranges.first().map_or(0, |range| range.start);
        self.ranges.drain(..surplus);
        if let Some(first) = self.ranges.first_mut() {
            first.start = start;
        }
    }

    /// Takes `range` out.
    pub fn remove(&mut self, range: &Range<Lsn>) {
        if range.is_empty() {
            return;
        }
        let from = self.ranges.partition_point(|have| have.end <= range.start);
        let to = self.ranges.partition_point(|have| have.start < range.end);
        let touched = self.ranges.get(from..to).unwrap_or_default();
        let before = touched.first().map(|have| have.start..range.start);
        let after = touched.last().map(|have| range.end..have.end);
        let rest: Vec<_> =
            before.into_iter().chain(after).filter(|part| !part.is_empty()).collect();
        self.ranges.splice(from..to, rest);
    }

    /// Takes everything below `lsn` out.
    pub fn remove_below(&mut self, lsn: Lsn) {
        let gone = self.ranges.partition_point(|have| have.end <= lsn);
        self.ranges.drain(..gone);
        if let Some(first) = self.ranges.first_mut() {
            first.start = first.start.max(lsn);
        }
    }
}

impl FromIterator<Range<Lsn>> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Range<Lsn>>>(iter: I) -> Self {
        let mut set = Self::new();
        for range in iter {
            set.insert(range);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_oldest_are_taken_together() {
        let mut set: RangeSet = [1..2, 4..5, 7..8].into_iter().collect();
        set.merge_oldest(3);
        assert_eq!(set.as_slice().len(), 3);
        set.merge_oldest(2);
        assert_eq!(set.as_slice(), [1..5, 7..8]);
    }

    proptest! {
        #[test]
        fn it_is_a_set(inserts in prop::collection::vec((0u64..60, 0u64..12), 0..30), cut in 0u64..60, within in (0u64..60, 0u64..30)) {
            let mut set = RangeSet::new();
            let mut model = BTreeSet::new();
            for (start, len) in inserts {
                let before = model.len();
                model.extend(start..start + len);
                prop_assert_eq!(set.insert(start..start + len), (model.len() - before) as u64);
            }
            let within = within.0..within.0 + within.1;
            prop_assert_eq!(set.total_in(&within), model.range(within.clone()).count() as u64);
            let gaps: Vec<u64> = set.gaps_in(&within).into_iter().flatten().collect();
            let missing: Vec<u64> = within.clone().filter(|lsn| !model.contains(lsn)).collect();
            prop_assert_eq!(gaps, missing);
            for lsn in 0..80 {
                prop_assert_eq!(set.contains(lsn), model.contains(&lsn));
            }
            for pair in set.as_slice().windows(2) {
                prop_assert!(pair[0].end < pair[1].start);
            }
            set.remove(&within);
            model.retain(|lsn| !within.contains(lsn));
            let have: Vec<u64> = set.as_slice().iter().cloned().flatten().collect();
            prop_assert_eq!(have, model.iter().copied().collect::<Vec<_>>());
            set.remove_below(cut);
            model = model.split_off(&cut);
            let have: Vec<u64> = set.as_slice().iter().cloned().flatten().collect();
            prop_assert_eq!(have, model.into_iter().collect::<Vec<_>>());
        }
    }
}
