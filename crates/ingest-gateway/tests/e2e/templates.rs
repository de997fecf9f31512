//! Templates make tags of what items bring, up to a limit, and routes go by them.

use std::fs;

use serde_json::json;

use crate::support::carbon::Carbon;
use crate::support::client::{page, source_row, status};
use crate::support::process::{Ingestry, ended, piped};
use crate::support::stored::search;
use crate::support::wait::until;

const CONFIG: &str = r#"
[admin]
listen = "127.0.0.1:0"
[sources.graphite]
type = "graphite"
listen = "127.0.0.1:0"
tag = "x-{path.0}-{tag.host|none}"
plain_tag = "rest"
max_tags = 3
[sources.hydra]
type = "hydra"
listen = "127.0.0.1:0"
tag = "h-{header.hydra-app|{topic}"
"#;

fn config(carbon: &str) -> String {
    let routes = format!(
        "[destinations.store]\ntype = \"store\"\n[destinations.carbon]\ntype = \"graphite\"\n\
         targets = [{carbon:?}]\nformat = \"lines\"\n\
         [[routes]]\ntags = [\"*\"]\nto = [\"store\"]\n\
         [[routes]]\ntags = [\"x-web-*\"]\nto = [\"carbon\"]\n"
    );
    // A template that cannot be read is refused; the one below it can.
    let fine = CONFIG.replace("{header.hydra-app|{topic}", "{header.hydra-app|none}");
    format!("{fine}{routes}")
}

#[test]
fn tags_are_made_of_what_items_bring() {
    let work = tempfile::tempdir().unwrap();
    let carbon = Carbon::start("127.0.0.1:0", 0);
    fs::write(work.path().join("broken.toml"), CONFIG).unwrap();
    let broken = ended(work.path(), &["check", "broken.toml"]);
    assert_eq!(broken.status.code(), Some(2), "{broken:?}");
    fs::write(work.path().join("in.toml"), config(&carbon.address.to_string())).unwrap();
    let ingestry = Ingestry::start(work.path(), &["--config", "in.toml"]);
    let to = |scheme: &str, source: &str| {
        let path = if scheme == "ws" { "/ws-ingest/gravwell_ingestor" } else { "" };
        format!("{scheme}://{}{path}", ingestry.address(source))
    };
    let send = |args: &[&str], text: &str| {
        let (code, out, err) = piped(work.path(), &[&["send"], args].concat(), text);
        assert_eq!(code, Some(0), "{out}{err}");
    };
    let lines = "web.a 1 1700000000\nweb.b 2 1700000000\ndb.a;host=h/1 3 1700000000\n\
                 .a 4 1700000000\nc 5 1700000000\nd 6 1700000000\nweb.c 7 1700000000\n";
    send(&["--to", &to("graphite", "graphite")], lines);
    let hydra = to("ws", "hydra");
    let acked = ["--to", &hydra, "--header", "hydra-ack=persisted"];
    send(&[&acked[..], &["--header", "hydra-app=shop"]].concat(), "8\n");
    send(&acked, "9\n");
    send(&[&acked[..], &["--header", "hydra-tag=own"]].concat(), "10\n");

    let now = status(ingestry.address("admin"));
    let made = json!({
        "template": "x-{path.0}-{tag.host|none}", "tags": 3, "most": 3, "replaced": 1, "missing": 1,
        "too_many": 1
    });
    assert_eq!(source_row(&now, "graphite")["template"], made);
    let metrics = page(ingestry.address("admin"), "/metrics");
    let row = r#"ingestry_source_template_entries_total{source="graphite",type="graphite",fate="too_many"} 1"#;
    assert!(metrics.contains(row), "{metrics}");
    // Who stays the same keeps what it has made.
    let reloaded = ended(work.path(), &["reload", "--config", "in.toml"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    assert_eq!(source_row(&status(ingestry.address("admin")), "graphite")["template"], made);
    ingestry.stop();

    let mut stored: Vec<_> = search(&work.path().join("ingestry-data"), "")
        .into_iter()
        .map(|found| format!("{} {}", found.tag, found.data.split(' ').take(2).last().unwrap()))
        .collect();
    stored.sort();
    let expected = [
        "h-none 9",
        "h-shop 8",
        "own 10",
        "rest 4",
        "rest 6",
        "x-c-none 5",
        "x-db-h_1 3",
        "x-web-none 1",
        "x-web-none 2",
        "x-web-none 7",
    ];
    let mut expected = expected.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(stored, expected);
    until("the routed lines", || (carbon.lines().len() >= 3).then_some(()));
    assert_eq!(carbon.lines(), ["web.a 1 1700000000", "web.b 2 1700000000", "web.c 7 1700000000"]);
}
