//! A source's part of the report.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::children::Child;
use crate::counters::SourceCounters;

/// The reason of items that the log dropped when it was full (`log.on_full = "drop-newest"`).
const LOG_FULL: &str = "log-full";

/// A source. Its account: `received.items` = `accepted.items` + the sum of `rejected`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SourceReport {
    /// Name in the configuration.
    pub name: String,
    /// Type in the configuration.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Address that is really bound.
    pub listen: String,
    /// What came in.
    pub received: Received,
    /// What was handed over to the log.
    pub accepted: Entries,
    /// Items refused, for every reason that this source knows.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Its connections.
    pub connections: Connections,
    /// The ingesters behind the connections, where the protocol says who they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Child>,
    /// Times that reading waited for the budget or the log.
    pub waits: u64,
    /// Times that reading waited because a connection sent more than its rate allows.
    pub rate_waits: u64,
    /// Refused items that were kept under the source's `rejects`.
    pub kept_rejects: u64,
    /// Datagrams that the kernel dropped: not items.
    pub kernel_drops: u64,
    /// The account holds.
    pub balanced: bool,
}

/// What came in at a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Received {
    /// Bytes read.
    pub bytes: u64,
    /// Items found in them.
    pub items: u64,
}

/// What a source handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Entries {
    /// Items.
    pub items: u64,
    /// Entries made of them.
    pub entries: u64,
}

/// The connections of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Connections {
    /// Open now.
    pub open: u64,
    /// Accepted.
    pub total: u64,
    /// Ended otherwise than in order.
    pub aborted: u64,
    /// Not let in.
    pub refused: u64,
}

impl SourceReport {
    pub(super) fn new(source: &SourceCounters) -> Self {
        let totals = source.totals();
        let mut rejected = BTreeMap::new();
        for (reason, items) in source.reasons.iter().zip(&totals.refused) {
            *rejected.entry(*reason).or_default() += items;
        }
        if totals.dropped > 0 {
            rejected.insert(LOG_FULL, totals.dropped);
        }
        Self {
            name: source.name.clone(),
            kind: source.kind,
            listen: source.listen(),
            received: Received { bytes: totals.received_bytes, items: totals.received_items },
            accepted: Entries { items: totals.accepted_items, entries: totals.accepted_entries },
            balanced: totals.is_balanced(),
            rejected,
            connections: Connections {
                open: source.connections_open.get(),
                total: source.connections_total.get(),
                aborted: source.connections_aborted.get(),
                refused: source.connections_refused.get(),
            },
            children: source.children.list(),
            waits: source.waits.get(),
            rate_waits: source.rate_waits.get(),
            kept_rejects: source.kept_rejects.get(),
            kernel_drops: source.kernel_drops.get(),
        }
    }
}
