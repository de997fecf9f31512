//! Reads the settings of sources of Graphite points.

use std::time::Duration;

use super::model::{
    GraphiteFormat, GraphiteLines, GraphiteSource, GraphiteUdpSource, GraphiteUnixSource, OverRate,
    UnixSocket,
};
use crate::config::listen;
use crate::config::model::SourceKind;
use crate::config::sources::{Source, networks};
use crate::config::template;
use crate::config::tls::read_server;
use crate::config::values::{Sizes, set};
use crate::config::walk::{Node, Table};
use crate::template::Known;

const MAX_LINE: Sizes = Sizes { least: 256, most: Some(16 << 20), example: "16 KiB" };
const MAX_FRAME: Sizes = Sizes { least: 1 << 10, most: Some(64 << 20), example: "1 MiB" };
const MAX_DATAGRAM_LINE: Sizes = Sizes { least: 256, most: Some(65_535), example: "16 KiB" };
const READ_AHEAD: Sizes = Sizes { least: 64 << 10, most: None, example: "4 MiB" };
const RECEIVE_BUFFER: Sizes = Sizes { least: 4 << 10, most: Some(1 << 30), example: "4 MiB" };
/// What templates can be made of.
const POINT: &[Known] = &[Known::Path, Known::PathPart, Known::Tag];
const LEAST_IDLE: Duration = Duration::from_millis(100);
const LEAST_BOUND: Duration = Duration::from_secs(1);

/// `type = "graphite"`, `"graphite-pickle"` and `"graphite-protobuf"`.
pub(in crate::config) fn read_tcp<'a>(
    format: GraphiteFormat,
    table: &mut Table<'a>,
    source: &mut Source<'a>,
) {
    let mut graphite = GraphiteSource::new(format);
    graphite.tls = read_server(table);
    graphite.allow_public = graphite.tls.is_some();
    source.listen = listen::read(table, &mut graphite.listen, &mut graphite.allow_public);
    read_lines(table, source, &mut graphite.lines, POINT);
    read_stream(table, source, &mut graphite);
    set(&mut graphite.proxies, table.key("proxies").and_then(|node| networks(&node)));
    source.config.kind = SourceKind::Graphite(Box::new(graphite));
}

/// `type = "graphite-unix"`.
pub(in crate::config) fn read_unix<'a>(table: &mut Table<'a>, source: &mut Source<'a>) {
    let path = table.required("path", "the path of a unix socket").and_then(|node| node.path());
    let mut stream = GraphiteSource::default();
    let mut socket = UnixSocket::default();
    set(&mut socket, table.key("socket").and_then(|node| node.choice()));
    read_lines(table, source, &mut stream.lines, POINT);
    match socket {
        UnixSocket::Datagram => {
            read_length(table, "max_line", MAX_DATAGRAM_LINE, &mut stream.lines.max_line);
        }
        UnixSocket::Stream => read_stream(table, source, &mut stream),
    }
    let unix = GraphiteUnixSource { path: path.unwrap_or_default(), socket, stream };
    source.config.kind = SourceKind::GraphiteUnix(Box::new(unix));
}

/// The keys that everything with connections has.
fn read_stream<'a>(table: &mut Table<'a>, source: &mut Source<'a>, graphite: &mut GraphiteSource) {
    let longest = match graphite.format {
        GraphiteFormat::Lines => {
            read_length(table, "max_line", MAX_LINE, &mut graphite.lines.max_line)
        }
        GraphiteFormat::Pickle | GraphiteFormat::Protobuf => {
            read_length(table, "max_frame", MAX_FRAME, &mut graphite.max_frame)
        }
    };
    source.read_ahead = table.key("read_ahead");
    let read_ahead = source.read_ahead.as_ref().and_then(|node| node.size(READ_AHEAD));
    set(&mut graphite.read_ahead, read_ahead);
    let known = source.read_ahead.is_none() || read_ahead.is_some();
    if let Some((node, length)) = longest
        && known
        && length as u64 > graphite.read_ahead
    {
        let most = crate::units::format_size(graphite.read_ahead);
        node.wrong(node.found(), format!("at most read_ahead, which is {most}"), None);
    }
    let connections = table.key("max_connections").and_then(|node| node.count(1, 1_000_000));
    set(&mut graphite.max_connections, connections);
    let idle = |node: Node<'_>| node.time_or_off(LEAST_IDLE, "2m");
    set(&mut graphite.idle_timeout, table.key("idle_timeout").and_then(idle));
    set(&mut graphite.compression, table.key("compression").and_then(|node| node.choice()));
    let rate = table.key("max_rate");
    let count = rate.as_ref().and_then(|node| node.count(1, 1_000_000_000));
    graphite.max_rate = count.map(|count| count as u64);
    let over = table.key("over_rate");
    if let (Some(node), None) = (&over, &rate) {
        node.wrong(node.found(), "a \"max_rate\" beside it", None);
    }
    set::<OverRate>(&mut graphite.over_rate, over.and_then(|node| node.choice()));
}

/// `type = "graphite-udp"`.
pub(in crate::config) fn read_udp<'a>(table: &mut Table<'a>, source: &mut Source<'a>) {
    let mut graphite = GraphiteUdpSource::default();
    source.listen = listen::read(table, &mut graphite.listen, &mut graphite.allow_public);
    read_lines(table, source, &mut graphite.lines, POINT);
    read_length(table, "max_line", MAX_DATAGRAM_LINE, &mut graphite.lines.max_line);
    let buffer = table.key("receive_buffer").and_then(|node| node.size(RECEIVE_BUFFER));
    set(&mut graphite.receive_buffer, buffer);
    source.config.kind = SourceKind::GraphiteUdp(graphite);
}

/// The keys that all have.
pub(in crate::config) fn read_lines<'a>(
    table: &mut Table<'a>,
    source: &mut Source<'a>,
    lines: &mut GraphiteLines,
    known: &[Known],
) {
    let (named, plain) = (&mut source.tag, &mut lines.tag);
    lines.template = template::read_with_bound(table, named, plain, known);
    set(&mut lines.values, table.key("values").and_then(|node| node.choice()));
    set(&mut lines.profile, table.key("profile").and_then(|node| node.choice()));
    set(&mut lines.tagged, table.key("tagged").and_then(|node| node.choice()));
    set(&mut lines.bad_tags, table.key("bad_tags").and_then(|node| node.choice()));
    set(&mut lines.infinity, table.key("infinity").and_then(|node| node.choice()));
    set(&mut lines.fraction, table.key("fraction").and_then(|node| node.boolean()));
    let bound = |node: Node<'_>| node.time_or_off(LEAST_BOUND, "1d");
    set(&mut lines.max_past, table.key("max_past").and_then(bound));
    set(&mut lines.max_future, table.key("max_future").and_then(bound));
    lines.rejects = table.key("rejects").as_ref().and_then(Node::tag);
}

/// A length; where it is named and fine by itself, its place and what it is.
fn read_length<'a>(
    table: &mut Table<'a>,
    key: &'static str,
    sizes: Sizes,
    to: &mut usize,
) -> Option<(Node<'a>, usize)> {
    let node = table.key(key)?;
    let length = usize::try_from(node.size(sizes)?).ok()?;
    *to = length;
    Some((node, length))
}
