//! A `tag` that is made of what items bring.

use ingest_entry::TagName;

use super::values::{quoted, set};
use super::walk::{Node, Table};
use crate::template::{Known, Template};

/// How many tags a template makes at most, if nothing is said.
pub(super) const MAX_TAGS: usize = 1000;
/// The most that can be said.
pub(super) const MOST_TAGS: u64 = 65_000;

/// A template for tags, and how many it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagTemplate {
    /// What tags are made of.
    pub template: Template,
    /// Different tags at most, in one run; entries beyond them get the plain tag.
    pub max_tags: usize,
}

/// Reads `tag`, and `plain_tag` beside a template. A plain tag goes into `plain`.
pub(super) fn read<'a>(
    table: &mut Table<'a>,
    named: &mut Option<Node<'a>>,
    plain: &mut TagName,
    known: &[Known],
) -> Option<Template> {
    *named = table.key("tag");
    let text = named.as_ref().and_then(Node::template_text);
    let template = match (named.as_ref(), &text) {
        (Some(node), Some(text)) => parse(node, text, known),
        (Some(node), None) => {
            set(plain, node.tag());
            None
        }
        (None, _) => None,
    };
    if let Some(node) = table.key("plain_tag") {
        if text.is_some() {
            set(plain, node.tag());
        } else {
            node.wrong(node.found(), "a \"tag\" beside it that is a template", None);
        }
    }
    template
}

/// As [`read`] with `max_tags`, where nothing else has that key.
pub(super) fn read_with_bound<'a>(
    table: &mut Table<'a>,
    named: &mut Option<Node<'a>>,
    plain: &mut TagName,
    known: &[Known],
) -> Option<TagTemplate> {
    let template = read(table, named, plain, known);
    let mut max_tags = MAX_TAGS;
    if let Some(node) = table.key("max_tags") {
        if named.as_ref().and_then(Node::template_text).is_some() {
            set(&mut max_tags, node.count(1, MOST_TAGS));
        } else {
            node.wrong(node.found(), "a \"tag\" beside it that is a template", None);
        }
    }
    template.map(|template| TagTemplate { template, max_tags })
}

fn parse(node: &Node<'_>, text: &str, known: &[Known]) -> Option<Template> {
    match Template::parse(text, known, TagName::allows) {
        Ok(template) => Some(template),
        Err(error) => {
            let names: Vec<String> =
                known.iter().map(|known| format!("{{{}}}", known.as_str())).collect();
            let allowed = format!(
                "a tag name in which {} stand for what an item brings, with a default as in \
                 {{{}|other}}",
                names.join(", "),
                known.first().map_or("", |known| known.as_str())
            );
            node.wrong(format!("{} ({error})", quoted(text)), allowed, None);
            None
        }
    }
}
