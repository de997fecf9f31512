//! Whose requests a listener on loopback answers.
//!
//! A page from elsewhere can have its own host name resolve to 127.0.0.1 and then read what is
//! served there as if it were its own. The browser still names that host in the request.

use std::net::{IpAddr, Ipv6Addr};

/// Whether a request that names this host may be answered on loopback: an IP address, `localhost`,
/// or nobody at all, with or without a port.
pub(crate) fn is_local(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else {
                return false;
            };
            return address.parse::<Ipv6Addr>().is_ok() && is_port(port);
        }
        None => host.find(':').map_or((host, ""), |colon| host.split_at(colon)),
    };
    let known =
        name.is_empty() || name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok();
    known && is_port(port)
}

/// Nothing, or a colon and digits.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn addresses_and_localhost_are_local() {
        for host in [
            "",
            ":8910",
            "localhost",
            "LocalHost:8910",
            "127.0.0.1",
            "127.0.0.1:8910",
            "10.1.2.3:80",
            "[::1]",
            "[::1]:8910",
        ] {
            assert!(is_local(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn names_are_not() {
        for host in [
            "example.com",
            "example.com:8910",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "user@localhost",
            "localhost:8910@example.com",
            "localhost:x",
            "127.1",
            "::1",
            "[::1",
            "[example.com]",
            "[::1]x",
            "[127.0.0.1]",
            " ",
        ] {
            assert!(!is_local(host.as_bytes()), "{host}");
        }
        assert!(!is_local(b"\xff"));
    }
}
