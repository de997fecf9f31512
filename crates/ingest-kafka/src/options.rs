//! How records are sent, and how they are read.

use std::time::Duration;

/// How records are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerOptions {
    /// How batches are compressed. Default: not at all.
    pub compression: Compression,
    /// How long a record may wait for others to share a batch with. Default 5 ms.
    pub linger: Duration,
    /// How long a record may be without an answer before it counts as failed. Default 30 s.
    pub delivery_timeout: Duration,
    /// Records that may be under way. Default 100,000.
    pub queue_records: u32,
    /// Bytes of them. Default 64 MiB.
    pub queue_bytes: u64,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            compression: Compression::None,
            linger: Duration::from_millis(5),
            delivery_timeout: Duration::from_secs(30),
            queue_records: 100_000,
            queue_bytes: 64 << 20,
        }
    }
}

/// How batches are compressed. Whoever reads has to know it: all of these are read here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// By LZ4.
    Lz4,
    /// By Snappy.
    Snappy,
    /// By gzip.
    Gzip,
    /// By Zstandard, which brokers before 2.1 do not take.
    Zstd,
}

impl Compression {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// How records are read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerOptions {
    /// The group, whose members share the partitions.
    pub group: String,
    /// A name of this member that stays: it gets its partitions back when it comes again within the
    /// session's time. Default: none.
    pub instance: Option<String>,
    /// Names of topics, or expressions that begin with `^`.
    pub topics: Vec<String>,
    /// Where a group begins that has committed nothing. Default: with the oldest record.
    pub from: StartFrom,
    /// Bytes that are read ahead of who takes them. Default 16 MiB.
    pub read_ahead: u64,
    /// How often stored offsets are committed. Default 1 s.
    pub commit_interval: Duration,
}

impl ConsumerOptions {
    /// A member of this group that reads these topics.
    pub fn new<T: Into<String>>(
        group: impl Into<String>,
        topics: impl IntoIterator<Item = T>,
    ) -> Self {
        Self {
            group: group.into(),
            instance: None,
            topics: topics.into_iter().map(Into::into).collect(),
            from: StartFrom::Oldest,
            read_ahead: 16 << 20,
            commit_interval: Duration::from_secs(1),
        }
    }
}

/// Where a group begins that has committed nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StartFrom {
    /// With the oldest record.
    #[default]
    Oldest,
    /// With what comes from now on.
    End,
}
