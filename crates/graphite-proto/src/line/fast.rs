//! The quick way through the lines that nearly everybody sends: printable ASCII, single spaces, a
//! decimal value, whole seconds.

use super::index::Cuts;
use crate::metric::{MetricRef, Text};
use crate::{Options, PathRule, Profile, Timestamp, number};

/// More digits than these are left to others: below 10^15 a float is exact, and dividing it by a
/// power of ten up to 10^22 rounds once.
const MAX_DIGITS: usize = 15;

const POWERS: [f64; MAX_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Eight times the character `0`.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Whether common lines mean the same to the profile as they do to this module.
pub(crate) fn applies(options: &Options) -> bool {
    !matches!(options.profile, Profile::RelayNg { .. })
}

/// Reads a line of the common kind; `None` where it needs the general way.
#[inline]
pub(crate) fn read<'a>(input: &'a [u8], cuts: Cuts, options: &Options) -> Option<MetricRef<'a>> {
    let path = input.get(cuts.start..cuts.path_end)?;
    let time = input.get(cuts.value_end + 1..cuts.end)?;
    let text = input.get(cuts.path_end + 1..cuts.value_end)?;
    let seconds = seconds(input.get(..cuts.end)?, time)?;
    let (value, form) = match short(input.get(..cuts.value_end)?, text) {
        Some(read) => read,
        None => long(text, options)?,
    };
    let tagged = cuts.semicolon || (path.ends_with(b"}") && crate::tags::is_openmetrics(path));
    if path.len() > options.max_path || seconds > options.max_timestamp {
        return None;
    }
    let kept = match options.paths {
        PathRule::Normalise => !tagged,
        PathRule::Raw => true,
        PathRule::NormaliseOrReject if tagged => return None,
        PathRule::NormaliseOrReject => true,
        PathRule::Sanitise => false,
    };
    let canonical = kept && form != Text::Other && !(time.len() > 1 && time.starts_with(b"0"));
    Some(MetricRef {
        path,
        lossy: None,
        value,
        text: if form == Text::Other { &[] } else { text },
        form,
        timestamp: Timestamp::from_seconds(seconds),
        verbatim: if canonical { input.get(cuts.start..cuts.end)? } else { &[] },
        tagged,
        rule: options.paths,
    })
}

/// The digits at the end of `input`, which are `text`.
#[inline]
fn seconds(input: &[u8], text: &[u8]) -> Option<i64> {
    if text.len() < 8 || text.len() > MAX_DIGITS {
        return digits(text);
    }
    let high = digits(text.get(..text.len() - 8)?)?;
    let low = eight_digits(u64::from_le_bytes(*input.last_chunk()?))?;
    Some(high * 100_000_000 + i64::try_from(low).ok()?)
}

