//! How long to wait before the next try.

use std::time::Duration;

/// Doubling waits with jitter, begun again by a connection that was good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The first wait; 0.5 s by default.
    pub least: Duration,
    /// The longest; 60 s by default.
    pub most: Duration,
    /// How many failures in a row before the stream ends. Default: none.
    pub tries: Option<u32>,
    /// By which part a wait may be longer or shorter; 0.2 by default.
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            least: Duration::from_millis(500),
            most: Duration::from_secs(60),
            tries: None,
            jitter: 0.2,
        }
    }
}

/// Where in the row of waits a stream is.
#[derive(Debug)]
pub(crate) struct Waits {
    rule: Backoff,
    failures: u32,
}

impl Waits {
    pub(crate) const fn new(rule: Backoff) -> Self {
        Self { rule, failures: 0 }
    }

    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure; none if it was one too many. `chance` is from 0
    /// to 1.
    pub(crate) fn next(&mut self, chance: f64) -> Option<Duration> {
        if self.rule.tries.is_some_and(|tries| self.failures >= tries) {
            return None;
        }
        let doubled = 2_u32.saturating_pow(self.failures.min(30));
        self.failures += 1;
        let wait = self.rule.least.saturating_mul(doubled).min(self.rule.most);
        let jitter = self.rule.jitter.clamp(0.0, 1.0);
        Some(wait.mul_f64((2.0 * chance - 1.0).mul_add(jitter, 1.0)))
    }
}

/// A number from 0 to 1, by chance.
pub(crate) fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again() {
        let rule = Backoff {
            least: Duration::from_millis(50),
            most: Duration::from_millis(200),
            tries: Some(5),
            jitter: 0.2,
        };
        let mut waits = Waits::new(rule);
        let row: Vec<_> = std::iter::from_fn(|| waits.next(0.5)).map(|d| d.as_millis()).collect();
        // What the Go library does, without jitter (`loggregator.md` 2.3).
        assert_eq!(row, [50, 100, 200, 200, 200]);
        waits.reset();
        assert_eq!(waits.next(0.0), Some(Duration::from_millis(40)));
        assert_eq!(waits.next(1.0), Some(Duration::from_millis(120)));
    }
}
