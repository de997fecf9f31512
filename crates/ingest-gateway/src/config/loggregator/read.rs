//! Reads the settings of sources of Loggregator messages.

use ingest_entry::TagName;

use super::model::{
    LoggregatorKind, LoggregatorPer, LoggregatorReads, LoggregatorSource, LoggregatorWhenFull,
};
use crate::config::Choice as _;
use crate::config::choice::one_of;
use crate::config::model::SourceKind;
use crate::config::sources::Source;
use crate::config::template;
use crate::config::tls::read_client;
use crate::config::values::set;
use crate::config::walk::{Node, Table};
use crate::template::Known;

/// Most applications of a source; each has a connection, but for the gateway's.
const MAX_APPS: usize = 1000;
const APPS: &str = "an array of at most 1000 applications' GUIDs";
/// What templates can be made of.
const MESSAGE: &[Known] =
    &[Known::Org, Known::Space, Known::App, Known::AppName, Known::SourceType];
const TOKEN: &str = "\"env:NAME\", \"file:PATH\" or \"literal:TEXT\"";

/// `type = "loggregator"`.
pub(in crate::config) fn read_source<'a>(table: &mut Table<'a>, source: &mut Source<'a>) {
    let mut reads = LoggregatorReads::default();
    set(&mut reads, table.key("read").and_then(|node| node.choice()));
    let endpoint = table
        .required("endpoint", "\"https://HOST\" or \"wss://HOST:PORT\"")
        .and_then(|node| read_endpoint(&node, reads));
    let token = table.required("token", TOKEN).and_then(|node| node.secret());
    let tls = read_client(table);
    let apps_node = table.key("apps");
    let apps = apps_node.as_ref().map_or_else(|| Some(Vec::new()), read_apps);
    if reads != LoggregatorReads::Firehose
        && reads != LoggregatorReads::Gateway
        && apps_node.is_none()
    {
        table.required("apps", APPS);
    }
    let group = table.key("group").and_then(|node| {
        node.string("a text that those who share the envelopes have in common").map(str::to_owned)
    });
    let mut tag = TagName::new("loggregator").ok();
    let mut template = None;
    if let Some(tag) = &mut tag {
        template = template::read(table, &mut source.tag, tag, MESSAGE);
    }
    let tags = table.sub_table("tags").map_or_else(Vec::new, read_tags);
    let app_tags = table.sub_table("app_tags").map_or_else(Vec::new, read_named_tags);
    let org_tags = table.sub_table("org_tags").map_or_else(Vec::new, read_named_tags);
    if let Some(node) = table.key("tag_per") {
        let of = node.choice::<LoggregatorPer>();
        if template.is_some() {
            node.wrong(node.found(), "one of the two: the template in \"tag\" says it too", None);
        } else if let (Some(of), Some(tag)) = (of, &tag) {
            template = of.template(tag);
        }
    }
    let (mut max_tags, mut buffer) = (1000, 10_000);
    set(&mut max_tags, table.key("max_tags").and_then(|node| node.count(1, 65_000)));
    set(&mut buffer, table.key("buffer").and_then(|node| node.count(1, 1_000_000)));
    let mut when_full = LoggregatorWhenFull::default();
    set(&mut when_full, table.key("when_full").and_then(|node| node.choice()));
    if let (Some(endpoint), Some(token), Some(apps), Some(tag)) = (endpoint, token, apps, tag) {
        let loggregator = LoggregatorSource {
            endpoint,
            reads,
            apps,
            group,
            token,
            tls,
            tag,
            tags,
            app_tags,
            org_tags,
            template,
            max_tags,
            buffer,
            when_full,
        };
        source.config.kind = SourceKind::Loggregator(Box::new(loggregator));
    }
}

fn read_endpoint(node: &Node<'_>, reads: LoggregatorReads) -> Option<String> {
    let allowed = match reads {
        LoggregatorReads::Gateway => ["https://", "http://"],
        _ => ["wss://", "ws://"],
    };
    let text = node.string("a URL")?;
    let host = allowed.iter().find_map(|scheme| text.strip_prefix(scheme));
    match host {
        // A token is not sent in clear text over a network.
        Some(host) if text.contains("s://") || is_loopback(host) => Some(text.to_owned()),
        Some(_) => {
            let found = format!("{}, over which the token can be read", node.found());
            node.wrong(found, format!("\"{}…\", or a loopback address", allowed[0]), None);
            None
        }
        None => {
            node.wrong(node.found(), format!("a URL that begins with {}", one_of(allowed)), None);
            None
        }
    }
}

fn is_loopback(host: &str) -> bool {
    ["127.", "[::1]", "localhost"].iter().any(|name| host.starts_with(name))
}

fn read_apps(node: &Node<'_>) -> Option<Vec<String>> {
    let texts = node.strings(APPS)?;
    if texts.is_empty() || texts.len() > MAX_APPS {
        node.wrong(format!("{} applications", texts.len()), APPS, None);
        return None;
    }
    Some(texts.into_iter().map(|(text, _)| text).collect())
}

fn read_named_tags(table: Table<'_>) -> Vec<(String, TagName)> {
    let entries = table.entries().into_iter();
    entries.filter_map(|(name, node)| Some((name.to_owned(), node.tag()?))).collect()
}

fn read_tags(table: Table<'_>) -> Vec<(LoggregatorKind, TagName)> {
    let mut tags = Vec::new();
    for (name, node) in table.entries() {
        match LoggregatorKind::from_word(name) {
            Some(kind) => tags.extend(node.tag().map(|tag| (kind, tag))),
            None => node.at_key(format!("{name:?}"), &one_of(LoggregatorKind::words())),
        }
    }
    tags
}
