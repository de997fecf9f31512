//! Timestamps in the dialects of the profiles (`graphite.md` 2.5).

use super::{Number, decimal, number};
use crate::time::float_to_i64;
use crate::{Options, Profile, RejectReason, Timestamp};

/// The time in a text; `now` is what −1 stands for where it does.
pub(crate) fn timestamp(
    text: &[u8],
    options: &Options,
    now: Timestamp,
) -> Result<Timestamp, RejectReason> {
    let time = match options.profile {
        Profile::Default => strict(text, options, now),
        Profile::Carbon => python(text, options, now),
        Profile::GoCarbon => match number(text, options.profile) {
            None | Some(Number::Nan { .. }) => Err(RejectReason::BadTimestamp),
            Some(Number::Overflow(_)) => Err(RejectReason::TimestampRange),
            Some(Number::Float(seconds)) => Ok(Timestamp::from_seconds(go_i64(seconds))),
        },
        Profile::RelayNg { .. } => match number(text, options.profile) {
            None | Some(Number::Nan { signed: true }) => Err(RejectReason::BadTimestamp),
            Some(Number::Overflow(_)) => Err(RejectReason::TimestampRange),
            Some(Number::Nan { .. }) => Ok(Timestamp::default()),
            // A conversion to 32 bits without sign keeps the low half of the 64.
            Some(Number::Float(seconds)) => {
                Ok(Timestamp::from_seconds(go_i64(seconds) & i64::from(u32::MAX)))
            }
        },
    }?;
    if time.seconds > options.max_timestamp {
        return Err(RejectReason::TimestampRange);
    }
    Ok(time)
}

/// Go's conversion of a float to a 64-bit integer on x86-64: toward zero, and the least integer
/// for all that does not fit.
fn go_i64(seconds: f64) -> i64 {
    float_to_i64(seconds).unwrap_or(i64::MIN)
}

fn present(options: &Options, now: Timestamp) -> Timestamp {
    if options.fraction { now } else { now.whole() }
}

/// Ours: −1 is now, other negative times and what does not fit are refused, and what is written
/// without exponent is read exactly.
fn strict(text: &[u8], options: &Options, now: Timestamp) -> Result<Timestamp, RejectReason> {
    let Some(plain) = decimal::plain(text) else {
        return Err(match decimal::word(text) {
            Some(Number::Float(_)) => RejectReason::TimestampRange,
            _ => RejectReason::BadTimestamp,
        });
    };
    if let Some(time) = exact(plain.strip_prefix('+').unwrap_or(&plain), options.fraction) {
        return time.ok_or(RejectReason::TimestampRange);
    }
    let Some(Number::Float(seconds)) = decimal::float(&plain) else {
        return Err(RejectReason::TimestampRange);
    };
    if seconds < 0.0 {
        let minus_one = seconds.trunc() == -1.0;
        return if minus_one {
            Ok(present(options, now))
        } else {
            Err(RejectReason::TimestampRange)
        };
    }
    from_float(seconds, options.fraction)
}

/// Reads `digits` and `digits.digits` without rounding; `None` for other forms, `Some(None)` where
/// the seconds do not fit.
fn exact(text: &str, fraction: bool) -> Option<Option<Timestamp>> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let seconds: i64 = match whole {
        "" => 0,
        _ => match whole.parse() {
            Ok(seconds) => seconds,
            Err(_) => return Some(None),
        },
    };
    let mut nanos = 0;
    if fraction {
        let mut place = 100_000_000;
        for byte in part.bytes().take(9) {
            nanos += u32::from(byte - b'0') * place;
            place /= 10;
        }
    }
    Some(Some(Timestamp::new(seconds, nanos)))
}

/// carbon's: −1 and what lies between it and −2 is now, other times are kept. Those that no
/// [`Timestamp`] holds, and NaN and infinity, where carbon closes the connection, are refused.
fn python(text: &[u8], options: &Options, now: Timestamp) -> Result<Timestamp, RejectReason> {
    match number(text, Profile::Carbon) {
        None | Some(Number::Nan { .. }) => Err(RejectReason::BadTimestamp),
        Some(Number::Float(seconds)) if seconds.trunc() == -1.0 => Ok(present(options, now)),
        Some(Number::Float(seconds)) => from_float(seconds, options.fraction),
        Some(Number::Overflow(_)) => Err(RejectReason::TimestampRange),
    }
}

