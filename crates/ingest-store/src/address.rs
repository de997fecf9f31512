//! Source addresses as they are compared and indexed: IPv4 however it was written, IPv6, or none.

use ingest_entry::Source;

/// A source's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Address {
    /// No source.
    None,
    /// IPv4, also if it was written as `::ffff:a.b.c.d`.
    V4(u32),
    /// Any other IPv6 address.
    V6(u128),
}

/// Lengths of the IPv4 prefixes that a sidecar has filters of.
pub(crate) const V4_LEVELS: [u8; 4] = [8, 16, 24, 32];
/// Lengths of the IPv6 prefixes that a sidecar has filters of.
pub(crate) const V6_LEVELS: [u8; 5] = [16, 32, 48, 64, 128];

impl Address {
    #[inline]
    pub(crate) fn of(source: Source) -> Self {
        let bytes = source.wire_bytes();
        if source.is_flagged_v4() {
            let [a, b, c, d, ..] = *bytes;
            return Self::V4(u32::from_be_bytes([a, b, c, d]));
        }
        match u128::from_be_bytes(*bytes) {
            0 => Self::None,
            bits if bits >> 32 == 0xffff => Self::V4(bits as u32),
            bits => Self::V6(bits),
        }
    }

    /// The keys of a filter for the prefixes of this address that are no longer than `longest`
    /// bits (the layout of sidecars says how they are made).
    pub(crate) fn keys(self, longest: u8) -> impl Iterator<Item = u64> {
        let (family, levels, bits): (u64, &'static [u8], u128) = match self {
            Self::None => (0, &[], 0),
            Self::V4(bits) => (4, &V4_LEVELS, u128::from(bits)),
            Self::V6(bits) => (6, &V6_LEVELS, bits),
        };
        let width = if family == 4 { 32 } else { 128 };
        levels.iter().copied().filter(move |&level| level <= longest).map(move |level| {
            let shift = width - u32::from(level);
            let masked = (bits >> shift) << shift;
            let start = mix(family << 8 | u64::from(level));
            mix(mix(start ^ (masked >> 64) as u64) ^ masked as u64)
        })
    }
}

/// The finaliser of SplitMix64.
const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::of(Source::from_ip(text.parse().unwrap()))
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert_eq!(address("10.1.2.3"), Address::V4(0x0a01_0203));
        assert_eq!(address("::ffff:10.1.2.3"), address("10.1.2.3"));
        assert_eq!(address("::"), Address::None);
        assert_eq!(address("::1"), Address::V6(1));
    }

    #[test]
    fn keys_are_those_of_the_prefixes() {
        let keys = |text: &str, longest| address(text).keys(longest).collect::<Vec<_>>();
        let (a, b) = (keys("10.1.2.3", 32), keys("10.1.9.9", 32));
        assert_eq!((a.len(), &a[..2]), (4, &b[..2]));
        assert!(a[2] != b[2] && a[3] != b[3]);
        assert_eq!(keys("10.1.200.200", 20), a[..2]);
        assert_eq!(keys("10.1.2.3", 7), []);
        let v6 = keys("2001:db8::1", 128);
        assert_eq!(v6.len(), 5);
        assert_eq!(keys("2001:db8::2", 64), v6[..4]);
        assert_eq!(keys("::", 128), []);
    }

    #[test]
    fn keys_do_not_change_between_versions() {
        // Sidecars hold them.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }
}
