//! Rules decide what is kept of what comes in, by whatever protocol: what they leave out is
//! acknowledged, and counted.

use std::fs;

use serde_json::json;

use crate::support::client::{page, source_row, status};
use crate::support::process::{Ingestry, ended};
use crate::support::stored::lines;

const SOURCES: &str = r#"
[admin]
listen = "127.0.0.1:0"
[sources.graphite]
type = "graphite"
listen = "127.0.0.1:0"
[sources.udp]
type = "graphite-udp"
listen = "127.0.0.1:0"
[sources.wire]
type = "gravwell"
listen = "127.0.0.1:0"
secret = "file:secret"
[sources.hydra]
type = "hydra"
listen = "127.0.0.1:0"
"#;

const RULES: &str = r#"
[[rules]]
name = "wanted"
contains = "keep"
action = "keep"
[[rules]]
name = "noise"
tags = ["graph*", "sent", "hydra"]
contains = "drop"
action = "drop"
[[rules]]
sources = ["wire"]
tags = ["sampled"]
action = "sample"
one_in = 2
"#;

fn start(work: &std::path::Path) -> Ingestry {
    fs::write(work.join("secret"), "open sesame\n").unwrap();
    fs::write(work.join("in.toml"), format!("{SOURCES}{RULES}")).unwrap();
    Ingestry::start(work, &["--config", "in.toml"])
}

fn send(ingestry: &Ingestry, work: &std::path::Path, source: &str, scheme: &str, text: &str) {
    let tag = if text.contains("sampled") { "sampled" } else { "sent" };
    let (code, out, err) = ingestry.sent(work, source, scheme, tag, text);
    assert_eq!(code, Some(0), "{source}: {out}{err}");
}

#[test]
fn what_rules_leave_out_is_acknowledged_and_counted() {
    let work = tempfile::tempdir().unwrap();
    let ingestry = start(work.path());
    let send = |source, scheme, text: &str| send(&ingestry, work.path(), source, scheme, text);
    // All of it, some of it, and none of it.
    send("graphite", "graphite", "drop.a 1 1700000000\n");
    send("graphite", "graphite", "drop.keep 1 1700000000\ndrop.b 2 1700000000\nc 3 1700000000\n");
    send("wire", "gravwell", "drop 1\ndrop 2\n");
    send("wire", "gravwell", "drop 3\nentry\ndrop keep\ndrop 4\n");
    send("hydra", "ws", "drop 5\nmessage\n");
    let sampled: String = (0..1_000).map(|number| format!("sampled {number}\n")).collect();
    send("wire", "gravwell", &sampled);
    let status = status(ingestry.address("admin"));
    let rejected = |source| source_row(&status, source)["rejected"]["rule"].clone();
    assert_eq!(rejected("graphite"), 2);
    assert_eq!(rejected("hydra"), 1);
    let rules = &status["rules"];
    let wanted = json!({ "name": "wanted", "action": "keep", "kept": 2, "dropped": 0 });
    assert_eq!(rules[0], wanted);
    let noise = json!({ "name": "noise", "action": "drop", "kept": 0, "dropped": 7 });
    assert_eq!(rules[1], noise);
    let (kept, dropped) =
        (rules[2]["kept"].as_u64().unwrap(), rules[2]["dropped"].as_u64().unwrap());
    assert_eq!((rules[2]["name"].as_str(), kept + dropped), (Some("rule 3"), 1_000));
    assert!((400..600).contains(&kept), "{kept}");
    assert_eq!(rejected("wire"), 4 + dropped);
    let metrics = page(ingestry.address("admin"), "/metrics");
    let row = r#"ingestry_rule_entries_total{rule="noise",fate="dropped"} 7"#;
    assert!(metrics.contains(row), "{metrics}");
    // Nobody is told of what is left out on purpose.
    assert!(!ingestry.err().contains("Refused"), "{}", ingestry.err());

    // Without the rules everything is kept from now on.
    fs::write(work.path().join("in.toml"), SOURCES).unwrap();
    let reloaded = ended(work.path(), &["reload", "--config", "in.toml"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    send_all_again(&ingestry, work.path());
    ingestry.stop();
    let mut stored = lines(&work.path().join("ingestry-data"), "");
    stored.retain(|line| !line.contains("sampled"));
    stored.sort();
    let kept = [
        " message",
        "c 3 1700000000",
        "drop keep",
        "drop.keep 1 1700000000",
        "drop.late 1 1700000000",
    ];
    let mut expected: Vec<_> = kept.iter().map(|line| (*line).to_owned()).collect();
    expected.push("entry".to_owned());
    expected.sort();
    assert_eq!(stored, expected);
}

fn send_all_again(ingestry: &Ingestry, work: &std::path::Path) {
    send(ingestry, work, "graphite", "graphite", "drop.late 1 1700000000\n");
}
