//! Graphite: lines and pickles, by hand and by the sender, and what a decoder says of lines.

use crate::support::{Served, example, said};

#[test]
fn one_line_as_by_nc() {
    let gateway = Served::start();
    let address = gateway.address("lines").to_string();
    let line = said(example("graphite_nc").arg(address).arg("5"), "");
    assert!(line.starts_with("local.test.diceroll 5 "), "{line}");
    // What is told to be sent is what is stored.
    assert_eq!(gateway.stop(), [("lines".to_owned(), line.trim_end().to_owned())]);
}

#[test]
fn a_list_of_tuples_as_pickles() {
    let gateway = Served::start();
    let address = gateway.address("pickles").to_string();
    let out = said(example("graphite_pickle").arg(&address).arg("1200"), "");
    assert_eq!(out, format!("1200 points sent to {address}\n"));
    let stored = gateway.stop();
    assert_eq!(stored.len(), 1200);
    for (number, (tag, data)) in stored.iter().enumerate() {
        let expected = format!("local.test.dice{number}.roll {} ", 1 + number % 6);
        assert!(tag == "pickles" && data.starts_with(&expected), "{number}: {tag} {data}");
    }
}

#[test]
fn a_sender_takes_lines_and_sends_either() {
    let gateway = Served::start();
    let input = "a.b 1 1700000000\nno metric\nc;x=1 2.5 1700000001\n";
    for (source, wire) in [("lines", "lines"), ("pickles", "pickle")] {
        let address = gateway.address(source).to_string();
        let out = said(example("graphite_send").arg(address).arg(wire), input);
        assert_eq!(out, "2 sent, 1 refused, over 1 connections\n", "{wire}");
    }
    let mut stored = gateway.stop();
    stored.sort();
    let points = ["a.b 1 1700000000", "c;x=1 2.5 1700000001"];
    let all = |tag: &str| points.map(|point| (tag.to_owned(), point.to_owned()));
    assert_eq!(stored, [all("lines"), all("pickles")].concat());
}

#[test]
fn a_decoder_says_what_lines_are() {
    let input = "cpu.load 0.5 1700000000\ncpu;host=b;dc=a 1e3 -1\nno value here\n";
    let out = said(&mut example("graphite_lines"), input);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], "cpu.load: 0.5 at 1700000000");
    assert!(lines[1].starts_with("cpu;dc=a;host=b: 1000 at "), "{out}");
    assert!(
        lines[2].starts_with("refused, at byte ") && lines[2].ends_with(": no value here"),
        "{out}"
    );
    assert_eq!(lines[3..], ["2 metrics, 1 refused"]);
}
