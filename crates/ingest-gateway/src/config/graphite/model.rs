//! The settings of sources of Graphite points as plain data.

use std::path::PathBuf;
use std::time::Duration;

use ingest_entry::TagName;

use crate::config::addr::ListenAddr;
use crate::config::choice::choice;
use crate::config::template::TagTemplate;
use crate::config::tls::ServerTls;
use crate::units::Network;

/// What connections to a Graphite source carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GraphiteFormat {
    /// `graphite`: plaintext lines.
    #[default]
    Lines,
    /// `graphite-pickle`: frames of pickles.
    Pickle,
    /// `graphite-protobuf`: frames of protobuf messages.
    Protobuf,
}

impl GraphiteFormat {
    /// The `type` of such sources in the configuration.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Lines => "graphite",
            Self::Pickle => "graphite-pickle",
            Self::Protobuf => "graphite-protobuf",
        }
    }
}

/// Graphite points over TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphiteSource {
    /// What connections carry.
    pub format: GraphiteFormat,
    /// The address.
    pub listen: ListenAddr,
    /// Whether an address is allowed that other machines can reach: there is no authentication.
    pub allow_public: bool,
    /// How lines become entries.
    pub lines: GraphiteLines,
    /// The largest frame, in bytes without its length. Says nothing about lines.
    pub max_frame: usize,
    /// The bytes read from one connection beyond what is durable; at least 64 KiB.
    pub read_ahead: u64,
    /// The connections held at once; further ones wait.
    pub max_connections: usize,
    /// Connections that are silent for longer are closed. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// `None`: clear text.
    pub tls: Option<ServerTls>,
    /// Proxies that say, by a PROXY header, whose connection they pass on. With any, connections of
    /// others and those without a header are closed.
    pub proxies: Vec<Network>,
    /// What is around the bytes.
    pub compression: GraphiteCompression,
    /// Points a second that one connection may send. `None`: any number.
    pub max_rate: Option<u64>,
    /// What happens beyond.
    pub over_rate: OverRate,
}

impl GraphiteSource {
    /// The defaults for a format. Of frames fewer connections are held, since each may have a whole
    /// frame in memory.
    #[must_use]
    pub fn new(format: GraphiteFormat) -> Self {
        let (port, max_connections) = match format {
            GraphiteFormat::Lines => (2003, 10_000),
            GraphiteFormat::Pickle => (2004, 1000),
            GraphiteFormat::Protobuf => (2005, 1000),
        };
        Self {
            format,
            listen: ListenAddr::loopback(port),
            allow_public: false,
            lines: GraphiteLines::default(),
            max_frame: 1 << 20,
            read_ahead: 4 << 20,
            max_connections,
            idle_timeout: None,
            tls: None,
            proxies: Vec::new(),
            compression: GraphiteCompression::default(),
            max_rate: None,
            over_rate: OverRate::default(),
        }
    }
}

impl Default for GraphiteSource {
    /// That of lines.
    fn default() -> Self {
        Self::new(GraphiteFormat::Lines)
    }
}

/// Graphite lines over a unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphiteUnixSource {
    /// The file.
    pub path: PathBuf,
    /// Whether it carries streams or datagrams.
    pub socket: UnixSocket,
    /// What streams have beside; of datagrams only the lines count.
    pub stream: GraphiteSource,
}

choice! {
    /// What a unix socket carries.
    UnixSocket {
        /// Connections, as over TCP.
        #[default]
        Stream = "stream",
        /// Datagrams, as over UDP; senders wait while there is no room.
        Datagram = "datagram",
    }
}

choice! {
    /// What is around the bytes of a connection.
    GraphiteCompression {
        /// Nothing.
        #[default]
        None = "none",
        /// Gzip.
        Gzip = "gzip",
    }
}

choice! {
    /// What happens to points beyond the rate of a connection.
    OverRate {
        /// The connection is read more slowly.
        #[default]
        Block = "block",
        /// They are rejected, and counted.
        Drop = "drop",
    }
}

/// Graphite lines over UDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphiteUdpSource {
    /// The address.
    pub listen: ListenAddr,
    /// Whether an address is allowed that other machines can reach: there is no authentication.
    pub allow_public: bool,
    /// How lines become entries.
    pub lines: GraphiteLines,
    /// The bytes of datagrams that the system is asked to hold for us; it may hold fewer.
    pub receive_buffer: u64,
}

impl Default for GraphiteUdpSource {
    fn default() -> Self {
        Self {
            listen: ListenAddr::loopback(2003),
            allow_public: false,
            lines: GraphiteLines::default(),
            receive_buffer: 4 << 20,
        }
    }
}

/// How Graphite lines are read and become entries, whatever brought them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphiteLines {
    /// The tag of the entries; with a template, of those that it makes none for.
    pub tag: TagName,
    /// What tags are made of. `None`: all entries have the one.
    pub template: Option<TagTemplate>,
    /// What becomes an enumerated value.
    pub values: Values,
    /// Whose rules decide what a line is.
    pub profile: Profile,
    /// What happens to tagged names.
    pub tagged: Tagged,
    /// What happens to tagged names that break the rules.
    pub bad_tags: BadTags,
    /// What happens to infinite values.
    pub infinity: Infinity,
    /// Whether the fraction of a second is kept.
    pub fraction: bool,
    /// The longest line, in bytes without its end.
    pub max_line: usize,
    /// Points older than this are rejected. `None`: none are.
    pub max_past: Option<Duration>,
    /// Points further ahead than this are rejected. `None`: none are.
    pub max_future: Option<Duration>,
    /// The tag under which a sample of what is rejected is kept. `None`: nothing is.
    pub rejects: Option<TagName>,
}

impl Default for GraphiteLines {
    fn default() -> Self {
        Self {
            tag: TagName::new("graphite").expect("letters are a tag name"),
            template: None,
            values: Values::default(),
            profile: Profile::default(),
            tagged: Tagged::default(),
            bad_tags: BadTags::default(),
            infinity: Infinity::default(),
            fraction: false,
            max_line: 16_384,
            max_past: None,
            max_future: None,
            rejects: None,
        }
    }
}

choice! {
    /// What of a Graphite point becomes an enumerated value.
    Values {
        /// Nothing.
        None = "none",
        /// The tags of a tagged name.
        #[default]
        Tags = "tags",
        /// Tags, name and value.
        All = "all",
    }
}

choice! {
    /// Whose rules decide what a Graphite line is.
    Profile {
        /// Our own: what all peers agree on, and safe where they do not.
        #[default]
        Default = "default",
        /// Carbon's.
        Carbon = "carbon",
        /// Go-carbon's.
        GoCarbon = "go-carbon",
        /// Carbon-relay-ng's, at its medium level.
        RelayNg = "relay-ng",
        /// Carbon-relay-ng's, at its strict level.
        RelayNgStrict = "relay-ng-strict",
    }
}

choice! {
    /// What happens to tagged Graphite names.
    Tagged {
        /// They are brought into their canonical form.
        #[default]
        Normalise = "normalise",
        /// They stay as received.
        Raw = "raw",
    }
}

choice! {
    /// What happens to tagged Graphite names that break the rules.
    BadTags {
        /// They are kept as received.
        #[default]
        Raw = "raw",
        /// Their lines are rejected.
        Reject = "reject",
    }
}

choice! {
    /// What happens to infinite Graphite values.
    Infinity {
        /// They are stored.
        #[default]
        Accept = "accept",
        /// Their lines are rejected.
        Drop = "drop",
    }
}
