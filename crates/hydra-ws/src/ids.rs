//! Ids for messages that have none.

/// Draws ids of eight characters out of `[A-Za-z0-9]`. They tell the reports of a session apart;
/// they are no secret.
#[derive(Clone, Debug)]
pub(crate) struct Ids(u64);

const ALPHABET: [u8; 62] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Ids {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn draw(&mut self) -> [u8; 8] {
        // SplitMix64: a counter, and a mixing function that is one to one.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        mixed.to_le_bytes().map(|byte| {
            let place = usize::from(byte) * ALPHABET.len() / 256;
            ALPHABET.get(place).copied().unwrap_or(b'0')
        })
    }
}

/// A number in base 62, digits first, then upper and lower case: the ids that dialect `head`
/// makes for HTTP.
pub(crate) fn base62(mut number: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = Vec::new();
    loop {
        let digit = usize::try_from(number % 62).unwrap_or(0);
        text.push(char::from(DIGITS.get(digit).copied().unwrap_or(b'0')));
        number /= 62;
        if number == 0 {
            return text.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_in_base_62() {
        assert_eq!(base62(0), "0");
        assert_eq!(base62(61), "z");
        assert_eq!(base62(62), "10");
        assert_eq!(base62(u64::MAX >> 1), "AzL8n0Y58m7");
    }

    #[test]
    fn ids_are_of_the_alphabet_and_do_not_repeat_soon() {
        let mut ids = Ids::new(0);
        let drawn: HashSet<_> = (0..10_000).map(|_| ids.draw()).collect();
        assert_eq!(drawn.len(), 10_000);
        assert!(drawn.iter().flatten().all(u8::is_ascii_alphanumeric));
        let used: HashSet<_> = drawn.iter().flatten().collect();
        assert_eq!(used.len(), ALPHABET.len());
    }
}
