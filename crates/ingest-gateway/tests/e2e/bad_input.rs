//! Whatever arrives: each line is accepted or refused for one reason, and the rest goes on.

use std::io::Write as _;

use graphite_proto::{Event, LineDecoder, Options, Timestamp};

use crate::support::client::{connect, send, send_datagram};
use crate::support::library::Library;
use crate::support::stored::lines;
use crate::support::wait::{DEADLINE, until};

#[test]
fn each_bad_line_costs_itself_only() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::start(dir.path(), "", None);
    let mut input = b"bad.first 1 1700000000\n".to_vec();
    input.extend_from_slice(&[b'x'; 20_000]);
    input.extend_from_slice(b" 1 1700000000\n");
    input.extend_from_slice(b"bad.caf\xe9 1 1700000000\n");
    input.extend_from_slice(b"bad.\0null 1 1700000000\n");
    input.extend_from_slice(b"bad.crlf 2 1700000000\r\n");
    input.extend_from_slice(b"bad four fields 1700000000\n");
    input.extend_from_slice(b"\n \t \r\n\n");
    input.extend_from_slice(b"bad.value one 1700000000\n");
    input.extend_from_slice(b"bad.time 1 now\n");
    input.extend_from_slice(b"bad.last 3 1700000000\n");
    input.extend_from_slice(b"bad.tail 4 1700000000");
    send(library.address("graphite"), &input).unwrap();
    let good = ["bad.first 1 1700000000", "bad.crlf 2 1700000000", "bad.last 3 1700000000"];
    assert_eq!(lines(dir.path(), ""), good);
    let totals = library.totals("graphite");
    assert_eq!(totals.received_bytes, input.len() as u64);
    assert_eq!((totals.received_items, totals.accepted_items), (10, 3));
    for reason in [
        "line_too_long",
        "not_utf8",
        "control_character",
        "field_count",
        "bad_value",
        "bad_timestamp",
        "unterminated",
    ] {
        assert_eq!(library.refused("graphite", reason), 1, "{reason}");
    }

    // A datagram needs no line feed at its end.
    send_datagram(
        library.address("graphite-udp"),
        b"udp.one 1 1700000000\nudp four fields 1700000000\nudp.two 2 1700000000",
    );
    until("the datagram", || (library.totals("graphite-udp").received_items == 3).then_some(()));
    assert_eq!(library.refused("graphite-udp", "field_count"), 1);
    let report = library.stop(DEADLINE);
    assert_eq!(report.stored, 5);
    assert_eq!(lines(dir.path(), "udp."), ["udp.one 1 1700000000", "udp.two 2 1700000000"]);
}

/// Bytes that look like nothing.
fn garbage(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
fn garbage_and_broken_connections_are_survived_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::start(dir.path(), "", None);
    let address = library.address("graphite");
    let garbage = garbage(1 << 20);
    let mut expected = Expected::default();
    expected.decode(&garbage);
    assert!(expected.refused > 3_000, "{expected:?}");
    send(address, &garbage).unwrap();
    let totals = library.totals("graphite");
    assert_eq!(totals.accepted_items, expected.accepted);
    assert_eq!(totals.refused.iter().sum::<u64>(), expected.refused);

    let unterminated = library.refused("graphite", "unterminated");
    for n in 0..200 {
        let mut stream = connect(address).unwrap();
        if n % 2 == 0 {
            stream.write_all(b"half.a.line 1").unwrap();
        }
    }
    let source = library.source("graphite");
    until("the ends of all", || {
        (source.connections_total.get() == 201 && source.connections_open.get() == 0).then_some(())
    });
    assert_eq!(library.refused("graphite", "unterminated"), unterminated + 100);

    send(address, b"still.alive 1 1700000000\n").unwrap();
    assert_eq!(lines(dir.path(), "still.alive").len(), 1);
    let report = library.stop(DEADLINE);
    assert_eq!(report.stored, expected.accepted + 1);
}

/// What the decoder alone makes of some bytes.
#[derive(Debug, Default)]
struct Expected {
    accepted: u64,
    refused: u64,
}

impl Expected {
    fn decode(&mut self, bytes: &[u8]) {
        let mut decoder = LineDecoder::new(Options::default());
        let now = Timestamp::from_seconds(0);
        let mut sink = |event: Event<'_>| match event {
            Event::Metric(_) => self.accepted += 1,
            Event::Rejected(_) => self.refused += 1,
            _ => {}
        };
        decoder.push(bytes, now, &mut sink);
        decoder.finish(now, &mut sink);
    }
}
