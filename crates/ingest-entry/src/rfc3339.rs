//! Timestamps as text: RFC 3339 in the proleptic Gregorian calendar.

use core::fmt;
use core::str::FromStr;

use crate::timestamp::{NANOS_PER_SEC, Timestamp};

const DAY: i64 = 86_400;
/// Days in 400 Gregorian years.
const CYCLE: i64 = 146_097;
/// Days from 0000-03-01, where the counting years of this file begin, to 0001-01-01.
const SHIFT: i64 = 306;
/// Days before each month, counted from March.
const BEFORE_MONTH: [i64; 12] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337];
/// Wire seconds at which year 0 begins, and at which year 9999 has ended.
const YEAR_0: i64 = -366 * DAY;
const YEAR_10000: i64 = 3_652_059 * DAY;

/// A text that is not a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTimestampError {
    /// Another character was expected here, or the text ends too early or too late.
    #[error("not a timestamp: unexpected text at byte {offset}")]
    Syntax {
        /// Where the text departs from the form.
        offset: usize,
    },
    /// A field is outside of its range, such as a month 13 or a 30th of February.
    #[error("not a timestamp: the field at byte {offset} is out of range")]
    Range {
        /// Where the field begins.
        offset: usize,
    },
}

/// Days since 0001-01-01 of a date.
fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let index = usize::try_from((month + 9) % 12).unwrap_or(0);
    let before = BEFORE_MONTH.get(index).copied().unwrap_or(0);
    year * 365 + leap_days + before + day - 1 - SHIFT
}

/// Year, month and day of a number of days since 0001-01-01.
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + SHIFT;
    let (cycle, mut rest) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    let century = (rest / 36_524).min(3);
    rest -= century * 36_524;
    let four = rest / 1_461;
    rest -= four * 1_461;
    let one = (rest / 365).min(3);
    rest -= one * 365;
    let year = cycle * 400 + century * 100 + four * 4 + one;
    let index = BEFORE_MONTH.partition_point(|&before| before <= rest).saturating_sub(1);
    let day = rest - BEFORE_MONTH.get(index).copied().unwrap_or(0) + 1;
    let month = index as i64 + 3;
    if month > 12 { (year + 1, month - 12, day) } else { (year, month, day) }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Puts `value` in decimal digits, with leading zeros, into `field`.
fn digits(field: &mut [u8], mut value: i64) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// RFC 3339 in UTC with nine digits of nanoseconds, `2023-11-14T22:13:20.000000042Z`; outside of
/// the years 0000 to 9999 `@SECONDS.NANOS`, whole Unix seconds rounded down and the nanoseconds
/// since then.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.nanos() % NANOS_PER_SEC;
        let seconds = i128::from(self.wire_seconds()) + i128::from(self.nanos() / NANOS_PER_SEC);
        let within = i128::from(YEAR_0)..i128::from(YEAR_10000);
        let seconds = match i64::try_from(seconds) {
            Ok(small) if within.contains(&seconds) => small,
            _ => {
                let unix = seconds - i128::from(Self::EPOCH_OFFSET);
                return f.pad(&format!("@{unix}.{nanos:09}"));
            }
        };
        let (year, month, day) = date_from_days(seconds.div_euclid(DAY));
        let time = seconds.rem_euclid(DAY);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let [y0, y1, y2, y3, _, o0, o1, _, d0, d1, _, h0, h1, _, m0, m1, _, s0, s1, _, n @ .., _] =
            &mut text;
        for (field, value) in [
            ([y0, y1], year / 100),
            ([y2, y3], year % 100),
            ([o0, o1], month),
            ([d0, d1], day),
            ([h0, h1], time / 3600),
            ([m0, m1], time / 60 % 60),
            ([s0, s1], time % 60),
        ] {
            let [tens, ones] = field;
            *tens = b'0' + (value / 10) as u8;
            *ones = b'0' + (value % 10) as u8;
        }
        digits(n, i64::from(nanos));
        f.pad(core::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// A cursor over the text that knows where it is.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn syntax<T>(&self) -> Result<T, ParseTimestampError> {
        Err(ParseTimestampError::Syntax { offset: self.at })
    }

    fn one_of(&mut self, set: &[u8]) -> Result<u8, ParseTimestampError> {
        match self.peek() {
            Some(byte) if set.contains(&byte) => {
                self.at += 1;
                Ok(byte)
            }
            _ => self.syntax(),
        }
    }

    /// Exactly `count` digits, the value within `low..=high`.
    fn number(&mut self, count: usize, low: i64, high: i64) -> Result<i64, ParseTimestampError> {
        let start = self.at;
        let mut value = 0;
        for _ in 0..count {
            value = value * 10 + i64::from(self.one_of(b"0123456789")? - b'0');
        }
        if (low..=high).contains(&value) {
            Ok(value)
        } else {
            Err(ParseTimestampError::Range { offset: start })
        }
    }

    /// The digits behind a point as nanoseconds; digits after the ninth are dropped.
    fn fraction(&mut self) -> Result<u32, ParseTimestampError> {
        let mut nanos = u32::from(self.one_of(b"0123456789")? - b'0') * (NANOS_PER_SEC / 10);
        let mut unit = NANOS_PER_SEC / 100;
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            nanos += u32::from(byte - b'0') * unit;
            unit /= 10;
            self.at += 1;
        }
        Ok(nanos)
    }

    fn end(&self) -> Result<(), ParseTimestampError> {
        if self.at == self.text.len() { Ok(()) } else { self.syntax() }
    }
}

