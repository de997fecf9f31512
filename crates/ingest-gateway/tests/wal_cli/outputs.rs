//! Outputs are begun again, and forgotten.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::client::send;
use crate::support::gate::Gate;
use crate::support::library::Library;
use crate::support::wait::until;
use crate::tools::{content, data, inspected, lines, verified, wal};

const LOG: &str = "max_bytes = \"64 MiB\"\nmin_free = 0";

/// A gateway with an output `out`, which is open or not, sends these lines through.
fn run(work: &Path, gate: &Arc<Gate>, numbers: std::ops::Range<usize>, wanted: usize) {
    let library = Library::start(&data(work), LOG, Some(gate.clone()));
    if !numbers.is_empty() {
        let bytes = lines(numbers).join("\n") + "\n";
        send(library.address("graphite"), bytes.as_bytes()).unwrap();
    }
    until("all is delivered", || (gate.count() >= wanted).then_some(()));
    let stopped = library.stop(Duration::from_millis(300));
    assert!(stopped.balanced, "{stopped:#?}");
}

fn opened() -> Arc<Gate> {
    let gate = Gate::closed();
    gate.open();
    gate
}

fn output(work: &Path) -> serde_json::Value {
    inspected(work)["outputs"][0].clone()
}

#[test]
fn an_output_begins_again_where_it_is_told_to() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    run(work, &opened(), 0..20, 20);
    let row = output(work);
    assert_eq!(
        (&row["state"], &row["confirmed"], &row["queued"]),
        (&"configured".into(), &20.into(), &0.into())
    );

    let (code, out, err) = wal(work, &["replay", "--output", "out", "--from", "oldest"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("begins again at LSN 1") && out.contains("20 entries to go"), "{out}");
    let row = output(work);
    assert_eq!(
        (&row["low_lsn"], &row["confirmed"], &row["queued"]),
        (&1.into(), &0.into(), &20.into())
    );
    assert_eq!(verified(work).0, 0);
    let gate = opened();
    run(work, &gate, 20..25, 25);
    assert_eq!(gate.got(), lines(0..25));

    // From an LSN, and from a time: all of it arrived before now, and after an hour ago.
    let (code, out, err) = wal(work, &["replay", "--output", "out", "--from", "24"]);
    assert_eq!(code, 0, "{out}{err}");
    let gate = opened();
    run(work, &gate, 0..0, 2);
    assert_eq!(gate.got(), lines(23..25));
    let (_, out, _) = wal(work, &["replay", "--output", "out", "--from", "-1h"]);
    assert!(out.contains("at LSN 1 "), "{out}");
    // Forward gives up what was not delivered.
    let before = content(&data(work));
    let (code, out, err) = wal(work, &["replay", "--output", "out", "--from", "now"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("25 entries") && err.contains("--yes"), "{err}");
    assert_eq!(content(&data(work)), before);
    let (code, out, _) = wal(work, &["replay", "--output", "out", "--from", "now", "--yes"]);
    assert_eq!(code, 0);
    assert!(out.contains("at LSN 26 ") && out.contains("0 entries to go"), "{out}");
    let gate = opened();
    run(work, &gate, 25..27, 2);
    assert_eq!(gate.got(), lines(25..27));
}

#[test]
fn an_output_begins_again_after_a_kill_too() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    run(work, &opened(), 0..20, 20);
    let library = Library::start(&data(work), LOG, Some(opened()));
    send(library.address("graphite"), (lines(20..30).join("\n") + "\n").as_bytes()).unwrap();
    // The files as they are now are what a kill would leave.
    let copy = tempfile::tempdir().unwrap();
    let copy = copy.path();
    std::fs::create_dir(data(copy)).unwrap();
    for (path, bytes) in content(&data(work)) {
        std::fs::write(data(copy).join(path.file_name().unwrap()), bytes).unwrap();
    }
    library.stop(Duration::from_millis(300));
    let (code, out, err) = wal(copy, &["replay", "--output", "out", "--from", "11"]);
    assert_eq!(code, 0, "{out}{err}");
    let gate = opened();
    run(copy, &gate, 30..33, 23);
    assert_eq!(gate.got(), lines(10..33));
}

#[test]
fn what_is_given_up_is_said_before_an_output_is_forgotten() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let gate = Gate::closed();
    run(work, &gate, 0..10, 0);
    // A run without it: it has left the configuration.
    let library = Library::start(&data(work), LOG, None);
    library.stop(Duration::from_millis(300));
    assert_eq!(output(work)["state"], "absent");

    for args in [&["forget", "outt"][..], &["replay", "--output", "outt", "--from", "1"]] {
        let (code, out, err) = wal(work, args);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.contains("knows out") && err.contains("did you mean \"out\"?"), "{err}");
    }
    let before = content(&data(work));
    let (code, out, err) = wal(work, &["forget", "out"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("10 entries were not delivered") && err.contains("--yes"), "{err}");
    assert_eq!(content(&data(work)), before);
    let (code, out, err) = wal(work, &["forget", "out", "--yes"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("out is forgotten; 10 entries given up"), "{out}");
    assert_eq!(inspected(work)["outputs"].as_array().unwrap().len(), 0);
    let (code, _, err) = wal(work, &["forget", "out"]);
    assert_eq!(code, 2);
    assert!(err.contains("it knows none"), "{err}");
    assert_eq!(verified(work).0, 0);
    // It is new now: with what comes from here on.
    let gate = opened();
    run(work, &gate, 10..13, 3);
    assert_eq!(gate.got(), lines(10..13));
}

#[test]
fn without_a_debt_no_yes_is_needed() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    run(work, &opened(), 0..10, 10);
    Library::start(&data(work), LOG, None).stop(Duration::from_millis(300));
    let (code, out, err) = wal(work, &["forget", "out"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("0 entries given up"), "{out}");
}
