//! The configuration as plain data. Every `Default` is what holds when nothing is said.

use std::path::PathBuf;
use std::time::Duration;

use ingest_entry::{TagName, TagPattern};

use super::addr::ListenAddr;
use super::amqp::{AmqpDestination, AmqpSource};
use super::choice::choice;
use super::conflict::Protocol;
use super::delivery::DeliveryConfig;
use super::graphite::{
    GraphiteDestination, GraphiteFormat, GraphiteSource, GraphiteUdpSource, GraphiteUnixSource,
};
use super::gravwell::{GravwellDestination, GravwellSource};
use super::hydra::HydraSource;
use super::kafka::{KafkaDestination, KafkaSource};
use super::limits::LimitConfig;
use super::loggregator::LoggregatorSource;
use super::logs::LogsConfig;
use super::rules::RuleConfig;
use super::tests::TestConfig;
use crate::template::Template;
use crate::units::Network;

/// The least that `log.max_bytes` can be.
pub const MIN_MAX_BYTES: u64 = 1 << 20;

/// Everything that can be configured.
///
/// The default is the default set: Graphite over TCP and UDP and as pickles, Gravwell ingesters,
/// Hydra, and the admin pages, all on loopback, into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The log on disk.
    pub log: LogConfig,
    /// What the program says about itself.
    pub logs: LogsConfig,
    /// The admin pages.
    pub admin: AdminConfig,
    /// Settings under their Hydra names.
    pub hydra: HydraConfig,
    /// What takes data in, in the order of the file.
    pub sources: Vec<SourceConfig>,
    /// What holds for all destinations together.
    pub delivery: DeliveryConfig,
    /// Where data goes, in the order of the file.
    pub destinations: Vec<DestinationConfig>,
    /// Which tags go where. None: everything goes to every destination.
    pub routes: Vec<Route>,
    /// What of what comes in is kept. None: everything.
    pub rules: Vec<RuleConfig>,
    /// How much of it is taken in a second.
    pub limits: Vec<LimitConfig>,
    /// Samples, and what is to become of them.
    pub tests: Vec<TestConfig>,
}

impl Default for Config {
    fn default() -> Self {
        let source = |name: &str, kind| {
            let (name, allow) = (name.to_owned(), Vec::new());
            SourceConfig { name, allow, kind }
        };
        Self {
            log: LogConfig::default(),
            logs: LogsConfig::default(),
            admin: AdminConfig::default(),
            hydra: HydraConfig::default(),
            sources: vec![
                source("graphite", SourceKind::Graphite(Box::default())),
                source("graphite-udp", SourceKind::GraphiteUdp(GraphiteUdpSource::default())),
                source(
                    "graphite-pickle",
                    SourceKind::Graphite(Box::new(GraphiteSource::new(GraphiteFormat::Pickle))),
                ),
                source("gravwell", SourceKind::Gravwell(GravwellSource::default())),
                source("hydra", SourceKind::Hydra(Box::default())),
            ],
            delivery: DeliveryConfig::default(),
            destinations: vec![DestinationConfig {
                name: "store".to_owned(),
                kind: DestinationKind::Store,
            }],
            routes: Vec::new(),
            rules: Vec::new(),
            limits: Vec::new(),
            tests: Vec::new(),
        }
    }
}

impl Config {
    /// The source of that name.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&SourceConfig> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// What it holds, in a few words: `2 sources, 1 destination`.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let mut text = count(self.sources.len(), "source");
        text.push_str(", ");
        text.push_str(&count(self.destinations.len(), "destination"));
        if !self.routes.is_empty() {
            text.push_str(", ");
            text.push_str(&count(self.routes.len(), "route"));
        }
        if !self.rules.is_empty() {
            text.push_str(", ");
            text.push_str(&count(self.rules.len(), "rule"));
        }
        if !self.limits.is_empty() {
            text.push_str(", ");
            text.push_str(&count(self.limits.len(), "limit"));
        }
        text
    }
}

/// `[log]`: the log on disk, which is the queue and the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The directory. Relative ones start at the working directory.
    pub dir: PathBuf,
    /// The most that the directory may hold, in bytes; at least [`MIN_MAX_BYTES`]. `None`: the
    /// lesser of 10 GiB and a quarter of the file system.
    pub max_bytes: Option<u64>,
    /// What must have happened to an item before it is acknowledged.
    pub durability: Durability,
    /// What must stay free on the file system, in bytes. `None`: the lesser of 1 GiB and 5 % of
    /// the file system.
    pub min_free: Option<u64>,
    /// What happens when the log is full and nothing can be removed.
    pub on_full: OnFull,
    /// How much of what was delivered is kept as history.
    pub keep: Keep,
    /// The bytes that may be in flight in the whole process, between socket and disk.
    pub memory: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("ingestry-data"),
            max_bytes: None,
            durability: Durability::default(),
            min_free: None,
            on_full: OnFull::default(),
            keep: Keep::default(),
            memory: 64 << 20,
        }
    }
}

