//! Where a client goes.

use std::fmt;
use std::str::FromStr;

/// `ws://HOST[:PORT][/PATH]`, or `wss://`. Without a path it is `/ws-ingest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    tls: bool,
    authority: String,
    path: String,
}

/// Why a text is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form ws://HOST:PORT/ws-ingest")]
pub struct TargetError(String);

impl Target {
    /// Whether it is `wss://`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Host and port, as `Host` names them.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Host and port to connect to.
    #[must_use]
    pub fn address(&self) -> String {
        let host = self.authority.rsplit(']').next().unwrap_or_default();
        if host.contains(':') {
            return self.authority.clone();
        }
        format!("{}:{}", self.authority, if self.tls { 443 } else { 80 })
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError(text.to_owned());
        let (tls, rest) = match text.split_once("://") {
            Some(("ws" | "http", rest)) => (false, rest),
            Some(("wss" | "https", rest)) => (true, rest),
            _ => return Err(wrong()),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let path = if path.len() <= 1 { "/ws-ingest" } else { path };
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_graphic());
        if authority.is_empty() || authority.contains(['@', '#', '?']) || !plain(rest) {
            return Err(wrong());
        }
        Ok(Self { tls, authority: authority.to_owned(), path: path.to_owned() })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let parse = |text: &str| text.parse::<Target>().map(|t| (t.address(), t.to_string()));
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(parse("ws://h"), pair("h:80", "ws://h/ws-ingest"));
        assert_eq!(parse("wss://h/"), pair("h:443", "wss://h/ws-ingest"));
        assert_eq!(parse("ws://[::1]/x?y=z"), pair("[::1]:80", "ws://[::1]/x?y=z"));
        assert_eq!(parse("ws://[::1]:7/x"), pair("[::1]:7", "ws://[::1]:7/x"));
        for wrong in
            ["", "h:80", "tcp://h", "ws://", "ws:///x", "ws://a@b", "ws://h/a b", "ws://h\r\n"]
        {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