/// Float seconds, cut off toward zero unless fractions are kept.
pub(crate) fn from_float(seconds: f64, fraction: bool) -> Result<Timestamp, RejectReason> {
    let time = if fraction {
        Timestamp::from_f64(seconds)
    } else {
        float_to_i64(seconds).map(Timestamp::from_seconds)
    };
    time.ok_or(RejectReason::TimestampRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::new(1_650_000_000, 250_000_000);
    const BAD: Result<Timestamp, RejectReason> = Err(RejectReason::BadTimestamp);
    const RANGE: Result<Timestamp, RejectReason> = Err(RejectReason::TimestampRange);

    fn read(text: &str, profile: Profile) -> Result<Timestamp, RejectReason> {
        timestamp(text.as_bytes(), &Options::new(profile), NOW)
    }

    #[test]
    fn ours() {
        let ours = |text: &str| read(text, Profile::Default);
        for (text, seconds) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0", 0),
            ("1700000000", 1_700_000_000),
            ("1700000000.999", 1_700_000_000),
            ("+1_700_000_000", 1_700_000_000),
            ("00017", 17),
            ("1.7e9", 1_700_000_000),
            ("17.", 17),
            (".5", 0),
            ("253402300799", 253_402_300_799),
            ("253402300799.9", 253_402_300_799),
            ("-1", NOW.seconds),
            ("-1.0", NOW.seconds),
            ("-1.5", NOW.seconds),
            ("-1e0", NOW.seconds),
        ] {
            assert_eq!(ours(text), Ok(Timestamp::from_seconds(seconds)), "{text}");
        }
        for text in ["-0.5", "-2", "-1700000000", "253402300800", "1e19", "1e400", "inf", "-inf"] {
            assert_eq!(ours(text), RANGE, "{text}");
        }
        for text in ["nan", "N", "now", "", "-", "0x10", "1700000000s", "2023-11-14", "1,"] {
            assert_eq!(ours(text), BAD, "{text}");
        }
        assert_eq!(ours(&"9".repeat(3000)), RANGE);
    }

    #[test]
    fn the_greatest_second_of_an_entry_is_exact() {
        let options = Options { max_timestamp: 9_223_371_974_719_179_007, ..Options::default() };
        let read = |text: &str| timestamp(text.as_bytes(), &options, NOW);
        let last = Timestamp::from_seconds(9_223_371_974_719_179_007);
        assert_eq!(read("9223371974719179007"), Ok(last));
        assert_eq!(read("9223371974719179008"), RANGE);
        assert_eq!(read("9223372036854775808"), RANGE);
    }

    #[test]
    fn fractions_are_exact_without_exponent() {
        let options = Options { fraction: true, ..Options::default() };
        let read = |text: &str| timestamp(text.as_bytes(), &options, NOW);
        assert_eq!(read("5.000000001"), Ok(Timestamp::new(5, 1)));
        assert_eq!(read("5.0000000019"), Ok(Timestamp::new(5, 1)));
        assert_eq!(read(".25"), Ok(Timestamp::new(0, 250_000_000)));
        assert_eq!(read("25e-2"), Ok(Timestamp::new(0, 250_000_000)));
        assert_eq!(read("-1"), Ok(NOW));
    }

    #[test]
    fn carbons() {
        let carbon = |text: &str| read(text, Profile::Carbon);
        assert_eq!(carbon("-1.5"), Ok(NOW));
        assert_eq!(carbon("-0.5"), Ok(Timestamp::new(-1, 500_000_000)));
        assert_eq!(carbon("-1700000000"), Ok(Timestamp::from_seconds(-1_700_000_000)));
        assert_eq!(carbon("1700000000000000001").map(|t| t.seconds), Ok(1_700_000_000_000_000_000));
        assert_eq!(carbon("１７"), Ok(Timestamp::from_seconds(17)));
        assert_eq!((carbon("nan"), carbon("inf"), carbon("1e400")), (BAD, RANGE, RANGE));
        assert_eq!(carbon("9223372036854775807"), RANGE);
    }

    #[test]
    fn those_of_the_go_programs() {
        for (text, go, relay) in [
            ("-1", -1, 4_294_967_295),
            ("-1.5", -1, 4_294_967_295),
            ("-0.5", 0, 0),
            ("1700000000.999", 1_700_000_000, 1_700_000_000),
            ("1700000000000", 1_700_000_000_000, 3_487_918_080),
            ("9223372036854775807", i64::MIN, 0),
            ("1e308", i64::MIN, 0),
            ("inf", i64::MIN, 0),
            ("0x1p4", 16, 16),
        ] {
            assert_eq!(read(text, Profile::GoCarbon), Ok(Timestamp::from_seconds(go)), "{text}");
            let strict = Profile::RelayNg { strict: true };
            assert_eq!(read(text, strict), Ok(Timestamp::from_seconds(relay)), "{text}");
        }
        assert_eq!(read("nan", Profile::GoCarbon), BAD);
        assert_eq!(read("nan", Profile::RelayNg { strict: false }), Ok(Timestamp::default()));
        assert_eq!(read("1e400", Profile::GoCarbon), RANGE);
    }
}
