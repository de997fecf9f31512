//! A limit on how many items a second may come.

use std::time::Duration;

use tokio::time::Instant;

/// Items that may come now, of so many a second: at most those of one second at once.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: f64,
    /// Below zero, more came than were allowed.
    left: f64,
    last: Instant,
}

impl Rate {
    pub(crate) fn new(per_second: u64, now: Instant) -> Self {
        let per_second = per_second as f64;
        Self { per_second, left: per_second, last: now }
    }

    /// Time has passed.
    pub(crate) fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.last).as_secs_f64();
        self.left = passed.mul_add(self.per_second, self.left).min(self.per_second);
        self.last = now;
    }

    /// Whether one more may come; it has, then.
    pub(crate) fn admit(&mut self) -> bool {
        let admitted = self.has(1);
        if admitted {
            self.left -= 1.0;
        }
        admitted
    }

    /// Whether so many may come, or more than those of a second that may come alone.
    pub(crate) fn has(&self, items: u64) -> bool {
        self.left >= (items as f64).min(self.per_second)
    }

    /// So many have come, allowed or not: how long to wait until that is made good.
    pub(crate) fn spend(&mut self, items: u64) -> Duration {
        self.left -= items as f64;
        Duration::try_from_secs_f64(-self.left / self.per_second).unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_second_s_worth_at_once_then_so_many_a_second() {
        let start = Instant::now();
        let mut rate = Rate::new(10, start);
        assert_eq!((0..20).filter(|_| rate.admit()).count(), 10);
        rate.refill(start + Duration::from_millis(500));
        assert_eq!((0..20).filter(|_| rate.admit()).count(), 5);
        rate.refill(start + Duration::from_secs(60));
        assert_eq!((0..20).filter(|_| rate.admit()).count(), 10);
        rate.refill(start + Duration::from_secs(120));
        assert_eq!(rate.spend(10), Duration::ZERO);
        assert_eq!(rate.spend(25), Duration::from_millis(2500));
        rate.refill(start + Duration::from_secs(121));
        assert_eq!(rate.spend(0), Duration::from_millis(1500));
    }
}
