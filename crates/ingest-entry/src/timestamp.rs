//! [`Timestamp`]: the 12-byte time of an entry.

use core::cmp::Ordering;
use core::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds in a second.
pub(crate) const NANOS_PER_SEC: u32 = 1_000_000_000;

/// A point in time: seconds and nanoseconds, as an entry carries them.
///
/// The seconds are kept as on the wire: signed, counted from 0001-01-01T00:00:00 UTC, which is
/// [`Timestamp::EPOCH_OFFSET`] seconds before the Unix epoch. Every `i64` is legal there, so
/// conversions to and from Unix time are checked, and nothing that was read is lost on writing.
///
/// Nanoseconds of 1,000,000,000 and more are kept as they were read and written back unchanged;
/// [`Timestamp::normalized`], comparing, printing and conversions carry them into the seconds.
/// Equality is that of the stored pair: two spellings of one instant differ, and are ordered by
/// their seconds.
///
/// ```
/// use ingest_entry::Timestamp;
///
/// let ts = Timestamp::from_unix(1_700_000_000, 42).unwrap();
/// assert_eq!(ts.to_string(), "2023-11-14T22:13:20.000000042Z");
/// assert_eq!(ts.wire_seconds(), 63_835_596_800);
/// assert_eq!("2023-11-14T23:13:20.000000042+01:00".parse(), Ok(ts));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

impl Timestamp {
    /// Seconds from 0001-01-01T00:00:00 UTC to 1970-01-01T00:00:00 UTC.
    pub const EPOCH_OFFSET: i64 = 62_135_596_800;
    /// 1970-01-01T00:00:00 UTC.
    pub const UNIX_EPOCH: Self = Self { seconds: Self::EPOCH_OFFSET, nanos: 0 };
    /// The earliest instant.
    pub const MIN: Self = Self { seconds: i64::MIN, nanos: 0 };
    /// The latest instant with normal nanoseconds.
    pub const MAX: Self = Self { seconds: i64::MAX, nanos: NANOS_PER_SEC - 1 };

    /// A timestamp from what the wire holds: seconds since year 1, and raw nanoseconds.
    #[must_use]
    pub const fn from_wire(seconds: i64, nanos: u32) -> Self {
        Self { seconds, nanos }
    }

    /// A timestamp from Unix time. Nanoseconds of a second and more are carried; `None` if the
    /// result is beyond [`Timestamp::MAX`], some 292 thousand million years from now.
    #[must_use]
    pub const fn from_unix(seconds: i64, nanos: u32) -> Option<Self> {
        let carry = (nanos / NANOS_PER_SEC) as i64;
        let Some(seconds) = seconds.checked_add(Self::EPOCH_OFFSET) else { return None };
        let Some(seconds) = seconds.checked_add(carry) else { return None };
        Some(Self { seconds, nanos: nanos % NANOS_PER_SEC })
    }

