//! What a server announces and takes.

use std::time::Duration;

use crate::proto::limits::{VERSION, WireLimits};

/// What a server does with an entry whose tag number it has not given out on the connection.
/// The numbers of `default` and `gravwell` are always known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum UnknownTags {
    /// Closes the connection; the entry is not taken.
    #[default]
    Refuse,
    /// Takes the entry under the tag `default`.
    AsDefault,
    /// Takes the entry as it is, as Go servers do.
    Accept,
}

/// What a server announces, what it takes, and how long it waits.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The version that is announced. Default 9; a lower one makes newer clients leave out what
    /// came later.
    pub version: u16,
    /// Whether entries are taken at first; see
    /// [`ServerMachine::set_accepting`](super::ServerMachine::set_accepting). Default yes.
    pub accepting: bool,
    /// Whether a client may compress the stream. Default yes.
    pub compression: bool,
    /// What becomes of entries with unknown tag numbers. Default: the connection is closed.
    pub unknown_tags: UnknownTags,
    /// For the handshake, tags included. Default 10 s.
    pub handshake_timeout: Duration,
    /// Without a command for so long the connection is over. Default 10 min.
    pub idle_timeout: Duration,
    /// Without a reply for so long a PONG is sent. Default 1 s, which Go clients rely on.
    pub pong_interval: Duration,
    /// What the client may send.
    pub limits: WireLimits,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            version: VERSION,
            accepting: true,
            compression: true,
            unknown_tags: UnknownTags::default(),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(600),
            pong_interval: Duration::from_secs(1),
            limits: WireLimits::default(),
        }
    }
}
