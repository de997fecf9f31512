//! The settings of the Hydra protocol as plain data.

use std::time::Duration;

use ingest_entry::TagName;

use crate::config::addr::ListenAddr;
use crate::config::choice::choice;
use crate::config::kafka::HydraKafka;
use crate::config::secret::SecretFrom;
use crate::config::tls::ServerTls;
use crate::template::Template;

/// Hydra's web sockets and HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HydraSource {
    /// The address.
    pub listen: ListenAddr,
    /// Whether an address is allowed that other machines can reach, without TLS or a token.
    pub allow_public: bool,
    /// `None`: clear text.
    pub tls: Option<ServerTls>,
    /// The bearer token that requests have to bring. `None`: none.
    pub token: Option<SecretFrom>,
    /// Hosts that requests may name, beside loopback and the address listened on.
    pub hosts: Vec<String>,
    /// Origins that requests may come from, beside those on the host they name and browser
    /// extensions.
    pub origins: Vec<String>,
    /// The tag of entries that bring no `hydra-tag`; with a template, of those that it makes none
    /// for.
    pub tag: TagName,
    /// What tags are made of for entries that bring no `hydra-tag`.
    pub template: Option<Template>,
    /// What is attached to entries.
    pub values: HydraValues,
    /// Whose replies and reports are copied.
    pub dialect: HydraDialect,
    /// Whether the dialect's quirks are copied, too.
    pub compat: HydraCompat,
    /// How the reply to `SET` spells the key. `None`: as the dialect has it.
    pub echo: Option<HydraEcho>,
    /// Whether payloads over web sockets may hold line ends.
    pub multiline: bool,
    /// The longest message or body, in bytes.
    pub max_message: u64,
    /// The bytes of one session that may be without a report; at least 64 KiB.
    pub read_ahead: u64,
    /// The connections held at once; further ones wait.
    pub max_connections: usize,
    /// Tags that clients may bring into being in one run, and as many that the template may.
    pub max_tags: usize,
    /// Web sockets that are silent for longer, and answer no ping, are closed. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How long ingestors have.
    pub ingest_timeout: Duration,
    /// What `kafka_ingestor` sends to. `None`: it refuses.
    pub kafka: Option<HydraKafka>,
}

impl Default for HydraSource {
    fn default() -> Self {
        Self {
            listen: ListenAddr::loopback(8080),
            allow_public: false,
            tls: None,
            token: None,
            hosts: Vec::new(),
            origins: Vec::new(),
            tag: TagName::new("hydra").expect("letters are a tag name"),
            template: None,
            values: HydraValues::default(),
            dialect: HydraDialect::default(),
            compat: HydraCompat::default(),
            echo: None,
            multiline: false,
            max_message: 1 << 20,
            read_ahead: 4 << 20,
            max_connections: 10_000,
            max_tags: 4096,
            idle_timeout: Some(Duration::from_secs(60)),
            ingest_timeout: Duration::from_secs(3),
            kafka: None,
        }
    }
}

choice! {
    /// What is attached to entries.
    HydraValues {
        /// Nothing.
        #[default]
        None = "none",
        /// The session's metadata; over HTTP the fields whose names begin with `hydra`.
        Metadata = "metadata",
    }
}

choice! {
    /// Whose replies and reports are copied.
    HydraDialect {
        /// Those of Hydra's document.
        #[default]
        Doc = "doc",
        /// Those of the commit that brought the document.
        Seed = "seed",
        /// Those of the last commit.
        Head = "head",
    }
}

choice! {
    /// What happens where Hydra's document and its code disagree.
    HydraCompat {
        /// The document counts.
        #[default]
        Document = "document",
        /// Every quirk of the code, as it was recorded.
        Recorded = "recorded",
    }
}

choice! {
    /// How the reply to `SET` spells the key.
    HydraEcho {
        /// As Hydra's document prints it: `HYDRA-KAFKA_TOPIC`.
        #[default]
        Document = "document",
        /// As the code does: `HYDRA-KAFKA-TOPIC`.
        Code = "code",
    }
}
