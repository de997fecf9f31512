//! The same fifty points over every transport: the same entries, byte for byte.

use std::ops::ControlFlow;
use std::path::Path;

use graphite_proto::amqp::{NameIn, decode_message};
use graphite_proto::protobuf::ProtobufEncoder;
use graphite_proto::{Event, LineDecoder, Options, Timestamp};
use ingest_entry::{Source, TagId};
use ingest_gateway::config::GraphiteLines;
use ingest_gateway::map::graphite::{Mapper, decoder_options};
use ingest_store::{Query, Store};

use crate::support::client::{send, send_datagram};
use crate::support::library::Library;
use crate::support::wait::{DEADLINE, until};

/// Lines, and what Python makes of the same points in each of its protocols.
const FIFTY: &str = include_str!("fifty.txt");

const SOURCES: &str = r#"
[admin]
enabled = false
[sources.lines]
type = "graphite"
listen = "127.0.0.1:0"
[sources.udp]
type = "graphite-udp"
listen = "127.0.0.1:0"
[sources.pickle]
type = "graphite-pickle"
listen = "127.0.0.1:0"
[sources.protobuf]
type = "graphite-protobuf"
listen = "127.0.0.1:0"
"#;

/// What of an entry is bytes: all but its arrival and its place.
type Bytes = (i128, String, Vec<u8>, Vec<u8>);

fn stored(dir: &Path) -> Vec<Bytes> {
    let mut query = Query::new();
    query.contains = Some(b"fifty.".to_vec());
    let mut found = Vec::new();
    Store::open(dir)
        .unwrap()
        .search(&query, &mut |hit| {
            assert_eq!(hit.tag_name, "graphite");
            found.push(bytes(&hit.entry));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

fn bytes(entry: &ingest_entry::EntryRef<'_>) -> Bytes {
    let values = entry.values.iter().flat_map(|value| {
        [value.name(), b"=", format!("{:?}", value.value()).as_bytes(), b";"].concat()
    });
    let ts = i128::from(entry.ts.unix_seconds().unwrap()) * 1_000_000_000;
    (
        ts + i128::from(entry.ts.nanos()),
        entry.src.to_string(),
        entry.data.to_vec(),
        values.collect(),
    )
}

fn rows(kind: &str) -> Vec<&'static str> {
    FIFTY.lines().filter_map(|row| row.strip_prefix(kind)?.strip_prefix(' ')).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

#[test]
fn fifty_points_are_the_same_entries_whatever_brings_them() {
    let lines = rows("line");
    assert_eq!(lines.len(), 50);
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    let mut ways: Vec<(String, Vec<Bytes>)> = Vec::new();
    let pickles: Vec<String> = (0..6).map(|protocol| format!("pickle{protocol}")).collect();
    let names = ["lines", "udp", "protobuf"].into_iter().chain(pickles.iter().map(String::as_str));
    for way in names {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::with(&format!("[log]\ndir = {:?}\n{SOURCES}", dir.path()), None);
        match way {
            "lines" => send(library.address("lines"), text.as_bytes()).unwrap(),
            "udp" => {
                lines
                    .iter()
                    .for_each(|line| send_datagram(library.address("udp"), line.as_bytes()));
                until("the datagrams", || (stored(dir.path()).len() == 50).then_some(()));
            }
            "protobuf" => send(library.address("protobuf"), &protobuf(&text)).unwrap(),
            pickle => {
                let row = rows(pickle);
                assert_eq!(row.len(), 1, "{pickle}");
                send(library.address("pickle"), &hex(row[0])).unwrap();
            }
        }
        ways.push((way.to_owned(), stored(dir.path())));
        library.stop(DEADLINE);
    }
    for name in [NameIn::Key, NameIn::Body, NameIn::Auto] {
        ways.push((format!("AMQP, {name:?}"), by_amqp(&lines, name)));
    }
    assert_eq!(ways.len(), 12);
    let (_, expected) = &ways[0];
    assert_eq!(expected.len(), 50);
    for (way, entries) in &ways {
        assert_eq!(entries, expected, "{way}");
    }
}

fn protobuf(text: &str) -> Vec<u8> {
    let (mut encoder, mut stream) = (ProtobufEncoder::default(), Vec::new());
    let mut decoder = LineDecoder::new(Options::default());
    decoder.push(text.as_bytes(), Timestamp::default(), &mut |event| match event {
        Event::Metric(metric) => encoder.push(&metric, &mut stream).unwrap(),
        other => panic!("{other:?}"),
    });
    encoder.flush(&mut stream);
    stream
}

/// What the consumer makes of messages with these bodies, from a broker on this machine.
fn by_amqp(lines: &[&str], name: NameIn) -> Vec<Bytes> {
    let settings = GraphiteLines::default();
    let mut mapper = Mapper::new(&settings, TagId(1));
    let mut entries = Vec::new();
    for line in lines {
        let (path, rest) = line.split_once(' ').unwrap();
        let (key, body) = if name == NameIn::Body { ("any.key", *line) } else { (path, rest) };
        let now = Timestamp::default();
        let options = decoder_options(&settings);
        decode_message(&options, name, key.as_bytes(), body.as_bytes(), now, &mut |event| {
            let Event::Metric(metric) = event else { panic!("{event:?}") };
            let src = Source::from_ip("127.0.0.1".parse().unwrap());
            entries.push(bytes(&mapper.entry(&metric, &src, now).unwrap()));
        });
    }
    entries
}
