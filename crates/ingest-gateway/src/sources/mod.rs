//! What takes data in: one file for each source.

pub(crate) mod accept;
mod allowed;
#[cfg(feature = "amqp")]
pub(crate) mod amqp;
mod decoding;
pub(crate) mod graphite;
pub(crate) mod graphite_udp;
pub(crate) mod gravwell;
pub(crate) mod hydra;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
mod kernel_drops;
pub(crate) mod loggregator;
mod rate;
mod reject_log;
mod reject_store;
pub(crate) mod samples;
pub(crate) mod transport;
mod unread;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ingest_mux::{Level, Source};
use tokio::sync::watch;

use crate::counters::SourceCounters;
use crate::limits::SourceLimits;
use crate::rules::SourceRules;
use crate::template::Maker;

pub(crate) use allowed::Allowed;
pub(crate) use decoding::Decoding;
pub(crate) use rate::Rate;
pub(crate) use reject_log::RejectLog;
pub(crate) use reject_store::RejectStore;

/// What every source has.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) source: Source,
    pub(crate) counters: Arc<SourceCounters>,
    pub(crate) rejects: Arc<RejectLog>,
    /// Who may connect, or send datagrams.
    pub(crate) allowed: Arc<Allowed>,
    /// What of it is kept.
    pub(crate) rules: SourceRules,
    /// How much of that is taken in a second.
    pub(crate) limits: SourceLimits,
    /// What makes the tags of its entries, if they are made.
    pub(crate) maker: Option<Arc<Maker>>,
    pub(crate) level: Level,
    pub(crate) decoding: Decoding,
    /// Most bytes of one read.
    pub(crate) read_bytes: usize,
    /// True once the source ends: its connections end too.
    pub(crate) stopping: watch::Receiver<bool>,
    /// True once it takes no more connections: either it ends, or another has taken its place.
    pub(crate) retired: watch::Receiver<bool>,
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn unix_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The time as Graphite has it.
pub(crate) fn graphite_time(nanos: i64) -> graphite_proto::Timestamp {
    let (seconds, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    graphite_proto::Timestamp::new(seconds, u32::try_from(rest).unwrap_or(0))
}
