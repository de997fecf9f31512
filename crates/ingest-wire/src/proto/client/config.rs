//! How a client introduces itself, and what it waits for.

use std::time::Duration;

use ingest_entry::{Source, TagName};

use crate::proto::limits::WireLimits;

/// Who a client says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The ingester's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its UUID as text.
    pub uuid: String,
}

impl Default for Identity {
    /// The name and version of this crate, and the nil UUID.
    fn default() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uuid: "00000000-0000-0000-0000-000000000000".to_owned(),
        }
    }
}

/// What a client asks for at the start, and how long it waits.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The tags to be given numbers. Servers that count names refuse an empty list.
    pub tags: Vec<TagName>,
    /// The tenant, if any; it needs a server of version 7.
    pub tenant: Option<Vec<u8>>,
    /// Who we are.
    pub identity: Identity,
    /// Compress the stream with Snappy, both ways. It needs a server of version 5; with an older
    /// one the stream is plain. Default no.
    pub compression: bool,
    /// Leave out the set-up and send entries right behind the handshake, as the simplest of the
    /// Go library's clients does. Default no.
    pub plain: bool,
    /// The source that entries get that have none, those of ditto blocks excepted. Default
    /// [`Source::NONE`]: they are sent without one.
    pub source: Source,
    /// How many entries may wait for their acknowledgement. Default 4,095, at most 65,535.
    pub window: u16,
    /// How many bytes may wait to be written, one entry more. Default 1 MiB.
    pub buffer: usize,
    /// For the handshake, tags included. Default 5 s.
    pub handshake_timeout: Duration,
    /// For each reply to a command. Default 10 s.
    pub reply_timeout: Duration,
    /// For the confirmation of a ditto block. Default 60 s.
    pub ditto_timeout: Duration,
    /// How long to wait before asking again whether entries may be sent. Default 10 s.
    pub ask_again: Duration,
    /// How long a server that owes acknowledgements may say nothing at all. Default 30 s.
    pub silence_timeout: Duration,
    /// What the server may send.
    pub limits: WireLimits,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            tags: Vec::new(),
            tenant: None,
            identity: Identity::default(),
            compression: false,
            plain: false,
            source: Source::NONE,
            window: 4095,
            buffer: 1 << 20,
            handshake_timeout: Duration::from_secs(5),
            reply_timeout: Duration::from_secs(10),
            ditto_timeout: Duration::from_secs(60),
            ask_again: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(30),
            limits: WireLimits::default(),
        }
    }
}