impl Timestamp {
    /// RFC 3339 in UTC with nanoseconds: the same text as `Display`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.to_string()
    }

    /// Reads an RFC 3339 date and time, such as `2023-11-14T22:13:20Z` or
    /// `2023-11-14 23:13:20.5+01:00`.
    ///
    /// `T` and `Z` may be small, a blank may stand for `T`. Digits after the ninth of a fraction
    /// are dropped. A second 60 is the first of the next minute, as in Unix time.
    ///
    /// # Errors
    /// [`ParseTimestampError`] with the place where the text departs from the form.
    pub fn parse_rfc3339(text: &str) -> Result<Self, ParseTimestampError> {
        let mut r = Reader { text: text.as_bytes(), at: 0 };
        let year = r.number(4, 0, 9999)?;
        r.one_of(b"-")?;
        let month = r.number(2, 1, 12)?;
        r.one_of(b"-")?;
        let day = r.number(2, 1, days_in_month(year, month))?;
        r.one_of(b"Tt ")?;
        let hour = r.number(2, 0, 23)?;
        r.one_of(b":")?;
        let minute = r.number(2, 0, 59)?;
        r.one_of(b":")?;
        let second = r.number(2, 0, 60)?;
        let mut nanos = 0;
        if r.peek() == Some(b'.') {
            r.at += 1;
            nanos = r.fraction()?;
        }
        let offset = match r.one_of(b"Zz+-")? {
            sign @ (b'+' | b'-') => {
                let hours = r.number(2, 0, 23)?;
                r.one_of(b":")?;
                let east = hours * 3600 + r.number(2, 0, 59)? * 60;
                if sign == b'+' { east } else { -east }
            }
            _ => 0,
        };
        r.end()?;
        let local = days_from_date(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
        Ok(Self::from_wire(local - offset, nanos))
    }
}

