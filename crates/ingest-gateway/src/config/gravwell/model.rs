//! The settings of the Gravwell protocol as plain data.

use std::time::Duration;

use ingest_wire::Target;

use crate::config::addr::ListenAddr;
use crate::config::choice::choice;
use crate::config::outflow::Outflow;
use crate::config::secret::SecretFrom;
use crate::config::tls::{ClientTls, ServerTls};

/// Gravwell ingesters, over TCP or TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GravwellSource {
    /// The address.
    pub listen: ListenAddr,
    /// Whether an address is allowed that other machines can reach, without TLS: ingesters are
    /// authenticated, but what they send can be read on the way.
    pub allow_public: bool,
    /// The secret that ingesters have to know. `None`: `INGEST_SECRET` of the environment, else
    /// `GRAVWELL_INGEST_SECRET`, else one that is made and kept in the log's directory.
    pub secret: Option<SecretFrom>,
    /// `None`: clear text.
    pub tls: Option<ServerTls>,
    /// The bytes read from one connection beyond what is durable; at least 64 KiB.
    pub read_ahead: u64,
    /// The connections held at once; further ones wait.
    pub max_connections: usize,
    /// The longest data of an entry, in bytes.
    pub max_entry: u64,
    /// Tags of one connection.
    pub max_tags: usize,
    /// Connections that send no command for longer are closed. `None`: never.
    pub idle_timeout: Option<Duration>,
}

impl Default for GravwellSource {
    fn default() -> Self {
        Self {
            listen: ListenAddr::loopback(4023),
            allow_public: false,
            secret: None,
            tls: None,
            read_ahead: 4 << 20,
            max_connections: 10_000,
            max_entry: 16 << 20,
            max_tags: 4096,
            idle_timeout: Some(Duration::from_secs(600)),
        }
    }
}

/// Gravwell indexers, or whatever else takes entries by that protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GravwellDestination {
    /// Where they are: `tcp://HOST:PORT`, `tls://HOST:PORT` or `pipe://PATH`.
    pub targets: Vec<Target>,
    /// How entries are spread over them.
    pub policy: Policy,
    /// The secret that they know.
    pub secret: SecretFrom,
    /// How `tls://` targets are reached.
    pub tls: ClientTls,
    /// Whether the stream is compressed, where the indexer knows how.
    pub compression: bool,
    /// The tenant that entries are sent for; empty for none.
    pub tenant: String,
    /// When an entry counts as delivered.
    pub confirm: Confirm,
    /// Servers of a lower version of the protocol are refused; 0: none is too old.
    pub min_version: u16,
    /// How entries go out.
    pub outflow: Outflow,
}

choice! {
    /// When an entry counts as delivered to an indexer.
    Confirm {
        /// When the indexer has acknowledged it.
        #[default]
        Acknowledged = "acknowledged",
        /// When the indexer has said that it is stored: slower, and it needs version 9.
        Stored = "stored",
    }
}

choice! {
    /// How entries are spread over the targets of a destination.
    Policy {
        /// Each entry goes to one of them.
        #[default]
        Share = "share",
        /// All go to the first that is up, in the order of the list.
        FailOver = "fail-over",
    }
}
