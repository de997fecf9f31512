//! Numbers as protobuf's JSON has them: whole numbers may be written with a point or an exponent.

/// The whole number that a JSON number is: its magnitude and whether it is negative.
///
/// `None` if it is none, or beyond 64 bits.
pub(super) fn whole(text: &[u8]) -> Option<(bool, u64)> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let split = text.iter().position(|b| matches!(b, b'e' | b'E'));
    let (mantissa, exponent) = match split.and_then(|at| text.split_at_checked(at)) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent.get(1..)?)),
        None => (text, 0),
    };
    let point = mantissa.iter().position(|&b| b == b'.').unwrap_or(mantissa.len());
    let digits = mantissa.iter().filter(|&&b| b != b'.');
    // The place of the point, counted from the first digit.
    let point = i64::try_from(point).ok()?.checked_add(exponent)?;
    let mut value = 0_u64;
    let mut place = 0_i64;
    for digit in digits.map(|b| u64::from(b.wrapping_sub(b'0'))) {
        if place < point {
            value = value.checked_mul(10)?.checked_add(digit)?;
        } else if digit != 0 {
            return None;
        }
        place += 1;
    }
    if value != 0 {
        for _ in place..point {
            value = value.checked_mul(10)?;
        }
    }
    Some((negative, value))
}

/// An exponent; what is beyond any use is kept at a bound.
fn exponent_of(text: &[u8]) -> i64 {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let value = digits
        .iter()
        .fold(0_i64, |value, byte| (value * 10 + i64::from(byte.wrapping_sub(b'0'))).min(1 << 40));
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_in_any_dress() {
        for (text, expected) in [
            ("0", Some((false, 0))),
            ("-0", Some((true, 0))),
            ("1.0", Some((false, 1))),
            ("1.5", None),
            ("15e-1", None),
            ("150e-1", Some((false, 15))),
            ("1.5e1", Some((false, 15))),
            ("1e3", Some((false, 1000))),
            ("18446744073709551615", Some((false, u64::MAX))),
            ("18446744073709551616", None),
            ("1e20", None),
            ("1e99999999999999999999", None),
            ("0e99999999999999999999", Some((false, 0))),
            ("1e-99999999999999999999", None),
            ("-9.223372036854775808e18", Some((true, 1 << 63))),
        ] {
            assert_eq!(whole(text.as_bytes()), expected, "{text}");
        }
    }
}
