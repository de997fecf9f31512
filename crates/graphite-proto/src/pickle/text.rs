//! The textual operands of protocol 0: numbers, quoted strings and raw Unicode escapes.

use crate::RejectReason;

/// Longer texts of floats are refused: `repr` of Python writes at most 24 characters.
const MAX_FLOAT: usize = 64;

/// An integer that was written as text, or in two's complement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Integer {
    Small(i64),
    /// Its digits, without leading zeros.
    Large(String),
}

/// `[sign] digits`, with at most `max_digits` of them, blanks around them, as `int()` reads.
pub(super) fn integer(text: &[u8], max_digits: usize) -> Result<Integer, RejectReason> {
    let text = text.trim_ascii();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > max_digits || !digits.iter().all(u8::is_ascii_digit) {
        return Err(RejectReason::PickleNumber);
    }
    let digits = str::from_utf8(digits).map_err(|_| RejectReason::PickleNumber)?;
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(Integer::Small(0));
    }
    let text = format!("{}{digits}", if negative { "-" } else { "" });
    Ok(text.parse().map_or(Integer::Large(text), Integer::Small))
}

/// `LONG`: the same with an optional final `L`.
pub(super) fn long(text: &[u8], max_digits: usize) -> Result<Integer, RejectReason> {
    integer(text.strip_suffix(b"L").unwrap_or(text), max_digits)
}

/// Two's complement, little-endian, at most 16 bytes.
pub(super) fn two_complement(bytes: &[u8]) -> Result<Integer, RejectReason> {
    let Some(last) = bytes.last() else { return Ok(Integer::Small(0)) };
    let mut wide = [if last & 0x80 == 0 { 0 } else { 0xff }; 16];
    wide.get_mut(..bytes.len()).ok_or(RejectReason::PickleNumber)?.copy_from_slice(bytes);
    let value = i128::from_le_bytes(wide);
    Ok(i64::try_from(value).map_or_else(|_| Integer::Large(value.to_string()), Integer::Small))
}

/// `FLOAT`: what `float()` reads.
pub(super) fn float(text: &[u8]) -> Result<f64, RejectReason> {
    let text = text.trim_ascii();
    if text.len() > MAX_FLOAT {
        return Err(RejectReason::PickleNumber);
    }
    crate::number::python_float(text).ok_or(RejectReason::PickleNumber)
}

/// The digits of an index of the memo.
pub(super) fn index(text: &[u8]) -> Result<u32, RejectReason> {
    let text = text.trim_ascii();
    if text.len() > 10 || !text.iter().all(u8::is_ascii_digit) {
        return Err(RejectReason::PickleMemo);
    }
    let text = str::from_utf8(text).map_err(|_| RejectReason::PickleMemo)?;
    text.parse().map_err(|_| RejectReason::PickleMemo)
}

/// `STRING` without its quotes.
pub(super) fn unquoted(line: &[u8]) -> Result<&[u8], RejectReason> {
    match line.trim_ascii_end() {
        [b'\'', text @ .., b'\''] | [b'"', text @ .., b'"'] => Ok(text),
        _ => Err(RejectReason::PickleString),
    }
}

/// Undoes the escapes of a Python 2 `str`, onto the end of `out`.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) -> Result<(), RejectReason> {
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let [escape, behind @ ..] = rest else { return Err(RejectReason::PickleString) };
        rest = behind;
        match escape {
            b'\\' | b'\'' | b'"' => out.push(*escape),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b't' => out.push(b'\t'),
            b'n' => out.push(b'\n'),
            b'v' => out.push(11),
            b'f' => out.push(12),
            b'r' => out.push(b'\r'),
            b'x' => {
                let digits = rest.get(..2).ok_or(RejectReason::PickleString)?;
                out.push(hexadecimal(digits)? as u8);
                rest = rest.get(2..).unwrap_or_default();
            }
            b'0'..=b'7' => {
                let mut value = u32::from(escape - b'0');
                for _ in 0..2 {
                    let [digit @ b'0'..=b'7', behind @ ..] = rest else { break };
                    value = value * 8 + u32::from(digit - b'0');
                    rest = behind;
                }
                out.push(value as u8);
            }
            _ => out.extend_from_slice(&[b'\\', *escape]),
        }
    }
    Ok(())
}

/// Undoes raw Unicode escapes, onto the end of `out`: `\uXXXX` and `\UXXXXXXXX`, and Latin-1 for
/// every other byte. Surrogates are refused, as they are everywhere else.
pub(super) fn raw_unicode(text: &[u8], out: &mut Vec<u8>) -> Result<(), RejectReason> {
    let mut push = |c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        let count = match (*first, rest.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            (b'\\', Some(next)) => {
                // A backslash behind a backslash begins no escape.
                push('\\');
                push(char::from(*next));
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            (byte, _) => {
                push(char::from(byte));
                continue;
            }
        };
        let digits = rest.get(1..=count).ok_or(RejectReason::PickleString)?;
        let code = hexadecimal(digits)?;
        if (0xd800..0xe000).contains(&code) {
            return Err(RejectReason::NotUtf8);
        }
        push(char::from_u32(code).ok_or(RejectReason::PickleString)?);
        rest = rest.get(count + 1..).unwrap_or_default();
    }
    Ok(())
}

