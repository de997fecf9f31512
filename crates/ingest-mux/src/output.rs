//! What an output has passed, holds and still owes.

use std::collections::BTreeMap;
use std::ops::Range;

use ingest_entry::TagPattern;
use ingest_wal::{Cursor, Lsn, RangeSet};

/// Which entries an output gets.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// Those whose tag matches one of these.
    Tags(Vec<TagPattern>),
}

impl Filter {
    /// Whether entries with this tag are meant; one without a name matches nothing but `All`.
    #[must_use]
    pub fn matches(&self, name: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Tags(tags) => name.is_some_and(|name| tags.iter().any(|tag| tag.matches(name))),
        }
    }
}

/// How an output spreads entries over its links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    /// Each entry goes to one of them: the one that asks first.
    #[default]
    Share,
    /// All go to the first that is up, in the order in which they were added. The others connect
    /// and wait; when an earlier one is up again, it goes on from there.
    FailOver,
}

/// Where an output that is new begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum From {
    /// With what is accepted from now on.
    #[default]
    End,
    /// With the oldest entry that is there.
    Oldest,
    /// With the first that arrived at this time or later, in unix nanoseconds, or with what is
    /// accepted from now on. It is found by halving: where a clock was set back, with one of the
    /// places at which that time begins.
    Arrived(i64),
}

/// What happens when an output lags while another is healthy. When it is the only one, or all lag,
/// the log's own limits decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnLag {
    /// The oldest entries that it is still owed are given up, for this output alone, and counted
    /// as lost for `lag`: what is slow or dead must not stop the others.
    #[default]
    DropOldest,
    /// Nothing is given up. When the log is full, sources wait, and so do all outputs.
    Block,
}

/// How far an output may lag, and what happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Lag {
    /// Bytes of the log; `None`: 80 % of its limit.
    pub(crate) most: Option<u64>,
    pub(crate) then: OnLag,
}

impl Lag {
    pub(crate) fn most(&self, max_bytes: u64) -> u64 {
        self.most.unwrap_or(max_bytes / 5 * 4)
    }
}

/// The account of an output: LSNs from its start are confirmed, passed over by its filter, lost
/// with a reason, missing in the log, or still owed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) start: Lsn,
    /// What the log had accepted before the start.
    pub(crate) accepted_before: u64,
    /// The lowest LSN that is not settled.
    pub(crate) low: Lsn,
    /// Settled above `low`.
    pub(crate) above: RangeSet,
    pub(crate) confirmed: u64,
    pub(crate) filtered: u64,
    pub(crate) lost: BTreeMap<String, u64>,
    /// Unix seconds since when it is not configured.
    pub(crate) absent_since: Option<i64>,
}

/// What became of a range of LSNs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled<'a> {
    /// So many matching entries were confirmed, the others were not meant.
    Confirmed { matching: u64 },
    /// No entry was meant.
    Filtered,
    /// They hold no entry.
    Nothing,
    /// They had been confirmed before the position that knew it was lost.
    Passed,
    /// The output will never get them.
    Lost(&'a str),
}

impl Account {
    pub(crate) fn new(start: Lsn, accepted_before: u64) -> Self {
        Self { start, accepted_before, low: start, ..Self::default() }
    }

    /// Takes LSNs off what is owed. They must not have been settled before.
    pub(crate) fn settle(&mut self, range: Range<Lsn>, how: Settled<'_>) {
        let count = self.above.insert(range.start.max(self.low)..range.end);
        match how {
            Settled::Confirmed { matching } => {
                self.confirmed += matching.min(count);
                self.filtered += count.saturating_sub(matching);
            }
            Settled::Filtered => self.filtered += count,
            Settled::Nothing => {}
            Settled::Passed => self.confirmed += count,
            Settled::Lost(reason) => *self.lost.entry(reason.to_owned()).or_default() += count,
        }
        if let Some(first) = self.above.as_slice().first().filter(|first| first.start <= self.low) {
            self.low = first.end;
            self.above.remove_below(self.low);
        }
    }

