//! What can go wrong with a connection.

use std::io;
use std::sync::Arc;

use ingest_entry::TagName;

use crate::proto::{ProtocolError, SendError, TargetError};

/// Why connecting, sending or waiting failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The target cannot be read.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A tag's name is not allowed.
    #[error(transparent)]
    TagName(#[from] ingest_entry::TagNameError),
    /// The socket failed.
    #[error("the connection failed: {}", plain(.0))]
    Io(Arc<io::Error>),
    /// TLS cannot be set up.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    /// The target needs what this build or system has not.
    #[error("targets of the scheme {scheme} are not supported here")]
    Scheme {
        /// The scheme.
        scheme: &'static str,
    },
    /// Nobody answered in time.
    #[error("no connection within the timeout")]
    ConnectTimeout,
    /// The server broke the protocol, or refused.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// Something cannot be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The server refused a tag.
    #[error("the server refused the tag {:?}", .name.as_str())]
    TagRefused {
        /// The tag.
        name: TagName,
    },
    /// The server did not store a ditto block.
    #[error("the server did not store the ditto block")]
    DittoFailed,
    /// Entries were not acknowledged by the deadline.
    #[error("{outstanding} entries were not acknowledged by the deadline")]
    SyncTimeout {
        /// How many.
        outstanding: usize,
    },
}

impl ClientError {
    /// Whether the connection can still be used.
    #[must_use]
    pub const fn can_continue(&self) -> bool {
        matches!(
            self,
            Self::Send(_)
                | Self::TagName(_)
                | Self::TagRefused { .. }
                | Self::DittoFailed
                | Self::SyncTimeout { .. }
        )
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// An error of a socket in words: what TLS only names by a constant is said.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    if text.contains("CaUsedAsEndEntity") {
        return "the server's certificate is one of an authority (CA:TRUE), which is not taken for \
                a server's own: it needs one that the authority has signed, or a self-signed one \
                with basicConstraints CA:FALSE"
            .to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tls_calls_by_a_constant_is_said_in_words() {
        let text = "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))";
        let error = ClientError::Io(Arc::new(io::Error::other(text)));
        assert!(error.to_string().contains("CA:FALSE"), "{error}");
        let error = ClientError::Io(Arc::new(io::Error::other("broken pipe")));
        assert_eq!(error.to_string(), "the connection failed: broken pipe");
    }
}
