//! Limits by source and by tag: what is beyond is dropped and counted, or whoever sends it waits.

use std::fs;

use crate::support::client::{page, source_row, status};
use crate::support::process::{Ingestry, ended};
use crate::support::stored::search;

const SOURCES: &str = r#"
[admin]
listen = "127.0.0.1:0"
[sources.graphite]
type = "graphite"
listen = "127.0.0.1:0"
tag = "{path.0}"
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

const LIMITS: &str = r#"
[[limits]]
name = "few"
sources = ["graphite", "wire"]
tags = ["few*"]
per = "tag"
entries = 100
on_limit = "drop"
[[limits]]
name = "slow"
sources = ["wire"]
bytes = "20 kB/s"
[[limits]]
sources = ["hydra"]
entries = 1
on_limit = "drop"
"#;

fn numbered(path: &str, count: usize) -> String {
    (0..count).map(|n| format!("{path} {n} 1700000000\n")).collect()
}

#[test]
fn what_is_beyond_is_dropped_or_waits_and_is_counted() {
    let work = tempfile::tempdir().unwrap();
    fs::write(work.path().join("secret"), "open sesame\n").unwrap();
    fs::write(work.path().join("in.toml"), format!("{SOURCES}{LIMITS}")).unwrap();
    let ingestry = Ingestry::start(work.path(), &["--config", "in.toml"]);
    let send = |source: &str, scheme: &str, tag: &str, text: &str| {
        ingestry.sent(work.path(), source, scheme, tag, text)
    };
    let acknowledged =
        |sent: (Option<i32>, String, String)| assert_eq!(sent.0, Some(0), "{sent:?}");
    let mixed =
        [numbered("few-a.x", 300), numbered("many.x", 300), numbered("few-b.x", 50)].concat();
    acknowledged(send("graphite", "graphite", "unused", &mixed));
    acknowledged(send("wire", "gravwell", "few-c", &numbered("few", 300)));
    // 800 entries of some 50 bytes: 40 kB where 20 are allowed at once. All are taken.
    acknowledged(send("wire", "gravwell", "other", &numbered("a", 800)));
    // A client that has a report is told.
    let refused = send("hydra", "ws", "unused", &numbered("h", 50));
    assert_eq!(refused.0, Some(1), "{refused:?}");

    let now = status(ingestry.address("admin"));
    let limits = &now["limits"];
    let count = |index: usize, what: &str| limits[index][what].as_u64().unwrap();
    assert_eq!(
        (limits[0]["name"].as_str(), limits[2]["name"].as_str()),
        (Some("few"), Some("limit 3"))
    );
    assert_eq!(count(0, "passed") + count(0, "dropped"), 650);
    assert!((250..650).contains(&count(0, "passed")), "{limits}");
    assert_eq!((count(1, "dropped"), limits[1]["on_limit"].as_str()), (0, Some("block")));
    assert!(count(1, "waits") >= 1 && count(1, "passed") >= 900, "{limits}");
    assert_eq!(count(2, "passed") + count(2, "dropped"), 50);
    let rejected = |source| source_row(&now, source)["rejected"]["limit"].as_u64().unwrap();
    assert_eq!(rejected("graphite") + rejected("wire"), count(0, "dropped"));
    assert!(rejected("graphite") > 0 && rejected("wire") > 0 && rejected("hydra") > 0, "{now:#}");
    let metrics = page(ingestry.address("admin"), "/metrics");
    let row = format!(
        r#"ingestry_limit_entries_total{{limit="few",fate="passed"}} {}"#,
        count(0, "passed")
    );
    assert!(metrics.contains(&row), "{metrics}");

    // A reload without them lifts them; the rest counts on.
    let without = LIMITS.split("[[limits]]\nsources = [\"hydra\"]").next().unwrap();
    fs::write(work.path().join("in.toml"), format!("{SOURCES}{without}")).unwrap();
    let reloaded = ended(work.path(), &["reload", "--config", "in.toml"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    acknowledged(send("hydra", "ws", "unused", &numbered("h", 50)));
    let later = status(ingestry.address("admin"));
    assert_eq!(later["limits"][0], now["limits"][0]);
    assert_eq!(later["limits"].as_array().unwrap().len(), 2);
    ingestry.stop();

    let found = search(&work.path().join("ingestry-data"), "");
    let of = |tag: &str| found.iter().filter(|found| found.tag == tag).count() as u64;
    assert_eq!((of("many"), of("few-b"), of("other")), (300, 50, 800), "within, or not dropped");
    assert_eq!(of("few-a") + of("few-b") + of("few-c"), count(0, "passed"));
    assert!(of("few-a") >= 100 && of("few-c") >= 100, "a second's worth passes at once");
}
