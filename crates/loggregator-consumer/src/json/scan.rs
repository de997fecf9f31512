//! Finding the ends of strings and numbers.

const ONES: u64 = u64::MAX / 0xff;
const HIGH: u64 = ONES * 0x80;

/// What a look at a whole text shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Survey {
    /// Every byte is one of ASCII.
    pub(super) ascii: bool,
    /// There is no backslash and no control character: a string ends at the next quote.
    pub(super) plain: bool,
}

/// Looks at every byte once, many at a time.
pub(super) fn survey(data: &[u8]) -> Survey {
    fn look<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> (u8, u8) {
        bytes.into_iter().fold((0, 0), |(all, special), &byte| {
            (all | byte, special | u8::from(byte < 0x20) | u8::from(byte == b'\\'))
        })
    }
    let (chunks, rest) = data.as_chunks::<64>();
    let add = |(all, special): (u8, u8), (also, found): (u8, u8)| (all | also, special | found);
    let (all, special) = chunks.iter().map(look).fold(look(rest), add);
    Survey { ascii: all < 0x80, plain: special == 0 }
}

/// Where in `data`, from `at` on, the first quote is.
#[inline]
pub(super) fn quote(data: &[u8], mut at: usize) -> Option<usize> {
    while let Some(eight) = data.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let quote = u64::from_le_bytes(*eight) ^ (ONES * b'"' as u64);
        let found = quote.wrapping_sub(ONES) & !quote & HIGH;
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    data.get(at..)?.iter().position(|&byte| byte == b'"').map(|index| at + index)
}

/// Where in `data`, from `at` on, the first quote, backslash or control character is.
#[inline]
pub(super) fn special(data: &[u8], mut at: usize) -> Option<usize> {
    while let Some(eight) = data.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let quote = word ^ (ONES * b'"' as u64);
        let slash = word ^ (ONES * b'\\' as u64);
        // The lowest byte that is marked is one that is meant; a borrow only reaches those above.
        let found = (word.wrapping_sub(ONES * 0x20) & !word
            | quote.wrapping_sub(ONES) & !quote
            | slash.wrapping_sub(ONES) & !slash)
            & HIGH;
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = data.get(at..)?;
    let found = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    found.map(|index| at + index)
}

/// The length of the number that `data` begins with, 0 if it does not.
pub(super) fn number(data: &[u8]) -> usize {
    let digits = |at: usize| {
        data.get(at..).map_or(0, |rest| rest.iter().take_while(|b| b.is_ascii_digit()).count())
    };
    let mut at = usize::from(data.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && data.get(at) == Some(&b'0')) {
        return 0;
    }
    at += whole;
    if data.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return 0;
        }
        at += 1 + fraction;
    }
    if matches!(data.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(data.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return 0;
        }
        at += 1 + sign + exponent;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_is() {
        for byte in 0..=255_u8 {
            for len in 0..20 {
                let mut data = vec![b'a'; len];
                data.push(byte);
                data.extend_from_slice("\u{1}é\"".as_bytes());
                let expected = data.iter().position(|&b| b < 0x20 || b == b'"' || b == b'\\');
                for start in 0..=len {
                    assert_eq!(special(&data, start), expected, "{byte} {len}");
                }
            }
        }
        assert_eq!(special(b"aaaaaaaaaaa", 0), None);
        assert_eq!(special(b"a", 7), None);
    }

    #[test]
    fn every_byte_is_looked_at() {
        for byte in 0..=255_u8 {
            for len in [0, 1, 63, 64, 65, 200] {
                let mut data = vec![b'a'; len];
                data.push(byte);
                data.extend_from_slice(b"aaaaaaaaa");
                let plain = byte >= 0x20 && byte != b'\\';
                assert_eq!(survey(&data), Survey { ascii: byte < 0x80, plain }, "{byte} {len}");
                assert_eq!(quote(&data, 0), (byte == b'"').then_some(len));
            }
        }
        assert_eq!(survey(b""), Survey { ascii: true, plain: true });
        assert_eq!(quote(b"\"", 7), None);
    }

    #[test]
    fn numbers_end_where_json_says() {
        for (text, len) in [
            ("0", 1),
            ("-0,", 2),
            ("10.5]", 4),
            ("1e3", 3),
            ("1E-30 ", 5),
            ("01", 0),
            ("1.", 0),
            (".5", 0),
            ("-", 0),
            ("1e", 0),
            ("NaN", 0),
            ("", 0),
        ] {
            assert_eq!(number(text.as_bytes()), len, "{text}");
        }
    }
}
