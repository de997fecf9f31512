//! Points in time.

use std::io::Write as _;

/// A point in time: whole seconds since the Unix epoch and nanoseconds after that second.
///
/// The nanoseconds always count forwards, so half a second before the epoch is
/// `{ seconds: -1, nanos: 500_000_000 }`.
///
/// ```
/// use graphite_proto::Timestamp;
/// assert_eq!(Timestamp::new(1_700_000_000, 5).to_string(), "1700000000.000000005");
/// assert_eq!(Timestamp::new(-1, 500_000_000).to_string(), "-0.5");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted; negative before it.
    pub seconds: i64,
    /// Nanoseconds after that second, 0 to 999,999,999.
    pub nanos: u32,
}

impl Timestamp {
    /// A timestamp from its parts. Nanoseconds above 999,999,999 are cut to that.
    #[must_use]
    pub const fn new(seconds: i64, nanos: u32) -> Self {
        Self { seconds, nanos: if nanos > 999_999_999 { 999_999_999 } else { nanos } }
    }

    /// A whole second.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }

    /// The same second without its fraction.
    #[must_use]
    pub const fn whole(self) -> Self {
        Self { seconds: self.seconds, nanos: 0 }
    }

    /// Seconds as a float, as Graphite programs written in Python keep them; rounded where an
    /// `f64` holds fewer digits.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.seconds as f64 + f64::from(self.nanos) / 1e9
    }

    /// From float seconds, rounded to the nearest nanosecond; `None` when the float is not finite
    /// or its second does not fit.
    #[must_use]
    pub fn from_f64(seconds: f64) -> Option<Self> {
        let floor = seconds.floor();
        let whole = float_to_i64(floor)?;
        let nanos = ((seconds - floor) * 1e9).round();
        if nanos >= 1e9 {
            return Some(Self::from_seconds(whole.checked_add(1)?));
        }
        Some(Self::new(whole, nanos as u32))
    }

    /// Appends decimal seconds: an integer, followed by a fraction without trailing zeros where
    /// the nanoseconds are not zero.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let (mut seconds, mut nanos) = (self.seconds, self.nanos.min(999_999_999));
        if nanos != 0 && seconds < 0 {
            // Counted back from the next second: -1 s + 0.5 s reads "-0.5".
            seconds += 1;
            nanos = 1_000_000_000 - nanos;
            if seconds == 0 {
                out.push(b'-');
            }
        }
        // Writing into a vector cannot fail.
        let _ = write!(out, "{seconds}");
        if nanos != 0 {
            let _ = write!(out, ".{nanos:09}");
            while out.last() == Some(&b'0') {
                out.pop();
            }
        }
    }
}

impl std::fmt::Display for Timestamp {
    /// Decimal seconds, with the fraction where there is one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::with_capacity(32);
        self.write(&mut text);
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

/// The integer part of a float that an `i64` can hold.
pub(crate) fn float_to_i64(value: f64) -> Option<i64> {
    // 2^63 is a float, i64::MAX is not: the upper bound is exclusive.
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    (-BOUND..BOUND).contains(&value).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_convert_with_their_fraction() {
        assert_eq!(Timestamp::from_f64(-0.5), Some(Timestamp::new(-1, 500_000_000)));
        assert_eq!(Timestamp::from_f64(1e3), Some(Timestamp::from_seconds(1000)));
        assert_eq!(Timestamp::from_f64(0.999_999_999_9), Some(Timestamp::from_seconds(1)));
        assert_eq!(Timestamp::from_f64(f64::NAN), None);
        assert_eq!(Timestamp::from_f64(f64::INFINITY), None);
        assert_eq!(Timestamp::from_f64(1e19), None);
        assert_eq!(Timestamp::new(-1, 500_000_000).to_f64(), -0.5);
    }

    #[test]
    fn texts_read_as_the_time_they_stand_for() {
        for (seconds, nanos, text) in [
            (0, 0, "0"),
            (-1, 0, "-1"),
            (-1, 1, "-0.999999999"),
            (-2, 250_000_000, "-1.75"),
            (7, 120_000_000, "7.12"),
            (i64::MAX, 999_999_999, "9223372036854775807.999999999"),
            (i64::MIN, 1, "-9223372036854775807.999999999"),
        ] {
            assert_eq!(Timestamp::new(seconds, nanos).to_string(), text);
        }
    }

    #[test]
    fn too_many_nanoseconds_are_cut() {
        assert_eq!(Timestamp::new(1, u32::MAX).nanos, 999_999_999);
    }
}
