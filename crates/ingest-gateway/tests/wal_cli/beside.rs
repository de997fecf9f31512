//! Commands that only read, beside a running gateway and without one.

use serde_json::Value;

use crate::support::process::{ended, printed};
use crate::tools::{
    content, data, feed, files, found, inspected, lines, said, start, start_default, verified, wal,
    written,
};

#[test]
fn a_running_gateway_is_looked_at_and_left_alone() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let ingestry = start(work);
    feed(&ingestry, "graphite", &lines(0..3000));
    feed(&ingestry, "rare", &lines(0..5));
    let pid = ingestry.pid();

    let report = inspected(work);
    assert_eq!((&report["in_use"], &report["pid"]), (&true.into(), &pid.into()), "{report:#}");
    assert_eq!((&report["entries"], &report["accepted"]), (&3005.into(), &3005.into()));
    assert_eq!((&report["format"], &report["synced_lsn"]), (&1.into(), &3005.into()));
    let tags = report["tags"].as_array().unwrap();
    let tags: Vec<_> =
        tags.iter().map(|tag| (tag["name"].as_str(), tag["entries"].as_u64())).collect();
    assert_eq!(tags, [(Some("graphite"), Some(3000)), (Some("rare"), Some(5))]);
    let segments = report["segments"].as_array().unwrap();
    assert!(segments.len() >= 3, "{report:#}");
    assert_eq!(segments.iter().filter(|segment| segment["state"] == "unsealed").count(), 1);
    let text = printed(work, &["wal", "inspect"]);
    assert!(text.contains(&format!("in use by process {pid}")) && text.contains("3,005"), "{text}");

    let (code, report) = verified(work);
    assert_eq!((code, &report["problems"]), (0, &0.into()), "{report:#}");
    assert_eq!((&report["entries"], &report["in_use"]), (&3005.into(), &true.into()));
    let (code, out, err) = wal(work, &["verify"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("all is well") && out.contains("/s)"), "{out}");
    assert!(err.contains(&format!("in use by process {pid}")), "{err}");

    // What needs the lock says who has it.
    for args in [
        &["repair"][..],
        &["repair", "--yes"],
        &["forget", "out", "--yes"],
        &["replay", "--output", "out", "--from", "oldest"],
    ] {
        let (code, out, err) = wal(work, args);
        assert_eq!((code, out.as_str()), (3, ""), "{args:?}: {err}");
        assert!(err.contains(&format!("in use by process {pid}")), "{args:?}: {err}");
    }
    let (code, out, err) = said(ended(work, &["check", "small.toml"]));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains(&format!("is in use by process {pid}")), "{out}");

    // It goes on as if nobody had been there.
    feed(&ingestry, "graphite", &lines(3000..3100));
    assert_eq!(verified(work).1["entries"], 3105);
    ingestry.stop();
    assert_eq!(found(work).len(), 3105);
    let report = inspected(work);
    assert_eq!((&report["in_use"], &report["clean"]), (&false.into(), &true.into()));
}

#[test]
fn reading_commands_change_nothing() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    written(work, 2000);
    let before = content(&data(work));
    for args in [
        &["inspect"][..],
        &["inspect", "--json"],
        &["verify"],
        &["verify", "--json"],
        &["repair"],
        &["export"],
    ] {
        let (code, out, err) = wal(work, args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        assert_eq!(content(&data(work)), before, "{args:?}");
    }
    printed(work, &["check", "small.toml"]);
    assert_eq!(content(&data(work)), before);
}

#[test]
fn exports_hold_what_searches_find() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    written(work, 2000);
    let (code, json, err) = wal(work, &["export"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("2,005 entries") && err.contains("--after 2005"), "{err}");
    assert_eq!(json, printed(work, &["search", "--format", "json"]));
    let rows: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lsns: Vec<_> = rows.iter().map(|row| row["lsn"].as_u64().unwrap()).collect();
    assert_eq!(lsns, (1..=2005).collect::<Vec<_>>());

    let (_, rare, err) = wal(work, &["export", "--tag", "rare", "--format", "raw"]);
    assert_eq!(rare.lines().collect::<Vec<_>>(), lines(0..5));
    assert!(err.contains("5 entries"), "{err}");
    let (_, last, _) = wal(work, &["export", "--after", "2003"]);
    assert_eq!(last.lines().count(), 2);
    let (_, one, _) = wal(work, &["export", "--after", "1200", "--contains", "length 1234 "]);
    assert_eq!(one.lines().count(), 1);

    let (code, out, err) = wal(work, &["export", "--output", "all.json"]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert_eq!(std::fs::read_to_string(work.join("all.json")).unwrap(), json);
    assert!(!work.join("all.json.part").exists());
    let (code, _, err) = wal(work, &["export", "--output", "all.json"]);
    assert_eq!(code, 2);
    assert!(err.contains("all.json is there already"), "{err}");
}

#[test]
fn what_is_no_log_is_said() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    for args in [
        &["inspect"][..],
        &["verify"],
        &["repair"],
        &["export"],
        &["forget", "x"],
        &["replay", "--output", "x", "--from", "1"],
    ] {
        let (code, out, err) = wal(work, args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains("there is no directory ingestry-data"), "{args:?}: {err}");
    }
    std::fs::create_dir(data(work)).unwrap();
    std::fs::write(data(work).join("notes.txt"), "x").unwrap();
    let (code, _, err) = wal(work, &["verify"]);
    assert_eq!(code, 2);
    assert!(err.contains("holds no log"), "{err}");
    assert_eq!(files(work, "txt").len(), 1);
}

#[test]
fn a_directory_that_cannot_be_made_fails_check_as_it_fails_run() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    std::fs::write(work.join("taken"), "a file").unwrap();
    for dir in ["taken", "taken/below"] {
        let text = format!("log.dir = {dir:?}\n[sources]\n[admin]\nenabled = false\n");
        std::fs::write(work.join("a.toml"), text).unwrap();
        let (checked, _, why) = said(ended(work, &["check", "a.toml"]));
        let (ran, _, err) = said(ended(work, &["run", "--config", "a.toml"]));
        assert_eq!((checked, ran), (1, 1), "{why}{err}");
        assert!(why.contains(dir) && err.contains(dir), "{why}{err}");
    }
    // The default set has another directory.
    start_default(work).stop();
    let (code, out, _) = said(ended(work, &["check", "a.toml", "--data-dir", "ingestry-data"]));
    assert_eq!(code, 0, "{out}");
}
