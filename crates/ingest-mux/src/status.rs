//! What a muxer says of itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest_wal::Lsn;

use crate::destination::{LinkError, Trouble};
use crate::error::SendError;
use crate::sync::lock;

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
    /// What kind of trouble that was; `None` while the link is up.
    pub trouble: Option<Trouble>,
}

impl LinkState {
    pub(crate) fn set_connecting(&mut self) {
        self.phase = LinkPhase::Connecting;
        self.attempts += 1;
    }

    pub(crate) fn set_up(&mut self) {
        self.phase = LinkPhase::Up;
        self.trouble = None;
    }

    pub(crate) fn set_down(&mut self, error: &LinkError) {
        self.phase = if error.lasting { LinkPhase::Stuck } else { LinkPhase::Down };
        self.last_error = Some(error.message.clone());
        self.trouble = Some(error.trouble);
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
    /// Still owed, or not looked at yet: with a filter, some of it may not be meant for this output.
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

/// Entries that senders did not accept, by reason. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Refusals {
    pub(crate) fn count(&self, error: &SendError, entries: usize) {
        *lock(&self.0).entry(error.reason()).or_default() += entries as u64;
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.0).clone()
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
    /// Entries that were handed over in this run.
    pub entries: u64,
    /// Bytes of their data.
    pub bytes: u64,
    /// Since the start of the muxer.
    pub uptime: Duration,
    /// Entries that senders did not accept, by reason, in this run. Of a batch that was refused all
    /// count.
    pub refused: BTreeMap<&'static str, u64>,
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
    /// Entries of level `memory` that were acknowledged and are neither delivered nor on disk:
    /// the log could not write them, or there is none (then: those that some output is still owed).
    pub lost_in_memory: u64,
    /// Entries that were handed over, not acknowledged, and could not be written.
    pub not_accepted: u64,
    /// The log was ended in time. If not, that goes on by itself, and the numbers above are those
    /// of the deadline: what they call lost may still be written.
    pub complete: bool,
}
