//! FNV-1a, and the positions made of it.

/// FNV-1a of 32 bits. carbon-c-relay takes bytes beyond ASCII as negative numbers.
pub(super) fn fnv1a_32(bytes: &[u8], signed: bool) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ widened(*byte, signed) as u32).wrapping_mul(0x0100_0193)
    })
}

/// The same of 64 bits.
pub(super) fn fnv1a_64(bytes: &[u8], signed: bool) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ widened(*byte, signed)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn widened(byte: u8, signed: bool) -> u64 {
    if signed { i64::from(byte.cast_signed()).cast_unsigned() } else { u64::from(byte) }
}

/// Both halves of the hash, folded into one.
pub(super) fn fnv1a_position(bytes: &[u8], signed: bool) -> u32 {
    let hash = fnv1a_32(bytes, signed);
    (hash >> 16) ^ (hash & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        for (text, narrow, position, wide) in [
            ("a", 0xe40c_292c, 52_512, 0xaf63_dc4c_8601_ec8c),
            ("foo.bar", 0xcb94_2ef4, 58_720, 0xa932_87dd_f705_0214),
            ("servers.web01.cpu.load", 0x3258_c44a, 62_994, 0x20cc_07a7_ef5e_248a_u64),
        ] {
            assert_eq!(fnv1a_32(text.as_bytes(), false), narrow, "{text}");
            assert_eq!(fnv1a_32(text.as_bytes(), true), narrow, "{text}");
            assert_eq!(fnv1a_position(text.as_bytes(), false), position, "{text}");
            assert_eq!(fnv1a_64(text.as_bytes(), false), wide, "{text}");
        }
        assert_eq!(fnv1a_position(b"0-a", false), 52_678);
        assert_eq!(fnv1a_position(b"0-10.0.0.1:2004", false), 17_606);
        assert_ne!(fnv1a_32(b"\xff", true), fnv1a_32(b"\xff", false));
    }
}
