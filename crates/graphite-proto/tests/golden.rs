//! Vectors made by the real programs, run through the decoder.
//!
//! The directory is that of the environment variable `INGESTRY_VECTORS`, else the project's own
//! `testdata/vectors`; this crate's files are in its sub-folder `graphite`. A file or a column
//! that is not there is printed as absent.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "../../../testdata/support/folder.rs"]
mod folder;
#[path = "golden/framed.rs"]
mod framed;
#[path = "golden/placement.rs"]
mod placement;
#[path = "golden/plaintext.rs"]
mod plaintext;
#[path = "golden/tagged.rs"]
mod tagged;
#[path = "../../../testdata/support/vectors.rs"]
mod vectors;

use std::sync::atomic::{AtomicU64, Ordering};

use vectors::{Report, Row};

/// A format: its file, and what checks one row of it.
type Format = (&'static str, Check);

type Check = Box<dyn FnMut(&Row, &mut Report)>;

fn formats() -> [Format; 6] {
    let mut clusters = placement::Clusters::default();
    [
        ("plaintext.jsonl", Box::new(plaintext::check)),
        ("tagged_names.jsonl", Box::new(tagged::check)),
        ("pickle.jsonl", Box::new(framed::pickle)),
        ("pickle_hostile.jsonl", Box::new(framed::hostile)),
        ("protobuf.jsonl", Box::new(framed::protobuf)),
        ("hash_placement.jsonl", Box::new(move |row, report| clusters.check(row, report))),
    ]
}

/// The memory that is in use.
#[global_allocator]
static PEAK: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// What hostile frames cost at most.
static SLOWEST_MICROSECONDS: AtomicU64 = AtomicU64::new(0);
static MOST_BYTES: AtomicU64 = AtomicU64::new(0);

#[test]
fn vectors_of_the_real_programs() {
    let folder = folder::folder("graphite");
    let mut present = 0;
    let mut failures = Vec::new();
    for (file, mut check) in formats() {
        let Some(rows) = vectors::read(&folder.join(file)) else {
            println!("{file}: absent");
            continue;
        };
        present += 1;
        let mut report = Report::default();
        let mut checked = 0;
        for row in &rows {
            check(row, &mut report);
            checked += 1;
        }
        println!("{file}: {checked} rows of {}", rows.len());
        report.print();
        assert!(!rows.is_empty(), "{file} holds no row");
        assert_eq!(checked, rows.len(), "{file}: not all rows were checked");
        assert!(report.checks > 0, "{file}: no row has a column to check");
        failures.extend(report.failures.into_iter().map(|failure| format!("{file} {failure}")));
    }
    let (slowest, most) = (&SLOWEST_MICROSECONDS, &MOST_BYTES);
    let (slowest, most) = (slowest.load(Ordering::Relaxed), most.load(Ordering::Relaxed));
    println!("a hostile frame took {slowest} µs and {most} bytes at most");
    assert!(present > 0, "{} holds none of the formats", folder.display());
    for failure in failures.iter().take(30) {
        println!("{failure}");
    }
    assert!(failures.is_empty(), "{} checks failed", failures.len());
}
