//! Vectors made by the real programs, run through the crate.
//!
//! The directory is that of the environment variable `INGESTRY_VECTORS`, else the project's own
//! `testdata/vectors`; this crate's files are in its sub-folder `loggregator`. A file or a column
//! that is not there is printed as absent.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "golden/conversion.rs"]
mod conversion;
#[path = "../../../testdata/support/folder.rs"]
mod folder;
#[path = "golden/json.rs"]
mod json;
#[cfg(feature = "client")]
#[path = "golden/live.rs"]
mod live;
#[path = "golden/messages.rs"]
mod messages;
#[path = "../../../testdata/support/vectors.rs"]
mod vectors;

use vectors::{Report, Row};

/// A format: its file, and what checks one row of it.
type Format = (&'static str, fn(&Row, &mut Report));

const FORMATS: &[Format] = &[
    ("logmessage.jsonl", messages::log_message),
    ("logenvelope.jsonl", messages::log_envelope),
    ("dropsonde.jsonl", messages::dropsonde),
    ("v2.jsonl", messages::v2),
    ("v2_request.jsonl", messages::v2_request),
    ("sort_recent.jsonl", messages::sort_recent),
    ("v2_json_decode.jsonl", json::decode),
    ("conversion.jsonl", conversion::check),
    #[cfg(feature = "client")]
    ("recent.jsonl", live::recent),
    #[cfg(feature = "client")]
    ("containermetrics.jsonl", live::container_metrics),
    #[cfg(feature = "client")]
    ("tail_handshake.jsonl", live::tail_handshake),
    #[cfg(feature = "client")]
    ("tail_endpoint.jsonl", live::tail_endpoint),
    #[cfg(feature = "client")]
    ("tail_frames.jsonl", live::tail_frames),
    #[cfg(feature = "client")]
    ("proxy.jsonl", live::proxy),
    #[cfg(feature = "client")]
    ("rlp_query.jsonl", live::rlp_query),
    #[cfg(feature = "client")]
    ("rlp_sse.jsonl", live::rlp_sse),
    #[cfg(feature = "client")]
    ("trafficcontroller.jsonl", live::traffic_controller),
];

#[test]
fn vectors_of_the_real_programs() {
    let folder = folder::folder("loggregator");
    let mut present = 0;
    let mut failures = Vec::new();
    for (file, check) in FORMATS {
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
    assert!(present > 0, "{} holds none of the formats", folder.display());
    for failure in failures.iter().take(40) {
        println!("{failure}");
    }
    assert!(failures.is_empty(), "{} checks failed", failures.len());
}
