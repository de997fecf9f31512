//! The log never grows beyond its limit: who can wait waits, who cannot is counted.

use std::time::Duration;

use crate::support::client::send;
use crate::support::full::{SMALL, blocks_and_goes_on};
use crate::support::gate::Gate;
use crate::support::library::Library;
use crate::support::wait::until;

#[test]
fn a_full_log_holds_clients_back_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::closed();
    let library = Library::start(dir.path(), SMALL, Some(gate.clone()));
    blocks_and_goes_on(&library, &gate, dir.path());
    let report = library.stop(Duration::from_secs(10));
    assert_eq!((report.close.outputs[0].queued, report.close.not_accepted), (0, 0));
}

#[test]
fn a_backlog_is_kept_over_a_restart_and_delivered_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let log = "max_bytes = \"8 MiB\"\nmin_free = 0\nkeep.bytes = 0";
    let gate = Gate::closed();
    let mut expected = Vec::new();
    for run in 0..3 {
        let library = Library::start(dir.path(), log, Some(gate.clone()));
        let lines: Vec<String> =
            (0..2_000).map(|n| format!("backlog.{run} {n} 1700000000")).collect();
        let text = lines.join("\n") + "\n";
        send(library.address("graphite"), text.as_bytes()).unwrap();
        expected.extend(lines);
        if run == 2 {
            gate.open();
        }
        let report = library.stop(Duration::from_secs(if run == 2 { 10 } else { 0 }));
        let queued = if run == 2 { 0 } else { expected.len() as u64 };
        assert_eq!(report.close.outputs[0].queued, queued, "run {run}");
    }
    assert!(gate.got() == expected, "{} of {}", gate.count(), expected.len());
}

#[test]
fn a_destination_that_goes_away_gets_the_rest_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::closed();
    let library = Library::start(dir.path(), SMALL, Some(gate.clone()));
    let lines: Vec<String> = (0..300).map(|n| format!("away {n} 1700000000")).collect();
    let (first, rest) = lines.split_at(100);
    gate.open();
    send(library.address("graphite"), (first.join("\n") + "\n").as_bytes()).unwrap();
    until("the first lines", || (gate.count() == first.len()).then_some(()));
    gate.close();
    until("a break", || (library.status().outputs[0].links[0].attempts > 1).then_some(()));
    send(library.address("graphite"), (rest.join("\n") + "\n").as_bytes()).unwrap();
    assert_eq!(library.status().outputs[0].queued, rest.len() as u64);
    gate.open();
    until("the rest", || (library.status().outputs[0].queued == 0).then_some(()));
    assert_eq!(gate.got(), lines);
    library.stop(Duration::from_secs(10));
}
