//! Decimal floats as Python 3 reads them: as everybody does, and with the digits of all scripts.

use super::{Number, decimal};

/// The zeros of all decimal digits (general category Nd) of Unicode 14, which Python 3.11 knows.
/// The nine code points behind each are the digits 1 to 9.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
    0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50,
    0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// Reads a float as `float()` does.
pub(super) fn parse(text: &[u8]) -> Option<Number> {
    if text.is_ascii() {
        return decimal::parse(text);
    }
    let text = str::from_utf8(text).ok()?;
    let ascii: String = text.chars().map(|c| digit(c).unwrap_or(c)).collect();
    decimal::parse(ascii.as_bytes())
}

/// The ASCII digit of the same value.
fn digit(c: char) -> Option<char> {
    let code = u32::from(c);
    let below = ZEROS.partition_point(|&zero| zero <= code);
    let zero = ZEROS.get(below.checked_sub(1)?)?;
    char::from_digit(code - zero, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_all_scripts_count() {
        assert!(ZEROS.is_sorted());
        for zero in ZEROS {
            for value in 0..10 {
                let c = char::from_u32(zero + value).unwrap();
                assert_eq!(digit(c), char::from_digit(value, 10));
            }
        }
        for c in ['a', '/', ':', '²', 'Ⅳ', '〇', '\u{10ffff}'] {
            assert_eq!(digit(c), None, "{c}");
        }
        assert_eq!(parse("-१.५e１".as_bytes()), Some(Number::Float(-15.0)));
        assert_eq!(parse("１é".as_bytes()), None);
    }
}
