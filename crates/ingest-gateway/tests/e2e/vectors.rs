//! The lines that the real Graphite programs were asked about, through the whole gateway: none
//! harms its neighbours or its connection, each that is refused is counted for one reason.
//!
//! The directory is that of the environment variable `INGESTRY_VECTORS`, else the project's own
//! `testdata/vectors`.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use graphite_proto::{Event, LineDecoder, Options, RejectReason, Timestamp};
use serde_json::Value;

use crate::folder::folder;
use crate::support::client::{acknowledged, connect, send, source_row, status};
use crate::support::library::Library;
use crate::support::process::{ANY_PORTS, Ingestry};
use crate::support::stored::lines;
use crate::support::wait::{DEADLINE, until};

/// Stands for the time of arrival in what is expected.
const ARRIVAL: Timestamp = Timestamp::from_seconds(987_654_321);

fn file() -> PathBuf {
    folder("graphite").join("plaintext.jsonl")
}

/// The inputs, each ended by a line feed; nothing when there is no such file.
fn inputs() -> Vec<Vec<u8>> {
    let Ok(text) = std::fs::read_to_string(file()) else {
        println!("{}: absent", file().display());
        return Vec::new();
    };
    let rows = text.lines().filter(|line| !line.trim().is_empty());
    let inputs: Vec<Vec<u8>> = rows
        .map(|row| {
            let row: Value = serde_json::from_str(row).unwrap();
            let hex = row["input_hex"].as_str().unwrap().as_bytes().chunks(2);
            let mut input: Vec<u8> = hex
                .map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap())
                .collect();
            if input.last() != Some(&b'\n') {
                input.push(b'\n');
            }
            input
        })
        .collect();
    assert!(!inputs.is_empty(), "{} holds no row", file().display());
    inputs
}

/// What has to become of an input.
#[derive(Debug)]
struct Expected {
    accepted: Vec<String>,
    /// By place in the list of reasons.
    refused: Vec<u64>,
}

fn expected(input: &[u8]) -> Expected {
    let mut expected = Expected { accepted: vec![], refused: vec![0; RejectReason::ALL.len()] };
    let mut sink = |event: Event<'_>| match event {
        Event::Metric(metric) => {
            let mut data = Vec::new();
            metric.write_canonical(&mut data);
            expected.accepted.push(String::from_utf8(data).unwrap());
        }
        Event::Rejected(rejected) => expected.refused[rejected.reason.index()] += 1,
        _ => {}
    };
    let mut decoder = LineDecoder::new(Options::default());
    decoder.push(input, ARRIVAL, &mut sink);
    decoder.finish(ARRIVAL, &mut sink);
    expected
}

/// Lines that are more than blanks.
fn lines_in(input: &[u8]) -> usize {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | 0x0B | 0x0C);
    input.split(|byte| *byte == b'\n').filter(|line| !line.iter().all(blank)).count()
}

/// The line that stands before or behind an input.
fn good(what: &str, row: usize) -> String {
    format!("vector.{what}.{row} {row} 1700000000")
}

/// Whether data is what was expected, where the time of arrival stands for itself.
fn is_same(found: &str, expected: &str) -> bool {
    let arrival = ARRIVAL.seconds.to_string();
    match expected.strip_suffix(&arrival) {
        Some(begin) => found.strip_prefix(begin).is_some_and(|time| time.parse::<u64>().is_ok()),
        None => found == expected,
    }
}

#[test]
fn no_line_harms_its_neighbours_and_each_refusal_is_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::start(dir.path(), "", None);
    let mut all = Vec::new();
    for (row, input) in inputs().iter().enumerate() {
        let expected = expected(input);
        let refused: u64 = expected.refused.iter().sum();
        assert_eq!(lines_in(input), expected.accepted.len() + refused as usize, "row {row}");
        let before = library.totals("graphite");
        let (first, last) = (good("before", row), good("behind", row));
        let mut stream = connect(library.address("graphite")).unwrap();
        let text = [first.as_bytes(), b"\n", input, last.as_bytes(), b"\n"].concat();
        stream.write_all(&text).unwrap();
        let items = lines_in(&text) as u64;
        until("all lines are seen", || {
            let now = library.totals("graphite");
            (now.received_items - before.received_items >= items).then_some(())
        });
        // Nothing of it has ended the connection: its end comes after ours.
        stream.set_nonblocking(true).unwrap();
        let seen = stream.read(&mut [0; 16]).map_err(|error| error.kind());
        assert_eq!(seen, Err(io::ErrorKind::WouldBlock), "row {row}");
        stream.set_nonblocking(false).unwrap();
        acknowledged(stream).unwrap();

        let now = library.totals("graphite");
        assert_eq!(now.received_items - before.received_items, items, "row {row}");
        let accepted = now.accepted_items - before.accepted_items;
        assert_eq!(accepted, expected.accepted.len() as u64 + 2, "row {row}");
        let difference: Vec<u64> =
            now.refused.iter().zip(&before.refused).map(|(now, before)| now - before).collect();
        let (protocol, ours) = difference.split_at(RejectReason::ALL.len());
        assert_eq!(protocol, expected.refused, "row {row}");
        assert_eq!(ours.iter().sum::<u64>(), 0, "row {row}: {ours:?}");
        all.push(first);
        all.extend(expected.accepted);
        all.push(last);
    }
    let found = lines(dir.path(), "");
    for (found, expected) in found.iter().zip(&all) {
        assert!(is_same(found, expected), "found {found:?}, expected {expected:?}");
    }
    assert_eq!(found.len(), all.len());
    println!("{} rows", inputs().len());
    library.stop(DEADLINE);
}

#[test]
fn each_reason_is_in_the_log_and_in_the_status() {
    let work = tempfile::tempdir().unwrap();
    let ingestry = Ingestry::start(work.path(), &ANY_PORTS);
    let mut refused = vec![0; RejectReason::ALL.len()];
    let mut accepted = 0;
    for input in inputs() {
        send(ingestry.address("graphite"), &input).unwrap();
        let expected = expected(&input);
        accepted += expected.accepted.len();
        for (sum, more) in refused.iter_mut().zip(expected.refused) {
            *sum += more;
        }
    }
    let row = source_row(&status(ingestry.address("admin")), "graphite");
    assert_eq!(row["accepted"]["items"], accepted);
    let log = ingestry.err();
    let mut seen = BTreeSet::new();
    for (reason, count) in RejectReason::ALL.iter().zip(&refused) {
        assert_eq!(row["rejected"][reason.as_str()], *count, "{reason}");
        let said = log.contains(&format!("reason=\"{}\"", reason.as_str()));
        assert_eq!(said, *count > 0, "{}: {count} refused", reason.as_str());
        if *count > 0 {
            seen.insert(reason.as_str());
        }
    }
    println!("reasons: {seen:?}");
    ingestry.stop();
}