/// `[log.keep]`: how much history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// The most bytes of history; at most `max_bytes`, which is also the default.
    pub bytes: Option<u64>,
    /// The greatest age of history. `None`: no bound.
    pub age: Option<Duration>,
}

choice! {
    /// What must have happened to an item before it is acknowledged.
    Durability {
        /// It is in the write buffer: lost by a kill.
        Memory = "memory",
        /// It is written: survives a kill, not a power cut.
        Os = "os",
        /// It is synced to disk.
        #[default]
        Disk = "disk",
    }
}

choice! {
    /// What happens when the log is full and nothing can be removed.
    OnFull {
        /// Sources wait.
        #[default]
        Block = "block",
        /// What arrives is dropped, and counted.
        DropNewest = "drop-newest",
        /// What was accepted first is dropped, and counted, whether delivered or not.
        DropOldest = "drop-oldest",
    }
}

/// `[admin]`: health, metrics and status over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// Whether it runs.
    pub enabled: bool,
    /// Its address.
    pub listen: ListenAddr,
    /// Whether it can change anything.
    pub control: bool,
    /// Whether an address is allowed that other machines can reach.
    pub allow_public: bool,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: ListenAddr::loopback(8910),
            control: false,
            allow_public: false,
        }
    }
}

/// Settings under the names that Hydra's documents give them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HydraConfig {
    /// `hydra.ingest.websocket.enabled`: whether web sockets are served at all.
    pub websocket_enabled: bool,
}

impl Default for HydraConfig {
    fn default() -> Self {
        Self { websocket_enabled: true }
    }
}

/// `[sources.NAME]`: something that takes data in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// Its name, unique among the sources.
    pub name: String,
    /// The networks that may connect, or send datagrams. None: all may.
    pub allow: Vec<Network>,
    /// What it is, with its settings.
    pub kind: SourceKind,
}

impl SourceConfig {
    /// The address it listens on; `None` if it connects instead.
    #[must_use]
    pub const fn listen(&self) -> Option<&ListenAddr> {
        match &self.kind {
            SourceKind::Graphite(graphite) => Some(&graphite.listen),
            SourceKind::GraphiteUdp(graphite) => Some(&graphite.listen),
            SourceKind::Gravwell(gravwell) => Some(&gravwell.listen),
            SourceKind::Hydra(hydra) => Some(&hydra.listen),
            SourceKind::Loggregator(_)
            | SourceKind::GraphiteUnix(_)
            | SourceKind::Amqp(_)
            | SourceKind::Kafka(_) => None,
        }
    }

    /// Where its data comes from, for people: its address, the file of its socket, its broker.
    /// Nothing if that is not one place.
    #[must_use]
    pub fn place(&self) -> String {
        match (&self.kind, self.listen()) {
            (_, Some(listen)) => listen.to_string(),
            (SourceKind::GraphiteUnix(unix), _) => unix.path.display().to_string(),
            (SourceKind::Amqp(amqp), _) => format!("{}:{}", amqp.broker.host, amqp.broker.port),
            (SourceKind::Kafka(kafka), _) => kafka.brokers.brokers.join(" "),
            _ => String::new(),
        }
    }

    /// The transport below it.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match &self.kind {
            SourceKind::Graphite(_)
            | SourceKind::Gravwell(_)
            | SourceKind::GraphiteUnix(_)
            | SourceKind::Hydra(_)
            | SourceKind::Loggregator(_)
            | SourceKind::Amqp(_)
            | SourceKind::Kafka(_) => Protocol::Tcp,
            SourceKind::GraphiteUdp(_) => Protocol::Udp,
        }
    }

    /// The tag that its entries carry; `None` if they bring their own.
    #[must_use]
    pub const fn tag(&self) -> Option<&TagName> {
        match &self.kind {
            SourceKind::Graphite(graphite) => Some(&graphite.lines.tag),
            SourceKind::GraphiteUdp(graphite) => Some(&graphite.lines.tag),
            SourceKind::GraphiteUnix(graphite) => Some(&graphite.stream.lines.tag),
            SourceKind::Gravwell(_) | SourceKind::Hydra(_) => None,
            SourceKind::Loggregator(loggregator) => Some(&loggregator.tag),
            SourceKind::Amqp(amqp) => Some(&amqp.lines.tag),
            SourceKind::Kafka(kafka) if kafka.tag_per.is_none() => Some(&kafka.tag),
            SourceKind::Kafka(_) => None,
        }
    }

    /// Its address and whether that may be public, to be changed; `None` if it listens nowhere.
    pub(crate) fn binding_mut(&mut self) -> Option<(&mut ListenAddr, &mut bool)> {
        match &mut self.kind {
            SourceKind::Graphite(source) => Some((&mut source.listen, &mut source.allow_public)),
            SourceKind::GraphiteUdp(source) => Some((&mut source.listen, &mut source.allow_public)),
            SourceKind::Gravwell(source) => Some((&mut source.listen, &mut source.allow_public)),
            SourceKind::Hydra(source) => Some((&mut source.listen, &mut source.allow_public)),
            SourceKind::Loggregator(_)
            | SourceKind::GraphiteUnix(_)
            | SourceKind::Amqp(_)
            | SourceKind::Kafka(_) => None,
        }
    }
}

