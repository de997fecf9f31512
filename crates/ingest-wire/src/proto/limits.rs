//! What a peer may make us keep.

use std::time::Duration;

/// The newest version of the protocol that this crate speaks.
pub const VERSION: u16 = 9;

/// What a peer may send. Nothing is allocated on the word of a length field: buffers grow with
/// the bytes that arrive, up to these limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireLimits {
    /// Data and enumerated values of one entry. Default 16 MiB and 1 MiB.
    pub entry: ingest_entry::Limits,
    /// A state response of the handshake, in bytes. Default 4,096, the protocol's limit.
    pub state_response: u32,
    /// A tag request, in bytes of JSON. Default 1 MiB; the protocol's limit is 32 MiB.
    pub tag_request: u32,
    /// A tag response, in bytes of JSON. Default 32 MiB, the protocol's limit: a client has asked
    /// for what it gets.
    pub tag_response: u32,
    /// Tags of one connection. Default 4,096; the format's limit is 65,535.
    pub tags: u32,
    /// Each of the three texts of an identification, in bytes. Default 4 KiB.
    pub identity: u32,
    /// A state message, in bytes of JSON. Default 1 MiB, the protocol's limit.
    pub state_message: u32,
    /// A stream configuration block, in bytes. Default 1 MiB, the protocol's limit. All but its
    /// first byte are thrown away as they arrive.
    pub stream_configuration: u32,
    /// Entries of one ditto block. Default 1,048,576.
    pub ditto_entries: u64,
    /// Bytes of one ditto block. Default 1 GiB. They are handed out as they arrive, not kept.
    pub ditto_bytes: u64,
    /// Entries handed out and not yet confirmed; past it a server stops reading. Default 65,535,
    /// the widest window of a client.
    pub unconfirmed: u32,
    /// Bytes of replies that a client has not read; past it a server stops reading. Default 1 MiB.
    pub replies: usize,
    /// The largest input buffer of a connection that is busy with small frames. Default 256 KiB.
    /// A frame larger than that makes the buffer grow to its size.
    pub buffer: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            entry: ingest_entry::Limits::default(),
            state_response: 4096,
            tag_request: 1 << 20,
            tag_response: 32 << 20,
            tags: 4096,
            identity: 4096,
            state_message: 1 << 20,
            stream_configuration: 1 << 20,
            ditto_entries: 1 << 20,
            ditto_bytes: 1 << 30,
            unconfirmed: 65_535,
            replies: 1 << 20,
            buffer: 256 << 10,
        }
    }
}

/// The longest tenant name, in bytes: the protocol's limit.
pub(crate) const MAX_TENANT: u16 = 512;
/// The longest tag name, in bytes: the protocol's limit.
pub(crate) const MAX_TAG: u32 = 4096;
/// The longest pause that a throttle command can ask for.
pub(crate) const MAX_THROTTLE: Duration = Duration::from_secs(5);
