//! Points in time, as the commands that search take them.

use std::str::FromStr;
use std::time::Duration;

use ingest_entry::Timestamp;

use super::parse_duration;

const SECOND: i128 = 1_000_000_000;

/// A point in time as it was written, before it is known what "now" is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeArg {
    /// This moment.
    Now,
    /// So long before now: `-15m`.
    Ago(Duration),
    /// So long after now: `+5m`.
    Ahead(Duration),
    /// A fixed point: RFC 3339, unix seconds, or `@SECONDS.NANOS` as far years are printed.
    At(Timestamp),
}

impl TimeArg {
    /// The point in time that is meant when it is `now`.
    #[must_use]
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Now => now,
            Self::Ago(span) => shift(now, span, -1),
            Self::Ahead(span) => shift(now, span, 1),
            Self::At(time) => time,
        }
    }
}

/// The point in time that lies a span before or after `from`, as far as there is one.
fn shift(from: Timestamp, span: Duration, sign: i128) -> Timestamp {
    let nanos = i128::from(from.wire_seconds()) * SECOND + i128::from(from.nanos());
    let span = i128::from(span.as_secs()) * SECOND + i128::from(span.subsec_nanos());
    let nanos = nanos + sign * span;
    let seconds = i64::try_from(nanos.div_euclid(SECOND));
    let rest = u32::try_from(nanos.rem_euclid(SECOND)).unwrap_or_default();
    match seconds {
        Ok(seconds) => Timestamp::from_wire(seconds, rest),
        Err(_) if sign < 0 => Timestamp::MIN,
        Err(_) => Timestamp::MAX,
    }
}

/// Why a text is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "found \"{found}\"{reason}; allowed: RFC 3339 such as 2026-01-31T12:00:00Z, unix seconds such \
     as 1700000000.5, a time ago such as -15m, or now"
)]
pub struct TimeError {
    found: String,
    reason: String,
}

impl TimeError {
    fn new(found: &str, reason: impl Into<String>) -> Self {
        let found: String = found.chars().take(64).flat_map(char::escape_debug).collect();
        Self { found, reason: reason.into() }
    }
}

impl FromStr for TimeArg {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        if text.eq_ignore_ascii_case("now") {
            return Ok(Self::Now);
        }
        if let Some(time) = unix_seconds(text) {
            return time.map(Self::At);
        }
        let relative = |span: &str| {
            parse_duration(span).map_err(|error| TimeError::new(text, format!(" ({error})")))
        };
        if let Some(span) = text.strip_prefix('-') {
            return relative(span).map(Self::Ago);
        }
        if let Some(span) = text.strip_prefix('+') {
            return relative(span).map(Self::Ahead);
        }
        match text.parse() {
            Ok(time) => Ok(Self::At(time)),
            _ if parse_duration(text).is_ok() => {
                Err(TimeError::new(text, format!(" (did you mean \"-{text}\"?)")))
            }
            _ => Err(TimeError::new(text, "")),
        }
    }
}

/// `-?digits[.digits]`; `None` when the text has another form.
fn unix_seconds(text: &str) -> Option<Result<Timestamp, TimeError>> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all_digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !fraction.is_none_or(all_digits) {
        return None;
    }
    let fraction = fraction.unwrap_or_default().trim_end_matches('0');
    if fraction.len() > 9 {
        return Some(Err(TimeError::new(text, " (finer than a nanosecond)")));
    }
    let Ok(secs) = whole.parse::<u64>() else {
        return Some(Err(TimeError::new(text, " (too large)")));
    };
    let nanos = format!("{fraction:0<9}").parse().unwrap_or_default();
    let sign = if negative { -1 } else { 1 };
    let time = shift(Timestamp::UNIX_EPOCH, Duration::new(secs, nanos), sign);
    let exact = time != Timestamp::MIN && time != Timestamp::MAX;
    Some(if exact { Ok(time) } else { Err(TimeError::new(text, " (too large)")) })
}

