//! Encoded messages of all generations.

use bytes::Bytes;
use loggregator_consumer::json::{self, ToJson};
use loggregator_consumer::legacy::{LogEnvelope, LogMessage};
use loggregator_consumer::wire::{Message, Slice};
use loggregator_consumer::{dropsonde, v2};
use serde_json::{Map, Value};

use super::vectors::{Report, Row, bytes, same};

pub(crate) fn log_message(row: &Row, report: &mut Report) {
    let Some(encoded) = bytes(row, "hex").map(Bytes::from) else {
        return report.count("hex", "absent");
    };
    let (message, fault) = LogMessage::decode_partly(&encoded);
    verdict(row, report, fault.is_none());
    twin::<LogMessage, LogMessage<&[u8]>>(row, report, &encoded);
    match row.get("fields").and_then(Value::as_object) {
        Some(fields) => report.check(row, "fields", legacy_fields(&message, fields)),
        None => report.count("fields", "absent"),
    }
    reencoded(row, report, &message, fault.is_none());
}

/// The columns that a row has.
pub(crate) fn legacy_fields(
    message: &LogMessage,
    fields: &Map<String, Value>,
) -> Result<(), String> {
    let text = |bytes: Option<&[u8]>| {
        bytes.map_or(Value::Null, |bytes| String::from_utf8_lossy(bytes).into_owned().into())
    };
    for (name, expected) in fields {
        let ours = match name.as_str() {
            "message_hex" => {
                let hex = message.message.as_ref().map(|bytes| hex_of(bytes));
                hex.map_or(Value::Null, Value::from)
            }
            "message_type" => message.message_type.map_or(Value::Null, |kind| kind.0.into()),
            "timestamp" => message.timestamp.map_or(Value::Null, Value::from),
            "app_id" => text(message.app_id.as_ref().map(|text| text.as_bytes())),
            "source_id" => text(message.source_id.as_ref().map(|text| text.as_bytes())),
            "source_name" => text(message.source_name.as_ref().map(|text| text.as_bytes())),
            "drain_urls" => {
                message.drain_urls.iter().map(|url| text(Some(url.as_bytes()))).collect()
            }
            _ => continue,
        };
        same_text(name, &ours, expected)?;
    }
    Ok(())
}

/// Equal, up to how many replacement characters stand for bytes that are not UTF-8: Go's JSON has
/// one a byte, Rust one a broken sequence.
fn same_text(name: &str, ours: &Value, theirs: &Value) -> Result<(), String> {
    let squeeze = |value: &Value| {
        let mut text = value.to_string();
        while text.contains("\u{fffd}\u{fffd}") {
            text = text.replace("\u{fffd}\u{fffd}", "\u{fffd}");
        }
        text
    };
    same(name, &squeeze(ours), &squeeze(theirs))
}

pub(crate) fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn verdict(row: &Row, report: &mut Report, ours: bool) {
    match row.get("ok").and_then(Value::as_bool) {
        Some(theirs) => report.check(row, "verdict", same("ok", &ours, &theirs)),
        None => report.count("ok", "absent"),
    }
}

/// Borrowed and owned are one.
fn twin<'a, O, R>(row: &Row, report: &mut Report, encoded: &'a Bytes)
where
    O: Message<Bytes> + ToJson,
    R: Message<&'a [u8]> + ToJson,
{
    let slice: &'a [u8] = encoded;
    let (owned, fault) = O::decode_partly(encoded);
    // The slice itself lives as long as the message.
    let (borrowed, other) = R::decode_partly(&slice);
    let ours = (json::to_json(&owned, true), fault, owned.encode());
    let theirs = (json::to_json(&borrowed, true), other, borrowed.encode());
    report.check(row, "owned and borrowed", same("twin", &ours, &theirs));
}

fn reencoded<B: Slice, M: Message<B>>(row: &Row, report: &mut Report, message: &M, ok: bool) {
    match bytes(row, "reencoded_hex") {
        Some(expected) => {
            let ours = hex_of(&message.encode());
            report.check(row, "encoded again", same("bytes", &ours, &hex_of(&expected)));
        }
        None if ok => report.count("reencoded_hex", "absent"),
        None => report.count("reencoded_hex", "absent, for the row is refused"),
    }
}

pub(crate) fn log_envelope(row: &Row, report: &mut Report) {
    let Some(encoded) = bytes(row, "hex").map(Bytes::from) else {
        return report.count("hex", "absent");
    };
    let envelope = match LogEnvelope::decode(&encoded) {
        Ok(envelope) => envelope,
        Err(error) => return report.check(row, "decoded", Err(error.to_string())),
    };
    let again = same("bytes", &hex_of(&envelope.encode()), &hex_of(&encoded));
    report.check(row, "encoded again", again);
    if let Some(key) = row.get("routing_key").and_then(Value::as_str) {
        report.check(row, "routing key", same("key", &&*envelope.routing_key(), &key));
    }
    if let Some(signature) = bytes(row, "signature_hex") {
        let ours = hex_of(envelope.signature());
        report.check(row, "signature", same("signature", &ours, &hex_of(&signature)));
    }
    if let Some(fields) = row.get("log_message").and_then(Value::as_object) {
        let message = envelope.log_message.clone().unwrap_or_default();
        report.check(row, "message", legacy_fields(&message, fields));
    }
    let Some(secret) = row.get("secret").and_then(Value::as_str) else {
        return report.count("secret", "absent");
    };
    if let Some(verifies) = row.get("verifies").and_then(Value::as_bool) {
        report.check(row, "verified", same("verifies", &envelope.verifies(secret), &verifies));
        if let Some(start) = envelope.signature().first_chunk::<16>() {
            let message = envelope.log_message.clone().unwrap_or_default();
            let ours = LogEnvelope::<Bytes>::signature_of(message.message(), secret, *start);
            let signed = ours == envelope.signature();
            report.check(row, "signed", same("signed", &signed, &verifies));
        }
    }
    if let Some(verifies) = row.get("verifies_with_other_secret").and_then(Value::as_bool) {
        let ours = envelope.verifies(&format!("{secret}x"));
        report.check(row, "another secret", same("verifies", &ours, &verifies));
    }
}

