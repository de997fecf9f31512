//! What rules, routes and limits have in common: patterns of tags, and names of others.

use ingest_entry::TagPattern;

use super::choice::one_of;
use super::walk::{Node, Table};
use crate::suggest::nearest;

pub(super) const TAGS: &str = "an array of tag names such as [\"app-*\", \"graphite\"]";
pub(super) const SOURCES: &str = "an array of names of sources such as [\"graphite\"]";
const TAG_PATTERN: &str =
    "a tag name of letters, digits and # + - ? @ _, a trailing * for any ending";

/// Texts with their places.
type Texts<'a> = Vec<(String, Node<'a>)>;

/// The patterns among texts.
pub(super) fn read(texts: Option<Texts<'_>>) -> Vec<TagPattern> {
    let mut patterns = Vec::new();
    for (text, node) in texts.unwrap_or_default() {
        match text.parse() {
            Ok(pattern) => patterns.push(pattern),
            Err(_) => node.wrong(node.found(), TAG_PATTERN, None),
        }
    }
    patterns
}

/// Whether a name is among those that there are; if not, that is noted. `what`: a source, say.
pub(super) fn is_known(name: &str, node: &Node<'_>, names: &[String], what: &str) -> bool {
    if names.iter().any(|known| known == name) {
        return true;
    }
    let names = || names.iter().map(String::as_str);
    let meant = nearest(name, names()).map(str::to_owned);
    node.dangling(format!("{}, which is no {what}", node.found()), one_of(names()), meant);
    false
}

/// The names among texts that there are.
pub(super) fn known(texts: Option<Texts<'_>>, names: &[String], what: &str) -> Vec<String> {
    let texts = texts.unwrap_or_default().into_iter();
    let known = texts.filter(|(name, node)| is_known(name, node, names, what));
    known.map(|(name, _)| name).collect()
}

/// The `name` of something, which nothing before it may have.
pub(super) fn own_name(table: &mut Table<'_>, taken: impl Fn(&str) -> bool) -> Option<String> {
    let node = table.key("name")?;
    let name = node.string("a string")?.to_owned();
    if taken(&name) {
        node.wrong(node.found(), "a name of its own", None);
    }
    Some(name)
}
