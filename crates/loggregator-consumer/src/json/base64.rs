//! Base64: the standard alphabet or the one for URLs, with or without padding.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const INVALID: u8 = 0xff;

#[expect(clippy::indexing_slicing, reason = "runs in the compiler, which would tell")]
const fn table(last: [u8; 2]) -> [u8; 256] {
    let mut table = [INVALID; 256];
    let mut index = 0;
    while index < 62 {
        table[STANDARD[index] as usize] = index as u8;
        index += 1;
    }
    table[last[0] as usize] = 62;
    table[last[1] as usize] = 63;
    table
}

static OF_STANDARD: [u8; 256] = table(*b"+/");
static OF_URLS: [u8; 256] = table(*b"-_");

#[inline]
fn sextet(table: &[u8; 256], byte: u8) -> u32 {
    u32::from(table.get(usize::from(byte)).copied().unwrap_or(INVALID))
}

/// The bytes, or `None` if it is not base64. One alphabet at a time; padding where the length is a
/// multiple of four, none where it is not.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let for_urls = memchr::memchr2(b'-', b'_', text).is_some();
    let table = if for_urls { &OF_URLS } else { &OF_STANDARD };
    let text = match text.len() % 4 {
        0 => text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text),
        _ => text,
    };
    let (quads, rest) = text.as_chunks::<4>();
    let mut out = Vec::with_capacity(quads.len() * 3 + 2);
    // A sextet that is none has its high bits set.
    let mut wrong = 0;
    for [a, b, c, d] in quads {
        let (a, b) = (sextet(table, *a), sextet(table, *b));
        let (c, d) = (sextet(table, *c), sextet(table, *d));
        wrong |= a | b | c | d;
        let [_, x, y, z] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
        out.extend_from_slice(&[x, y, z]);
    }
    match *rest {
        [] => {}
        [a, b] => {
            let (a, b) = (sextet(table, a), sextet(table, b));
            wrong |= a | b;
            out.push((a << 2 | b >> 4) as u8);
        }
        [a, b, c] => {
            let (a, b, c) = (sextet(table, a), sextet(table, b), sextet(table, c));
            wrong |= a | b | c;
            out.extend_from_slice(&[(a << 2 | b >> 4) as u8, (b << 4 | c >> 2) as u8]);
        }
        _ => return None,
    }
    (wrong & !0x3f == 0).then_some(out)
}

/// Appends the standard form, with padding.
pub(crate) fn encode_into(bytes: &[u8], out: &mut Vec<u8>) {
    let letter = |index: u32| STANDARD.get((index & 0x3f) as usize).copied().unwrap_or(b'=');
    let (threes, rest) = bytes.as_chunks::<3>();
    out.reserve(bytes.len() / 3 * 4 + 4);
    for [a, b, c] in threes {
        let all = u32::from_be_bytes([0, *a, *b, *c]);
        out.extend_from_slice(&[
            letter(all >> 18),
            letter(all >> 12),
            letter(all >> 6),
            letter(all),
        ]);
    }
    match *rest {
        [a] => {
            let all = u32::from_be_bytes([0, a, 0, 0]);
            out.extend_from_slice(&[letter(all >> 18), letter(all >> 12), b'=', b'=']);
        }
        [a, b] => {
            let all = u32::from_be_bytes([0, a, b, 0]);
            out.extend_from_slice(&[letter(all >> 18), letter(all >> 12), letter(all >> 6), b'=']);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_in_every_dress() {
        for len in 0..50_usize {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 89 + 251) as u8).collect();
            let mut text = Vec::new();
            encode_into(&bytes, &mut text);
            assert_eq!(decode(&text).as_ref(), Some(&bytes));
            let bare: Vec<u8> = text.iter().copied().filter(|&b| b != b'=').collect();
            assert_eq!(decode(&bare).as_ref(), Some(&bytes));
            let for_urls: Vec<u8> = text
                .iter()
                .map(|b| match b {
                    b'+' => b'-',
                    b'/' => b'_',
                    other => *other,
                })
                .collect();
            assert_eq!(decode(&for_urls).as_ref(), Some(&bytes));
        }
        let mut text = Vec::new();
        encode_into(b"hi", &mut text);
        assert_eq!(text, b"aGk=");
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for bad in ["a", "aGk=\n", "aG=k", "====", "a===", "+_AA", "aGk!", "aGk=aGk=", "é"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }
}