pub(crate) fn dropsonde(row: &Row, report: &mut Report) {
    let Some(encoded) = bytes(row, "hex").map(Bytes::from) else {
        return report.count("hex", "absent");
    };
    let (envelope, fault) = dropsonde::Envelope::decode_partly(&encoded);
    verdict(row, report, fault.is_none());
    twin::<dropsonde::Envelope, dropsonde::Envelope<&[u8]>>(row, report, &encoded);
    match row.get("json") {
        Some(expected) => {
            report.check(row, "JSON", same_json(&json::to_json(&envelope, false), expected));
        }
        None => report.count("json", "absent"),
    }
    match bytes(row, "unknown_hex") {
        Some(expected) => {
            let ours = hex_of(&envelope.unknown);
            report.check(row, "unknown fields", same("bytes", &ours, &hex_of(&expected)));
        }
        None => report.count("unknown_hex", "absent"),
    }
    reencoded(row, report, &envelope, fault.is_none());
}

pub(crate) fn same_json(ours: &str, theirs: &Value) -> Result<(), String> {
    let ours: Value = serde_json::from_str(ours).map_err(|error| format!("{error}: {ours}"))?;
    same("JSON", &ours, theirs)
}

pub(crate) fn v2(row: &Row, report: &mut Report) {
    let Some(encoded) = bytes(row, "hex").map(Bytes::from) else {
        return report.count("hex", "absent");
    };
    let (envelope, fault) = v2::Envelope::decode_partly(&encoded);
    report.check(row, "verdict", same("fault", &fault, &None));
    twin::<v2::Envelope, v2::Envelope<&[u8]>>(row, report, &encoded);
    let again = same("bytes", &hex_of(&envelope.encode()), &hex_of(&encoded));
    report.check(row, "encoded again", again);
    for (column, defaults) in [("json", false), ("gateway_json", true)] {
        let Some(expected) = row.get(column) else {
            report.count(column, "absent");
            continue;
        };
        let ours = json::to_json(&envelope, defaults);
        report.check(row, column, same_json(&ours, expected));
        // And back, from their text.
        let text = Bytes::from(format!("{{\"batch\":[{expected}]}}"));
        let batch = json::decode_batch(&text);
        let back: Vec<_> = batch.envelopes.iter().map(|one| hex_of(&one.encode())).collect();
        report.check(row, "read back", same(column, &back, &vec![hex_of(&encoded)]));
    }
}

pub(crate) fn v2_request(row: &Row, report: &mut Report) {
    let Some(encoded) = bytes(row, "hex").map(Bytes::from) else {
        return report.count("hex", "absent");
    };
    let (request, fault) = v2::EgressBatchRequest::decode_partly(&encoded);
    report.check(row, "verdict", same("fault", &fault, &None));
    let again = same("bytes", &hex_of(&request.encode()), &hex_of(&encoded));
    report.check(row, "encoded again", again);
    if let Some(expected) = row.get("json") {
        let ours = json::to_json(&request, false);
        report.check(row, "JSON", same_json(&ours, &snake_case(expected)));
    }
}

/// The same with names as the protocol's files write them.
pub(crate) fn snake_case(value: &Value) -> Value {
    let name = |name: &str| {
        let mut out = String::new();
        for c in name.chars() {
            if c.is_uppercase() {
                out.push('_');
            }
            out.extend(c.to_lowercase());
        }
        out
    };
    match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (name(key), snake_case(value))).collect()
        }
        Value::Array(list) => list.iter().map(snake_case).collect(),
        other => other.clone(),
    }
}

pub(crate) fn sort_recent(row: &Row, report: &mut Report) {
    let list = |column: &str| row.get(column).and_then(Value::as_array);
    let (Some(timestamps), Some(order)) = (list("timestamps"), list("order")) else {
        // The row whose order is a panic.
        let what = if row.contains_key("go_panic") { "is Go's panic" } else { "absent" };
        return report.count("order", what);
    };
    let mut messages: Vec<_> = timestamps
        .iter()
        .enumerate()
        .map(|(index, timestamp)| LogMessage::<Bytes> {
            timestamp: timestamp.as_i64(),
            source_id: Some(index.to_string().into()),
            ..Default::default()
        })
        .collect();
    loggregator_consumer::sort_recent(&mut messages);
    let ours: Vec<_> = messages.iter().map(|message| message.source_id().into_owned()).collect();
    let theirs: Vec<_> = order.iter().map(ToString::to_string).collect();
    report.check(row, "order", same("order", &ours, &theirs));
}
