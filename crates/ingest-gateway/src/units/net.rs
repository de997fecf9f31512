//! Hosts and networks, to compare sources with.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IP network: an address and how many of its leading bits count.
///
/// An IPv4 address mapped into IPv6 (`::ffff:a.b.c.d`) is the IPv4 address, here and in
/// [`contains`](Self::contains).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// Why a text is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "found \"{found}\"; allowed: an address such as 10.0.0.1 or 2001:db8::1, or a network such as \
     10.0.0.0/8"
)]
pub struct NetworkError {
    found: String,
}

impl Network {
    /// Whether the address lies in the network. One of the other family never does.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(host)) => {
                let differing = net.to_bits() ^ host.to_bits();
                differing.checked_shr(32_u32.saturating_sub(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(host)) => {
                let differing = net.to_bits() ^ host.to_bits();
                differing.checked_shr(128_u32.saturating_sub(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The address that was written.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits of the address count.
    #[must_use]
    pub const fn prefix(&self) -> u32 {
        self.prefix
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error =
            || NetworkError { found: text.chars().take(64).flat_map(char::escape_debug).collect() };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| error())?;
        let bits = if written.is_ipv4() { 32 } else { 128 };
        let mut prefix = match prefix {
            None => bits,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse::<u32>().map_err(|_| error())?
            }
            Some(_) => return Err(error()),
        };
        if prefix > bits {
            return Err(error());
        }
        let mut address = written.to_canonical();
        if written.is_ipv6() && address.is_ipv4() {
            match prefix.checked_sub(96) {
                Some(rest) => prefix = rest,
                None => address = written,
            }
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        match self.prefix {
            prefix if prefix == whole => write!(f, "{}", self.address),
            prefix => write!(f, "{}/{prefix}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(net: &str, host: &str) -> bool {
        net.parse::<Network>().unwrap().contains(host.parse().unwrap())
    }

    #[test]
    fn networks_hold_their_hosts() {
        assert!(holds("10.0.0.1", "10.0.0.1"));
        assert!(!holds("10.0.0.1", "10.0.0.2"));
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(holds("10.1.2.3/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "::1"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!holds("2001:db8::/32", "2001:db9::"));
        assert!(holds("10.0.0.1", "::ffff:10.0.0.1"));
        assert!(holds("::ffff:10.0.0.0/104", "10.9.9.9"));
    }

    #[test]
    fn everything_else_says_what_is_allowed() {
        for text in
            ["", "10.0.0", "10.0.0.1/33", "::1/129", "10.0.0.1/", "10.0.0.1/+8", "a.b", "/8"]
        {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("found \"{text}\"; allowed: an address")),
                "{error}"
            );
        }
    }

    #[test]
    fn networks_are_written_as_read() {
        for text in ["10.0.0.1", "10.0.0.0/8", "2001:db8::/32", "::1", "0.0.0.0/0"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }
}
