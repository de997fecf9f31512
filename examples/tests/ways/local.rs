//! What needs no other side: the log, the muxer with a destination, the umbrella, the gateway inside.

use crate::support::{example, said};

#[test]
fn a_queue_that_keeps_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let queue = |args: &[&str]| said(example("durable_queue").arg(dir.path()).args(args), "");
    assert_eq!(queue(&["put", "one", "two", "three"]), "3 texts are on disk, up to number 3\n");
    assert_eq!(queue(&["take", "2"]), "1: one\n2: two\n2 taken\n");
    assert!(queue(&["take", "9"]).ends_with("3: three\n1 taken\n"));
    assert!(queue(&["status"]).starts_with("3 accepted, 0 damaged"));
}

#[test]
fn a_destination_of_ones_own() {
    let dir = tempfile::tempdir().unwrap();
    let run = |more: &[&str], input: &str| {
        said(example("mux_to_destination").arg(dir.path()).args(more), input)
    };
    let out = run(&[], "1\n2\n");
    assert!(out.contains("durable: 1\n") && out.contains(": lines: 2\n"), "{out}");
    assert!(out.contains("2 confirmed since the directory was made, 0 queued"), "{out}");
    let out = run(&["down"], "3\n");
    assert!(out.contains("durable: 3\n") && !out.contains(": lines: 3\n"), "{out}");
    // The link breaks once: what was printed and not confirmed comes again.
    let out = run(&["1"], "");
    assert_eq!(out.matches(": lines: 3\n").count(), 2, "{out}");
    assert!(
        out.contains("3 confirmed since the directory was made, 0 queued, 1 sent again"),
        "{out}"
    );
}

#[test]
fn a_collector_out_of_the_umbrella() {
    let dir = tempfile::tempdir().unwrap();
    let input = "cpu.load 0.5 1700000000\nmem.free 9 1700000001\nno metric\n";
    let out = said(example("umbrella").arg(dir.path()).arg("cpu_*"), input);
    let time = "2023-11-14T22:13:20";
    assert!(out.starts_with("2 stored, 1 refused\n"), "{out}");
    assert!(out.contains(time) && out.contains(" cpu_load 0.5\n"), "{out}");
    assert!(out.ends_with("1 found\n"), "{out}");
    // It is still there for the next run.
    let out = said(example("umbrella").arg(dir.path()).arg("*"), "");
    assert!(out.starts_with("0 stored, 0 refused\n") && out.ends_with("2 found\n"), "{out}");
}

#[test]
fn the_gateway_inside_a_program() {
    let out = said(&mut example("embed_gateway"), "");
    assert!(out.contains(" metrics local.test.diceroll 4 1700000000\n"), "{out}");
    assert!(out.contains("metrics: 2 received, 1 accepted\n"), "{out}");
    assert!(out.contains("metrics: 1 refused: "), "{out}");
}
