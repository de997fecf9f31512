//! A source's part of the report.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::children::Child;
use crate::counters::SourceCounters;
use crate::template::Maker;

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
    /// The tags that its template makes, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateReport>,
    /// Refused items that were kept under the source's `rejects`.
    pub kept_rejects: u64,
    /// Datagrams that the kernel dropped: not items.
    pub kernel_drops: u64,
    /// The account holds.
    pub balanced: bool,
}

/// What a template for tags made in this run, or since it is the source's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TemplateReport {
    /// The template.
    pub template: String,
    /// Different tags that it made.
    pub tags: u64,
    /// How many it makes at most.
    pub most: u64,
    /// Entries whose tag has `_` in the place of something that a tag cannot hold.
    pub replaced: u64,
    /// Entries with the plain tag, because they do not bring what the template wants.
    pub missing: u64,
    /// Entries with the plain tag, because there are too many tags.
    pub too_many: u64,
}

impl TemplateReport {
    fn new(maker: &Maker) -> Self {
        Self {
            template: maker.template().to_string(),
            tags: maker.made() as u64,
            most: maker.most() as u64,
            replaced: maker.replaced.get(),
            missing: maker.missing.get(),
            too_many: maker.too_many.get(),
        }
    }
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
            template: source.maker().map(|maker| TemplateReport::new(&maker)),
            kept_rejects: source.kept_rejects.get(),
            kernel_drops: source.kernel_drops.get(),
        }
    }
}
