//! What these tests share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::client::send;
use crate::support::process::{ANY_PORTS, Ingestry, ended, printed};

/// The directory that a program at work in `work` uses by default.
pub(crate) fn data(work: &Path) -> PathBuf {
    work.join("ingestry-data")
}

/// A configuration with segments of 64 KiB and two tags.
pub(crate) const SMALL: &str = r#"
[log]
max_bytes = "2 MiB"
min_free = 0
[admin]
enabled = false
[sources.graphite]
type = "graphite"
listen = "127.0.0.1:0"
[sources.rare]
type = "graphite"
listen = "127.0.0.1:0"
tag = "rare"
"#;

/// Starts a gateway with [`SMALL`].
pub(crate) fn start(work: &Path) -> Ingestry {
    std::fs::write(work.join("small.toml"), SMALL).unwrap();
    Ingestry::start(work, &["run", "--config", "small.toml"])
}

/// Starts the default set.
pub(crate) fn start_default(work: &Path) -> Ingestry {
    Ingestry::start(work, &ANY_PORTS)
}

/// Lines `n`, each an entry.
pub(crate) fn lines(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("wal.cli.a.name.of.the.usual.length {n} 1700000000")).collect()
}

/// Sends lines to a source, and gets them acknowledged.
pub(crate) fn feed(ingestry: &Ingestry, source: &str, lines: &[String]) {
    send(ingestry.address(source), (lines.join("\n") + "\n").as_bytes()).unwrap();
}

/// A closed log of several segments with so many entries tagged `graphite`, then 5 `rare` ones.
pub(crate) fn written(work: &Path, entries: usize) {
    let ingestry = start(work);
    feed(&ingestry, "graphite", &lines(0..entries));
    feed(&ingestry, "rare", &lines(0..5));
    ingestry.stop();
}

/// What `wal …` came to: exit code, standard output, standard error.
pub(crate) fn wal(work: &Path, args: &[&str]) -> (i32, String, String) {
    said(ended(work, &[&["wal"], args].concat()))
}

/// As [`wal`], of any command.
pub(crate) fn said(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// `wal inspect --json`.
pub(crate) fn inspected(work: &Path) -> Value {
    serde_json::from_str(&printed(work, &["wal", "inspect", "--json"])).unwrap()
}

/// `wal verify --json`, and its exit code.
pub(crate) fn verified(work: &Path) -> (i32, Value) {
    let (code, out, err) = wal(work, &["verify", "--json"]);
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")))
}

/// The findings of a verification that are no notes, by kind.
pub(crate) fn problems(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    let problems = findings.iter().filter(|finding| finding["note"] == false);
    problems.map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect()
}

/// All files below the log's directory, with their bytes.
pub(crate) fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// The files of the log with this ending, in its order.
pub(crate) fn files(work: &Path, ending: &str) -> Vec<PathBuf> {
    let all = content(&data(work)).into_keys();
    all.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

/// Changes a file.
pub(crate) fn spoil(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// The data of all entries that a search finds.
pub(crate) fn found(work: &Path) -> Vec<String> {
    printed(work, &["search", "--format", "raw"]).lines().map(str::to_owned).collect()
}
