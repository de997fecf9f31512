//! `[sources.NAME]`: names, types and addresses; the settings of each type are beside this file.

use super::amqp;
use super::graphite::{self, GraphiteFormat};
use super::gravwell;
use super::hydra;
use super::kafka;
use super::listen::Listen;
use super::loggregator;
use super::model::{SourceConfig, SourceKind};
use super::values::quoted;
use super::walk::{Node, Table};
use crate::units::Network;

const KINDS: &[&str] = &[
    "graphite",
    "graphite-udp",
    "graphite-unix",
    "graphite-pickle",
    "graphite-protobuf",
    "gravwell",
    "hydra",
    "loggregator",
    "amqp",
    "kafka",
];

/// Most addresses and networks in a list.
const MAX_NETWORKS: usize = 1024;
const NETWORKS: &str = "an array of addresses and networks such as [\"10.0.0.0/8\", \"::1\"]";

/// Names that mean something else where listeners are named.
const RESERVED: &[&str] = &["admin"];

/// A source with the places that later checks point at.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) config: SourceConfig,
    /// The table.
    pub(super) node: Node<'a>,
    /// Where it listens.
    pub(super) listen: Listen<'a>,
    /// The tag, where the file names one.
    pub(super) tag: Option<Node<'a>>,
    /// The read-ahead, where the file names one.
    pub(super) read_ahead: Option<Node<'a>>,
}

pub(super) fn read<'a>(table: &Table<'a>) -> Vec<Source<'a>> {
    let mut sources = Vec::new();
    for (name, node) in table.entries() {
        let Some(mut table) = node.table() else { continue };
        check_name(&table.node, name, RESERVED);
        let kinds = super::choice::one_of(KINDS.iter().copied());
        let kind = table.required("type", &kinds).and_then(|node| node.kind(KINDS));
        let mut source = Source {
            config: SourceConfig {
                name: name.to_owned(),
                allow: Vec::new(),
                kind: SourceKind::Graphite(Box::default()),
            },
            node: table.node.clone(),
            listen: Listen::DEFAULT,
            tag: None,
            read_ahead: None,
        };
        match kind {
            Some("graphite") => {
                graphite::read_tcp(GraphiteFormat::Lines, &mut table, &mut source);
            }
            Some("graphite-pickle") => {
                graphite::read_tcp(GraphiteFormat::Pickle, &mut table, &mut source);
            }
            Some("graphite-protobuf") => {
                graphite::read_tcp(GraphiteFormat::Protobuf, &mut table, &mut source);
            }
            Some("graphite-udp") => graphite::read_udp(&mut table, &mut source),
            Some("graphite-unix") => graphite::read_unix(&mut table, &mut source),
            Some("gravwell") => gravwell::read_source(&mut table, &mut source),
            Some("hydra") => hydra::read_source(&mut table, &mut source),
            Some("amqp") => amqp::read_source(&mut table, &mut source),
            Some("kafka") => kafka::read_source(&mut table, &mut source),
            Some("loggregator") => loggregator::read_source(&mut table, &mut source),
            // Which keys are known depends on the type.
            _ => {
                table.finish_without("type");
                continue;
            }
        }
        if source.config.listen().is_some() {
            let allow = table.key("allow").and_then(|node| networks(&node));
            source.config.allow = allow.unwrap_or_default();
        }
        let keeps = |kind: &str| kind.starts_with("graphite") || matches!(kind, "amqp" | "kafka");
        if !kind.is_some_and(keeps) {
            refuse_later_keys(&mut table);
        }
        table.finish(super::load::HOMES);
        sources.push(source);
    }
    sources
}

/// Addresses and networks.
pub(super) fn networks(node: &Node<'_>) -> Option<Vec<Network>> {
    let texts = node.strings(NETWORKS)?;
    if texts.len() > MAX_NETWORKS {
        node.wrong(format!("{} of them", texts.len()), format!("at most {MAX_NETWORKS}"), None);
        return None;
    }
    let mut networks = Vec::with_capacity(texts.len());
    let mut complete = true;
    for (text, node) in texts {
        match text.parse() {
            Ok(network) => networks.push(network),
            Err(_) => {
                node.wrong(node.found(), NETWORKS, None);
                complete = false;
            }
        }
    }
    complete.then_some(networks)
}

/// Keys that are described but not yet part of this program say so, instead of "unknown".
fn refuse_later_keys(table: &mut Table<'_>) {
    if let Some(node) = table.refused("rejects") {
        let found = "a key that is not in this build of ingestry".to_owned();
        node.at_key(found, "a configuration without it");
    }
}

/// Names stand in labels, in `NAME=ADDR` and in paths of keys.
pub(super) fn check_name(node: &Node<'_>, name: &str, reserved: &[&str]) {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !(1..=64).contains(&name.len()) || !name.bytes().all(letter) {
        let allowed = "a name of 1 to 64 letters, digits, - and _";
        node.at_key(format!("the name {}", quoted(name)), allowed);
    } else if reserved.contains(&name) {
        node.at_key(format!("the name \"{name}\""), "any other name: this one is reserved");
    }
}
