//! Base64: the standard alphabet or the one for URLs, with or without padding.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Has a bit that no number of 24 bits has.
const INVALID: u32 = 1 << 31;

/// What each character adds to the 24 bits of its four, by its place among them.
type Places = [[u32; 256]; 4];

#[expect(clippy::indexing_slicing, reason = "runs in the compiler, which would tell")]
const fn places(last: [u8; 2]) -> Places {
    let mut places = [[INVALID; 256]; 4];
    let mut place = 0;
    while place < 4 {
        let mut index = 0;
        while index < 64 {
            let letter = if index < 62 { STANDARD[index] } else { last[index - 62] };
            places[place][letter as usize] = (index as u32) << (18 - 6 * place);
            index += 1;
        }
        place += 1;
    }
    places
}

static OF_STANDARD: Places = places(*b"+/");
static OF_URLS: Places = places(*b"-_");

/// The 24 bits of four characters, or more if one of them is wrong.
#[inline]
fn four(places: &Places, [a, b, c, d]: [u8; 4]) -> u32 {
    let at =
        |place: &[u32; 256], byte: u8| place.get(usize::from(byte)).copied().unwrap_or(INVALID);
    let [first, second, third, fourth] = places;
    at(first, a) | at(second, b) | at(third, c) | at(fourth, d)
}

/// The bytes, or `None` if it is not base64. One alphabet at a time; padding where the length is a
/// multiple of four, none where it is not.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    decode_by(&OF_STANDARD, text).or_else(|| decode_by(&OF_URLS, text))
}

fn decode_by(places: &Places, text: &[u8]) -> Option<Vec<u8>> {
    let text = match text.len() % 4 {
        0 => text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text),
        _ => text,
    };
    let behind = match text.len() % 4 {
        0 => 0,
        1 => return None,
        rest => rest - 1,
    };
    // Exactly as long as it gets: a longer one would be copied on its way into `Bytes`.
    let mut out = vec![0; text.len() / 4 * 3 + behind];
    let mut wrong = 0;
    let (eights, rest) = text.as_chunks::<8>();
    let (sixes, rest_out) = out.as_chunks_mut::<6>();
    for ([a, b, c, d, e, f, g, h], out) in eights.iter().zip(sixes) {
        let (first, second) = (four(places, [*a, *b, *c, *d]), four(places, [*e, *f, *g, *h]));
        wrong |= first | second;
        let [_, _, bytes @ ..] = (u64::from(first) << 24 | u64::from(second)).to_be_bytes();
        *out = bytes;
    }
    for (text, out) in rest.chunks(4).zip(rest_out.chunks_mut(3)) {
        let mut letters = [b'A'; 4];
        for (letter, byte) in letters.iter_mut().zip(text) {
            *letter = *byte;
        }
        let bits = four(places, letters);
        wrong |= bits;
        let [_, bytes @ ..] = bits.to_be_bytes();
        for (out, byte) in out.iter_mut().zip(bytes) {
            *out = byte;
        }
    }
    (wrong & INVALID == 0).then_some(out)
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
