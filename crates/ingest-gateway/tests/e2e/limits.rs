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

/// Ends as an end of file that says "all is durable" (true), or as a reset.
fn sent(library: &Library, lines: std::ops::Range<usize>) -> bool {
    let lines = lines.map(|n| format!("full.tcp.a.name.of.the.usual.length {n} 1700000000\n"));
    match send(library.address("graphite"), lines.collect::<String>().as_bytes()) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
            false
        }
    }
}

#[test]
fn a_full_log_can_drop_what_arrives_and_says_so_to_whoever_sent_it() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::closed();
    let log = format!("{SMALL}\non_full = \"drop-newest\"");
    let library = Library::start(dir.path(), &log, Some(gate.clone()));
    let mut dropped = 0;
    let mut acknowledged = 0;
    let mut lines = 0;
    while dropped < 5 {
        if sent(&library, lines..lines + 500) {
            acknowledged += 500
        } else {
            dropped += 1
        }
        lines += 500;
    }
    let status = library.status();
    let totals = library.totals("graphite");
    assert_eq!(totals.received_items, lines as u64);
    assert_eq!(
        (totals.dropped, totals.accepted_items),
        (status.log.dropped_newest, status.log.accepted)
    );
    assert!(totals.accepted_items >= acknowledged && totals.dropped > 0, "{totals:?}");
    assert!(status.log.full_episodes >= 1 && status.log.dropped_oldest == 0);
    // What was accepted is delivered, in order; what was dropped never is.
    gate.open();
    until("all is delivered", || (library.status().outputs[0].queued == 0).then_some(()));
    assert_eq!(gate.count() as u64, totals.accepted_items);
    until("room", || sent(&library, lines..lines + 1).then_some(()));
    let report = library.stop(Duration::from_secs(10));
    assert!(report.close.outputs[0].lost.is_empty());
}

#[test]
fn a_full_log_can_drop_what_is_oldest_and_the_output_counts_it() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::closed();
    let log = format!("{SMALL}\non_full = \"drop-oldest\"");
    let library = Library::start(dir.path(), &log, Some(gate.clone()));
    let mut lines = 0;
    while library.status().log.dropped_oldest < 5_000 {
        assert!(sent(&library, lines..lines + 500), "nobody is held back or refused");
        lines += 500;
    }
    gate.open();
    until("all is delivered", || (library.status().outputs[0].queued == 0).then_some(()));
    let status = library.status();
    let totals = library.totals("graphite");
    assert_eq!((totals.accepted_items, totals.dropped), (lines as u64, 0));
    let lost = status.outputs[0].lost["dropped"];
    assert_eq!(status.outputs[0].confirmed + lost, lines as u64);
    assert!(lost >= 4_000 && lost <= status.log.dropped_oldest, "{lost} {:#?}", status.log);
    // One gap: what was dropped. A lease that had been read before it may lie in front of it.
    let number = |data: &String| data.split(' ').nth(1).unwrap().parse::<usize>().unwrap();
    let got: Vec<usize> = gate.got().iter().map(number).collect();
    assert_eq!(got.last(), Some(&(lines - 1)));
    let before = (0..).zip(&got).take_while(|(n, got)| n == *got).count();
    assert!(got[before..].iter().copied().eq(before + lost as usize..lines), "{before} {lost}");
    library.stop(Duration::from_secs(10));
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
