//! From the second generation to the third and back.

use bytes::Bytes;
use loggregator_consumer::convert::{to_v1, to_v2};
use loggregator_consumer::json::to_json;
use loggregator_consumer::wire::Message;
use loggregator_consumer::{dropsonde, v2};
use serde_json::Value;

use super::messages::{hex_of, same_json};
use super::vectors::{Report, Row, bytes, same};

pub(crate) fn check(row: &Row, report: &mut Report) {
    let Some(v1) = bytes(row, "v1_hex").map(Bytes::from) else {
        return report.count("v1_hex", "absent");
    };
    let Some(v2) = bytes(row, "v2_hex").map(Bytes::from) else {
        return report.count("v2_hex", "absent");
    };
    let from = dropsonde::Envelope::decode(&v1).unwrap_or_default();
    let ours = to_v2(&from);
    report.check(row, "to v2", same("bytes", &hex_of(&ours.encode()), &hex_of(&v2)));
    if let Some(json) = row.get("v2_json") {
        report.check(row, "JSON", same_json(&to_json(&ours, false), json));
    }
    let Some(back) = row.get("back_to_v1").and_then(Value::as_array) else {
        return report.count("back_to_v1", "absent");
    };
    let from = v2::Envelope::decode(&v2).unwrap_or_default();
    let ours: Vec<_> = to_v1(&from).iter().map(envelope).collect();
    let theirs: Vec<_> = back.iter().map(expected).collect();
    report.check(row, "back to v1", same("envelopes", &ours, &theirs));
}

/// Its bytes, or that it cannot be encoded.
fn envelope(envelope: &dropsonde::Envelope) -> String {
    match Message::<Bytes>::check(envelope) {
        Ok(()) => hex_of(&envelope.encode()),
        Err(_) => "cannot be encoded".to_owned(),
    }
}

fn expected(envelope: &Value) -> String {
    match envelope.get("hex").and_then(Value::as_str) {
        Some(hex) => hex.to_owned(),
        None => "cannot be encoded".to_owned(),
    }
}
