//! What a muxer says of itself.

use std::collections::BTreeMap;

use ingest_wal::Lsn;

/// How a link is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkPhase {
    /// It is being made.
    #[default]
    Connecting,
    /// The destination has answered.
    Up,
    /// It broke; the next attempt comes by itself.
    Down,
    /// It broke for a reason that somebody has to mend; it is tried at the longest interval.
    Stuck,
}

impl LinkPhase {
    /// Name for labels and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Down => "down",
            Self::Stuck => "stuck",
        }
    }
}

/// A link and its last error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkState {
    /// How it is doing.
    pub phase: LinkPhase,
    /// Entries confirmed over it, in this run.
    pub confirmed: u64,
    /// Attempts made.
    pub attempts: u64,
    /// What ended the last one that ended.
    pub last_error: Option<String>,
}

impl LinkState {
    pub(crate) fn set_connecting(&mut self) {
        self.phase = LinkPhase::Connecting;
        self.attempts += 1;
    }

    pub(crate) fn set_up(&mut self) {
        self.phase = LinkPhase::Up;
    }

    pub(crate) fn set_down(&mut self, error: &str, lasting: bool) {
        self.phase = if lasting { LinkPhase::Stuck } else { LinkPhase::Down };
        self.last_error = Some(error.to_owned());
    }
}

/// The account of an output, in entries.
///
/// `accepted` = `confirmed` + `filtered` + `lost` + `queued`: `accepted` comes from the log's
/// numbers, `queued` from the positions that are not settled, the others are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputStatus {
    /// Its name.
    pub name: String,
    /// It is in the configuration.
    pub configured: bool,
    /// It begins here.
    pub start: Lsn,
    /// The lowest LSN that is not settled.
    pub low: Lsn,
    /// Accepted since its start.
    pub accepted: u64,
    /// The destination has them.
    pub confirmed: u64,
    /// Its filter passed over them.
    pub filtered: u64,
    /// It will never get them, by reason.
    pub lost: BTreeMap<String, u64>,
    /// Still owed, or not looked at yet.
    pub queued: u64,
    /// About how many bytes that is.
    pub queued_bytes: u64,
    /// Among the queued: links hold them.
    pub leased: u64,
    /// Sent again after a break, in this run.
    pub resent: u64,
    /// Arrival of the oldest entry that is on its way, unix nanoseconds.
    pub oldest_arrival: Option<i64>,
    /// Its links.
    pub links: Vec<LinkState>,
    /// The equation above holds.
    pub balanced: bool,
}

impl OutputStatus {
    pub(crate) fn check(mut self) -> Self {
        let lost: u64 = self.lost.values().sum();
        self.balanced = self.accepted == self.confirmed + self.filtered + lost + self.queued;
        self
    }
}

/// A moment of a muxer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The log below.
    pub log: ingest_wal::Status,
    /// Every output, those that left the configuration included.
    pub outputs: Vec<OutputStatus>,
    /// Number of tags that have a number.
    pub tags: u64,
    /// Every output's account holds.
    pub balanced: bool,
}

/// The account of a muxer that was closed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CloseReport {
    /// What each output had confirmed and still owes: kept in the log.
    pub outputs: Vec<OutputStatus>,
    /// Entries that the log accepted in the life of its directory.
    pub stored: u64,
    /// Entries of level `memory` that were acknowledged and could not be written.
    pub lost_in_memory: u64,
    /// Entries that were handed over, not acknowledged, and could not be written.
    pub not_accepted: u64,
}
