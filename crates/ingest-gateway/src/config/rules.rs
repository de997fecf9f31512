//! `[[rules]]`.

use ingest_entry::TagPattern;

use super::choice::{Choice as _, choice, one_of};
use super::walk::Node;
use crate::suggest::nearest;

const TAGS: &str = "an array of tag names such as [\"app-*\", \"graphite\"]";
const TAG_PATTERN: &str =
    "a tag name of letters, digits and # + - ? @ _, a trailing * for any ending";
const SOURCES: &str = "an array of names of sources such as [\"graphite\"]";
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
        let name =
            table.key("name").and_then(|node| Some((node.string("a string")?.to_owned(), node)));
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
        let mut rule = RuleConfig {
            name: format!("rule {}", index + 1),
            sources: Vec::new(),
            tags: Vec::new(),
            contains,
            action,
            one_in,
        };
        if let Some((name, node)) = name {
            if rules.iter().any(|rule| rule.name == name) {
                node.wrong(node.found(), "a name of its own", None);
            }
            rule.name = name;
        }
        for (text, node) in tags.unwrap_or_default() {
            match text.parse() {
                Ok(pattern) => rule.tags.push(pattern),
                Err(_) => node.wrong(node.found(), TAG_PATTERN, None),
            }
        }
        for (name, node) in of.unwrap_or_default() {
            if sources.contains(&name) {
                rule.sources.push(name);
            } else {
                let names = || sources.iter().map(String::as_str);
                let meant = nearest(&name, names()).map(str::to_owned);
                let found = format!("{}, which is no source", node.found());
                node.dangling(found, one_of(names()), meant);
            }
        }
        rules.push(rule);
    }
    rules
}
