//! How large a group is while several sources hand something over.
//!
//! What comes while a group is under way waits for it: so it is to take little longer than one that
//! holds next to nothing, which is what a disk takes for any write and sync. How many bytes that is, is
//! measured: few on a disk that is quick to sync, many on one that is not, and there a flood loses
//! nothing by it.

use std::time::Duration;

use crate::turns::{LITTLE, TURN};

/// Before anything is known.
const FIRST: u64 = 4 * TURN;
/// However large a group is to be.
const MOST: u64 = 32 * TURN;
/// How far the usual time of small groups moves with each: a sixteenth of it.
const STEP: u32 = 16;

/// The size of groups that fits the disk.
#[derive(Debug)]
pub(crate) struct Pace {
    /// What a group of little takes: write and sync. Half of them take longer: a disk that is slow
    /// now and then is not a slow one.
    little: Option<Duration>,
    limit: u64,
}

impl Pace {
    pub(crate) const fn new() -> Self {
        Self { little: None, limit: FIRST }
    }

    /// At most so many bytes, and the rest of the last record.
    pub(crate) const fn limit(&self) -> u64 {
        self.limit
    }

    /// A group of so many bytes was written and synced in this time.
    pub(crate) fn took(&mut self, bytes: u64, time: Duration) {
        if bytes <= LITTLE {
            let moved = |usual: Duration| match usual / STEP {
                step if time > usual + step => usual + step,
                step if time + step < usual => usual - step,
                _ => time,
            };
            self.little = Some(self.little.map_or(time, moved));
            return;
        }
        // One that was not full says nothing of the limit, nor does one that had another.
        let full = self.limit..=self.limit + TURN;
        let Some(little) = self.little.filter(|_| full.contains(&bytes)) else { return };
        if time > little * 3 / 2 {
            self.limit = self.limit.saturating_sub(TURN).max(TURN);
        } else if time < little * 5 / 4 {
            self.limit = (self.limit + TURN).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that takes so long for a sync, and so long for each MiB.
    fn on(sync: u64, mib: u64) -> u64 {
        let time = |bytes: u64| Duration::from_micros(sync + mib * bytes / (1 << 20));
        let mut pace = Pace::new();
        for _ in 0..100 {
            pace.took(1_000, time(1_000));
            pace.took(pace.limit(), time(pace.limit()));
        }
        pace.limit()
    }

    #[test]
    fn a_group_takes_at_most_about_half_as_long_again_as_one_of_little() {
        assert_eq!(on(250, 1_000), 2 * TURN);
        assert_eq!(on(250, 100_000), TURN, "never less than a record");
        assert_eq!(on(10_000, 4_000), 11 * TURN);
        assert_eq!(on(10_000, 100), MOST, "never more than a group of one alone");
    }

    #[test]
    fn without_anything_to_compare_it_stays_as_it_is() {
        let mut pace = Pace::new();
        pace.took(FIRST, Duration::from_secs(1));
        assert_eq!(pace.limit(), FIRST);
        pace.took(100, Duration::from_millis(1));
        pace.took(FIRST / 2, Duration::from_secs(1));
        pace.took(FIRST * 8, Duration::from_secs(1));
        assert_eq!(pace.limit(), FIRST, "they were not of that size");
        pace.took(FIRST, Duration::from_secs(1));
        assert_eq!(pace.limit(), FIRST - TURN);
    }

    #[test]
    fn slow_syncs_now_and_then_do_not_make_a_slow_disk() {
        let mut pace = Pace::new();
        for round in 0..400 {
            let slow = if round % 4 == 0 { 100 } else { 1 };
            pace.took(100, Duration::from_millis(slow));
        }
        pace.took(FIRST, Duration::from_millis(3));
        assert_eq!(pace.limit(), FIRST - TURN);
    }
}