/// Reads both forms that `Display` writes: RFC 3339 and `@SECONDS.NANOS` (the fraction may be
/// absent or shorter).
impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        let Some(rest) = text.strip_prefix('@') else { return Self::parse_rfc3339(text) };
        let (seconds, fraction) = match rest.split_once('.') {
            Some((seconds, fraction)) => (seconds, Some(fraction)),
            None => (rest, None),
        };
        let sign_free = seconds.strip_prefix('-').unwrap_or(seconds);
        if sign_free.is_empty() || !sign_free.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParseTimestampError::Syntax { offset: 1 });
        }
        let unix: i128 = seconds.parse().map_err(|_| ParseTimestampError::Range { offset: 1 })?;
        let wire = unix
            .checked_add(i128::from(Self::EPOCH_OFFSET))
            .and_then(|wire| i64::try_from(wire).ok())
            .ok_or(ParseTimestampError::Range { offset: 1 })?;
        let mut nanos = 0;
        if fraction.is_some() {
            let mut r = Reader { text: text.as_bytes(), at: seconds.len() + 2 };
            nanos = r.fraction()?;
            r.end()?;
        }
        Ok(Self::from_wire(wire, nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(seconds: i64, nanos: u32) -> Timestamp {
        Timestamp::from_unix(seconds, nanos).unwrap()
    }

    #[test]
    fn known_values() {
        for (ts, text) in [
            (unix(0, 0), "1970-01-01T00:00:00.000000000Z"),
            (unix(1_700_000_000, 42), "2023-11-14T22:13:20.000000042Z"),
            (unix(951_782_400, 0), "2000-02-29T00:00:00.000000000Z"),
            (unix(-1, 999_999_999), "1969-12-31T23:59:59.999999999Z"),
            (unix(4_107_542_400, 0), "2100-03-01T00:00:00.000000000Z"),
            (unix(4_107_456_000, 0), "2100-02-28T00:00:00.000000000Z"),
            (unix(253_402_300_799, 0), "9999-12-31T23:59:59.000000000Z"),
            (Timestamp::from_wire(0, 0), "0001-01-01T00:00:00.000000000Z"),
            (Timestamp::from_wire(-5, 6), "0000-12-31T23:59:55.000000006Z"),
            (Timestamp::from_wire(YEAR_0, 0), "0000-01-01T00:00:00.000000000Z"),
            (Timestamp::from_wire(YEAR_0 + 59 * DAY, 0), "0000-02-29T00:00:00.000000000Z"),
        ] {
            assert_eq!(ts.to_string(), text);
            assert_eq!(Timestamp::parse_rfc3339(text), Ok(ts));
            assert_eq!(ts.to_rfc3339(), text);
        }
    }

    #[test]
    fn outside_of_four_digit_years() {
        for (ts, text) in [
            (Timestamp::from_wire(YEAR_0 - 1, 7), "@-62167219201.000000007"),
            (Timestamp::from_wire(YEAR_10000, 0), "@253402300800.000000000"),
            (Timestamp::MAX, "@9223371974719179007.999999999"),
            (Timestamp::MIN, "@-9223372098990372608.000000000"),
        ] {
            assert_eq!(ts.to_string(), text);
            assert_eq!(text.parse(), Ok(ts));
        }
        assert_eq!("@5".parse(), Ok(unix(5, 0)));
        assert_eq!("@5.25".parse(), Ok(unix(5, 250_000_000)));
        for bad in [
            "@",
            "@-",
            "@+5",
            "@5.",
            "@5.x",
            "@5.1x",
            "@99999999999999999999",
            "@9223372036854775807",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
        let carried = Timestamp::from_wire(YEAR_10000 - 1, 1_000_000_001);
        assert_eq!(carried.to_string(), "@253402300800.000000001");
    }

    #[test]
    fn forms_that_are_read() {
        let want = Ok(unix(1_700_000_000, 500_000_000));
        for text in [
            "2023-11-14T22:13:20.5Z",
            "2023-11-14t22:13:20.500z",
            "2023-11-14 23:13:20.5+01:00",
            "2023-11-14T16:43:20.5-05:30",
            "2023-11-14T22:13:20.5000000009Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), want, "{text}");
        }
        assert_eq!(Timestamp::parse_rfc3339("2016-12-31T23:59:60Z"), Ok(unix(1_483_228_800, 0)));
    }

    #[test]
    fn forms_that_are_refused() {
        use ParseTimestampError::{Range, Syntax};
        for (text, error) in [
            ("", Syntax { offset: 0 }),
            ("2023-13-14T22:13:20Z", Range { offset: 5 }),
            ("2023-02-29T22:13:20Z", Range { offset: 8 }),
            ("1900-02-29T22:13:20Z", Range { offset: 8 }),
            ("2023-11-14T24:13:20Z", Range { offset: 11 }),
            ("2023-11-14T22:13:61Z", Range { offset: 17 }),
            ("2023-11-14T22:13:20", Syntax { offset: 19 }),
            ("2023-11-14T22:13:20.Z", Syntax { offset: 20 }),
            ("2023-11-14T22:13:20Zz", Syntax { offset: 20 }),
            ("2023-11-14T22:13:20+0100", Syntax { offset: 22 }),
            ("+023-11-14T22:13:20Z", Syntax { offset: 0 }),
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), Err(error), "{text}");
        }
    }

    #[test]
    fn every_day_of_eight_centuries_and_back() {
        let mut previous = date_from_days(-366);
        assert_eq!(previous, (0, 1, 1));
        for days in -365..292_200 {
            let date = date_from_days(days);
            assert_eq!(days_from_date(date.0, date.1, date.2), days);
            let (year, month, day) = previous;
            let next = if day < days_in_month(year, month) {
                (year, month, day + 1)
            } else if month < 12 {
                (year, month + 1, 1)
            } else {
                (year + 1, 1, 1)
            };
            assert_eq!(date, next);
            previous = date;
        }
    }
}
