//! Graphite's pickles and protobuf messages: the same entries as lines, and what becomes of bad frames.

use std::io::{Read as _, Write as _};

use graphite_proto::pickle::PickleEncoder;
use graphite_proto::protobuf::ProtobufEncoder;
use graphite_proto::{Metric, Timestamp};

use crate::support::client::{connect, send};
use crate::support::library::Library;
use crate::support::stored::lines;
use crate::support::wait::DEADLINE;

/// All three ways over TCP, on any ports.
const SOURCES: &str = r#"
[admin]
enabled = false
[sources.lines]
type = "graphite"
listen = "127.0.0.1:0"
[sources.pickle]
type = "graphite-pickle"
listen = "127.0.0.1:0"
max_frame = "64 KiB"
[sources.protobuf]
type = "graphite-protobuf"
listen = "127.0.0.1:0"
"#;

/// What the Python of Graphite's documentation sends, `struct.pack("!L", len(payload)) + payload` with
/// `payload = pickle.dumps(points, protocol)` of Python 3, for each protocol from 0 to 5.
const PYTHON: [&[u8]; 6] = [
    b"\x00\x00\x00z(lp0\n(Vpy.a\np1\n(I1700000000\nI4\ntp2\ntp3\na(Vpy.b;y=1;x=2\np4\n(I1700000001\nF2.5\ntp5\ntp6\na(Vpy.c\np7\n(I1700000002\nI-3\ntp8\ntp9\na.",
    b"\x00\x00\x00f]q\x00((X\x04\x00\x00\x00py.aq\x01(J\x00\xf1SeK\x04tq\x02tq\x03(X\x0c\x00\x00\x00py.b;y=1;x=2q\x04(J\x01\xf1SeG@\x04\x00\x00\x00\x00\x00\x00tq\x05tq\x06(X\x04\x00\x00\x00py.cq\x07(J\x02\xf1SeJ\xfd\xff\xff\xfftq\x08tq\x09e.",
    b"\x00\x00\x00b\x80\x02]q\x00(X\x04\x00\x00\x00py.aq\x01J\x00\xf1SeK\x04\x86q\x02\x86q\x03X\x0c\x00\x00\x00py.b;y=1;x=2q\x04J\x01\xf1SeG@\x04\x00\x00\x00\x00\x00\x00\x86q\x05\x86q\x06X\x04\x00\x00\x00py.cq\x07J\x02\xf1SeJ\xfd\xff\xff\xff\x86q\x08\x86q\x09e.",
    b"\x00\x00\x00b\x80\x03]q\x00(X\x04\x00\x00\x00py.aq\x01J\x00\xf1SeK\x04\x86q\x02\x86q\x03X\x0c\x00\x00\x00py.b;y=1;x=2q\x04J\x01\xf1SeG@\x04\x00\x00\x00\x00\x00\x00\x86q\x05\x86q\x06X\x04\x00\x00\x00py.cq\x07J\x02\xf1SeJ\xfd\xff\xff\xff\x86q\x08\x86q\x09e.",
    b"\x00\x00\x00X\x80\x04\x95M\x00\x00\x00\x00\x00\x00\x00]\x94(\x8c\x04py.a\x94J\x00\xf1SeK\x04\x86\x94\x86\x94\x8c\x0cpy.b;y=1;x=2\x94J\x01\xf1SeG@\x04\x00\x00\x00\x00\x00\x00\x86\x94\x86\x94\x8c\x04py.c\x94J\x02\xf1SeJ\xfd\xff\xff\xff\x86\x94\x86\x94e.",
    b"\x00\x00\x00X\x80\x05\x95M\x00\x00\x00\x00\x00\x00\x00]\x94(\x8c\x04py.a\x94J\x00\xf1SeK\x04\x86\x94\x86\x94\x8c\x0cpy.b;y=1;x=2\x94J\x01\xf1SeG@\x04\x00\x00\x00\x00\x00\x00\x86\x94\x86\x94\x8c\x04py.c\x94J\x02\xf1SeJ\xfd\xff\xff\xff\x86\x94\x86\x94e.",
];

fn start(dir: &std::path::Path) -> Library {
    Library::with(&format!("[log]\ndir = {dir:?}\n{SOURCES}"), None)
}

#[test]
fn points_of_every_protocol_are_the_same_entries() {
    let dir = tempfile::tempdir().unwrap();
    let library = start(dir.path());
    let expected = ["py.a 4 1700000000", "py.b;x=2;y=1 2.5 1700000001", "py.c -3 1700000002"];
    send(library.address("lines"), (expected.join("\n") + "\n").as_bytes()).unwrap();
    let mut sent = 1;
    for frame in PYTHON {
        send(library.address("pickle"), frame).unwrap();
        sent += 1;
        assert_eq!(lines(dir.path(), "py."), expected.repeat(sent));
    }
    let mut stream = Vec::new();
    let mut encoder = ProtobufEncoder::default();
    for (path, value, seconds) in [("py.a", 4.0, 0), ("py.b;y=1;x=2", 2.5, 1), ("py.c", -3.0, 2)] {
        let metric = Metric::new(path, value, Timestamp::from_seconds(1_700_000_000 + seconds));
        encoder.push(&metric.as_ref(), &mut stream).unwrap();
    }
    encoder.flush(&mut stream);
    send(library.address("protobuf"), &stream).unwrap();
    assert_eq!(lines(dir.path(), "py."), expected.repeat(sent + 1));
    assert_eq!(library.totals("pickle").accepted_items, 18);
    library.stop(DEADLINE);
}

#[test]
fn a_bad_frame_costs_itself() {
    let dir = tempfile::tempdir().unwrap();
    let library = start(dir.path());
    let hostile = b"\0\0\0\x17cos\nsystem\n(S'true'\ntR.";
    send(library.address("pickle"), &[PYTHON[2], hostile, PYTHON[4]].concat()).unwrap();
    assert_eq!(lines(dir.path(), "py.").len(), 6);
    let totals = library.totals("pickle");
    assert_eq!((totals.received_items, totals.accepted_items), (7, 6));
    library.stop(DEADLINE);
}

#[test]
fn a_frame_that_is_too_long_ends_its_connection() {
    let dir = tempfile::tempdir().unwrap();
    let library = start(dir.path());
    // What came before is kept. Plaintext on this port is a very long frame.
    let mut stream = connect(library.address("pickle")).unwrap();
    stream.write_all(PYTHON[2]).unwrap();
    stream.write_all(b"local.test.diceroll 4 1700000000\n").unwrap();
    let ended = stream.read(&mut [0; 16]);
    assert!(ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
    crate::support::wait::until("the points", || {
        (lines(dir.path(), "py.").len() == 3).then_some(())
    });
    let large = vec!["x".repeat(1000); 200];
    let mut encoder = PickleEncoder::new(50);
    let mut frames = Vec::new();
    for path in &large {
        let metric = Metric::new(path, 1.0, Timestamp::from_seconds(5));
        encoder.push(&metric.as_ref(), &mut frames).unwrap();
    }
    send(library.address("pickle"), &frames).unwrap();
    assert_eq!(lines(dir.path(), "xxx").len(), 200);
    library.stop(DEADLINE);
}