fn hexadecimal(digits: &[u8]) -> Result<u32, RejectReason> {
    digits.iter().try_fold(0_u32, |sum, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or(RejectReason::PickleString)?;
        Ok(sum << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        let small = |value| Ok(Integer::Small(value));
        for (text, value) in [
            ("0", small(0)),
            ("-0", small(0)),
            ("+7", small(7)),
            ("007", small(7)),
            (" 7\r", small(7)),
            ("-9223372036854775808", small(i64::MIN)),
            ("9223372036854775808", Ok(Integer::Large("9223372036854775808".into()))),
            ("-18446744073709551616", Ok(Integer::Large("-18446744073709551616".into()))),
            ("", Err(RejectReason::PickleNumber)),
            ("-", Err(RejectReason::PickleNumber)),
            ("0x10", Err(RejectReason::PickleNumber)),
            ("7L", Err(RejectReason::PickleNumber)),
            ("--7", Err(RejectReason::PickleNumber)),
            ("12345678901", Err(RejectReason::PickleNumber)),
        ] {
            let limit = if text.len() == 11 { 10 } else { 40 };
            assert_eq!(integer(text.as_bytes(), limit), value, "{text}");
        }
        assert_eq!(long(b"7L", 40), small(7));
        assert_eq!(long(b"7", 40), small(7));
        assert_eq!(long(b"7LL", 40), Err(RejectReason::PickleNumber));
    }

    #[test]
    fn two_complements() {
        let read = |bytes: &[u8]| two_complement(bytes);
        assert_eq!(read(b""), Ok(Integer::Small(0)));
        assert_eq!(read(b"\xff"), Ok(Integer::Small(-1)));
        assert_eq!(read(b"\xff\0"), Ok(Integer::Small(255)));
        assert_eq!(read(b"\0\0\0\0\0\0\0\x80"), Ok(Integer::Small(i64::MIN)));
        let large = Integer::Large("9223372036854775808".into());
        assert_eq!(read(b"\0\0\0\0\0\0\0\x80\0"), Ok(large));
        assert_eq!(read(&[0xff; 16]), Ok(Integer::Small(-1)));
        assert_eq!(read(&[0; 17]), Err(RejectReason::PickleNumber));
    }

    #[test]
    fn floats() {
        for (text, value) in
            [("1.5", 1.5), ("-0.0", -0.0), ("1e+300", 1e300), ("inf", f64::INFINITY), ("7", 7.0)]
        {
            assert_eq!(float(text.as_bytes()).map(f64::to_bits), Ok(value.to_bits()), "{text}");
        }
        assert!(float(b"nan").is_ok_and(f64::is_nan));
        assert!(float(b"-nan").is_ok_and(f64::is_nan));
        assert_eq!(float(b"1e400"), Ok(f64::INFINITY));
        for text in ["", "abc", "1.5x", &"1".repeat(65)] {
            assert_eq!(float(text.as_bytes()), Err(RejectReason::PickleNumber), "{text}");
        }
    }

    #[test]
    fn strings() {
        let read = |line: &str| {
            let mut out = Vec::new();
            unescape(unquoted(line.as_bytes())?, &mut out).map(|()| out)
        };
        assert_eq!(read("'a.b'"), Ok(b"a.b".to_vec()));
        assert_eq!(read("\"it's\""), Ok(b"it's".to_vec()));
        assert_eq!(read("''"), Ok(Vec::new()));
        let all = r#"'\\\'\"\a\b\t\n\v\f\r\x41\101\7\0089\q'"#;
        assert_eq!(read(all), Ok(b"\\'\"\x07\x08\t\n\x0b\x0c\rAA\x07\x0089\\q".to_vec()));
        for line in ["", "'", "a", "'a", "a'", "'a\"", r"'\'", r"'\x4'", r"'\xzz'"] {
            assert_eq!(read(line), Err(RejectReason::PickleString), "{line}");
        }
    }

    #[test]
    fn raw_unicode_strings() {
        let read = |line: &[u8]| {
            let mut out = Vec::new();
            raw_unicode(line, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        assert_eq!(read(b"a.b").as_deref(), Ok("a.b"));
        assert_eq!(read(b"\xe9\\u65e5\\U0001f600").as_deref(), Ok("é日😀"));
        assert_eq!(read(b"\\\\u0041\\n\\").as_deref(), Ok("\\\\u0041\\n\\"));
        assert_eq!(read(b"\\ud83d\\ude00"), Err(RejectReason::NotUtf8));
        for line in [&b"\\u12"[..], b"\\uZZZZ", b"\\U00110000", b"\\u+123"] {
            assert_eq!(read(line), Err(RejectReason::PickleString));
        }
    }

    #[test]
    fn indexes() {
        assert_eq!(index(b"12"), Ok(12));
        for text in ["xyz", "-1", "", "4294967296", "12345678901"] {
            assert_eq!(index(text.as_bytes()), Err(RejectReason::PickleMemo), "{text}");
        }
    }
}
