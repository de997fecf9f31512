//! Endpoints: `ws://HOST:PORT` and the like, read as the Go clients read them.

use std::fmt;

/// An address of a server, in parts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) scheme: String,
    pub(crate) user: Option<String>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// Path and query, as they stand.
    pub(crate) rest: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority(), self.rest)
    }
}

impl Endpoint {
    /// Reads a URL. The error is Go's.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let quoted = without_user(url);
        if url.is_empty() {
            return Err("parse \"\": empty url".to_owned());
        }
        let Some((scheme, behind)) = url.split_once("://").filter(|(scheme, _)| is_scheme(scheme))
        else {
            return Err(format!("parse \"{quoted}\": invalid URI for request"));
        };
        let end = behind.find(['/', '?', '#']).unwrap_or(behind.len());
        let (authority, rest) = behind.split_at(end);
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user.to_owned()), address),
            None => (None, authority),
        };
        let bad_port = || format!("parse \"{quoted}\": invalid port after host");
        let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(bad_port)?)),
            None => match address.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        let port = match port.filter(|port| !port.is_empty()) {
            Some(port) => Some(port.parse().map_err(|_| bad_port())?),
            None => None,
        };
        let control = |c: char| c.is_ascii_control() || c == ' ';
        if url.contains(control) {
            return Err(format!("parse \"{}\": invalid character in URL", quoted.escape_debug()));
        }
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            user,
            host: host.to_owned(),
            port,
            rest: rest.split('#').next().unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn is_secure(&self) -> bool {
        matches!(self.scheme.as_str(), "wss" | "https")
    }

    /// The port, or the scheme's.
    pub(crate) fn port(&self) -> u16 {
        let usual = if self.is_secure() { 443 } else { 80 };
        self.port.unwrap_or(usual)
    }

    /// Host and, if it was given, port.
    pub(crate) fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match self.port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        match self.port {
            Some(_) => self.authority(),
            None => format!("{}:{}", self.authority(), self.port()),
        }
    }

    /// The same server for HTTP: clear text if the scheme is `ws` and only then; path, query and
    /// user are dropped.
    pub(crate) fn for_http(&self) -> Self {
        let scheme = if self.scheme == "ws" { "http" } else { "https" };
        Self { scheme: scheme.to_owned(), user: None, rest: String::new(), ..self.clone() }
    }
}

/// The address of a web socket: the endpoint with a path behind it. The error is Go's.
pub(crate) fn web_socket(endpoint: &str, path: &str) -> Result<Endpoint, String> {
    let url = format!("{endpoint}{path}");
    let malformed = "malformed ws or wss URL";
    let parsed = match Endpoint::parse(&url) {
        Ok(parsed) => parsed,
        Err(error) => {
            let first = url.split('/').next().unwrap_or_default();
            return Err(if !first.contains(':') || is_scheme(first.trim_end_matches(':')) {
                if error.contains("port") { error } else { malformed.to_owned() }
            } else {
                format!(
                    "parse \"{}\": first path segment in URL cannot contain colon",
                    without_user(&url)
                )
            });
        }
    };
    if !matches!(parsed.scheme.as_str(), "ws" | "wss") || parsed.user.is_some() {
        return Err(malformed.to_owned());
    }
    Ok(parsed)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// A URL as it may be shown: user and password are secrets.
pub(crate) fn without_user(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let (scheme, behind) = url.split_at(start);
    let end = behind.find(['/', '?', '#']).unwrap_or(behind.len());
    let (authority, rest) = behind.split_at(end);
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    format!("{scheme}{address}{rest}")
}

/// Percent-encodes everything but `A-Za-z0-9-_.~`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// Takes percent-encoding away; what is none stays.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, behind)) = rest.split_first() {
        let digit = |at: usize| behind.get(at).and_then(|&b| char::from(b).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                rest = behind.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(first);
                rest = behind;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_in_parts() {
        let endpoint = Endpoint::parse("WSS://u:p%40@[::1]:44/base?x=1#f").unwrap();
        assert_eq!(format!("{endpoint:?}"), "wss://[::1]:44/base?x=1");
        assert_eq!(endpoint.user.as_deref(), Some("u:p%40"));
        assert_eq!(endpoint.for_http().scheme, "https");
        assert_eq!(Endpoint::parse("ws://h").unwrap().address(), "h:80");
        assert_eq!(Endpoint::parse("wss://h").unwrap().address(), "h:443");
        for bad in
            ["", "h", "127.0.0.1:1", "://h", "1x://h", "ws://h:x", "ws://h:99999", "ws://a b"]
        {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(without_user("ws://u:p@h:1/@"), "ws://h:1/@");
    }

    #[test]
    fn escapes_there_and_back() {
        let text = "a-b_c.d~ é/?&";
        assert_eq!(escape(text), "a-b_c.d~%20%C3%A9%2F%3F%26");
        assert_eq!(unescape(&escape(text)), text.as_bytes());
        assert_eq!(unescape("%4%zz%"), b"%4%zz%");
    }
}
