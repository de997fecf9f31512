//! Vectors recorded from the original's code, run through the core in `compat = recorded`, each
//! row in its own dialect.
//!
//! The directory is that of the environment variable `INGESTRY_VECTORS`, else the project's own
//! `testdata/vectors`; this crate's files are in its sub-folder `hydra`. A file that is not there
//! is printed as absent.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "golden/compare.rs"]
mod compare;
#[path = "../../../testdata/support/folder.rs"]
mod folder;
#[path = "golden/http.rs"]
mod http;
#[path = "golden/socket.rs"]
mod socket;
#[path = "golden/stubs.rs"]
mod stubs;

use hydra_ws::{Dialect, Options};
use serde_json::Value;

const FILES: [&str; 6] = [
    "ws-doc.jsonl",
    "ws-seed.jsonl",
    "ws-head.jsonl",
    "http-doc.jsonl",
    "http-seed.jsonl",
    "http-head.jsonl",
];

fn options(row: &Value) -> Option<Options> {
    let dialect = match row["dialect"].as_str()? {
        "doc" => Dialect::Doc,
        "seed" => Dialect::Seed,
        "head" => Dialect::Head,
        _ => return None,
    };
    Some(Options::recorded(dialect))
}

fn check(row: &Value) -> Result<usize, String> {
    let options = options(row).ok_or("no dialect that is known")?;
    match (row.get("steps"), row.get("request")) {
        (Some(_), None) => socket::check(row, options),
        (None, Some(_)) => http::check(row, options),
        _ => Err("neither steps nor a request".into()),
    }
}

#[test]
fn vectors_of_the_original() {
    let folder = folder::folder("hydra");
    let mut present = 0;
    let mut failures = Vec::new();
    for file in FILES {
        let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
            println!("{file}: absent");
            continue;
        };
        present += 1;
        let rows: Vec<Value> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let (mut checked, mut exchanges) = (0, 0);
        for row in &rows {
            match check(row) {
                Ok(count) => exchanges += count,
                Err(why) => failures.push(format!("{file} {}: {why}", row["name"])),
            }
            checked += 1;
        }
        println!("{file}: {checked} rows of {}, {exchanges} exchanges", rows.len());
        assert!(!rows.is_empty(), "{file} holds no row");
        assert_eq!(checked, rows.len(), "{file}: not all rows were checked");
    }
    assert!(present > 0, "{} holds none of the formats", folder.display());
    for failure in failures.iter().take(30) {
        println!("{failure}");
    }
    assert!(failures.is_empty(), "{} rows failed", failures.len());
}
