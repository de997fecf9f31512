//! How long to wait before the next attempt.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Doubling waits, each shortened by chance to between a half and the whole, so that the clients of
/// a server that was away do not come back all at once.
///
/// ```
/// use graphite_proto::Backoff;
/// use std::time::Duration;
/// let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// let first = backoff.next_wait();
/// assert!(first >= Duration::from_millis(50) && first <= Duration::from_millis(100));
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits from `least` to `most`, before they are shortened.
    #[must_use]
    pub const fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, failures: 0 }
    }

    /// The wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        // Each state has keys of its own, made by chance.
        self.wait_with((RandomState::new().hash_one(self.failures) % 1001) as u32)
    }

    /// The same with a chance of 0 to 1000.
    fn wait_with(&mut self, chance: u32) -> Duration {
        let whole = self.least.saturating_mul(1 << self.failures.min(20)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        let half = whole / 2;
        half + half * chance / 1000
    }

    /// A connection was good: the next failure is the first one again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

impl Default for Backoff {
    /// From 100 ms to 5 s, the longest wait of carbon's own client (`graphite.md` 7.1).
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again() {
        let mut backoff = Backoff::default();
        let whole: Vec<u128> = (0..8).map(|_| backoff.wait_with(1000).as_millis()).collect();
        assert_eq!(whole, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.wait_with(0).as_millis(), 2500);
        backoff.reset();
        assert_eq!(backoff.wait_with(500).as_millis(), 75);
        for _ in 0..100 {
            let wait = backoff.next_wait();
            assert!(wait >= Duration::from_millis(50) && wait <= Duration::from_secs(5));
        }
    }
}
