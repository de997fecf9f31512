//! Rate limits in honest units.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

/// A rate: bytes in a second. What counts are the entries as they are stored (a header of 34
/// bytes, data and values), not the framing of a protocol.
///
/// As text a number with a unit, which means exactly what it says: `Mbit/s` are 10⁶ bits a second,
/// `Mibit/s` 2²⁰ bits, `MB/s` 10⁶ bytes, `MiB/s` 2²⁰ bytes; likewise with `k`, `Ki`, `G`, `Gi`, and
/// `bit/s` and `B/s`.
///
/// ```
/// use ingest_mux::Rate;
///
/// let rate: Rate = "8 Mbit/s".parse()?;
/// assert_eq!(rate.bytes_per_second(), 1_000_000);
/// assert_eq!(rate.to_string(), "1000000 B/s");
/// # Ok::<(), ingest_mux::RateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(NonZeroU64);

/// What is wrong with the text of a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no rate; a rate is a number with a unit, such as 1 Mbit/s or 500 KiB/s")]
pub struct RateError {
    /// What was found.
    pub found: String,
}

impl Rate {
    /// So many bytes a second; `None` for zero, which is no rate.
    #[must_use]
    pub const fn of_bytes(bytes: u64) -> Option<Self> {
        match NonZeroU64::new(bytes) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    /// So many bits a second, eight of which are a byte; `None` for less than eight.
    #[must_use]
    pub const fn of_bits(bits: u64) -> Option<Self> {
        Self::of_bytes(bits / 8)
    }

    /// Bytes a second.
    #[must_use]
    pub const fn bytes_per_second(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} B/s", self.0)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let wrong = || RateError { found: text.to_owned() };
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at_checked(digits).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let unit = unit.trim_start().strip_suffix("/s").ok_or_else(wrong)?;
        let (prefix, bits) = match (unit.strip_suffix("bit"), unit.strip_suffix('B')) {
            (Some(prefix), _) => (prefix, 1),
            (None, Some(prefix)) => (prefix, 8),
            (None, None) => return Err(wrong()),
        };
        let factor: u64 = match prefix {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            _ => return Err(wrong()),
        };
        let bits = number.checked_mul(factor).and_then(|n| n.checked_mul(bits));
        bits.and_then(Self::of_bits).ok_or_else(wrong)
    }
}

/// Keeps a rate: whoever has spent more than there was waits until that is made good.
#[derive(Debug)]
pub(crate) struct Limiter {
    rate: Rate,
    /// Nothing may be spent before.
    free_at: Mutex<Instant>,
}

impl Limiter {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, free_at: Mutex::new(Instant::now()) }
    }

    /// Waits until something may be spent.
    pub(crate) async fn ready(&self) {
        loop {
            let free_at = *lock(&self.free_at);
            if free_at <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(free_at).await;
        }
    }

    /// Spends so many bytes, all at once, and nothing is saved up while idle.
    pub(crate) fn spend(&self, bytes: u64) {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.bytes_per_second());
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut free_at = lock(&self.free_at);
        let from = (*free_at).max(Instant::now());
        *free_at = from.checked_add(takes).unwrap_or(from);
    }

    /// What may be spent in one go, so that no lease takes more than a quarter of a second.
    pub(crate) fn portion(&self) -> usize {
        usize::try_from(self.rate.bytes_per_second() / 4).unwrap_or(usize::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_mean_what_they_say() {
        let rate = |text: &str| text.parse::<Rate>().map(Rate::bytes_per_second);
        assert_eq!(rate("8 bit/s"), Ok(1));
        assert_eq!(rate("1 Mbit/s"), Ok(125_000));
        assert_eq!(rate("1Mibit/s"), Ok(131_072));
        assert_eq!(rate(" 2 MB/s "), Ok(2_000_000));
        assert_eq!(rate("3 KiB/s"), Ok(3_072));
        assert_eq!(rate("1 Gibit/s"), Ok(1 << 27));
        for wrong in
            ["", "1", "1 Mbit", "0 B/s", "7 bit/s", "x B/s", "1 mbit/s", "9 TB/s", "-1 B/s"]
        {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert!(rate("99999999999999999999 B/s").is_err() && rate("9999999999 GiB/s").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_spent_is_waited_for() {
        let limiter = Limiter::new(Rate::of_bytes(1_000).unwrap());
        let start = Instant::now();
        limiter.ready().await;
        limiter.spend(500);
        limiter.spend(1_500);
        limiter.ready().await;
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        // An idle hour earns nothing.
        tokio::time::advance(Duration::from_secs(3_600)).await;
        let start = Instant::now();
        limiter.spend(3_000);
        limiter.ready().await;
        assert_eq!(start.elapsed(), Duration::from_secs(3));
        assert_eq!(limiter.portion(), 250);
    }
}
