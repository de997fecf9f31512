//! What can go wrong with a session.

use std::io;

use crate::proto::ProtocolError;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The client broke the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The client does not know the secret.
    #[error("the client does not know the secret")]
    Unauthenticated,
    /// Too many clients have not authenticated; this one was refused, or said nothing for so long
    /// that it gave way. See [`AcceptLimits`](super::AcceptLimits).
    #[error("too many clients have not authenticated")]
    Crowded,
    /// Too many clients are in. See [`AcceptLimits`](super::AcceptLimits).
    #[error("too many clients are connected")]
    Full,
    /// The client's address has given too many wrong responses, and is not heard for a while.
    #[error("the client's address has failed too often")]
    Suspect,
    /// No randomness is to be had for a challenge.
    #[error("the system gives no random bytes")]
    Random,
}

impl ServerError {
    /// Whether the session can go on: never.
    #[must_use]
    pub const fn can_continue(&self) -> bool {
        false
    }
}
