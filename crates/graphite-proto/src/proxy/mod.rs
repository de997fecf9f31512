//! The header of the PROXY protocol, versions 1 and 2, with which a proxy says whose connection it
//! passes on (`graphite.md` 5.5; the protocol's own document is that of HAProxy).
//!
//! It is only to be believed from peers that are trusted, and then it has to be there: whoever reads
//! it closes connections without one.

mod v1;
mod v2;

use std::net::SocketAddr;

/// Bytes of the longest header that is taken. Version 1 has 107 at most; version 2 could have
/// 65,551, of which more than some hundreds serve nobody.
pub const MAX_HEADER: usize = 4096;

/// What a header said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// The connection is one between these two.
    Inet {
        /// Who opened the connection.
        source: SocketAddr,
        /// What it was opened to.
        destination: SocketAddr,
    },
    /// The proxy does not know, or it is a unix socket: the peer's own address stands.
    Unknown,
    /// The proxy speaks for itself, as in health checks: the peer's own address stands.
    Local,
}

impl ProxyHeader {
    /// Who opened the connection, where that is known.
    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet { source, .. } => Some(*source),
            Self::Unknown | Self::Local => None,
        }
    }
}

/// Why there is no header. The connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// What came is no header.
    #[error("connection does not start with a PROXY header")]
    Missing,
    /// A header that breaks the rules of its version.
    #[error("PROXY header of version {version} is not valid")]
    Invalid {
        /// 1 or 2.
        version: u8,
    },
    /// A header beyond [`MAX_HEADER`].
    #[error("PROXY header is longer than {MAX_HEADER} bytes")]
    TooLong,
}

/// Reads the header at the start of a connection: what it says, and how many bytes it has; `None`
/// when more bytes are needed to tell.
///
/// ```
/// use graphite_proto::proxy::read;
/// let (header, length) = read(b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 2003\r\na.b 1 7\n")?.unwrap();
/// assert_eq!(header.source(), Some("192.0.2.1:4711".parse().unwrap()));
/// assert_eq!(length, 42);
/// assert_eq!(read(b"PROX")?, None);
/// assert!(read(b"a.b 1 7\n").is_err());
/// # Ok::<(), graphite_proto::proxy::ProxyError>(())
/// ```
///
/// # Errors
/// [`ProxyError`] as soon as it is certain that no header comes.
pub fn read(input: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyError> {
    if starts_alike(input, v2::SIGNATURE) {
        return v2::read(input);
    }
    if starts_alike(input, v1::SIGNATURE) {
        return v1::read(input);
    }
    Err(ProxyError::Missing)
}

fn starts_alike(input: &[u8], signature: &[u8]) -> bool {
    input.iter().zip(signature).all(|(byte, expected)| byte == expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_bytes_tell_the_version() {
        assert_eq!(read(b""), Ok(None));
        for signature in [v1::SIGNATURE, v2::SIGNATURE] {
            for end in 0..signature.len() {
                assert_eq!(read(&signature[..end]), Ok(None));
                let mut other = signature[..=end].to_vec();
                other[end] ^= 1;
                assert_eq!(read(&other), Err(ProxyError::Missing), "{other:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// What is told of a beginning does not change with what follows, and takes no more bytes.
        #[test]
        fn beginnings_agree(
            first in prop_oneof![
                Just(b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n".to_vec()),
                Just(b"PROXY UNKNOWN\r\n".to_vec()),
                Just([v2::SIGNATURE, &[0x21, 0x11, 0, 14][..], &[7; 14]].concat()),
                Just(v2::SIGNATURE.to_vec()),
                Just(b"PROXY ".to_vec()),
            ],
            then in proptest::collection::vec(any::<u8>(), 0..200),
            damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut input = [first, then].concat();
            if let Some((at, byte)) = damage {
                let at = at.index(input.len());
                input[at] = byte;
            }
            let whole = read(&input);
            if let Ok(Some((_, length))) = whole {
                prop_assert!(length <= input.len() && length <= MAX_HEADER);
            }
            for end in 0..input.len() {
                let part = read(&input[..end]);
                prop_assert!(part == Ok(None) || part == whole, "{:?} at {end}, {:?}", part, whole);
            }
        }
    }
}