    /// A timestamp from Unix time in nanoseconds, which always fits (years 1677 to 2262).
    #[must_use]
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        let per_sec = NANOS_PER_SEC as i64;
        Self {
            seconds: nanos.div_euclid(per_sec) + Self::EPOCH_OFFSET,
            nanos: nanos.rem_euclid(per_sec) as u32,
        }
    }

    /// A timestamp from the system's clock type; `None` if it is out of range.
    #[must_use]
    pub fn from_system_time(time: SystemTime) -> Option<Self> {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => {
                Self::from_unix(i64::try_from(after.as_secs()).ok()?, after.subsec_nanos())
            }
            Err(error) => {
                let before = error.duration();
                let seconds = i64::try_from(before.as_secs()).ok()?.checked_neg()?;
                match before.subsec_nanos() {
                    0 => Self::from_unix(seconds, 0),
                    nanos => Self::from_unix(seconds.checked_sub(1)?, NANOS_PER_SEC - nanos),
                }
            }
        }
    }

    /// Seconds since 0001-01-01T00:00:00 UTC, as on the wire.
    #[must_use]
    pub const fn wire_seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds, as on the wire: normally below 1,000,000,000.
    #[must_use]
    pub const fn nanos(self) -> u32 {
        self.nanos
    }

    /// Seconds since the Unix epoch, rounded down; `None` if an `i64` cannot hold them.
    #[must_use]
    pub const fn unix_seconds(self) -> Option<i64> {
        match self.seconds.checked_sub(Self::EPOCH_OFFSET) {
            Some(seconds) => seconds.checked_add((self.nanos / NANOS_PER_SEC) as i64),
            None => None,
        }
    }

    /// Nanoseconds since the Unix epoch. Always exact.
    #[must_use]
    pub const fn unix_nanos(self) -> i128 {
        (self.seconds as i128 - Self::EPOCH_OFFSET as i128) * NANOS_PER_SEC as i128
            + self.nanos as i128
    }

    /// The same instant as the system's clock type; `None` if that cannot hold it.
    #[must_use]
    pub fn to_system_time(self) -> Option<SystemTime> {
        let seconds = self.unix_seconds()?;
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let base = if seconds < 0 {
            UNIX_EPOCH.checked_sub(whole)?
        } else {
            UNIX_EPOCH.checked_add(whole)?
        };
        base.checked_add(Duration::from_nanos(u64::from(self.nanos % NANOS_PER_SEC)))
    }

    /// The same instant with nanoseconds below 1,000,000,000; [`Timestamp::MAX`] if the carry
    /// leaves the range.
    #[must_use]
    pub const fn normalized(self) -> Self {
        if self.nanos < NANOS_PER_SEC {
            return self;
        }
        match self.seconds.checked_add((self.nanos / NANOS_PER_SEC) as i64) {
            Some(seconds) => Self { seconds, nanos: self.nanos % NANOS_PER_SEC },
            None => Self::MAX,
        }
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.nanos < NANOS_PER_SEC && other.nanos < NANOS_PER_SEC {
            return self.seconds.cmp(&other.seconds).then(self.nanos.cmp(&other.nanos));
        }
        self.unix_nanos().cmp(&other.unix_nanos()).then(self.seconds.cmp(&other.seconds))
    }
}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_and_wire() {
        let ts = Timestamp::from_unix(0, 0).unwrap();
        assert_eq!(ts, Timestamp::UNIX_EPOCH);
        assert_eq!(ts.wire_seconds(), 62_135_596_800);
        assert_eq!(Timestamp::from_unix(5, 2_500_000_000).unwrap().unix_seconds(), Some(7));
        assert_eq!(Timestamp::from_unix(i64::MAX, 0), None);
        assert_eq!(Timestamp::from_unix(i64::MAX - Timestamp::EPOCH_OFFSET, u32::MAX), None);
        assert_eq!(Timestamp::MIN.unix_seconds(), None);
        assert_eq!(Timestamp::MAX.unix_seconds(), Some(i64::MAX - Timestamp::EPOCH_OFFSET));
        assert_eq!(Timestamp::from_unix_nanos(-1).unix_nanos(), -1);
        assert_eq!(Timestamp::from_unix_nanos(i64::MIN).unix_nanos(), i128::from(i64::MIN));
    }

    #[test]
    fn system_time_both_sides_of_the_epoch() {
        for (seconds, nanos) in [(0, 0), (1, 5), (-1, 0), (-1, 999_999_999), (-7, 1)] {
            let ts = Timestamp::from_unix(seconds, nanos).unwrap();
            let time = ts.to_system_time().unwrap();
            assert_eq!(Timestamp::from_system_time(time), Some(ts), "{seconds} {nanos}");
        }
        let half = UNIX_EPOCH - Duration::from_millis(500);
        assert_eq!(Timestamp::from_system_time(half), Timestamp::from_unix(-1, 500_000_000));
        assert_eq!(Timestamp::MIN.to_system_time(), None);
    }

    #[test]
    fn order_is_by_instant() {
        let raw = Timestamp::from_wire(10, 1_500_000_000);
        assert!(raw > Timestamp::from_wire(11, 0));
        assert!(raw < Timestamp::from_wire(11, 500_000_001));
        assert_eq!(raw.normalized(), Timestamp::from_wire(11, 500_000_000));
        assert!(raw < raw.normalized(), "two spellings of one instant are not equal");
        assert!(Timestamp::MIN < Timestamp::UNIX_EPOCH && Timestamp::UNIX_EPOCH < Timestamp::MAX);
        assert_eq!(Timestamp::from_wire(i64::MAX, u32::MAX).normalized(), Timestamp::MAX);
    }
}
