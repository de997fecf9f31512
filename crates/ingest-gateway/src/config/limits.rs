//! `[[limits]]`.

use ingest_entry::TagPattern;
use ingest_mux::Rate;

use super::choice::choice;
use super::outflow::read_rate;
use super::patterns::{self, SOURCES};
use super::values::set;
use super::walk::Node;

const MOST: u64 = 1_000_000_000;

choice! {
    /// What happens to entries beyond a limit.
    OnLimit {
        /// They are taken, and who sends them is read more slowly.
        #[default]
        Block = "block",
        /// They are dropped, and counted.
        Drop = "drop",
    }
}

choice! {
    /// What a limit is for each of.
    LimitPer {
        /// Everything that it fits, together.
        #[default]
        All = "all",
        /// Each source by itself.
        Source = "source",
        /// Each tag by itself.
        Tag = "tag",
    }
}

/// `[[limits]]`: how much of what comes in is taken in a second. Every limit that fits an entry counts
/// it, in order, until one drops it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitConfig {
    /// What it is called where it is counted.
    pub name: String,
    /// The sources whose entries it is for. None: of all.
    pub sources: Vec<String>,
    /// The tags that it is for. None: for all.
    pub tags: Vec<TagPattern>,
    /// What it is for each of.
    pub per: LimitPer,
    /// Entries a second. `None`: any number.
    pub entries: Option<u64>,
    /// Bytes a second, of entries as they are stored: 34 and their data and values. `None`: any.
    pub bytes: Option<Rate>,
    /// What happens beyond.
    pub on_limit: OnLimit,
}

/// Reads the limits; `sources` are the names that they may be for.
pub(super) fn read(node: &Node<'_>, sources: &[String]) -> Vec<LimitConfig> {
    let mut limits: Vec<LimitConfig> = Vec::new();
    let tables = node.array("an array of tables, each written as [[limits]]").unwrap_or_default();
    for (index, element) in tables.into_iter().enumerate() {
        let Some(mut table) = element.table() else { continue };
        let taken = |name: &str| limits.iter().any(|limit| limit.name == name);
        let name = patterns::own_name(&mut table, taken);
        let tags = table.key("tags").and_then(|node| node.strings(patterns::TAGS));
        let of = table.key("sources").and_then(|node| node.strings(SOURCES));
        let (mut per, mut on_limit) = (LimitPer::default(), OnLimit::default());
        set(&mut per, table.key("per").and_then(|node| node.choice()));
        let (entries, bytes) = (table.key("entries"), table.key("bytes"));
        if entries.is_none() && bytes.is_none() {
            table.required("entries", "a number of entries a second here, or \"bytes\"");
        }
        let entries = entries.and_then(|node| node.count(1, MOST)).map(|count| count as u64);
        let bytes = bytes.and_then(|node| read_rate(&node));
        set(&mut on_limit, table.key("on_limit").and_then(|node| node.choice()));
        table.finish(&[]);
        limits.push(LimitConfig {
            name: name.unwrap_or_else(|| format!("limit {}", index + 1)),
            sources: patterns::known(of, sources, "source"),
            tags: patterns::read(tags),
            per,
            entries,
            bytes,
            on_limit,
        });
    }
    limits
}
