//! Servers as carbon's `DESTINATIONS` names them: `host:port`, or `host:port:instance`.

use std::fmt;
use std::str::FromStr;

use super::Node;

/// Why a text names no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// There is no host.
    #[error("no host")]
    Host,
    /// There is no port, or none from 1 to 65535.
    #[error("no port from 1 to 65535")]
    Port,
    /// The instance is empty, or has white space, quotes or colons in it.
    #[error("no instance behind the last colon")]
    Instance,
}

impl FromStr for Node {
    type Err = NodeError;

    /// `host:port` or `host:port:instance`, an IPv6 host in brackets (`graphite.md` 7.5). The host
    /// is kept without them, as carbon hashes it.
    fn from_str(text: &str) -> Result<Self, NodeError> {
        let (host, rest) = match text.strip_prefix('[') {
            Some(inside) => inside.split_once("]:").ok_or(NodeError::Port)?,
            None => text.split_once(':').ok_or(NodeError::Port)?,
        };
        let strange = |c: char| c.is_whitespace() || c.is_control() || "'\"\\/@".contains(c);
        if host.is_empty() || host.contains(strange) {
            return Err(NodeError::Host);
        }
        let (port, instance) = match rest.split_once(':') {
            Some((port, instance)) => (port, Some(instance)),
            None => (rest, None),
        };
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0);
        let bad = |name: &str| name.is_empty() || name.contains(strange) || name.contains(':');
        if instance.is_some_and(bad) {
            return Err(NodeError::Instance);
        }
        Ok(Self::new(host, port.ok_or(NodeError::Port)?, instance))
    }
}

impl fmt::Display for Node {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, instance } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")?
        } else {
            write!(f, "{host}:{port}")?
        }
        match instance {
            Some(instance) => write!(f, ":{instance}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_written() {
        for (text, host, port, instance) in [
            ("10.0.0.1:2004", "10.0.0.1", 2004, None),
            ("10.0.0.1:2004:a", "10.0.0.1", 2004, Some("a")),
            ("[::1]:2004:b", "::1", 2004, Some("b")),
            ("carbon.example:1", "carbon.example", 1, None),
        ] {
            assert_eq!(text.parse(), Ok(Node::new(host, port, instance)));
            assert_eq!(text.parse::<Node>().unwrap().to_string(), text);
        }
        for (text, error) in [
            ("", NodeError::Port),
            ("host", NodeError::Port),
            ("host:", NodeError::Port),
            ("host:0", NodeError::Port),
            ("host:+1", NodeError::Port),
            ("host:70000", NodeError::Port),
            (":2004", NodeError::Host),
            ("tcp://host:2004", NodeError::Port),
            ("a b:2004", NodeError::Host),
            ("[::1]", NodeError::Port),
            ("host:2004:", NodeError::Instance),
            ("host:2004:a:b", NodeError::Instance),
        ] {
            assert_eq!(text.parse::<Node>(), Err(error), "{text}");
        }
    }
}
