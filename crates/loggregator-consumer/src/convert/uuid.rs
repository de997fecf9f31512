//! UUIDs as their texts.

use std::fmt;

use crate::dropsonde::UUID;

impl UUID {
    /// Its sixteen bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 16] {
        let both = u128::from(self.high()) << 64 | u128::from(self.low());
        both.to_le_bytes()
    }

    /// Of sixteen bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(bytes);
        let (low, high) = (both as u64, (both >> 64) as u64);
        Self { low: Some(low), high: Some(high), unknown: Vec::new() }
    }

    /// Of its text: 32 hexadecimal digits, with `-` in the usual places or without.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let dashes = [8, 13, 18, 23];
        let digits: String = match text.len() {
            36 if dashes.iter().all(|&at| text.as_bytes().get(at) == Some(&b'-')) => {
                text.split('-').collect()
            }
            32 => text.to_owned(),
            _ => return None,
        };
        if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(&digits, 16).ok().map(|number| Self::from_bytes(number.to_be_bytes()))
    }
}

impl fmt::Display for UUID {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u128::from_be_bytes(self.to_bytes());
        let part = |shift: u32, digits: u32| number >> shift & ((1 << (digits * 4)) - 1);
        let (a, b, c, d) = (part(96, 8), part(80, 4), part(64, 4), part(48, 4));
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{:012x}", part(0, 12))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_the_protocols_own_comment() {
        let text = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
        let uuid = UUID::parse(text).unwrap();
        assert_eq!((uuid.low(), uuid.high()), (0x7243_cc58_0bc1_7af4, 0x79d4_c3b2_020e_67a5));
        assert_eq!(uuid.to_string(), text);
        for bad in
            ["", "f47ac10b-58cc-4372-a567-0e02b2c3d47", "f47ac10b_58cc-4372-a567-0e02b2c3d479"]
        {
            assert_eq!(UUID::parse(bad), None, "{bad}");
        }
    }
}
