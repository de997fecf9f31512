//! Where to connect to: [`Target`].

use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;

/// Why a text is not a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Not exactly one `://`.
    #[error("malformed destination: it has to be SCHEME://TARGET")]
    Malformed,
    /// A scheme other than `tcp`, `tls` and `pipe`.
    #[error("invalid connection type: it has to be tcp, tls or pipe")]
    Scheme,
    /// Nothing behind the `://`.
    #[error("the destination names no host or path")]
    Empty,
}

/// Where to connect to: `tcp://HOST[:PORT]`, `tls://HOST[:PORT]` or `pipe://PATH`.
///
/// ```
/// use ingest_wire::Target;
///
/// let target: Target = "tcp://192.0.2.7".parse()?;
/// assert_eq!(target.to_string(), "tcp://192.0.2.7:4023");
/// assert_eq!("TLS://[::1]".parse::<Target>()?.to_string(), "tls://[::1]:4024");
/// assert_eq!("pipe:///run/ingest".parse(), Ok(Target::Pipe("/run/ingest".to_owned())));
/// # Ok::<(), ingest_wire::TargetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// TCP in clear text, to this host and port.
    Tcp(String),
    /// TLS over TCP, to this host and port.
    Tls(String),
    /// A Unix stream socket at this path.
    Pipe(String),
}

impl Target {
    /// The port for clear text.
    pub const TCP_PORT: u16 = 4023;
    /// The port for TLS.
    pub const TLS_PORT: u16 = 4024;
    /// The path of the Gravwell indexer's pipe.
    pub const PIPE_PATH: &'static str = "/opt/gravwell/comms/pipe";

    /// The two parts as they are, scheme in lower case, nothing added to the target.
    ///
    /// # Errors
    /// [`TargetError::Malformed`] or [`TargetError::Scheme`].
    pub fn split(text: &str) -> Result<(&'static str, &str), TargetError> {
        let mut parts = text.split("://");
        let (Some(scheme), Some(target), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(TargetError::Malformed);
        };
        let known = ["tcp", "tls", "pipe"];
        let Some(scheme) = known.into_iter().find(|known| scheme.eq_ignore_ascii_case(known))
        else {
            return Err(TargetError::Scheme);
        };
        Ok((scheme, target))
    }

    /// The host without port and brackets; `None` for a pipe.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let (Self::Tcp(target) | Self::Tls(target)) = self else { return None };
        let host = target.rsplit_once(':').map_or(target.as_str(), |(host, _)| host);
        Some(host.trim_start_matches('[').trim_end_matches(']'))
    }
}

impl FromStr for Target {
    type Err = TargetError;

    /// Reads a target, and adds the default port where there is none.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (scheme, target) = Self::split(text)?;
        if target.is_empty() {
            return Err(TargetError::Empty);
        }
        Ok(match scheme {
            "pipe" => Self::Pipe(target.to_owned()),
            "tls" => Self::Tls(with_port(target, Self::TLS_PORT)),
            _ => Self::Tcp(with_port(target, Self::TCP_PORT)),
        })
    }
}

fn with_port(target: &str, port: u16) -> String {
    if target.parse::<Ipv6Addr>().is_ok() {
        return format!("[{target}]:{port}");
    }
    let last = target.rsplit(']').next().unwrap_or(target);
    if last.contains(':') { target.to_owned() } else { format!("{target}:{port}") }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(target) => write!(f, "tcp://{target}"),
            Self::Tls(target) => write!(f, "tls://{target}"),
            Self::Pipe(path) => write!(f, "pipe://{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_ports() {
        for (text, whole, host) in [
            ("tcp://h", "tcp://h:4023", "h"),
            ("tcp://h:1", "tcp://h:1", "h"),
            ("tls://10.0.0.1", "tls://10.0.0.1:4024", "10.0.0.1"),
            ("tcp://::1", "tcp://[::1]:4023", "::1"),
            ("tcp://[fe80::1]:7", "tcp://[fe80::1]:7", "fe80::1"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.to_string().as_str(), target.host()), (whole, Some(host)));
        }
        assert_eq!("tcp://".parse::<Target>(), Err(TargetError::Empty));
    }
}
