//! Addresses to listen on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// An address to listen on: `host:port`, an IPv6 host in brackets, port 0 for any free one.
///
/// Its [`Display`](fmt::Display) form is what the system's resolver and `bind` take.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListenAddr {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A host name, to be resolved when the listener starts, and a port.
    Name {
        /// The name in lower case.
        host: String,
        /// The port.
        port: u16,
    },
}

/// Why a text is not an address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found \"{found}\"{}; allowed: {}", .reason.map(|r| format!(" ({r})")).unwrap_or_default(), ListenAddr::ALLOWED)]
pub struct ListenAddrError {
    pub(crate) found: String,
    pub(crate) reason: Option<&'static str>,
}

impl ListenAddr {
    pub(crate) const ALLOWED: &'static str =
        "host:port such as \"127.0.0.1:2003\" or \"[::1]:2003\", port 0 for any free one";

    /// The address on the IPv4 loopback interface.
    #[must_use]
    pub const fn loopback(port: u16) -> Self {
        Self::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// The port; 0 lets the system choose.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::Ip(address) => address.port(),
            Self::Name { port, .. } => *port,
        }
    }

    /// Whether only this machine can reach it. Of names only `localhost` counts as such.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Ip(address) => address.ip().to_canonical().is_loopback(),
            Self::Name { host, .. } => host == "localhost",
        }
    }

    /// Whether two listeners of one protocol surely cannot have these two addresses.
    #[must_use]
    pub fn conflicts_with(&self, other: &Self) -> bool {
        if self.port() != other.port() || self.port() == 0 {
            return false;
        }
        match (self.host(), other.host()) {
            (Host::Ip(a), Host::Ip(b)) => {
                let wildcard = a.is_unspecified() || b.is_unspecified();
                a == b || (wildcard && a.is_ipv4() == b.is_ipv4())
            }
            (Host::Name(a), Host::Name(b)) => a == b,
            _ => false,
        }
    }

    fn host(&self) -> Host<'_> {
        match self {
            Self::Ip(address) => Host::Ip(address.ip().to_canonical()),
            Self::Name { host, .. } if host == "localhost" => {
                Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))
            }
            Self::Name { host, .. } => Host::Name(host),
        }
    }
}

enum Host<'a> {
    Ip(IpAddr),
    Name(&'a str),
}

impl FromStr for ListenAddr {
    type Err = ListenAddrError;

    fn from_str(text: &str) -> Result<Self, ListenAddrError> {
        let refuse = |reason| {
            let found = text.chars().take(80).flat_map(char::escape_debug).collect();
            Err(ListenAddrError { found, reason })
        };
        if text.trim() != text {
            return refuse(Some("blanks around it"));
        }
        if text.starts_with('/') || text.starts_with("unix:") {
            return refuse(Some("unix sockets have type graphite-unix"));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return refuse(Some("no port"));
        };
        if host.is_empty() {
            return refuse(Some("no host"));
        }
        if host == "*" {
            return refuse(Some("every address is 0.0.0.0 or [::]"));
        }
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let Some(port) = port.parse::<u16>().ok().filter(|_| digits) else {
            return refuse(Some("no port from 0 to 65535"));
        };
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::Ip(address));
        }
        if host.contains("//") {
            return refuse(Some("no scheme here"));
        }
        if host.contains(':') {
            let brackets = host.starts_with('[') && host.ends_with(']');
            return refuse(Some(if brackets { "no IPv6 address" } else { "IPv6 needs brackets" }));
        }
        if !is_host_name(host) {
            return refuse(Some("no host name"));
        }
        Ok(Self::Name { host: host.to_ascii_lowercase(), port })
    }
}

/// Labels of letters, digits, `-` and `_`; not one that looks like an IPv4 address.
fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253 && host.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> ListenAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_read_and_written() {
        for text in
            ["127.0.0.1:2003", "0.0.0.0:0", "[::1]:2003", "[::]:65535", "localhost:1", "a-b.c_d:2"]
        {
            assert_eq!(addr(text).to_string(), text);
        }
        assert_eq!(addr("LocalHost:80").to_string(), "localhost:80");
        assert_eq!(addr("127.0.0.1:2003"), ListenAddr::loopback(2003));
    }

    #[test]
    fn everything_else_has_a_reason() {
        for (text, reason) in [
            ("", "no port"),
            ("127.0.0.1", "no port"),
            (":2003", "no host"),
            ("127.0.0.1:", "no port from 0 to 65535"),
            ("127.0.0.1:+80", "no port from 0 to 65535"),
            ("127.0.0.1:65536", "no port from 0 to 65535"),
            ("127.0.0.1:http", "no port from 0 to 65535"),
            ("::1:2003", "IPv6 needs brackets"),
            ("[::g]:2003", "no IPv6 address"),
            ("127.0.0.256:2003", "no host name"),
            ("1.2.3:2003", "no host name"),
            ("a b:1", "no host name"),
            ("-a:1", "no host name"),
            ("tcp://a:1", "no scheme here"),
            ("*:1", "every address is 0.0.0.0 or [::]"),
            ("127.0.0.1:1 ", "blanks around it"),
            ("/run/g.sock", "unix sockets have type graphite-unix"),
        ] {
            let error = text.parse::<ListenAddr>().unwrap_err();
            assert_eq!(error.reason, Some(reason), "{text:?}");
        }
    }

    #[test]
    fn loopback_and_conflicts() {
        assert!(addr("127.9.9.9:1").is_loopback());
        assert!(addr("[::1]:1").is_loopback());
        assert!(addr("[::ffff:127.0.0.1]:1").is_loopback());
        assert!(addr("localhost:1").is_loopback());
        for public in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1"] {
            assert!(!addr(public).is_loopback());
        }
        let clash = |a: &str, b: &str| addr(a).conflicts_with(&addr(b));
        assert!(clash("127.0.0.1:1", "127.0.0.1:1"));
        assert!(clash("127.0.0.1:1", "0.0.0.0:1"));
        assert!(clash("localhost:1", "127.0.0.1:1"));
        assert!(clash("a:1", "A:1"));
        assert!(!clash("127.0.0.1:1", "127.0.0.2:1"));
        assert!(!clash("127.0.0.1:1", "127.0.0.1:2"));
        assert!(!clash("127.0.0.1:0", "127.0.0.1:0"));
        assert!(!clash("[::1]:1", "0.0.0.0:1"));
    }
}
