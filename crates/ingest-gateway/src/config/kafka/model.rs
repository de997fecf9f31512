//! The settings of Kafka as plain data.

use std::path::PathBuf;
use std::time::Duration;

use ingest_entry::TagName;

use super::template::Template;
use crate::config::choice::choice;
use crate::config::outflow::Outflow;
use crate::config::secret::SecretFrom;
use crate::template as tags;

/// Where the brokers are, and who we are to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaBrokers {
    /// Brokers to ask first, as `HOST:PORT`.
    pub brokers: Vec<String>,
    /// The user. `None`: no authentication.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretFrom>,
    /// The mechanism of SASL.
    pub mechanism: String,
    /// Properties of the client library.
    pub properties: Vec<(String, String)>,
}

impl Default for KafkaBrokers {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            user: None,
            password: None,
            mechanism: "PLAIN".to_owned(),
            properties: Vec::new(),
        }
    }
}

/// How records are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSending {
    /// How batches are compressed.
    pub compression: KafkaCompression,
    /// How long a record may wait for others.
    pub linger: Duration,
    /// How long a record may be without an answer.
    pub delivery_timeout: Duration,
}

impl Default for KafkaSending {
    fn default() -> Self {
        Self {
            compression: KafkaCompression::default(),
            linger: Duration::from_millis(5),
            delivery_timeout: Duration::from_secs(30),
        }
    }
}

/// Entries to topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaDestination {
    /// The brokers.
    pub brokers: KafkaBrokers,
    /// How they are sent.
    pub sending: KafkaSending,
    /// The topic of an entry.
    pub topic: Template,
    /// Its key. `None`: none, and any partition.
    pub key: Option<Template>,
    /// What a record's value is.
    pub encoding: KafkaEncoding,
    /// Where tag, time and source of entries go whose data is the record's value.
    pub headers: KafkaHeaders,
    /// Where the enumerated values of entries go whose data is the record's value.
    pub values: KafkaSent,
    /// How entries go out.
    pub outflow: Outflow,
}

/// Entries from topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSource {
    /// The brokers.
    pub brokers: KafkaBrokers,
    /// The group.
    pub group: String,
    /// A name of this member that stays.
    pub instance: Option<String>,
    /// Names of topics, or expressions that begin with `^`.
    pub topics: Vec<String>,
    /// Where a new group begins.
    pub from: KafkaFrom,
    /// The tag of records that bring none; with a template, of those that it makes none for.
    pub tag: TagName,
    /// What makes the tag of records that bring none.
    pub template: Option<tags::Template>,
    /// Whether they get one for each topic.
    pub tag_per: Option<KafkaTagPer>,
    /// What a record's value is.
    pub encoding: KafkaDecoding,
    /// The time of records that bring none.
    pub timestamp: KafkaTime,
    /// What is attached to entries.
    pub values: KafkaValues,
    /// Tags that records may bring into being in one run, and as many that the template may.
    pub max_tags: usize,
    /// Bytes that are read ahead of the log.
    pub read_ahead: u64,
    /// How often offsets are committed.
    pub commit_interval: Duration,
    /// The tag under which a sample of what is refused is kept.
    pub rejects: Option<TagName>,
}

impl Default for KafkaSource {
    fn default() -> Self {
        Self {
            brokers: KafkaBrokers::default(),
            group: "ingestry".to_owned(),
            instance: None,
            topics: Vec::new(),
            from: KafkaFrom::default(),
            tag: TagName::new("kafka").expect("letters are a tag name"),
            template: None,
            tag_per: None,
            encoding: KafkaDecoding::default(),
            timestamp: KafkaTime::default(),
            values: KafkaValues::default(),
            max_tags: 4096,
            read_ahead: 16 << 20,
            commit_interval: Duration::from_secs(1),
            rejects: None,
        }
    }
}

/// `[sources.NAME.kafka]` of Hydra: what `kafka_ingestor` sends to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HydraKafka {
    /// The brokers.
    pub brokers: KafkaBrokers,
    /// How records are sent.
    pub sending: KafkaSending,
    /// What payloads of requests without a `hydra-record-format` are.
    pub format: KafkaFormat,
    /// Where the schemas are of what becomes Avro. `None`: there is no Avro.
    pub registry: Option<KafkaRegistry>,
}

/// A registry of schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaRegistry {
    /// Where it is.
    pub url: String,
    /// The user. `None`: no authentication.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretFrom>,
    /// Authorities to trust. `None`: the system's.
    pub ca: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How long the latest version of a subject is believed to be it.
    pub fresh: Duration,
}

impl Default for KafkaRegistry {
    fn default() -> Self {
        Self {
            url: String::new(),
            user: None,
            password: None,
            ca: None,
            timeout: Duration::from_secs(2),
            fresh: Duration::from_secs(120),
        }
    }
}

choice! {
    /// How batches of records are compressed.
    KafkaCompression {
        /// Not at all.
        #[default]
        None = "none",
        /// By LZ4.
        Lz4 = "lz4",
        /// By Snappy.
        Snappy = "snappy",
        /// By gzip.
        Gzip = "gzip",
        /// By Zstandard.
        Zstd = "zstd",
    }
}

choice! {
    /// What the value of a record is made of.
    KafkaEncoding {
        /// The entry's data; what else it has is in headers.
        #[default]
        Raw = "raw",
        /// The whole entry.
        Entry = "entry",
    }
}

choice! {
    /// What the value of a record is read as.
    KafkaDecoding {
        /// As its headers say, else as data.
        #[default]
        Auto = "auto",
        /// As data; headers of ours count for nothing.
        Raw = "raw",
        /// As a whole entry; others are refused.
        Entry = "entry",
    }
}

choice! {
    /// Where a group begins that has committed nothing.
    KafkaFrom {
        /// With the oldest record.
        #[default]
        Oldest = "oldest",
        /// With what comes from then on.
        End = "end",
    }
}

choice! {
    /// The time of records that bring none of an entry.
    KafkaTime {
        /// The record's: of its making, or of the broker, as the topic is set up.
        #[default]
        Record = "record",
        /// Of arrival here.
        Arrival = "arrival",
    }
}

choice! {
    /// What is attached to entries.
    KafkaValues {
        /// Nothing.
        #[default]
        None = "none",
        /// The record's headers.
        Headers = "headers",
    }
}

choice! {
    /// Where tag, time and source of an entry go, if they are not in the record's value.
    KafkaHeaders {
        /// All of them into one header, which costs least.
        #[default]
        Line = "line",
        /// Into one each.
        Each = "each",
    }
}

choice! {
    /// Where the enumerated values of an entry go, if they are not in the record's value.
    KafkaSent {
        /// All of them into one header, for another ingestry, which reads them as they were.
        #[default]
        Block = "block",
        /// That, and each as text into a header of its own name.
        Headers = "headers",
        /// Nowhere: they are left out.
        None = "none",
    }
}

choice! {
    /// What has a tag of its own.
    KafkaTagPer {
        /// Each topic.
        #[default]
        Topic = "topic",
    }
}

choice! {
    /// What payloads are made into.
    KafkaFormat {
        /// JSON.
        #[default]
        Json = "json",
        /// Text.
        Text = "string",
        /// Avro, by the schemas of a registry.
        Avro = "avro",
    }
}
