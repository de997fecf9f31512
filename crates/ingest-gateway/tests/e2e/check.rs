//! `check` says what `run` would.

use crate::support::process::{ANY_PORTS, Ingestry, ended};

const GOOD: &str = r#"
[log]
dir = "kept"
max_bytes = "64 MiB"
min_free = 0

[sources.metrics]
type = "graphite"
listen = "127.0.0.1:0"
tag = "metrics"

[admin]
listen = "127.0.0.1:0"
"#;

const BAD: &str = r#"
[log]
max_byte = "64 MiB"

[sources.graphite]
type = "graphit"
listen = "0.0.0.0:2003"
"#;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_good_file_is_fine_and_runs() {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("good.toml"), GOOD).unwrap();
    let checked = ended(work.path(), &["check", "good.toml"]);
    assert_eq!(checked.status.code(), Some(0));
    let (out, err) = (text(checked.stdout), text(checked.stderr));
    let (first, log) = out.split_once('\n').unwrap();
    assert_eq!((first, err.as_str()), ("good.toml: fine: 1 source, 1 destination", ""));
    assert!(log.starts_with("log: kept is made at the start; at most 64 MiB, "), "{log}");
    assert!(!work.path().join("kept").exists(), "a check touches nothing");

    let ingestry = Ingestry::start(work.path(), &["run", "--config", "good.toml"]);
    assert_ne!(ingestry.address("metrics").port(), 0);
    assert!(work.path().join("kept/LOCK").exists());
    ingestry.stop();
}

#[test]
fn a_bad_file_is_told_where_and_why_by_both() {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("bad.toml"), BAD).unwrap();
    let checked = ended(work.path(), &["check", "bad.toml"]);
    assert_eq!((checked.status.code(), text(checked.stdout).as_str()), (Some(2), ""));
    let errors = text(checked.stderr);
    for (place, key, meant) in [
        ("bad.toml:3:1: ", "log.max_byte", "max_bytes"),
        ("bad.toml:6:8: ", "sources.graphite.type", "graphite"),
    ] {
        let line = errors.lines().find(|line| line.starts_with(place)).expect(&errors);
        assert!(line.contains(key) && line.contains(meant), "{line}");
    }
    let run = ended(work.path(), &["run", "--config", "bad.toml"]);
    assert_eq!((run.status.code(), text(run.stdout).as_str()), (Some(2), ""));
    assert_eq!(text(run.stderr), errors);
    assert!(!work.path().join("ingestry-data").exists());
}

#[test]
fn limits_that_cannot_work_are_refused_at_the_start() {
    let work = tempfile::tempdir().unwrap();
    let limits = "log.max_bytes = \"1000 TiB\"\nlog.min_free = 0\n";
    std::fs::write(work.path().join("large.toml"), limits).unwrap();
    let checked = ended(work.path(), &["check", "large.toml"]);
    assert!(!work.path().join("ingestry-data").exists(), "a check touches nothing");
    let args = [&["run", "--config", "large.toml"], &ANY_PORTS[..]].concat();
    let run = ended(work.path(), &args);
    let err = text(run.stderr);
    assert_eq!(run.status.code(), Some(2), "{err}");
    assert!(!work.path().join("ingestry-data").exists(), "a start that is refused leaves nothing");
    let space = rustix::fs::statvfs(work.path()).unwrap();
    let found = (space.f_blocks * space.f_frsize).to_string();
    let needed = (1000_u64 << 40).to_string();
    assert!(err.contains(&found) && err.contains(&needed), "{err}, {found} bytes");
    assert_eq!(checked.status.code(), run.status.code());
    assert_eq!(text(checked.stderr), err);
}
