//! [`Source`]: where an entry came from.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The source address of an entry: 16 bytes and the flag that says whether the first four of them
/// are an IPv4 address, as the entry header has them.
///
/// An IPv4 address can be written in two ways: flagged, or in 16 bytes as `::ffff:a.b.c.d` with
/// the flag clear, as Go programs often do. Both are kept apart here, so that an entry is
/// forwarded as it came, and both print and convert ([`Source::to_ip`]) as the IPv4 address.
/// Equality is that of the bytes; [`Source::same_address`] compares addresses.
///
/// ```
/// use ingest_entry::Source;
/// use std::net::IpAddr;
///
/// let flagged = Source::from_ip("10.1.2.3".parse().unwrap());
/// let mapped = Source::from_ip("::ffff:10.1.2.3".parse().unwrap());
/// assert_ne!(flagged, mapped);
/// assert!(flagged.same_address(mapped));
/// assert_eq!(mapped.to_string(), "10.1.2.3");
/// assert_eq!(Source::NONE.to_string(), "");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source {
    bytes: [u8; 16],
    v4: bool,
}

impl Source {
    /// No source: 16 zero bytes, flag clear.
    pub const NONE: Self = Self { bytes: [0; 16], v4: false };

    /// A source from the header's 16 bytes and its IPv4 flag. With the flag set the last 12 bytes
    /// mean nothing (peers leave rubbish there) and are cleared.
    #[must_use]
    pub const fn from_wire(bytes: [u8; 16], is_v4: bool) -> Self {
        if is_v4 {
            let [a, b, c, d, ..] = bytes;
            Self { bytes: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], v4: true }
        } else {
            Self { bytes, v4: false }
        }
    }

    /// A source from an address: IPv4 is flagged, IPv6 (also `::ffff:a.b.c.d`) takes 16 bytes.
    /// The unspecified IPv6 address `::` is [`Source::NONE`].
    #[must_use]
    pub const fn from_ip(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                Self { bytes: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], v4: true }
            }
            IpAddr::V6(ip) => Self { bytes: ip.octets(), v4: false },
        }
    }

    /// The 16 bytes as in the entry header; of an IPv4 source the last 12 are zero.
    #[must_use]
    pub const fn wire_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// Whether the IPv4 flag is set. Not set for an IPv4 address in 16 bytes.
    #[must_use]
    pub const fn is_flagged_v4(self) -> bool {
        self.v4
    }

    /// Whether there is no source.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !self.v4 && u128::from_be_bytes(self.bytes) == 0
    }

    /// The address, an IPv4 one in its own form however it was written; `None` for no source.
    #[must_use]
    pub fn to_ip(self) -> Option<IpAddr> {
        if self.v4 {
            let [a, b, c, d, ..] = self.bytes;
            Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        } else if self.is_none() {
            None
        } else {
            Some(IpAddr::V6(Ipv6Addr::from(self.bytes)).to_canonical())
        }
    }

    /// Whether both are the same address (or both none), however it was written.
    #[must_use]
    pub fn same_address(self, other: Self) -> bool {
        self.to_ip() == other.to_ip()
    }
}

impl Default for Source {
    /// [`Source::NONE`].
    fn default() -> Self {
        Self::NONE
    }
}

impl From<IpAddr> for Source {
    fn from(ip: IpAddr) -> Self {
        Self::from_ip(ip)
    }
}

impl From<Ipv4Addr> for Source {
    fn from(ip: Ipv4Addr) -> Self {
        Self::from_ip(IpAddr::V4(ip))
    }
}

impl From<Ipv6Addr> for Source {
    fn from(ip: Ipv6Addr) -> Self {
        Self::from_ip(IpAddr::V6(ip))
    }
}

/// The address as text, `::ffff:a.b.c.d` as `a.b.c.d`, and nothing for no source.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_ip() {
            Some(ip) => fmt::Display::fmt(&ip, f),
            None => f.pad(""),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.v4 {
            write!(f, "Source({self})")
        } else if self.is_none() {
            f.write_str("Source::NONE")
        } else {
            write!(f, "Source({})", Ipv6Addr::from(self.bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::from_ip(text.parse().unwrap())
    }

    #[test]
    fn text_and_address() {
        for (text, shown) in [
            ("127.0.0.1", "127.0.0.1"),
            ("0.0.0.0", "0.0.0.0"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("::1", "::1"),
            ("::", ""),
        ] {
            let source = source(text);
            assert_eq!(source.to_string(), shown);
            assert_eq!(source.to_ip(), shown.parse().ok());
        }
        assert_eq!(source("::"), Source::NONE);
        assert!(!source("0.0.0.0").is_none());
        assert_eq!(format!("{:?}", source("::ffff:1.2.3.4")), "Source(::ffff:1.2.3.4)");
        assert_eq!(format!("{:>12}", source("1.2.3.4")), "     1.2.3.4");
    }

    #[test]
    fn rubbish_behind_an_ipv4_address_is_cleared() {
        let mut bytes = [0xAA; 16];
        bytes[..4].copy_from_slice(&[127, 0, 0, 1]);
        let flagged = Source::from_wire(bytes, true);
        assert_eq!(flagged, source("127.0.0.1"));
        assert_eq!(flagged.wire_bytes()[4..], [0; 12]);
        assert_eq!(Source::from_wire(bytes, false).wire_bytes(), &bytes);
    }

    #[test]
    fn comparing_addresses() {
        assert!(source("1.2.3.4").same_address(source("::ffff:1.2.3.4")));
        assert!(!source("1.2.3.4").same_address(source("1.2.3.5")));
        assert!(!source("0.0.0.0").same_address(Source::NONE));
    }
}
