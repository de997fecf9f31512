//! Whoever sees the end of file finds everything, at once.

use std::io::Write as _;

use crate::support::client::{acknowledged, connect, send};
use crate::support::library::Library;
use crate::support::stored::lines;
use crate::support::wait::{DEADLINE, until};

const CONNECTIONS: usize = 4;
const LINES: usize = 20_000;

#[test]
fn all_lines_of_all_connections_are_there_at_the_end_of_file() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::start(dir.path(), "", None);
    let address = library.address("graphite");
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let dir = dir.path();
            scope.spawn(move || {
                let sent: Vec<String> =
                    (0..LINES).map(|n| format!("eof.{connection}.x {n} 1700000000")).collect();
                send(address, (sent.join("\n") + "\n").as_bytes()).unwrap();
                let found = lines(dir, &format!("eof.{connection}."));
                assert!(found == sent, "{} of {}", found.len(), sent.len());
            });
        }
    });
    let totals = library.totals("graphite");
    assert_eq!(totals.accepted_items, (CONNECTIONS * LINES) as u64);
    assert_eq!(lines(dir.path(), "").len(), CONNECTIONS * LINES);
    library.stop(DEADLINE);
    assert_eq!(lines(dir.path(), "").len(), CONNECTIONS * LINES);
}

#[test]
fn a_line_is_found_at_its_line_feed() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::start(dir.path(), "", None);
    let mut stream = connect(library.address("graphite")).unwrap();
    stream.write_all(b"open.one 1 1700000000\nopen.two 2 17000").unwrap();
    until("the first line", || lines(dir.path(), "open.one").pop());
    assert_eq!(lines(dir.path(), "open.two"), [""; 0]);
    stream.write_all(b"00000\n").unwrap();
    until("the second line", || lines(dir.path(), "open.two").pop());
    acknowledged(stream).unwrap();
    assert_eq!(lines(dir.path(), "open."), ["open.one 1 1700000000", "open.two 2 1700000000"]);
    library.stop(DEADLINE);
}
