//! The recorded answers of the real servers are what the server of the tests gives.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fake::answers::{Answer, Selection, Service, answer};
use crate::fake::request::Request;
use crate::fake::{Fake, Who};
use crate::{folder, vectors};

fn today() -> Fake {
    let mut fake = Fake::new().with_tokens(&[("T", Who::Admin), ("user", Who::User)]);
    fake.today = true;
    fake
}

/// A head's status, headers but for the date, and nothing that depends on the connection.
fn head(text: &str) -> (String, BTreeMap<String, String>) {
    let mut lines = text.lines();
    let status = lines.next().unwrap_or_default().to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.filter(|(name, _)| *name != "Date");
    (status, headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// As the platform's own JSON has it: what is empty is not there.
fn asked(selection: &Selection) -> Value {
    let selectors: Vec<_> = selection
        .selectors
        .iter()
        .map(|selector| {
            let names = match (selector.kind, selector.names.as_slice()) {
                ("counter", [name]) if !name.is_empty() => json!({ "name": name }),
                ("gauge", names @ [_, ..]) => json!({ "names": names }),
                _ => json!({}),
            };
            let mut out = json!({ selector.kind: names });
            if !selector.source_id.is_empty() {
                out["sourceId"] = selector.source_id.clone().into();
            }
            out
        })
        .collect();
    let mut out = json!({ "selectors": selectors, "usePreferredTags": true });
    for (key, value) in
        [("shardId", &selection.shard_id), ("deterministicName", &selection.deterministic_name)]
    {
        if !value.is_empty() {
            out[key] = value.clone().into();
        }
    }
    out
}

fn text<'a>(row: &'a vectors::Row, key: &str) -> &'a str {
    row.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn rows(file: &str) -> Option<Vec<vectors::Row>> {
    let rows = vectors::read(&folder::folder("loggregator").join(file));
    match &rows {
        None => println!("{file}: absent"),
        Some(rows) => assert!(!rows.is_empty(), "{file} holds no row"),
    }
    rows
}

#[test]
fn the_traffic_controllers_answers() {
    let Some(rows) = rows("trafficcontroller.jsonl") else { return };
    for row in &rows {
        let request = format!(
            "GET {} HTTP/1.1\r\nAuthorization: {}\r\n{}\r\n",
            text(row, "path"),
            if text(row, "extra_header").is_empty() { text(row, "authorization") } else { "" },
            text(row, "extra_header"),
        );
        let answer = answer(&today(), &Request::parse(&request));
        let (theirs, note) = (text(row, "response_head"), text(row, "note"));
        match (answer.bytes(), answer.service()) {
            (Some(bytes), _) => {
                let ours = String::from_utf8(bytes).unwrap();
                let (ours, body) = ours.split_once("\r\n\r\n").unwrap();
                assert_eq!(head(ours), head(theirs), "{note}");
                assert_eq!(body, text(row, "body"), "{note}");
            }
            (None, Some(Service::Stream)) => {
                assert!(theirs.starts_with("HTTP/1.1 101 "), "{note}: {theirs}");
                assert!(text(row, "path").starts_with("/apps/"), "{note}");
            }
            (None, Some(Service::Firehose(group))) => {
                assert!(theirs.starts_with("HTTP/1.1 101 "), "{note}: {theirs}");
                let asked = row.get("subscription_request").map(|request| &request["shardID"]);
                assert!(asked.is_none_or(|shard| *shard == json!(group)), "{note}");
            }
            (_, other) => panic!("{note}: {other:?}"),
        }
    }
    println!("trafficcontroller.jsonl: {} answers", rows.len());
}

#[test]
fn the_gateways_answers() {
    let Some(rows) = rows("rlp_query.jsonl") else { return };
    for row in &rows {
        let (method, query) = (text(row, "method"), text(row, "query"));
        let token = text(row, "authorization");
        let request =
            format!("{method} /v2/read{query} HTTP/1.1\r\nAuthorization: {token}\r\n\r\n");
        let given = answer(&today(), &Request::parse(&request));
        let status = row.get("status").and_then(Value::as_u64);
        match &given {
            Answer::Say { status: ours, headers, body } => {
                assert_eq!(Some(u64::from(*ours)), status, "{query}");
                assert_eq!(body, text(row, "body").as_bytes(), "{query}");
                let kind = headers.iter().find(|(name, _)| *name == "Content-Type");
                assert_eq!(kind.unwrap().1, text(row, "content_type"), "{query}");
            }
            Answer::Serve(Service::Gateway(selection)) => {
                assert_eq!(status, Some(200), "{query}");
                assert_eq!(Some(&asked(selection)), row.get("egress_request"), "{query}");
            }
            Answer::Serve(other) => panic!("{query}: {other:?}"),
        }
    }
    println!("rlp_query.jsonl: {} answers", rows.len());
}
