//! What a first user does: start it, send lines, find them, stop it, start it again.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::client::{TIME, send, send_datagram, source_row, status};
use crate::support::process::{ANY_PORTS, Ingestry, ended, printed};
use crate::support::wait::until;

/// `search` as JSON, parsed.
fn found(work: &Path, args: &[&str]) -> Vec<Value> {
    let text = printed(work, &[&["search", "--format", "json"], args].concat());
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn diceroll(number: u64) -> String {
    format!("local.test.diceroll {number} {}\n", TIME + number)
}

#[test]
fn lines_are_found_while_it_runs_after_it_and_after_a_restart() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    // No command, no directory: `run`, into `ingestry-data` here.
    let ingestry = Ingestry::start(work, &ANY_PORTS);
    for name in ["graphite", "graphite-udp", "admin"] {
        assert!(ingestry.out().contains(&ingestry.address(name).to_string()), "{}", ingestry.out());
    }
    send(ingestry.address("graphite"), diceroll(4).as_bytes()).unwrap();
    assert_eq!(
        printed(work, &["search", "--tag", "graphite"]),
        "2023-11-14T22:13:24.000000000Z 127.0.0.1 graphite local.test.diceroll 4 1700000004\n"
    );
    let entry = &found(work, &["--tag", "graph*"])[0];
    assert_eq!(entry["ts"], "2023-11-14T22:13:24.000000000Z");
    assert_eq!((&entry["src"], &entry["tag"]), (&"127.0.0.1".into(), &"graphite".into()));
    assert_eq!(entry["data"], "local.test.diceroll 4 1700000004");
    assert_eq!((&entry["lsn"], &entry["values"]), (&1.into(), &serde_json::json!({})));
    assert!(entry["arrived"].as_str().unwrap() > "2024");
    assert_eq!(printed(work, &["search", "--tag", "other"]), "");

    send_datagram(ingestry.address("graphite-udp"), diceroll(5).as_bytes());
    let entry = until("the datagram", || found(work, &["--contains", "diceroll 5"]).pop());
    assert_eq!((&entry["lsn"], &entry["src"]), (&2.into(), &"127.0.0.1".into()));
    send(ingestry.address("graphite"), b"this is no metric\n").unwrap();
    let status = status(ingestry.address("admin"));
    let row = source_row(&status, "graphite");
    assert_eq!((&row["received"]["items"], &row["accepted"]["items"]), (&2.into(), &1.into()));
    assert_eq!(row["rejected"]["field_count"], 1);
    assert_eq!(status["log"]["accepted"], 2);

    let summary = ingestry.stop();
    for line in [
        "  graphite: received 2 items, accepted 1, field_count 1\n",
        "  graphite-udp: received 1 items, accepted 1\n",
        "  store: 2 entries since the log was made\n",
    ] {
        assert!(summary.contains(line), "{line:?} is missing in {summary}");
    }
    assert_eq!(found(work, &[]).len(), 2);

    let ingestry = Ingestry::start(work, &[&["run"], &ANY_PORTS[..]].concat());
    send(ingestry.address("graphite"), diceroll(6).as_bytes()).unwrap();
    let lsns: Vec<_> = found(work, &[]).iter().map(|entry| entry["lsn"].clone()).collect();
    assert_eq!(lsns, [1, 2, 3], "after a clean end the numbers go on");
    assert!(ingestry.stop().contains("store: 3 entries"));
}

#[test]
fn a_directory_has_one_process() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let run = [&["run", "--data-dir", "data"], &ANY_PORTS[..]].concat();
    let ingestry = Ingestry::start(work, &run);
    let second = ended(work, &run);
    assert_eq!(second.status.code(), Some(3));
    let err = String::from_utf8(second.stderr).unwrap();
    assert!(err.contains(&ingestry.pid().to_string()), "{err}");
    // The first one was not disturbed.
    send(ingestry.address("graphite"), diceroll(1).as_bytes()).unwrap();
    ingestry.stop();
    // And does not leave the directory locked.
    Ingestry::start(work, &run).stop();
}

#[test]
fn a_hang_up_does_not_end_it() {
    let work = tempfile::tempdir().unwrap();
    let mut ingestry = Ingestry::start(work.path(), &ANY_PORTS);
    ingestry.signal("HUP");
    let says = "Reloaded: nothing has changed.";
    until("what came of it", || ingestry.out().contains(says).then_some(()));
    send(ingestry.address("graphite"), diceroll(1).as_bytes()).unwrap();
    assert_eq!(ingestry.try_wait(), None);
    ingestry.signal("INT");
    assert_eq!(ingestry.wait().code(), Some(0), "{}", ingestry.err());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let work = tempfile::tempdir().unwrap();
    let config = crate::no_false_end::full_from_the_start(work.path());
    let mut ingestry = Ingestry::start(work.path(), &["run", "--config", &config]);
    // A connection whose line cannot become durable holds the stop up for its whole 10 s.
    let waiting = crate::no_false_end::line_that_waits(ingestry.address("graphite"), || {
        status(ingestry.address("admin"))["log"]["health"] == "full"
    });
    let begin = Instant::now();
    ingestry.signal("TERM");
    until("the first signal", || ingestry.out().contains("Stopping").then_some(()));
    ingestry.signal("TERM");
    assert_eq!(ingestry.wait().code(), Some(0), "{}", ingestry.err());
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(!ingestry.out().contains("Stopped."), "{}", ingestry.out());
    drop(waiting);
}
