//! An output's part of the report.

use std::collections::BTreeMap;

use ingest_mux::{LinkState, OutputStatus};
use serde::Serialize;

use super::{LogReport, seconds};

/// An output, in entries since its start, kept over restarts. Its account: `accepted` =
/// `confirmed` + `filtered` + the sum of `lost` + `queued`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// Type in the configuration; `unknown` when it left that.
    #[serde(rename = "type")]
    pub kind: String,
    /// It is in the configuration.
    pub configured: bool,
    /// Accepted by the log.
    pub accepted: u64,
    /// The destination has them.
    pub confirmed: u64,
    /// Its filter passed over them.
    pub filtered: u64,
    /// It will never get them, by reason.
    pub lost: BTreeMap<String, u64>,
    /// Still owed, or not looked at yet.
    pub queued: u64,
    /// Among the queued: links hold them.
    pub leased: u64,
    /// Sent again after a break, in this run.
    pub resent: u64,
    /// It began here.
    pub start_lsn: u64,
    /// The lowest LSN that is not settled.
    pub low_lsn: u64,
    /// How far it is behind.
    pub lag: Lag,
    /// Its links.
    pub links: Vec<LinkReport>,
    /// What it did with the entries that it was given, in this run, where it tells: of those that
    /// Carbon servers get, `sent`, `elsewhere` for those of other servers, or why not; of those for
    /// Kafka, `sent`, `refused` by client or broker for what they are, or `bad-topic`. What is sent
    /// again is counted again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fates: BTreeMap<&'static str, u64>,
    /// The account holds.
    pub balanced: bool,
}

/// How far an output is behind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Lag {
    /// Entries that it has not settled.
    pub entries: u64,
    /// About how many bytes that is in the log.
    pub bytes: u64,
    /// Since the arrival of the oldest of them; `null` in JSON when that is not known.
    pub seconds: Option<f64>,
}

/// A link of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LinkReport {
    /// Where it leads, if that is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// `connecting`; `up`; `down`: it is tried again soon; `stuck`: somebody has to mend something,
    /// and it is tried at the longest interval.
    pub state: &'static str,
    /// What keeps it from being up: `connection`, `wrong-secret`, `tag-refused`, `old-server`,
    /// `stalled`, `not-stored` or `other`; `null` while nothing does.
    pub trouble: Option<&'static str>,
    /// Entries confirmed over it, in this run.
    pub confirmed: u64,
    /// Attempts made: all but the first are retries.
    pub attempts: u64,
    /// What ended the last one that ended.
    pub last_error: Option<String>,
}

impl LinkReport {
    fn new(link: &LinkState, target: Option<&String>) -> Self {
        Self {
            target: target.cloned().unwrap_or_default(),
            state: link.phase.as_str(),
            trouble: link.trouble.map(ingest_mux::Trouble::as_str),
            confirmed: link.confirmed,
            attempts: link.attempts,
            last_error: link.last_error.clone(),
        }
    }
}

impl OutputReport {
    /// The report, with what it did with entries.
    pub(super) fn with_fates(mut self, fates: Vec<(&'static str, u64)>) -> Self {
        self.fates = fates.into_iter().collect();
        self
    }

    /// `now` is in unix nanoseconds.
    pub(super) fn new(output: OutputStatus, kind: String, targets: &[String], now: u128) -> Self {
        let lost: u64 = output.lost.values().sum();
        let settled = output.confirmed + output.filtered + lost;
        let seconds = match (output.queued, output.oldest_arrival) {
            (0, _) => Some(0.0),
            (_, Some(oldest)) => {
                Some(seconds(now.saturating_sub(u128::try_from(oldest).unwrap_or(0))))
            }
            (_, None) => None,
        };
        Self {
            balanced: output.accepted == settled + output.queued,
            lag: Lag { entries: output.queued, bytes: output.queued_bytes, seconds },
            links: (0..)
                .zip(&output.links)
                .map(|(at, link): (usize, _)| LinkReport::new(link, targets.get(at)))
                .collect(),
            fates: BTreeMap::new(),
            name: output.name,
            kind,
            configured: output.configured,
            accepted: output.accepted,
            confirmed: output.confirmed,
            filtered: output.filtered,
            lost: output.lost,
            queued: output.queued,
            leased: output.leased,
            resent: output.resent,
            start_lsn: output.start,
            low_lsn: output.low,
        }
    }

    /// What is durable is there, and nothing is owed.
    pub(super) fn store(name: String, log: &LogReport) -> Self {
        Self {
            name,
            kind: "store".to_owned(),
            configured: true,
            accepted: log.accepted,
            confirmed: log.accepted,
            filtered: 0,
            lost: BTreeMap::new(),
            queued: 0,
            leased: 0,
            resent: 0,
            start_lsn: 1,
            low_lsn: log.synced_lsn.saturating_add(1),
            lag: Lag { entries: 0, bytes: 0, seconds: Some(0.0) },
            links: Vec::new(),
            fates: BTreeMap::new(),
            balanced: log.balanced,
        }
    }
}
