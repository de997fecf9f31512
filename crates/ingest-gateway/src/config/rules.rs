//! `[[rules]]`.

use ingest_entry::TagPattern;

use super::choice::{Choice as _, choice, one_of};
use super::patterns::{self, SOURCES, TAGS};
use super::walk::Node;

const MOST: u64 = 1_000_000_000;

choice! {
    /// What becomes of the entries that a rule fits.
    RuleAction {
        /// They are kept, whatever later rules say.
        Keep = "keep",
        /// They are left out.
        #[default]
        Drop = "drop",
        /// One in so many is kept.
        Sample = "sample",
    }
}

/// `[[rules]]`: what is kept of what comes in. The first rule that fits an entry decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleConfig {
    /// What it is called where it is counted.
    pub name: String,
    /// The sources whose entries it is for. None: of all.
    pub sources: Vec<String>,
    /// The tags that it is for. None: for all.
    pub tags: Vec<TagPattern>,
    /// Text that the data has to contain. `None`: whatever it is.
    pub contains: Option<String>,
    /// What becomes of the entries that it fits.
    pub action: RuleAction,
    /// [`RuleAction::Sample`] keeps one in so many, by what is in them: an entry that comes again has
    /// the same fate.
    pub one_in: u64,
}

/// Reads the rules; `sources` are the names that they may be for.
pub(super) fn read(node: &Node<'_>, sources: &[String]) -> Vec<RuleConfig> {
    let mut rules: Vec<RuleConfig> = Vec::new();
    let tables = node.array("an array of tables, each written as [[rules]]").unwrap_or_default();
    for (index, element) in tables.into_iter().enumerate() {
        let Some(mut table) = element.table() else { continue };
        let taken = |name: &str| rules.iter().any(|rule| rule.name == name);
        let name = patterns::own_name(&mut table, taken);
        let tags = table.key("tags").and_then(|node| node.strings(TAGS));
        let of = table.key("sources").and_then(|node| node.strings(SOURCES));
        let contains =
            table.key("contains").and_then(|node| Some(node.string("a string")?.to_owned()));
        let words = one_of(RuleAction::words());
        let action = table.required("action", &words).and_then(|node| node.choice());
        let action = action.unwrap_or_default();
        let one_in = if action == RuleAction::Sample {
            let node = table.required("one_in", "a whole number from 2: one in so many is kept");
            node.and_then(|node| node.count(2, MOST)).map_or(1, |count| count as u64)
        } else {
            if let Some(node) = table.key("one_in") {
                node.wrong(node.found(), "action = \"sample\" beside it", None);
            }
            1
        };
        table.finish(&[]);
        rules.push(RuleConfig {
            name: name.unwrap_or_else(|| format!("rule {}", index + 1)),
            sources: patterns::known(of, sources, "source"),
            tags: patterns::read(tags),
            contains,
            action,
            one_in,
        });
    }
    rules
}
