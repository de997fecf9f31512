//! Reads the settings of the Gravwell protocol.

use std::time::Duration;

use ingest_wire::Target;

use super::model::{Confirm, GravwellDestination, GravwellSource, Policy};
use crate::config::listen;
use crate::config::model::SourceKind;
use crate::config::outflow;
use crate::config::sources::Source;
use crate::config::targets;
use crate::config::tls::{read_client, read_server};
use crate::config::values::{Sizes, set};
use crate::config::walk::{Node, Table};

const READ_AHEAD: Sizes = Sizes { least: 64 << 10, most: None, example: "4 MiB" };
const MAX_ENTRY: Sizes = Sizes { least: 1 << 10, most: Some(256 << 20), example: "16 MiB" };
const LEAST_IDLE: Duration = Duration::from_secs(5);
/// Most targets of a destination.
const MAX_TARGETS: usize = 64;

/// `type = "gravwell"` among the sources.
pub(in crate::config) fn read_source<'a>(table: &mut Table<'a>, source: &mut Source<'a>) {
    let mut gravwell = GravwellSource { tls: read_server(table), ..GravwellSource::default() };
    let tls = gravwell.tls.is_some();
    source.listen =
        listen::read_authenticated(table, &mut gravwell.listen, &mut gravwell.allow_public, tls);
    gravwell.secret = table.key("secret").and_then(|node| node.secret());
    source.read_ahead = table.key("read_ahead");
    let read_ahead = source.read_ahead.as_ref().and_then(|node| node.size(READ_AHEAD));
    set(&mut gravwell.read_ahead, read_ahead);
    let connections = table.key("max_connections").and_then(|node| node.count(1, 1_000_000));
    set(&mut gravwell.max_connections, connections);
    set(&mut gravwell.max_entry, table.key("max_entry").and_then(|node| node.size(MAX_ENTRY)));
    set(&mut gravwell.max_tags, table.key("max_tags").and_then(|node| node.count(1, 65_000)));
    let idle = |node: Node<'_>| node.time_or_off(LEAST_IDLE, "10m");
    set(&mut gravwell.idle_timeout, table.key("idle_timeout").and_then(idle));
    source.config.kind = SourceKind::Gravwell(gravwell);
}

/// `type = "gravwell"` among the destinations.
pub(in crate::config) fn read_destination(table: &mut Table<'_>) -> Option<GravwellDestination> {
    let targets = table.required("targets", TARGETS).and_then(|node| read_targets(&node));
    let mut policy = Policy::default();
    set(&mut policy, table.key("policy").and_then(|node| node.choice()));
    let secret = table
        .required("secret", "\"env:NAME\", \"file:PATH\" or \"literal:TEXT\"")
        .and_then(|node| node.secret());
    let tls = read_client(table);
    let mut compression = false;
    set(&mut compression, table.key("compression").and_then(|node| node.boolean()));
    let tenant = match table.key("tenant") {
        Some(node) => read_tenant(&node)?,
        None => String::new(),
    };
    let mut confirm = Confirm::default();
    set(&mut confirm, table.key("confirm").and_then(|node| node.choice()));
    let min_version = table.key("min_version").and_then(|node| node.count(0, 65_535));
    let min_version = min_version.and_then(|version| version.try_into().ok()).unwrap_or(0);
    let outflow = outflow::read(table);
    Some(GravwellDestination {
        confirm,
        min_version,
        outflow,
        targets: targets?,
        policy,
        secret: secret?,
        tls,
        compression,
        tenant,
    })
}

const TARGETS: &str =
    "an array of targets such as \"tcp://10.0.0.1:4023\", \"tls://HOST\" or \"pipe://PATH\"";

fn read_targets(node: &Node<'_>) -> Option<Vec<Target>> {
    let lacks = |target: &Target| (!has_port(target)).then_some("no port from 1 to 65535");
    targets::read(node, MAX_TARGETS, TARGETS, "each target once", lacks)
}

/// Whether what stands for the port of a target can be one. A pipe has none.
fn has_port(target: &Target) -> bool {
    let (Target::Tcp(address) | Target::Tls(address)) = target else { return true };
    let port = address.rsplit_once(':').map(|(_, port)| port);
    port.and_then(|port| port.parse::<u16>().ok()).is_some_and(|port| port != 0)
}

fn read_tenant(node: &Node<'_>) -> Option<String> {
    let allowed = "a text of 1 to 512 bytes";
    let text = node.string(allowed)?;
    if (1..=512).contains(&text.len()) {
        return Some(text.to_owned());
    }
    node.wrong(node.found(), allowed, None);
    None
}
