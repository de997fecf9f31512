//! Reads the settings of AMQP.

use std::time::Duration;

use super::model::{AmqpBroker, AmqpDestination, AmqpName, AmqpSource};
use crate::config::graphite::read_lines;
use crate::config::model::SourceKind;
use crate::config::sources::Source;
use crate::config::tls::read_client_if_named;
use crate::config::values::set;
use crate::config::walk::{Node, Table};
use crate::template::Known;

/// Bytes of the longest name in the protocol.
const MAX_NAME: usize = 255;
/// What templates can be made of.
const MESSAGE: &[Known] = &[Known::Path, Known::PathPart, Known::Tag, Known::Key, Known::KeyPart];
const LEAST_HEARTBEAT: Duration = Duration::from_secs(1);
/// Most binding patterns.
const MAX_PATTERNS: usize = 1000;

/// `type = "amqp"` among the sources.
pub(in crate::config) fn read_source<'a>(table: &mut Table<'a>, source: &mut Source<'a>) {
    check_build(&table.node);
    let mut amqp = AmqpSource { broker: read_broker(table), ..AmqpSource::default() };
    set(&mut amqp.enabled, table.key("ENABLE_AMQP").and_then(|node| node.boolean()));
    set(&mut amqp.verbose, table.key("AMQP_VERBOSE").and_then(|node| node.boolean()));
    set(&mut amqp.patterns, table.key("BIND_PATTERNS").and_then(|node| read_patterns(&node)));
    let in_body = table.key("AMQP_METRIC_NAME_IN_BODY");
    if in_body.as_ref().and_then(Node::boolean) == Some(true) {
        amqp.name = AmqpName::Body;
    }
    let name = table.key("name");
    if let (Some(_), Some(node)) = (&in_body, &name) {
        node.wrong(node.found(), "one of the two: AMQP_METRIC_NAME_IN_BODY says it too", None);
    }
    set(&mut amqp.name, name.and_then(|node| node.choice()));
    amqp.queue = table.key("queue").and_then(|node| read_name(&node));
    let prefetch = table.key("prefetch").and_then(|node| node.count(1, 65_535));
    set(&mut amqp.prefetch, prefetch.and_then(|count| u16::try_from(count).ok()));
    set(&mut amqp.ack, table.key("ack").and_then(|node| node.choice()));
    read_lines(table, source, &mut amqp.lines, MESSAGE);
    source.config.kind = SourceKind::Amqp(Box::new(amqp));
}

/// `type = "amqp"` among the destinations.
pub(in crate::config) fn read_destination(table: &mut Table<'_>) -> Option<AmqpDestination> {
    check_build(&table.node);
    let mut read = AmqpDestination {
        broker: read_broker(table),
        name: AmqpName::default(),
        routing_key: "graphite".to_owned(),
        lines: 500,
        persistent: true,
    };
    if let Some(node) = table.key("name") {
        match node.choice() {
            Some(AmqpName::Auto) => node.wrong(node.found(), "\"key\" or \"body\"", None),
            name => set(&mut read.name, name),
        }
    }
    set(&mut read.routing_key, table.key("routing_key").and_then(|node| read_name(&node)));
    set(&mut read.lines, table.key("lines").and_then(|node| node.count(1, 10_000)));
    set(&mut read.persistent, table.key("persistent").and_then(|node| node.boolean()));
    Some(read)
}

/// A program without the client says so.
fn check_build(node: &Node<'_>) {
    if !cfg!(feature = "amqp") {
        let found = "type \"amqp\", which is not in this build of ingestry".to_owned();
        node.at_key(found, "a build with the feature \"amqp\" or \"full\"");
    }
}

fn read_broker(table: &mut Table<'_>) -> AmqpBroker {
    let mut broker = AmqpBroker::default();
    set(&mut broker.host, table.key("AMQP_HOST").and_then(|node| read_name(&node)));
    let port = table.key("AMQP_PORT").and_then(|node| node.count(1, 65_535));
    set(&mut broker.port, port.and_then(|port| u16::try_from(port).ok()));
    set(&mut broker.vhost, table.key("AMQP_VHOST").and_then(|node| read_name(&node)));
    set(&mut broker.user, table.key("AMQP_USER").and_then(|node| read_name(&node)));
    broker.password = table.key("AMQP_PASSWORD").and_then(|node| node.secret());
    set(&mut broker.exchange, table.key("AMQP_EXCHANGE").and_then(|node| read_name(&node)));
    set(&mut broker.exchange_type, table.key("exchange_type").and_then(|node| read_name(&node)));
    set(&mut broker.declare, table.key("declare").and_then(|node| node.boolean()));
    set(&mut broker.durable, table.key("durable").and_then(|node| node.boolean()));
    let beat = |node: Node<'_>| node.time_or_off(LEAST_HEARTBEAT, "30s");
    set(&mut broker.heartbeat, table.key("heartbeat").and_then(beat));
    broker.tls = read_client_if_named(table);
    broker
}

fn read_name(node: &Node<'_>) -> Option<String> {
    let allowed = "a text of 1 to 255 bytes";
    let text = node.string(allowed)?;
    if (1..=MAX_NAME).contains(&text.len()) {
        return Some(text.to_owned());
    }
    node.wrong(node.found(), allowed, None);
    None
}

/// A list with commas, as carbon has it.
fn read_patterns(node: &Node<'_>) -> Option<Vec<String>> {
    let allowed = "patterns with commas between them, such as \"servers.#, *.load\"";
    let text = node.string(allowed)?;
    let patterns: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
    let fine = |pattern: &String| (1..=MAX_NAME).contains(&pattern.len());
    if patterns.iter().all(fine) && patterns.len() <= MAX_PATTERNS {
        return Some(patterns);
    }
    node.wrong(node.found(), allowed, None);
    None
}
