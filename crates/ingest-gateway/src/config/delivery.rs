//! `[delivery]`: what holds for all destinations together.

use std::time::Duration;

use ingest_mux::Rate;

use super::choice::choice;
use super::outflow::read_rate;
use super::values::set;
use super::walk::{Node, Table};

const LEAST_WAIT: Duration = Duration::from_secs(1);
/// The longest label, in bytes.
const MAX_LABEL: usize = 256;

/// What holds for all destinations together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryConfig {
    /// What all of them together may be sent at most; `None`: without limit.
    pub rate_limit: Option<Rate>,
    /// Longest wait between two attempts to connect.
    pub longest_wait: Duration,
    /// What tells this gateway from others, for operators of indexers.
    pub label: String,
    /// What indexers are told of this gateway.
    pub state: StateMessages,
    /// Which lines of the gateway's own log become entries of the tag `gravwell`.
    pub relay: RelayedLog,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            rate_limit: None,
            longest_wait: Duration::from_secs(30),
            label: String::new(),
            state: StateMessages::default(),
            relay: RelayedLog::default(),
        }
    }
}

choice! {
    /// What indexers are told of this gateway.
    StateMessages {
        /// Identity, counts, tags, and the ingesters behind this gateway.
        #[default]
        Full = "full",
        /// Identity and counts.
        Minimal = "minimal",
    }
}

choice! {
    /// Which lines of the gateway's own log become entries.
    RelayedLog {
        /// None.
        #[default]
        Off = "off",
        /// Errors: entries were lost.
        Error = "error",
        /// Warnings too.
        Warn = "warn",
        /// Whatever is of interest to operators.
        Info = "info",
    }
}

pub(super) fn read(table: Option<Table<'_>>) -> DeliveryConfig {
    let mut delivery = DeliveryConfig::default();
    let Some(mut table) = table else { return delivery };
    delivery.rate_limit = table.key("rate_limit").and_then(|node| read_rate(&node));
    let wait = |node: Node<'_>| node.time_or_off(LEAST_WAIT, "30s");
    if let Some(node) = table.key("longest_wait") {
        match wait(node.clone()) {
            Some(Some(wait)) => delivery.longest_wait = wait,
            Some(None) => node.wrong(node.found(), "a time of at least 1s, such as \"30s\"", None),
            None => {}
        }
    }
    let allowed = format!("a text of at most {MAX_LABEL} bytes");
    if let Some(node) = table.key("label")
        && let Some(label) = node.string(&allowed)
    {
        if label.len() > MAX_LABEL {
            node.wrong(format!("{} bytes", label.len()), allowed, None);
        }
        delivery.label = label.to_owned();
    }
    set(&mut delivery.state, table.key("state").and_then(|node| node.choice()));
    set(&mut delivery.relay, table.key("relay").and_then(|node| node.choice()));
    table.finish(super::load::HOMES);
    delivery
}
