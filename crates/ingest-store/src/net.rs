//! [`Net`]: a host or a network that sources are compared with.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ingest_entry::Source;

use crate::address::Address;

/// An address, or all addresses that begin with the same bits.
///
/// IPv4 written as `::ffff:a.b.c.d` is the IPv4 address, here and in sources. The two families
/// never match each other, and no network holds the missing source.
///
/// ```
/// use ingest_entry::Source;
/// use ingest_store::Net;
///
/// let net: Net = "10.1.0.0/16".parse()?;
/// assert!(net.contains(Source::from_ip("10.1.2.3".parse().unwrap())));
/// assert!(net.contains(Source::from_ip("::ffff:10.1.2.3".parse().unwrap())));
/// assert!(!net.contains(Source::from_ip("10.2.0.0".parse().unwrap())));
/// # Ok::<(), ingest_store::NetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    address: Address,
    prefix: u8,
}

/// A text that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// What stands before the `/` is no IP address.
    #[error("{text:?} is no address such as 10.0.0.1 or 2001:db8::1")]
    Address {
        /// What was found.
        text: String,
    },
    /// What follows the `/` is no number of bits of such an address.
    #[error("{text:?} is no prefix length from 0 to {max}")]
    Prefix {
        /// What was found.
        text: String,
        /// The length of the address in bits.
        max: u8,
    },
}

impl Net {
    /// The network of this address and so many leading bits; bits behind them are ignored. A
    /// prefix longer than the address is the address.
    #[must_use]
    pub fn new(ip: IpAddr, prefix: u8) -> Self {
        match ip {
            IpAddr::V4(ip) => {
                let prefix = prefix.min(32);
                Self {
                    address: Address::V4(masked(ip.to_bits().into(), 32, prefix) as u32),
                    prefix,
                }
            }
            IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() && prefix >= 96 => {
                Self::new(ip.to_canonical(), prefix - 96)
            }
            IpAddr::V6(ip) => {
                let prefix = prefix.min(128);
                Self { address: Address::V6(masked(ip.to_bits(), 128, prefix)), prefix }
            }
        }
    }

    /// Whether the source lies in it.
    #[inline]
    #[must_use]
    pub fn contains(&self, source: Source) -> bool {
        match (self.address, Address::of(source)) {
            (Address::V4(net), Address::V4(host)) => {
                masked(host.into(), 32, self.prefix) == u128::from(net)
            }
            (Address::V6(net), Address::V6(host)) => masked(host, 128, self.prefix) == net,
            _ => false,
        }
    }

    /// The keys that a filter has when a source of this network is in it.
    pub(crate) fn keys(&self) -> impl Iterator<Item = u64> {
        self.address.keys(self.prefix)
    }
}

fn masked(bits: u128, width: u32, prefix: u8) -> u128 {
    let shift = width.saturating_sub(u32::from(prefix));
    bits.checked_shr(shift).and_then(|bits| bits.checked_shl(shift)).unwrap_or(0)
}

impl From<IpAddr> for Net {
    fn from(ip: IpAddr) -> Self {
        Self::new(ip, 128)
    }
}

impl FromStr for Net {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let ip: IpAddr =
            address.parse().map_err(|_| NetError::Address { text: address.to_owned() })?;
        let max = if ip.is_ipv4() { 32 } else { 128 };
        let Some(digits) = prefix else { return Ok(Self::new(ip, max)) };
        let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        match digits.parse::<u8>() {
            Ok(prefix) if all_digits && prefix <= max => Ok(Self::new(ip, prefix)),
            _ => Err(NetError::Prefix { text: digits.to_owned(), max }),
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.prefix) {
            (Address::V4(bits), 32) => write!(f, "{}", Ipv4Addr::from_bits(bits)),
            (Address::V4(bits), prefix) => write!(f, "{}/{prefix}", Ipv4Addr::from_bits(bits)),
            (Address::V6(bits), 128) => write!(f, "{}", Ipv6Addr::from_bits(bits)),
            (Address::V6(bits), prefix) => write!(f, "{}/{prefix}", Ipv6Addr::from_bits(bits)),
            (Address::None, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(net: &str, host: &str) -> bool {
        let source = Source::from_ip(host.parse().unwrap());
        net.parse::<Net>().unwrap().contains(source)
    }

    #[test]
    fn networks_hold_their_hosts() {
        assert!(holds("10.0.0.1", "10.0.0.1") && !holds("10.0.0.1", "10.0.0.2"));
        assert!(holds("10.1.2.3/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("0.0.0.0/0", "203.0.113.9") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "::1") && !holds("::/0", "::") && !holds("::/0", "1.2.3.4"));
        assert!(
            holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::")
        );
        assert!(holds("10.0.0.1", "::ffff:10.0.0.1") && holds("::ffff:10.0.0.1", "10.0.0.1"));
        assert!(holds("::ffff:10.0.0.0/104", "10.9.9.9") && !holds("::ffff:0:0/90", "10.9.9.9"));
    }

    #[test]
    fn they_are_written_as_read_without_the_bits_behind() {
        for (text, shown) in [
            ("10.0.0.1", "10.0.0.1"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(text.parse::<Net>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        for text in ["", "10.0.0", "a.b", "/8"] {
            assert!(matches!(text.parse::<Net>(), Err(NetError::Address { .. })), "{text}");
        }
        for (text, max) in [("10.0.0.1/33", 32), ("::1/129", 128), ("::1/", 128), ("::1/+8", 128)] {
            let found = text.parse::<Net>();
            assert!(matches!(found, Err(NetError::Prefix { max: m, .. }) if m == max), "{text}");
        }
    }
}
