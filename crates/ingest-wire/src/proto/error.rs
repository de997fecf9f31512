//! What can go wrong: [`ProtocolError`] with the peer, [`SendError`] with what we asked for.

use core::fmt;

use ingest_entry::{DecodeError, LimitError, TagId, TagName};

/// A piece of the protocol that an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Piece {
    /// The challenge or the answer to it.
    Authentication,
    /// The name of a tenant.
    Tenant,
    /// A state response of the handshake.
    StateResponse,
    /// The list of tags that a client asks for.
    TagRequest,
    /// The answer to that list.
    TagResponse,
    /// A tag asked for later.
    Tag,
    /// Name, version and UUID of an ingester.
    Identity,
    /// The exchange of versions.
    Version,
    /// The question whether entries may be sent.
    IngestOk,
    /// The stream configuration.
    StreamConfiguration,
    /// A state message.
    StateMessage,
    /// A ditto block.
    DittoBlock,
    /// An entry.
    Entry,
    /// A command.
    Command,
    /// A chunk of the Snappy framing.
    Chunk,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authentication => "authentication",
            Self::Tenant => "tenant name",
            Self::StateResponse => "state response",
            Self::TagRequest => "tag request",
            Self::TagResponse => "tag response",
            Self::Tag => "tag",
            Self::Identity => "identification",
            Self::Version => "version",
            Self::IngestOk => "permission to ingest",
            Self::StreamConfiguration => "stream configuration",
            Self::StateMessage => "state message",
            Self::DittoBlock => "ditto block",
            Self::Entry => "entry",
            Self::Command => "command",
            Self::Chunk => "compressed chunk",
        })
    }
}

/// What the peer did wrong, or refused. The connection is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The server does not accept the secret.
    #[error("authentication failed: the server does not accept the secret")]
    BadSecret,
    /// The server refused for another reason.
    #[error("the server refused with state {id}: {info:?}")]
    Refused {
        /// The state's number.
        id: u64,
        /// The server's words.
        info: String,
    },
    /// A tenant is set, and the server is too old to know tenants.
    #[error("the server of version {version} does not support tenants")]
    TenantUnsupported {
        /// The server's version.
        version: u16,
    },
    /// A client's tenant form has a version before 7, or its name is empty.
    #[error("the tenant form is malformed")]
    Tenant,
    /// The server refused the list of tags.
    #[error("the server refused the tags")]
    TagsRefused,
    /// The server gave no number for a tag that was asked for.
    #[error("the server gave no number for the tag {:?}", .name.as_str())]
    TagMissing {
        /// The tag.
        name: TagName,
    },
    /// A client's list of tags has a bad name or one that is refused.
    #[error("the client asked for a tag that is not given out")]
    TagNotGiven,
    /// The client's last word of the handshake is not that it is hot.
    #[error("the client's state {id} is not hot")]
    NotHot {
        /// The state's number.
        id: u64,
    },
    /// A word that is no command.
    #[error("unknown command {magic:#010x}")]
    UnknownCommand {
        /// The word.
        magic: u32,
    },
    /// A command that has no place here.
    #[error("command {magic:#010x} has no place here")]
    OutOfPlace {
        /// The command's word.
        magic: u32,
    },
    /// Something is longer or more than allowed.
    #[error("{piece} of {len} exceeds the limit of {max}")]
    TooLong {
        /// What it is.
        piece: Piece,
        /// The length or number it claims.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// JSON that is not what it should be.
    #[error("{piece} is not the JSON that it should be: {reason}")]
    Json {
        /// What it is.
        piece: Piece,
        /// What the parser says.
        reason: String,
    },
    /// A corrupt entry, or one over its limits.
    #[error("bad entry: {0}")]
    Entry(#[from] DecodeError),
    /// An entry with a tag number that was not given out.
    #[error("the entry's tag number {tag} was not given out")]
    UnknownTag {
        /// The number.
        tag: TagId,
    },
    /// An empty stream configuration block.
    #[error("the stream configuration block is empty")]
    EmptyConfiguration,
    /// A compression that is unknown or was not asked for.
    #[error("stream compression {code:#04x} is unknown or was not asked for")]
    Compression {
        /// The compression's number.
        code: u8,
    },
    /// A damaged Snappy stream.
    #[error("the Snappy stream is damaged: {reason}")]
    Snappy {
        /// What the decoder says.
        reason: String,
    },
    /// A reply that nobody waits for.
    #[error("a {piece} reply came unasked")]
    Unasked {
        /// What it answers.
        piece: Piece,
    },
    /// The stream ended in the middle of something.
    #[error("the stream ended during the {piece}")]
    UnexpectedEnd {
        /// In the middle of what.
        piece: Piece,
    },
    /// The peer took too long.
    #[error("the peer took too long over the {piece}")]
    Timeout {
        /// What was waited for.
        piece: Piece,
    },
}

impl ProtocolError {
    /// Whether the stream can go on: never, commands have no common length to skip by.
    #[must_use]
    pub const fn can_continue(&self) -> bool {
        false
    }
}

/// Why something was not sent. Nothing of it went out, and the connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The handshake and set-up are not over.
    #[error("the connection is not ready")]
    NotReady,
    /// As many entries as the window holds wait for their acknowledgement.
    #[error("the window is full")]
    WindowFull,
    /// Enough bytes wait to be written.
    #[error("the output buffer is full")]
    BufferFull,
    /// The server asked for a pause.
    #[error("the server asked for a pause")]
    Throttled,
    /// The entry does not fit into the format.
    #[error("the entry does not fit: {0}")]
    Entry(#[from] LimitError),
    /// A body is longer than the protocol allows.
    #[error("{piece} of {len} exceeds the limit of {max}")]
    TooLong {
        /// What it is.
        piece: Piece,
        /// Its length.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// The server is too old.
    #[error("the server has version {server}, {piece} needs {needs}")]
    Unsupported {
        /// What was to be sent.
        piece: Piece,
        /// The version that knows it.
        needs: u16,
        /// The server's version.
        server: u16,
    },
}

impl SendError {
    /// Whether the connection can go on: always, nothing was sent.
    #[must_use]
    pub const fn can_continue(&self) -> bool {
        true
    }

    /// Whether the same call can succeed later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::NotReady | Self::WindowFull | Self::BufferFull | Self::Throttled)
    }
}
