//! Hexadecimal floats such as `0x1.8p3`, which Go's `ParseFloat` reads.

use super::Number;

/// Reads `[sign] 0x mantissa p [sign] exponent`; underscores may follow the `0x` and stand between
/// digits.
pub(super) fn parse(text: &[u8]) -> Option<Number> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let [b'0', b'x' | b'X', mantissa_and_exponent @ ..] = text else { return None };
    let at = mantissa_and_exponent.iter().position(|b| matches!(b, b'p' | b'P'))?;
    let (mantissa, exponent) = mantissa_and_exponent.split_at_checked(at)?;
    let (mantissa, scale) = mantissa_of(mantissa)?;
    let exponent = exponent_of(exponent.get(1..)?)?.saturating_add(scale);
    let value = assemble(mantissa, exponent);
    let value = if negative { -value } else { value };
    Some(if value.is_infinite() { Number::Overflow(value) } else { Number::Float(value) })
}

/// The leading bits of the digits, the lowest one also standing for all that did not fit, and the
/// power of two that the point and those digits make.
fn mantissa_of(text: &[u8]) -> Option<(u64, i64)> {
    let (mut bits, mut scale) = (0_u64, 0_i64);
    let (mut any, mut point) = (false, false);
    // The prefix counts as a digit for the underscore behind it.
    let mut previous = b'0';
    for &byte in text {
        match byte {
            b'_' if previous.is_ascii_hexdigit() => {}
            b'.' if !point && previous != b'_' => point = true,
            _ => {
                let digit = u64::from(char::from(byte).to_digit(16)?.to_le_bytes()[0]);
                any = true;
                if bits >> 60 == 0 {
                    bits = bits << 4 | digit;
                    scale -= if point { 4 } else { 0 };
                } else {
                    bits |= u64::from(digit != 0);
                    scale += if point { 0 } else { 4 };
                }
            }
        }
        previous = byte;
    }
    (any && previous != b'_').then_some((bits, scale))
}

/// The decimal exponent, held at where it makes no difference any more.
fn exponent_of(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut exponent = 0_i64;
    let mut previous = b'_';
    for &byte in text {
        match byte {
            b'0'..=b'9' => {
                exponent = (exponent * 10 + i64::from(byte - b'0')).min(1 << 40);
            }
            b'_' if previous != b'_' => {}
            _ => return None,
        }
        previous = byte;
    }
    (previous != b'_').then_some(if negative { -exponent } else { exponent })
}

/// `bits` × 2^`exponent`, rounded half to even. The lowest bit may stand for others below it,
/// which is right because 64 bits are more than two above the 53 that stay.
fn assemble(bits: u64, exponent: i64) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    let shift = bits.leading_zeros();
    let bits = bits << shift;
    // The value is 1.xxx × 2^top.
    let top = exponent - i64::from(shift) + 63;
    if top > 1023 {
        return f64::INFINITY;
    }
    // Normal floats drop 11 of the 64 bits, subnormal ones more.
    let drop = 11 + (-1022 - top).max(0);
    if drop > 64 {
        return 0.0;
    }
    let kept = if drop == 64 { 0 } else { bits >> drop };
    let rest = if drop == 64 { bits } else { bits & ((1 << drop) - 1) };
    let half = 1_u64 << (drop - 1);
    let up = rest > half || (rest == half && kept & 1 == 1);
    let rounded = kept + u64::from(up);
    // The hidden bit of a normal float adds one to the exponent field; so does rounding up into
    // the next power of two, or from the subnormals, or into infinity.
    let field = (top.max(-1022) + 1022).unsigned_abs();
    f64::from_bits((field << 52) + rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, expected) in [
            ("0x1p4", 16.0),
            ("0X1P-2", 0.25),
            ("-0x1.8p+1", -3.0),
            ("0x.8p1", 1.0),
            ("0x_1_0p4", 256.0),
            ("0x1p1_0", 1024.0),
            ("0x0p0", 0.0),
            ("0x1p-1074", 5e-324),
            ("0x1p-1075", 0.0),
            ("0x1.0000000000001p-1075", 5e-324),
            ("0x3p-1075", 1e-323),
            ("0x1p-99999999999999999999", 0.0),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1p-1022", f64::MIN_POSITIVE),
            ("0x0.fffffffffffff8p-1022", f64::MIN_POSITIVE),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.00000000000018p0", 1.000_000_000_000_000_4),
            ("0x1.000000000000080000000000000001p0", 1.000_000_000_000_000_2),
            ("0x100000000000000000p-68", 1.0),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(Number::Float(expected)), "{text}");
        }
        for text in ["0x1p1024", "0x1.fffffffffffff8p1023", "0x1p99999999999999999999"] {
            assert_eq!(parse(text.as_bytes()), Some(Number::Overflow(f64::INFINITY)), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "",
            "0x",
            "0x1",
            "0xp1",
            "0x.p1",
            "0x_p1",
            "1p4",
            "0x1p",
            "0x1p+",
            "0x1p_1",
            "0x1p1_",
            "0x1__0p1",
            "0x1_p1",
            "0x1_.0p1",
            "0x1._0p1",
            "0x1.1.1p1",
            "0xgp1",
            "0x1p1p1",
            "0x1pa",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn every_power_of_two_is_exact() {
        for power in -1074_i32..=1023 {
            let expected = if power >= -1022 {
                f64::from_bits(u64::from((power + 1023).unsigned_abs()) << 52)
            } else {
                f64::from_bits(1 << (power + 1074).unsigned_abs())
            };
            let text = format!("0x1p{power}");
            assert_eq!(parse(text.as_bytes()), Some(Number::Float(expected)), "{text}");
        }
    }
}
