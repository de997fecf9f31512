//! How entries go out to a destination: what all that have an output of their own share.

use ingest_mux::Rate;

use super::choice::choice;
use super::values::{Sizes, set};
use super::walk::{Node, Table};
use crate::units::TimeArg;

const MAX_LAG: Sizes = Sizes { least: 1 << 20, most: None, example: "8 GiB" };
const RATE: &str = "a rate such as \"10 Mbit/s\" or \"500 KiB/s\"";
const FROM: &str =
    "\"end\", \"oldest\" or a time: RFC 3339, unix seconds, or a time ago such as -15m";

/// How entries go out to a destination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Outflow {
    /// Where its output begins when it is new.
    pub from: StartAt,
    /// What it may send at most; `None`: without limit.
    pub rate_limit: Option<Rate>,
    /// How many bytes of the log it may be behind while another destination is not; `None`: 80 % of
    /// the log's limit.
    pub max_lag: Option<u64>,
    /// What happens beyond.
    pub on_lag: OnLag,
}

/// Where a new output begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StartAt {
    /// With what is accepted from now on.
    #[default]
    End,
    /// With the oldest entry that is there.
    Oldest,
    /// With what arrived then or later.
    Time(TimeArg),
}

choice! {
    /// What happens when a destination is too far behind while another is not.
    OnLag {
        /// The oldest entries that it is owed are given up for it alone, and counted.
        #[default]
        DropOldest = "drop-oldest",
        /// Nothing is given up: when the log is full, sources wait.
        Block = "block",
    }
}

/// Reads the keys.
pub(super) fn read(table: &mut Table<'_>) -> Outflow {
    let mut outflow = Outflow::default();
    set(&mut outflow.from, table.key("from").and_then(|node| read_from(&node)));
    outflow.rate_limit = table.key("rate_limit").and_then(|node| read_rate(&node));
    outflow.max_lag = table.key("max_lag").and_then(|node| node.size(MAX_LAG));
    set(&mut outflow.on_lag, table.key("on_lag").and_then(|node| node.choice()));
    outflow
}

/// A rate with its unit.
pub(super) fn read_rate(node: &Node<'_>) -> Option<Rate> {
    let read = node.string(RATE)?.parse();
    if read.is_err() {
        node.wrong(node.found(), RATE, None);
    }
    read.ok()
}

fn read_from(node: &Node<'_>) -> Option<StartAt> {
    match node.string(FROM)? {
        "end" => Some(StartAt::End),
        "oldest" => Some(StartAt::Oldest),
        time => match time.parse() {
            Ok(time) => Some(StartAt::Time(time)),
            Err(_) => {
                node.wrong(node.found(), FROM, None);
                None
            }
        },
    }
}
