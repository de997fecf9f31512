//! Base64 (RFC 4648, section 4): the usual alphabet, padded.

const ALPHABET: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, &b| word << 8 | u32::from(b));
        let word = word << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (word >> (18 - 6 * place)) as usize & 63;
            let letter = ALPHABET.get(digit).copied().filter(|_| place <= chunk.len());
            text.push(char::from(letter.unwrap_or(b'=')));
        }
    }
    text
}

fn digit(letter: u8) -> Option<u32> {
    let value = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// The bytes of `text`; `None` if it is not exactly what [`encode`] gives for some bytes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let (quads, []) = text.as_bytes().as_chunks::<4>() else { return None };
    let mut bytes = Vec::with_capacity(quads.len() * 3);
    for (index, quad) in quads.iter().enumerate() {
        let (digits, count) = match quad {
            [a, b, b'=', b'='] => ([*a, *b, b'A', b'A'], 1),
            [a, b, c, b'='] => ([*a, *b, *c, b'A'], 2),
            quad => (*quad, 3),
        };
        let mut word = 0;
        for letter in digits {
            word = word << 6 | digit(letter)?;
        }
        let [_, three @ ..] = word.to_be_bytes();
        let (wanted, unused) = three.split_at_checked(count)?;
        if unused.iter().any(|&b| b != 0) || (count < 3 && index + 1 < quads.len()) {
            return None;
        }
        bytes.extend_from_slice(wanted);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(encode(&[0xFB, 0xFF, 0xFE]), "+//+");
    }

    #[test]
    fn refused() {
        for text in
            ["Z", "Zg=", "Zg===", "Zh==", "Zm9=", "Zg==Zg==", "=Zg=", "Zm 9", "Zm-_", "===="]
        {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn all_lengths_and_bytes() {
        let all: Vec<u8> = (0..=255).collect();
        for len in 0..all.len() {
            assert_eq!(decode(&encode(&all[len..])).as_deref(), Some(&all[len..]));
        }
    }
}