/// What a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceKind {
    /// `graphite`, `graphite-pickle`, `graphite-protobuf`: Graphite over TCP, as lines or frames.
    Graphite(Box<GraphiteSource>),
    /// `graphite-udp`: the same lines over UDP.
    GraphiteUdp(GraphiteUdpSource),
    /// `graphite-unix`: the same lines over a unix socket.
    GraphiteUnix(Box<GraphiteUnixSource>),
    /// `gravwell`: Gravwell ingesters.
    Gravwell(GravwellSource),
    /// `hydra`: Hydra's web sockets and HTTP.
    Hydra(Box<HydraSource>),
    /// `loggregator`: Cloud Foundry's logs and metrics.
    Loggregator(Box<LoggregatorSource>),
    /// `amqp`: Graphite points from a broker.
    Amqp(Box<AmqpSource>),
    /// `kafka`: topics of Kafka.
    Kafka(Box<KafkaSource>),
}

impl SourceKind {
    /// The tag under which a sample of what it refuses is kept.
    #[must_use]
    pub const fn rejects(&self) -> Option<&TagName> {
        match self {
            Self::Graphite(graphite) => graphite.lines.rejects.as_ref(),
            Self::GraphiteUdp(graphite) => graphite.lines.rejects.as_ref(),
            Self::GraphiteUnix(graphite) => graphite.stream.lines.rejects.as_ref(),
            Self::Amqp(amqp) => amqp.lines.rejects.as_ref(),
            Self::Kafka(kafka) => kafka.rejects.as_ref(),
            Self::Gravwell(_) | Self::Hydra(_) | Self::Loggregator(_) => None,
        }
    }

    /// What the tags of its entries are made of, and how many there can be.
    #[must_use]
    pub fn template(&self) -> Option<(&Template, usize)> {
        let lines = match self {
            Self::Graphite(graphite) => &graphite.lines,
            Self::GraphiteUdp(graphite) => &graphite.lines,
            Self::GraphiteUnix(graphite) => &graphite.stream.lines,
            Self::Amqp(amqp) => &amqp.lines,
            Self::Hydra(hydra) => return Some((hydra.template.as_ref()?, hydra.max_tags)),
            Self::Loggregator(logs) => return Some((logs.template.as_ref()?, logs.max_tags)),
            Self::Kafka(kafka) => return Some((kafka.template.as_ref()?, kafka.max_tags)),
            Self::Gravwell(_) => return None,
        };
        lines.template.as_ref().map(|made| (&made.template, made.max_tags))
    }

    /// Its `type` in the configuration.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Graphite(graphite) => graphite.format.type_name(),
            Self::GraphiteUdp(_) => "graphite-udp",
            Self::GraphiteUnix(_) => "graphite-unix",
            Self::Gravwell(_) => "gravwell",
            Self::Hydra(_) => "hydra",
            Self::Loggregator(_) => "loggregator",
            Self::Amqp(_) => "amqp",
            Self::Kafka(_) => "kafka",
        }
    }
}

/// `[destinations.NAME]`: somewhere that data goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationConfig {
    /// Its name, unique among the destinations.
    pub name: String,
    /// What it is, with its settings.
    pub kind: DestinationKind,
}

/// What a destination is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DestinationKind {
    /// `store`: the log itself, kept.
    Store,
    /// `gravwell`: Gravwell indexers.
    Gravwell(Box<GravwellDestination>),
    /// `graphite`: Carbon servers.
    Graphite(Box<GraphiteDestination>),
    /// `amqp`: Graphite points to a broker.
    Amqp(Box<AmqpDestination>),
    /// `kafka`: topics of Kafka.
    Kafka(Box<KafkaDestination>),
}

impl DestinationKind {
    /// Its `type` in the configuration.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Gravwell(_) => "gravwell",
            Self::Graphite(_) => "graphite",
            Self::Amqp(_) => "amqp",
            Self::Kafka(_) => "kafka",
        }
    }
}

/// `[[routes]]`: which tags go where. An entry goes to the destinations of every route that
/// matches its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The tags.
    pub tags: Vec<TagPattern>,
    /// The names of the destinations.
    pub to: Vec<String>,
}
