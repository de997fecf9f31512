//! Reads the settings of the Hydra protocol.

use std::time::Duration;

use super::model::HydraSource;
use crate::config::kafka;
use crate::config::listen;
use crate::config::model::SourceKind;
use crate::config::sources::Source;
use crate::config::template;
use crate::config::tls::read_server;
use crate::config::values::{Sizes, set};
use crate::config::walk::{Node, Table};
use crate::template::Known;

const MAX_MESSAGE: Sizes = Sizes { least: 1 << 10, most: Some(64 << 20), example: "1 MiB" };
const READ_AHEAD: Sizes = Sizes { least: 64 << 10, most: None, example: "4 MiB" };
/// What templates can be made of.
const REQUEST: &[Known] = &[Known::Topic, Known::Header];
const LEAST_IDLE: Duration = Duration::from_secs(1);
const LEAST_INGEST: Duration = Duration::from_millis(1);
/// Most hosts, or origins, of a list.
const MAX_LIST: usize = 64;
const LIST: &str = "an array of texts";

/// `type = "hydra"`.
pub(in crate::config) fn read_source<'a>(table: &mut Table<'a>, source: &mut Source<'a>) {
    let mut hydra = HydraSource { tls: read_server(table), ..HydraSource::default() };
    let tls = hydra.tls.is_some();
    let token = table.key("token");
    let authenticated = tls || token.is_some();
    hydra.token = token.and_then(|node| node.secret());
    let (address, public) = (&mut hydra.listen, &mut hydra.allow_public);
    source.listen = if authenticated {
        listen::read_authenticated(table, address, public, tls)
    } else {
        listen::read(table, address, public)
    };
    set(&mut hydra.hosts, table.key("hosts").and_then(|node| list(&node)));
    set(&mut hydra.origins, table.key("origins").and_then(|node| list(&node)));
    hydra.template = template::read(table, &mut source.tag, &mut hydra.tag, REQUEST);
    set(&mut hydra.values, table.key("values").and_then(|node| node.choice()));
    set(&mut hydra.dialect, table.key("dialect").and_then(|node| node.choice()));
    set(&mut hydra.compat, table.key("compat").and_then(|node| node.choice()));
    hydra.echo = table.key("echo").and_then(|node| node.choice());
    set(&mut hydra.multiline, table.key("multiline").and_then(|node| node.boolean()));
    set(&mut hydra.max_message, table.key("max_message").and_then(|node| node.size(MAX_MESSAGE)));
    source.read_ahead = table.key("read_ahead");
    let read_ahead = source.read_ahead.as_ref().and_then(|node| node.size(READ_AHEAD));
    set(&mut hydra.read_ahead, read_ahead);
    let connections = table.key("max_connections").and_then(|node| node.count(1, 1_000_000));
    set(&mut hydra.max_connections, connections);
    set(&mut hydra.max_tags, table.key("max_tags").and_then(|node| node.count(1, 65_000)));
    let idle = |node: Node<'_>| node.time_or_off(LEAST_IDLE, "60s");
    set(&mut hydra.idle_timeout, table.key("idle_timeout").and_then(idle));
    let ingest = |node: Node<'_>| node.time_or_off(LEAST_INGEST, "3s");
    if let Some(time) = table.key("ingest_timeout").and_then(ingest) {
        // Never, as far as anybody waits.
        hydra.ingest_timeout = time.unwrap_or(Duration::from_secs(86_400));
    }
    if let Some(mut kafka_table) = table.sub_table("kafka") {
        hydra.kafka = Some(kafka::read_hydra(&mut kafka_table));
        kafka_table.finish(crate::config::load::HOMES);
    }
    source.config.kind = SourceKind::Hydra(Box::new(hydra));
}

fn list(node: &Node<'_>) -> Option<Vec<String>> {
    let texts = node.strings(LIST)?;
    if texts.len() > MAX_LIST {
        node.wrong(format!("{} texts", texts.len()), format!("at most {MAX_LIST}"), None);
        return None;
    }
    Some(texts.into_iter().map(|(text, _)| text).collect())
}
