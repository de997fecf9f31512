//! What `send` is asked for.

use std::fmt;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use ingest_entry::TagName;

use crate::config::SecretFrom;

/// Arguments of `send`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct SendArgs {
    /// Where to: graphite://HOST:PORT (graphites:// with TLS), graphite-udp://, graphite-pickle://,
    /// graphite-protobuf://, gravwell://HOST:PORT (gravwells:// with TLS), or ws://HOST:PORT/ws-ingest
    /// (wss:// with TLS)
    #[arg(long, value_name = "URL")]
    pub to: Destination,
    /// Files of lines, each an item; without one, standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The tag of entries (gravwell)
    #[arg(long, value_name = "TAG", default_value = "default")]
    pub tag: TagName,
    /// The ingest secret (gravwell): env:NAME, file:PATH or literal:TEXT
    #[arg(long, value_name = "SECRET", default_value = "env:INGEST_SECRET")]
    pub secret: Secret,
    /// A header field of the handshake (ws), such as hydra-ack=persisted
    #[arg(long, value_name = "NAME=VALUE")]
    pub header: Vec<super::super::hydra::Field>,
    /// At most so many items a second
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU64>,
    /// Send the files so many times
    #[arg(long, value_name = "N", default_value = "1", requires = "files")]
    pub repeat: NonZeroU64,
    /// The authority that signed the server's certificate, a PEM file; else the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Accept any certificate
    #[arg(long)]
    pub insecure: bool,
    /// Seconds to wait for the acknowledgement of the last items
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub wait: u64,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret(pub SecretFrom);

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self(SecretFrom::Env(name.to_owned()))),
            Some(("file", path)) if !path.is_empty() => Ok(Self(SecretFrom::File(path.into()))),
            Some(("literal", text)) if !text.is_empty() => {
                Ok(Self(SecretFrom::Literal(text.to_owned())))
            }
            // Not repeated: it may be the secret itself.
            _ => Err("allowed: env:NAME, file:PATH or literal:TEXT".to_owned()),
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// Graphite lines, as they are in the input.
    Lines,
    /// The same lines in datagrams.
    Datagrams,
    /// Frames of pickles, made of Graphite lines.
    Pickle,
    /// Frames of protobuf messages, made of Graphite lines.
    Protobuf,
    /// Gravwell entries, one for each line.
    Gravwell,
    /// Hydra's web sockets, a message for each line.
    Hydra,
}

/// Where to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The protocol.
    pub speaks: Speaks,
    /// With TLS.
    pub tls: bool,
    /// As it was written.
    pub url: String,
}

impl Destination {
    /// `HOST:PORT` and what follows.
    #[must_use]
    pub fn rest(&self) -> &str {
        self.url.split_once("://").map_or("", |(_, rest)| rest).trim_end_matches('/')
    }
}

const SCHEMES: [(&str, Speaks, bool); 9] = [
    ("graphite", Speaks::Lines, false),
    ("graphites", Speaks::Lines, true),
    ("graphite-udp", Speaks::Datagrams, false),
    ("graphite-pickle", Speaks::Pickle, false),
    ("graphite-protobuf", Speaks::Protobuf, false),
    ("gravwell", Speaks::Gravwell, false),
    ("gravwells", Speaks::Gravwell, true),
    ("ws", Speaks::Hydra, false),
    ("wss", Speaks::Hydra, true),
];

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || SCHEMES.map(|(name, ..)| format!("{name}://")).join(", ");
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| format!("allowed: one of {}", names()))?;
        let (_, speaks, tls) = SCHEMES
            .into_iter()
            .find(|(name, ..)| *name == scheme)
            .ok_or_else(|| format!("found {scheme}://; allowed: one of {}", names()))?;
        let host = rest.split('/').next().unwrap_or_default();
        let port = host.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            return Err(format!("found {rest:?}; allowed: HOST:PORT"));
        }
        Ok(Self { speaks, tls, url: text.to_owned() })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_urls() {
        let graphite: Destination = "graphites://localhost:2003/".parse().unwrap();
        assert_eq!((graphite.speaks, graphite.tls), (Speaks::Lines, true));
        assert_eq!(graphite.rest(), "localhost:2003");
        let hydra: Destination = "ws://[::1]:8080/ws-ingest".parse().unwrap();
        assert_eq!((hydra.speaks, hydra.rest()), (Speaks::Hydra, "[::1]:8080/ws-ingest"));
        for wrong in
            ["localhost:2003", "http://localhost:80", "graphite://localhost", "graphite://h:x"]
        {
            assert!(wrong.parse::<Destination>().unwrap_err().contains("allowed"), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_secret_is_not_repeated() {
        assert!(!"sesame".parse::<Secret>().unwrap_err().contains("sesame"));
    }
}
