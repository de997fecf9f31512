//! Comparing with what was recorded.

use std::collections::HashMap;

use serde_json::Value;

/// What the wildcards of a row stand for.
#[derive(Default)]
pub(crate) struct Wildcards(HashMap<String, String>);

impl Wildcards {
    /// Both texts are the same: byte by byte, but for wildcards, the order of ingestors, and that
    /// of a listing with five or more entries.
    pub(crate) fn same(&mut self, ours: &str, theirs: &str) -> Result<(), String> {
        let same = self.literal(ours, theirs) || self.unordered(ours, theirs);
        if same { Ok(()) } else { Err(format!("ours {ours}, expected {theirs}")) }
    }

    fn literal(&mut self, mut ours: &str, mut theirs: &str) -> bool {
        while let Some((before, rest)) = theirs.split_once("{{") {
            let Some((name, after)) = rest.split_once("}}") else { break };
            let Some(behind) = ours.strip_prefix(before) else { return false };
            let length = match name {
                "TIME" => behind.find('"').unwrap_or(0),
                _ => 8,
            };
            let Some((value, behind)) = behind.split_at_checked(length) else { return false };
            let fits = match name {
                "TIME" => value.starts_with("19") || value.starts_with("20"),
                _ => value.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            };
            let first = self.0.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            if !fits || first != value {
                return false;
            }
            (ours, theirs) = (behind, after);
        }
        ours == theirs
    }

    fn unordered(&mut self, ours: &str, theirs: &str) -> bool {
        let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
        let (Some(ours), Some(theirs)) = (parse(ours), parse(theirs)) else { return false };
        let many = theirs["ingestors"].as_object().is_some_and(|list| list.len() > 1);
        let listing = |value: &Value| -> Option<Vec<String>> {
            let mut list: Vec<_> = value["message"].as_str()?.split(';').map(Into::into).collect();
            list.sort();
            Some(list)
        };
        if let (Some(a), Some(b)) = (listing(&ours), listing(&theirs))
            && b.len() >= 5
        {
            return a == b && ours["status"] == theirs["status"];
        }
        let id = |value: &Value| {
            ["requestId", "correlationId"].map(|key| value[key].as_str().unwrap_or("").to_owned())
        };
        let ids = id(&ours).into_iter().zip(id(&theirs)).all(|(a, b)| self.literal(&a, &b));
        let (mut a, mut b) = (ours, theirs);
        for value in [&mut a, &mut b] {
            if let Some(object) = value.as_object_mut() {
                object.retain(|key, _| !key.ends_with("Id"));
            }
        }
        many && ids && a == b
    }
}

#[test]
fn differences_are_seen() {
    let mut cards = Wildcards::default();
    assert!(cards.same(r#"{"id":"abcdefgh"}"#, r#"{"id":"{{ID1}}"}"#).is_ok());
    assert!(cards.same(r#"{"id":"abcdefgX"}"#, r#"{"id":"{{ID1}}"}"#).is_err());
    assert!(cards.same(r#"{"id":"abcdefgX"}"#, r#"{"id":"{{ID2}}"}"#).is_ok());
    assert!(cards.same(r#"{"id":"abc"}"#, r#"{"id":"{{ID3}}"}"#).is_err());
    let (ab, ba) = (r#"{"ingestors":{"a":1,"b":2}}"#, r#"{"ingestors":{"b":2,"a":1}}"#);
    assert!(cards.same(ab, ba).is_ok());
    assert!(cards.same(ab, r#"{"ingestors":{"b":1,"a":2}}"#).is_err());
    assert!(cards.same(r#"{"b":1,"a":2}"#, r#"{"a":2,"b":1}"#).is_err());
    let listing = |text| format!(r#"{{"status":200,"message":"{text}"}}"#);
    assert!(cards.same(&listing("a;b;c;d;e"), &listing("e;d;c;b;a")).is_ok());
    assert!(cards.same(&listing("a;b"), &listing("b;a")).is_err());
}
