//! Replies and reports, of whatever version of the original.

use std::collections::BTreeMap;

use serde_json::Value;

/// A reply to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The code.
    pub status: u16,
    /// What it says.
    pub message: String,
}

impl Reply {
    /// Whether it is the echo of this `SET`: keys in any case, with `-` and `_` as equals.
    pub(super) fn echoes(&self, key: &str, value: &str) -> bool {
        let inner = self.message.strip_prefix("OK[").and_then(|rest| rest.strip_suffix(']'));
        let Some((have, given)) = inner.and_then(|inner| inner.rsplit_once('=')) else {
            return false;
        };
        let trim = |text: &str| text.trim_matches(|c: char| c <= ' ').to_owned();
        let plain = |key: &str| trim(&key.to_uppercase()).replace('_', "-");
        plain(have) == plain(key) && given == trim(value)
    }
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientReport {
    /// The id that it is of.
    pub id: String,
    /// The overall code; where the server sends none, the highest of the ingestors', and 404
    /// where there is no ingestor: nobody took it.
    pub code: u16,
    /// What goes with the code, where the server says it.
    pub message: String,
    /// What became of it at each ingestor: code and text.
    pub ingestors: BTreeMap<String, (u16, String)>,
}

/// What a server sends.
pub(super) enum Incoming {
    Reply(Reply),
    Report(ClientReport),
    /// Neither.
    Other,
}

pub(super) fn read(text: &str) -> Incoming {
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(text) else {
        return Incoming::Other;
    };
    let code = |value: Option<&Value>| {
        value.and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok())
    };
    let words = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("").to_owned();
    // A version of 2017 sent a number.
    let id = match object.get("requestId").or_else(|| object.get("correlationId")) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        _ => {
            return match code(object.get("status")) {
                Some(status) => {
                    Incoming::Reply(Reply { status, message: words(object.get("message")) })
                }
                None => Incoming::Other,
            };
        }
    };
    let mut ingestors = BTreeMap::new();
    if let Some(Value::Object(list)) = object.get("ingestors") {
        for (name, one) in list {
            let what = (code(one.get("code")).unwrap_or(0), words(one.get("message")));
            ingestors.insert(name.clone(), what);
        }
    }
    let highest = ingestors.values().map(|(code, _)| *code).max();
    let status = object.get("status");
    let message = status.and_then(|status| status.get("message").or_else(|| status.get("reason")));
    Incoming::Report(ClientReport {
        id,
        code: code(status.and_then(|status| status.get("code"))).or(highest).unwrap_or(404),
        message: words(message),
        ingestors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> ClientReport {
        match read(text) {
            Incoming::Report(report) => report,
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn reports_of_every_version() {
        let doc = report(
            r#"{"requestId":"a","status":{"code":408,"message":"late"},"ingestors":{"k":{"code":200,"message":"OK"}}}"#,
        );
        assert_eq!((doc.id.as_str(), doc.code, doc.message.as_str()), ("a", 408, "late"));
        assert_eq!(doc.ingestors["k"], (200, "OK".to_owned()));
        let seed = report(r#"{"requestId":"a","status":{"code":200,"reason":"OK"}}"#);
        assert_eq!((seed.code, seed.message.as_str()), (200, "OK"));
        let head = report(
            r#"{"correlationId":"0","ingestors":{"a":{"code":200,"message":"OK"},"b":{"code":503,"message":"x"}}}"#,
        );
        assert_eq!((head.id.as_str(), head.code), ("0", 503));
        assert_eq!(report(r#"{"correlationId":7,"ingestors":{}}"#).id, "7");
        assert_eq!(report(r#"{"correlationId":"0","ingestors":{}}"#).code, 404);
    }

    #[test]
    fn echoes_in_either_spelling() {
        let reply = |message: &str| Reply { status: 200, message: message.into() };
        assert!(reply("OK[HYDRA-KAFKA_TOPIC=t]").echoes("hydra-kafka-topic", "t "));
        assert!(reply("OK[hydra-ack=Persisted]").echoes("Hydra-Ack", "Persisted"));
        assert!(!reply("OK[HYDRA-ACK=a]").echoes("hydra-ack", "b"));
        assert!(!reply("").echoes("a", "b"));
        assert!(matches!(read(r#"{"message":"OK[A=b]","status":200}"#), Incoming::Reply(_)));
        assert!(matches!(read("[]"), Incoming::Other) && matches!(read("{"), Incoming::Other));
    }
}