    pub(crate) fn lost_total(&self) -> u64 {
        self.lost.values().sum()
    }

    /// The cursor as the log keeps it; the counts travel in its opaque part.
    pub(crate) fn to_cursor(&self, name: &str, released: bool) -> Cursor {
        let mut extra = Vec::new();
        let numbers = [self.accepted_before, self.confirmed, self.filtered];
        numbers.iter().for_each(|n| extra.extend_from_slice(&n.to_le_bytes()));
        extra.extend_from_slice(&self.absent_since.unwrap_or(i64::MIN).to_le_bytes());
        extra.extend_from_slice(&(self.lost.len() as u32).to_le_bytes());
        for (reason, count) in &self.lost {
            extra.extend_from_slice(&count.to_le_bytes());
            extra.extend_from_slice(&(reason.len() as u32).to_le_bytes());
            extra.extend_from_slice(reason.as_bytes());
        }
        Cursor {
            name: name.to_owned(),
            start: self.start,
            low: self.low,
            above: self.above.as_slice().to_vec(),
            released,
            extra,
        }
    }

    /// Reads it back. Counts that cannot be read begin again at zero; positions are the log's.
    pub(crate) fn from_cursor(cursor: &Cursor) -> Self {
        let mut account = Self {
            start: cursor.start,
            low: cursor.low,
            above: cursor.above.iter().cloned().collect(),
            ..Self::default()
        };
        account.read_extra(&cursor.extra);
        account
    }

    fn read_extra(&mut self, extra: &[u8]) -> Option<()> {
        fn u64_at(rest: &mut &[u8]) -> Option<u64> {
            let (head, tail) = rest.split_first_chunk::<8>()?;
            *rest = tail;
            Some(u64::from_le_bytes(*head))
        }
        fn u32_at(rest: &mut &[u8]) -> Option<usize> {
            let (head, tail) = rest.split_first_chunk::<4>()?;
            *rest = tail;
            Some(u32::from_le_bytes(*head) as usize)
        }
        let rest = &mut &*extra;
        self.accepted_before = u64_at(rest)?;
        self.confirmed = u64_at(rest)?;
        self.filtered = u64_at(rest)?;
        self.absent_since = Some(u64_at(rest)?.cast_signed()).filter(|&at| at != i64::MIN);
        for _ in 0..u32_at(rest)? {
            let count = u64_at(rest)?;
            let len = u32_at(rest)?;
            let (reason, tail) = rest.split_at_checked(len)?;
            *rest = tail;
            self.lost.insert(String::from_utf8_lossy(reason).into_owned(), count);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmations_in_any_order_move_the_low_water_mark() {
        let mut account = Account::new(10, 3);
        account.settle(14..16, Settled::Confirmed { matching: 2 });
        assert_eq!(account.low, 10);
        account.settle(10..13, Settled::Confirmed { matching: 1 });
        assert_eq!((account.low, account.confirmed, account.filtered), (13, 3, 2));
        account.settle(13..14, Settled::Lost("damaged"));
        assert_eq!((account.low, account.lost_total()), (16, 1));
        assert!(account.above.as_slice().is_empty());
    }

    #[test]
    fn an_account_survives_as_a_cursor() {
        let mut account = Account::new(1, 0);
        account.settle(1..5, Settled::Confirmed { matching: 4 });
        account.settle(7..9, Settled::Lost("damaged"));
        account.absent_since = Some(-5);
        let cursor = account.to_cursor("out", false);
        assert_eq!(Account::from_cursor(&cursor), account);
        let mut torn = cursor;
        torn.extra.truncate(9);
        assert_eq!(Account::from_cursor(&torn).low, 5);
    }

    #[test]
    fn filters_match_names_and_prefixes() {
        let tags = ["app-*", "graphite"].iter().map(|text| text.parse().unwrap()).collect();
        let filter = Filter::Tags(tags);
        assert!(filter.matches(Some("app-x")));
        assert!(filter.matches(Some("graphite")));
        assert!(!filter.matches(Some("graphite2")));
        assert!(!filter.matches(None));
    }
}
