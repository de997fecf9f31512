//! What each client has to have seen.

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

/// The payloads by hand, and their answers.
const BY_HAND: [&str; 6] = [
    r#"{"status":200,"message":"OK[HYDRA-TAG=TAG]"}"#,
    r#"{"status":200,"message":"OK[HYDRA-ACK=persisted]"}"#,
    r#"{"status":200,"message":"HYDRA-TAG -> TAG;HYDRA-ACK -> persisted"}"#,
    r#"{"requestId":"N","status":{"code":200,"message":"OK"},"ingestors":{"gravwell_ingestor":{"code":200,"message":"OK"}}}"#,
    r#"{"status":200,"message":"OK[HYDRA-TAG=no tag]"}"#,
    r#"{"requestId":"N","status":{"code":400,"message":"Bad Request"},"ingestors":{"gravwell_ingestor":{"code":400,"message":"hydra-tag: the tag name has the forbidden character ' ' at byte 2"}}}"#,
];

/// Compares, both ways: nothing may be missing, and nothing else may have been seen.
pub(super) fn compare(client: &str, seen: &Map<String, Value>) -> Result<()> {
    let expected = of(client);
    for name in expected.keys().chain(seen.keys()) {
        let (want, have) = (expected.get(name), seen.get(name));
        ensure!(want == have, "{client}: {name}: {have:?} was seen; it has to be {want:?}");
    }
    Ok(())
}

fn of(client: &str) -> Map<String, Value> {
    let tag = format!("interop-{client}");
    let mut all = json!({
        "set": r#"{"status":200,"message":"OK[HYDRA-KAFKA_TOPIC=test-topic]"}"#,
        "ack": r#"{"status":200,"message":"OK[HYDRA-ACK=explicit]"}"#,
        "no-broker": 503,
        "many": 1000,
        "large": 200,
        "binary": 400,
    });
    // What a browser and Akka HTTP give nobody a hand in is missing there: single fragments,
    // masks, bytes that are not UTF-8, pings; and a browser has no header fields.
    let more = match client {
        "chromium" => json!({
            "extensions": "", "close": 4001, "too large": 1009, "foreign origin": 1006,
            "desktop": by_hand(&tag), "phone": by_hand(&tag),
        }),
        "akka" => json!({
            "listing": listing(&tag), "fragments": 200, "too many fragments": 400, "close": 1000,
            "foreign origin": 403,
        }),
        _ => json!({
            "listing": listing(&tag), "fragments": 200, "too many fragments": 400,
            "pong": [true, "are you there"],
            "bad utf-8": 1007, "unmasked": 1002, "reserved bit": 1002, "stray continuation": 1002,
            "too large": 1009, "after an abrupt end": 200, "foreign origin": 403,
            "close": if client == "node" { 4001 } else { 1000 },
        }),
    };
    let mut list = Map::new();
    for some in [all.take(), more] {
        if let Value::Object(some) = some {
            list.extend(some);
        }
    }
    if client == "node" {
        list.insert("extensions".into(), "".into());
    }
    list
}

fn listing(tag: &str) -> String {
    format!("HYDRA-TAG -> {tag};HYDRA-ACK -> persisted")
}

fn by_hand(tag: &str) -> Value {
    let lines: Vec<_> = BY_HAND
        .iter()
        .map(|line| {
            line.replace("TAG]", &format!("{tag}]")).replace("-> TAG;", &format!("-> {tag};"))
        })
        .collect();
    json!({ "lines": lines, "errors": [], "wide": false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_wrong_or_too_much_is_told() {
        for client in super::super::CLIENTS {
            let right = of(client);
            assert!(compare(client, &right).is_ok());
            for name in right.keys() {
                let mut seen = right.clone();
                seen.insert(name.clone(), json!("something else"));
                assert!(compare(client, &seen).unwrap_err().to_string().contains(name));
                seen.remove(name);
                assert!(compare(client, &seen).is_err(), "{client}: {name}");
            }
            let mut seen = right.clone();
            seen.insert("else".into(), json!(1));
            assert!(compare(client, &seen).is_err());
        }
    }
}
