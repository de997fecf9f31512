//! What the reader of JSON accepts.

use std::borrow::Cow;

use bytes::Bytes;
use loggregator_consumer::json::{Batch, decode_batch};
use loggregator_consumer::v2::EnvelopeBatch;
use loggregator_consumer::wire::{Message, Slice};
use serde_json::Value;

use super::messages::hex_of;
use super::vectors::{Report, Row, bytes, same};

/// Where we take what Go refuses, told by Go's own error. `loggregator.md` 3.1: "ignore unknown
/// fields; accept both spellings"; 3.2: "Duplicate keys are an error in Go; ours: last wins,
/// count."
const TAKEN: [&str; 3] = ["unknown field", "duplicate map key", "duplicate field"];

fn encoded<B: Slice>(batch: Batch<B>) -> String {
    hex_of(&EnvelopeBatch { batch: batch.envelopes, unknown: Vec::new() }.encode())
}

pub(crate) fn decode(row: &Row, report: &mut Report) {
    let Some(text) = row.get("json_text").and_then(Value::as_str) else {
        return report.count("json_text", "absent");
    };
    let owned = decode_batch(&Bytes::copy_from_slice(text.as_bytes()));
    let borrowed = decode_batch(&Cow::Borrowed(text.as_bytes()));
    let accepted = owned.fault.is_none();
    let counted = owned.repeated > 0;
    let ours = encoded(owned);
    report.check(row, "owned and borrowed", same("bytes", &encoded(borrowed), &ours));
    let Some(ok) = row.get("ok").and_then(Value::as_bool) else {
        return report.count("ok", "absent");
    };
    let go_error = row.get("go_error").and_then(Value::as_str).unwrap_or_default();
    if TAKEN.iter().any(|text| go_error.contains(text)) {
        report.count("Go refuses", "what we take and count");
        report.check(row, "taken", same("accepted", &accepted, &true));
        if go_error.contains("duplicate") {
            report.check(row, "counted", same("counted", &counted, &true));
        }
        return;
    }
    report.check(row, "verdict", same("ok", &accepted, &ok));
    if let Some(expected) = bytes(row, "hex").filter(|_| ok) {
        report.check(row, "batch", same("bytes", &ours, &hex_of(&expected)));
    }
}