/// Reads a point in time: RFC 3339, unix seconds with an optional fraction, a time ago (`-15m`)
/// or ahead (`+5m`), or `now`. What `now` is, the caller says.
///
/// # Errors
/// [`TimeError`], which says what was found and what is allowed.
pub fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, TimeError> {
    text.parse::<TimeArg>().map(|time| time.resolve(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64, nanos: u32) -> Timestamp {
        Timestamp::from_unix(secs, nanos).unwrap()
    }

    fn now() -> Timestamp {
        at(1_700_000_000, 250_000_000)
    }

    #[test]
    fn points_in_time_are_read() {
        for (text, time) in [
            ("now", now()),
            ("NOW", now()),
            ("-15m", at(1_700_000_000 - 900, 250_000_000)),
            ("-1h30m", at(1_700_000_000 - 5400, 250_000_000)),
            ("-500ms", at(1_699_999_999, 750_000_000)),
            ("+1s", at(1_700_000_001, 250_000_000)),
            ("+750ms", at(1_700_000_001, 0)),
            ("-0s", now()),
            ("0", at(0, 0)),
            ("1700000000", at(1_700_000_000, 0)),
            ("1700000000.5", at(1_700_000_000, 500_000_000)),
            ("1700000000.000000001", at(1_700_000_000, 1)),
            ("1700000000.5000000000000", at(1_700_000_000, 500_000_000)),
            ("-1.5", at(-2, 500_000_000)),
            ("-100", at(-100, 0)),
            ("253402300800", at(253_402_300_800, 0)),
            ("2023-11-14T22:13:20Z", at(1_700_000_000, 0)),
            ("2023-11-14t22:13:20z", at(1_700_000_000, 0)),
            ("2023-11-14T22:13:20.123456789Z", at(1_700_000_000, 123_456_789)),
            ("2023-11-15T00:13:20+02:00", at(1_700_000_000, 0)),
            ("1969-12-31T23:59:59.5Z", at(-1, 500_000_000)),
            ("0000-01-01T00:00:00Z", at(-62_167_219_200, 0)),
            ("@253402300800.000000001", at(253_402_300_800, 1)),
            ("2023-11-14 22:13:20Z", at(1_700_000_000, 0)),
            ("9999-12-31T23:59:59Z", at(253_402_300_799, 0)),
        ] {
            assert_eq!(parse_time(text, now()), Ok(time), "{text:?}");
        }
    }

    #[test]
    fn everything_else_says_what_is_allowed() {
        for (text, start) in [
            ("", "found \"\"; allowed: RFC 3339"),
            ("yesterday", "found \"yesterday\"; allowed:"),
            ("15m", "found \"15m\" (did you mean \"-15m\"?); allowed:"),
            ("-15", ""),
            ("-15x", "found \"-15x\" (unknown unit \"x\"); allowed:"),
            ("-", "found \"-\" (no number); allowed:"),
            ("+5", "found \"+5\" (no unit); allowed:"),
            ("1.0000000001", "found \"1.0000000001\" (finer than a nanosecond); allowed:"),
            ("99999999999999999999", "found \"99999999999999999999\" (too large); allowed:"),
            ("9223372036854775808", "found \"9223372036854775808\" (too large); allowed:"),
            ("1e9", "found \"1e9\"; allowed:"),
            ("1.", "found \"1.\"; allowed:"),
            ("2023-11-14", "found \"2023-11-14\"; allowed:"),
            ("2023-11-14T22:13:20", "found \"2023-11-14T22:13:20\"; allowed:"),
            ("2023-13-14T22:13:20Z", "found \"2023-13-14T22:13:20Z\"; allowed:"),
            (" now", "found \" now\"; allowed:"),
        ] {
            match parse_time(text, now()) {
                Ok(time) => assert_eq!((text, time), ("-15", at(-15, 0))),
                Err(error) => assert!(error.to_string().starts_with(start), "{text:?}: {error}"),
            }
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let nano = Duration::from_nanos(1);
        assert_eq!(shift(Timestamp::MIN, nano, -1), Timestamp::MIN);
        assert_eq!(shift(Timestamp::MAX, nano, 1), Timestamp::MAX);
        assert_eq!(shift(at(0, 0), Duration::MAX, -1), Timestamp::MIN);
        assert_eq!(shift(at(0, 0), Duration::MAX, 1), Timestamp::MAX);
        assert_eq!(shift(at(0, 0), nano, -1), at(-1, 999_999_999));
    }
}
