//! The settings of Kafka as plain data.

use std::time::Duration;

use ingest_entry::TagName;

use super::template::Template;
use crate::config::choice::choice;
use crate::config::outflow::Outflow;
use crate::config::secret::SecretFrom;

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
    /// The tag of records that bring none.
    pub tag: TagName,
    /// Whether they get one for each topic.
    pub tag_per: Option<KafkaTagPer>,
    /// What a record's value is.
    pub encoding: KafkaDecoding,
    /// The time of records that bring none.
    pub timestamp: KafkaTime,
    /// What is attached to entries.
    pub values: KafkaValues,
    /// Tags that records may bring into being in one run.
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
    }
}

choice! {
    /// What the value of a record is made of.
    KafkaEncoding {
        /// The entry's data; what else it has is in headers, except its enumerated values.
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
    }
}
