//! Lengths of time.

use std::time::Duration;

use super::UnitError;
use super::number::Decimal;

/// Units that can be written, the largest first, in nanoseconds.
const UNITS: &[(&str, u64)] = &[
    ("w", 7 * 86_400 * SECOND),
    ("d", 86_400 * SECOND),
    ("h", 3_600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];
/// The units for an error text.
pub(crate) const TIME_UNITS: &str = "w, d, h, m, s, ms, us and ns";
const SECOND: u64 = 1_000_000_000;

/// Reads a length of time: one or more numbers with units, the largest unit first.
///
/// Units are `w`, `d` (24 hours), `h`, `m`, `s`, `ms`, `us`, `ns`; blanks between the parts do not
/// matter; `0` needs no unit. At most 584 years.
///
/// # Errors
/// [`UnitError`], when a part is missing or unknown, when the units do not fall, when the time is
/// no whole number of nanoseconds, or when it is too long.
///
/// ```
/// use ingest_gateway::units::parse_duration;
/// use std::time::Duration;
/// assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
/// assert!(parse_duration("90").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let mut rest = text.trim();
    let mut total: u128 = 0;
    let mut above = u64::MAX;
    loop {
        let (number, after) = Decimal::take(rest)?;
        let after = after.trim_start_matches(' ');
        let end = after.find(|c: char| c.is_ascii_digit() || c == ' ').unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end).unwrap_or((after, ""));
        if unit.is_empty() {
            let alone = total == 0 && above == u64::MAX && after.is_empty();
            return if number.is_zero() && alone {
                Ok(Duration::ZERO)
            } else {
                Err(UnitError::NoUnit)
            };
        }
        let Some(&(_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(UnitError::UnknownUnit { unit: unit.to_owned(), meant: meant(unit) });
        };
        if nanos >= above {
            return Err(UnitError::Order);
        }
        above = nanos;
        total += number.times(u128::from(nanos), "nanoseconds")?;
        if total > u128::from(u64::MAX) {
            return Err(UnitError::TooLarge);
        }
        rest = after.trim_start_matches(' ');
        if rest.is_empty() {
            return u64::try_from(total).map(Duration::from_nanos).map_err(|_| UnitError::TooLarge);
        }
    }
}

/// The unit behind a longer or other spelling of it.
fn meant(unit: &str) -> Option<&'static str> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "w" | "wk" | "week" | "weeks" => "w",
        "d" | "day" | "days" => "d",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "min" | "mins" | "minute" | "minutes" => "m",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "ms" | "msec" | "millis" | "millisecond" | "milliseconds" => "ms",
        "us" | "µs" | "μs" | "usec" | "micros" | "microsecond" | "microseconds" => "us",
        "ns" | "nsec" | "nanos" | "nanosecond" | "nanoseconds" => "ns",
        _ => return None,
    })
}

/// Writes a length of time exactly, as [`parse_duration`] reads it: `1h30m`, `250ms`, `30d`.
///
/// Weeks are written as days. Times beyond 584 years are cut to that.
#[must_use]
pub fn format_duration(time: Duration) -> String {
    let mut rest = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for &(name, unit) in UNITS.iter().skip(1) {
        let count = rest / unit;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(name);
            rest %= unit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("1ns", 1),
            ("2us", 2_000),
            ("100ms", 100_000_000),
            ("10s", 10 * SECOND),
            ("10 s", 10 * SECOND),
            ("1.5s", 1_500_000_000),
            ("2m", 120 * SECOND),
            ("1h", 3600 * SECOND),
            ("1h30m", 5400 * SECOND),
            ("1h 30m", 5400 * SECOND),
            ("1 h 30 m", 5400 * SECOND),
            ("30d", 30 * 86_400 * SECOND),
            ("2w", 14 * 86_400 * SECOND),
            ("1d12h30m15s250ms", 131_415 * SECOND + 250_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text:?}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let unknown = |unit: &str, meant| UnitError::UnknownUnit { unit: unit.to_owned(), meant };
        for (text, error) in [
            ("", UnitError::NoNumber),
            ("s", UnitError::NoNumber),
            ("-1s", UnitError::NoNumber),
            ("10", UnitError::NoUnit),
            ("1h30", UnitError::NoUnit),
            ("1h0", UnitError::NoUnit),
            ("0 0", UnitError::NoUnit),
            ("30m1h", UnitError::Order),
            ("1h1h", UnitError::Order),
            ("0.5ns", UnitError::NotWhole("nanoseconds")),
            ("600000d", UnitError::TooLarge),
            ("10sec", unknown("sec", Some("s"))),
            ("10 Minutes", unknown("Minutes", Some("m"))),
            ("1y", unknown("y", None)),
            ("1M", unknown("M", None)),
        ] {
            assert_eq!(parse_duration(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(format_duration(Duration::from_secs(5400)), "1h30m");
        assert_eq!(format_duration(Duration::from_secs(30 * 86_400)), "30d");
        assert_eq!(format_duration(Duration::from_millis(250)), "250ms");
        assert_eq!(format_duration(Duration::ZERO), "0s");
        let mut nanos = 1_u64;
        while nanos < u64::MAX / 3 {
            let time = Duration::from_nanos(nanos);
            assert_eq!(parse_duration(&format_duration(time)), Ok(time));
            nanos = nanos * 3 + 7;
        }
    }
}