/// At most 15 digits, one by one.
#[inline]
fn digits(text: &[u8]) -> Option<i64> {
    if text.len() > MAX_DIGITS {
        return None;
    }
    text.iter().try_fold(0_i64, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

/// The number that eight digits make, the first of them in the lowest byte.
#[inline]
fn eight_digits(text: u64) -> Option<u64> {
    let digits = text ^ ZEROS;
    // What is 10 or more in any byte reaches the highest bit of that byte.
    if (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    // Neighbours are joined: to pairs, then all four pairs by two products.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let odd = (pairs & 0xff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let even = ((pairs >> 16) & 0xff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    Some(odd.wrapping_add(even) >> 32)
}

/// A value of at most eight characters and its sign, all at once. `text` is the end of `input`.
#[inline]
fn short(input: &[u8], text: &[u8]) -> Option<(f64, Text)> {
    let (negative, length) = match text {
        [b'-', rest @ ..] => (true, rest.len()),
        _ => (false, text.len()),
    };
    if length == 0 || length > 8 {
        return None;
    }
    let unused = 8 * (8 - length);
    let word = u64::from_le_bytes(*input.last_chunk()?);
    let word = (word >> unused << unused) | (ZEROS & !(u64::MAX << unused));
    let first = (word >> unused) as u8;
    let other = word ^ 0x2e2e_2e2e_2e2e_2e2e;
    let points = other.wrapping_sub(0x0101_0101_0101_0101) & !other & 0x8080_8080_8080_8080;
    let (number, whole, fraction) = if points == 0 {
        (eight_digits(word)?, length, 0)
    } else {
        // The lowest mark is that of the first point. What stands before it moves up by one byte.
        let point = (points.trailing_zeros() / 8) as usize;
        let fraction = 7 - point;
        let whole = (length - 1).checked_sub(fraction)?;
        if whole == 0 || fraction == 0 {
            return None;
        }
        let before = word & !(u64::MAX << (8 * point));
        let behind = word >> (8 * point + 8) << (8 * point + 8);
        (eight_digits(behind | before << 8 | 0x30)?, whole, fraction)
    };
    let value = number as f64 / POWERS.get(fraction)?;
    let plain = whole == 1 || first != b'0';
    let form = match fraction {
        0 if plain => Text::Integer,
        1.. if plain && word >> 56 != 0x30 => Text::Shortest,
        _ => Text::Other,
    };
    Some((if negative { -value } else { value }, form))
}

/// Any other finite value.
#[inline(never)]
fn long(text: &[u8], options: &Options) -> Option<(f64, Text)> {
    let value = number::value(text, options.profile).ok().filter(|value| value.is_finite())?;
    let form = number::text_form(text);
    if form == Text::Other && is_shortest(text) {
        return Some((value, Text::Shortest));
    }
    Some((value, form))
}

/// Whether a decimal with a point is what its float is written as: no sign but `-`, no zeros that
/// say nothing, and at most 15 digits, which any two floats differ in.
fn is_shortest(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let Some(point) = memchr::memchr(b'.', unsigned) else { return false };
    let (whole, rest) = unsigned.split_at_checked(point).unwrap_or_default();
    let fraction = rest.get(1..).unwrap_or_default();
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    whole.len() + fraction.len() <= MAX_DIGITS
        && digits(whole)
        && digits(fraction)
        && (whole.len() == 1 || !whole.starts_with(b"0"))
        && !fraction.ends_with(b"0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Read = Option<(f64, Text)>;

    fn both(text: &str) -> (Read, Read) {
        let input = format!("some.path {text}");
        (short(input.as_bytes(), text.as_bytes()), long(text.as_bytes(), &Options::default()))
    }

    #[test]
    fn short_values() {
        for (text, value, form) in [
            ("0", 0.0, Text::Integer),
            ("7", 7.0, Text::Integer),
            ("12345678", 12_345_678.0, Text::Integer),
            ("-12345678", -12_345_678.0, Text::Integer),
            ("00", 0.0, Text::Other),
            ("0.5", 0.5, Text::Shortest),
            ("-0.25", -0.25, Text::Shortest),
            ("123456.7", 123_456.7, Text::Shortest),
            ("0.50", 0.5, Text::Other),
            ("00.5", 0.5, Text::Other),
        ] {
            assert_eq!(both(text).0, Some((value, form)), "{text}");
        }
        for text in
            ["", "-", ".", "5.", ".5", "1.2.3", "1e5", "--1", "+1", "1_0", "123456789", "12a"]
        {
            assert_eq!(both(text).0, None, "{text}");
        }
        assert_eq!(both("-0").0.unwrap().0.to_bits(), (-0.0_f64).to_bits());
        assert_eq!(short(b"p 1", b"1"), None, "nothing to load");
    }

    #[test]
    fn eight_digits_are_read_and_nothing_else() {
        let read = |text: &[u8; 8]| eight_digits(u64::from_le_bytes(*text));
        assert_eq!(read(b"12345678"), Some(12_345_678));
        assert_eq!(read(b"99999999"), Some(99_999_999));
        for byte in 0..=255_u8 {
            for position in 0..8 {
                let mut text = *b"90909090";
                text[position] = byte;
                let expected = str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
                let expected = expected.filter(|_| byte.is_ascii_digit());
                assert_eq!(read(&text), expected, "{byte} at {position}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 20_000,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Where the short way reads a value, the long one and the standard library agree.
        #[test]
        fn short_and_long_agree(text in r"-?[0-9]{1,6}(\.[0-9]{1,6})?|[-+0-9.e_]{1,9}") {
            if let (Some((value, form)), long) = both(&text) {
                let expected: f64 = text.parse().unwrap();
                prop_assert_eq!(value.to_bits(), expected.to_bits());
                let long = long.unwrap();
                prop_assert_eq!((value.to_bits(), form), (long.0.to_bits(), long.1));
            }
        }

        /// A text called shortest is what the float is written as.
        #[test]
        fn shortest_texts_are(text in r"-?(0|[1-9][0-9]{0,9})\.[0-9]{0,9}[1-9]") {
            if is_shortest(text.as_bytes()) {
                prop_assert_eq!(text.parse::<f64>().unwrap().to_string(), text);
            }
        }
    }
}
