//! Messages, bodies in parts, event streams and batches of Loggregator.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{MAX_SEED, Seeds, add, hex, input};

/// All seeds that the vectors of Loggregator have.
pub(super) fn read(folder: &Path, seeds: &mut Seeds) -> Result<()> {
    for (file, take) in [
        ("logmessage.jsonl", (|row, seeds| message(row, 0, seeds)) as fn(&Value, &mut Seeds)),
        ("dropsonde.jsonl", |row, seeds| message(row, 1, seeds)),
        ("v2.jsonl", third),
        ("recent.jsonl", answer),
        ("containermetrics.jsonl", answer),
        ("rlp_sse.jsonl", stream),
        ("v2_json_decode.jsonl", batch),
    ] {
        let path = folder.join(file);
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let row = serde_json::from_str(line).with_context(|| path.display().to_string())?;
            take(&row, seeds);
        }
    }
    Ok(())
}

fn put(seeds: &mut Seeds, target: &'static str, flags: [u8; 2], bytes: &[u8]) {
    if bytes.len() <= MAX_SEED {
        add(seeds, target, input(flags, 0x1234, bytes));
    }
}

fn message(row: &Value, generation: u8, seeds: &mut Seeds) {
    if let Some(bytes) = hex(row, "hex") {
        put(seeds, "envelope", [generation, 0], &bytes);
    }
}

fn third(row: &Value, seeds: &mut Seeds) {
    message(row, 2, seeds);
    if let Some(envelope) = row.get("gateway_json") {
        let batch = json!({ "batch": [envelope] });
        put(seeds, "json", [0, 0], batch.to_string().as_bytes());
        put(seeds, "json", [1, 1], json!({ "envelopes": batch }).to_string().as_bytes());
    }
}

/// An answer over HTTP: its content type, and its body.
fn answer(row: &Value, seeds: &mut Seeds) {
    let bytes = row.get("response_b64").and_then(Value::as_str).and_then(base64);
    let Some(bytes) = bytes else { return };
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return };
    let (head, body) = bytes.split_at(end + 4);
    let head = String::from_utf8_lossy(head);
    let kind = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type").then(|| value.trim())
    });
    let Some(kind) = kind else { return };
    put(seeds, "multipart", [0, 0], &[kind.as_bytes(), b"\n", body].concat());
    if let Some((_, boundary)) = kind.split_once("boundary=") {
        put(seeds, "multipart", [1, 0], &[boundary.as_bytes(), b"\n", body].concat());
        // Servers draw 60 digits, of which the fuzzer would have to keep each wherever it cuts.
        let short = replace(body, boundary.as_bytes(), b"bbb");
        put(seeds, "multipart", [1, 0], &[b"bbb\n", &short[..]].concat());
    }
}

/// The bytes with one word in the place of another.
fn replace(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some((first, behind)) = rest.split_first() {
        match rest.strip_prefix(old).filter(|_| !old.is_empty()) {
            Some(behind) => {
                out.extend_from_slice(new);
                rest = behind;
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

fn stream(row: &Value, seeds: &mut Seeds) {
    if let Some(body) = row.get("body_b64").and_then(Value::as_str).and_then(base64) {
        put(seeds, "sse", [0, 0], &body);
        put(seeds, "sse", [1, 0], &body);
        // The data of its first event.
        let line = body.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"data:"));
        put(seeds, "json", [0, 0], line.unwrap_or_default());
    }
}

fn batch(row: &Value, seeds: &mut Seeds) {
    if let Some(text) = row.get("json_text").and_then(Value::as_str) {
        put(seeds, "json", [0, 0], text.as_bytes());
    }
}

/// Base64 with padding, as the vectors have it.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(digit), count + 6);
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}
