//! What may be sent to other programs (`graphite.md` 2.3, 2.6): points that all of them read, and
//! read alike.

use std::borrow::Cow;

use crate::MetricRef;

/// Why a point cannot be sent: its receiver would refuse it, misread it, or close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The path is empty, or not UTF-8.
    #[error("path is empty or not UTF-8")]
    Path,
    /// The path has white space or control characters in it.
    #[error("path has white space or control characters")]
    Character,
    /// The path is longer than 8,192 bytes.
    #[error("path is too long")]
    Length,
    /// The value is NaN, or infinite where that was not asked for.
    #[error("value is not finite")]
    Value,
    /// The timestamp is before 1970, or after the year 9999.
    #[error("timestamp is out of range")]
    Timestamp,
}

/// The longest path that is sent, in bytes.
const MAX_PATH: usize = 8192;

/// The last second that is sent: the end of the year 9999.
const MAX_SECONDS: i64 = 253_402_300_799;

/// A point that passed.
#[derive(Debug)]
pub(crate) struct Sendable<'a> {
    /// The canonical path.
    pub(crate) path: Cow<'a, str>,
    pub(crate) seconds: i64,
    pub(crate) value: f64,
    /// The value, where its text was an integer that 64 bits hold.
    pub(crate) integer: Option<i64>,
}

impl<'a> Sendable<'a> {
    /// The point, where all receivers read it alike.
    pub(crate) fn new(metric: &MetricRef<'a>, infinite: bool) -> Result<Self, EncodeError> {
        if metric.lossy.is_some() {
            return Err(EncodeError::Path);
        }
        let path = metric.canonical_path();
        check_path(&path)?;
        let value = metric.value();
        if value.is_nan() || (value.is_infinite() && !infinite) {
            return Err(EncodeError::Value);
        }
        let seconds = metric.timestamp().seconds;
        if !(0..=MAX_SECONDS).contains(&seconds) {
            return Err(EncodeError::Timestamp);
        }
        // Integers have no negative zero.
        let text = metric.integer().filter(|text| *text != "-0");
        let integer = text.and_then(|text| text.parse().ok());
        Ok(Self { path, seconds, value, integer })
    }
}

fn check_path(path: &str) -> Result<(), EncodeError> {
    if path.is_empty() {
        return Err(EncodeError::Path);
    }
    if path.len() > MAX_PATH {
        return Err(EncodeError::Length);
    }
    // Python also takes these four for white space, which they are no more in Unicode.
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\x1c'..='\x1f');
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    if plain || !path.chars().any(bad) { Ok(()) } else { Err(EncodeError::Character) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn check(path: &str, value: f64, seconds: i64) -> Result<String, EncodeError> {
        let metric = MetricRef::new(path, value, Timestamp::from_seconds(seconds));
        Sendable::new(&metric, false).map(|point| point.path.into_owned())
    }

    #[test]
    fn what_receivers_would_stumble_over_is_not_sent() {
        assert_eq!(check("a.b", 1.0, 0).as_deref(), Ok("a.b"));
        assert_eq!(check("a.é", 1.0, 0).as_deref(), Ok("a.é"));
        assert_eq!(check("a;y=1;x=2", 1.0, 0).as_deref(), Ok("a;x=2;y=1"));
        assert_eq!(check("", 1.0, 0), Err(EncodeError::Path));
        for path in ["a b", "a\nb", "a\x1cb", "a\u{85}b", "a\u{3000}b", "a\0b", "a\x7fb"] {
            assert_eq!(check(path, 1.0, 0), Err(EncodeError::Character), "{path:?}");
        }
        assert_eq!(check(&"a".repeat(8193), 1.0, 0), Err(EncodeError::Length));
        assert_eq!(check("a", f64::NAN, 0), Err(EncodeError::Value));
        assert_eq!(check("a", f64::NEG_INFINITY, 0), Err(EncodeError::Value));
        assert_eq!(check("a", 1.0, -1), Err(EncodeError::Timestamp));
        assert_eq!(check("a", 1.0, 253_402_300_800), Err(EncodeError::Timestamp));
        let metric = MetricRef::new("a", f64::INFINITY, Timestamp::default());
        assert!(Sendable::new(&metric, true).is_ok());
    }
}
