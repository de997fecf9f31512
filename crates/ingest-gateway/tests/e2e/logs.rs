//! The program's own messages on standard error: as JSON they are objects, all of them.

use serde_json::Value;

use crate::support::client::send;
use crate::support::process::{Ingestry, ended};
use crate::support::wait::until;

const CONFIG: &str = "\
[logs]
format = \"json\"
[log]
dir = \"data\"
[sources.graphite]
type = \"graphite\"
listen = \"127.0.0.1:0\"
max_line = \"256 B\"
[sources.nobody]
type = \"graphite\"
listen = \"127.0.0.1:0\"
tag = \"x\"
[[routes]]
tags = [\"graphite\"]
to = [\"store\"]
[admin]
enabled = false
";

/// Every line on standard error, each an object with what has to be there.
fn objects(err: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    for line in err.lines() {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for key in ["time", "level", "target", "message"] {
            assert!(object[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {line}");
        }
        assert!(object["fields"].is_object(), "{line}");
        objects.push(object);
    }
    objects
}

#[test]
fn json_is_all_that_there_is_on_standard_error() {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("c.toml");
    std::fs::write(&file, CONFIG).unwrap();
    let gateway = Ingestry::start(work.path(), &["--config", "c.toml"]);
    send(gateway.address("graphite"), b"not a point\n").unwrap();
    let refused = until("a refused item", || {
        let lines = objects(&gateway.err());
        lines.into_iter().find(|line| line["message"] == "Refused an item.")
    });
    assert_eq!(refused["level"], "warn");
    assert_eq!(refused["target"], "ingest_gateway::sources::reject_log");
    assert_eq!(refused["fields"]["source"], "graphite");
    assert_eq!(refused["fields"]["item"], "not a point");
    let warned = |text: &str| {
        let lines = objects(&gateway.err());
        lines.iter().any(|line| line["message"].as_str().unwrap().contains(text))
    };
    assert!(warned("c.toml:12:7: warning: sources.nobody.tag"), "{}", gateway.err());

    // A reload that is refused says so in the same form, and one that is not applies the level.
    std::fs::write(&file, "[logs]\nformat = \"jsn\"\n").unwrap();
    gateway.signal("HUP");
    until("the refusal", || warned("Not reloaded").then_some(()));
    std::fs::write(&file, CONFIG.replace("\"json\"", "\"json\"\nlevel = \"error\"")).unwrap();
    gateway.signal("HUP");
    until("the reload", || gateway.out().contains("Reloaded: changed: logs.").then_some(()));
    let before = gateway.err().lines().count();
    let long = format!("{} 1 1700000000\n", "long.".repeat(100));
    send(gateway.address("graphite"), long.as_bytes()).unwrap();
    assert_eq!(gateway.err().lines().count(), before, "{}", gateway.err());
    gateway.stop();
}

#[test]
fn the_command_line_wins_and_a_wrong_configuration_is_an_object_too() {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("c.toml"), "[logs]\nformat = \"jsn\"\n").unwrap();
    let output = ended(work.path(), &["run", "--config", "c.toml", "--log-format", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let lines = objects(std::str::from_utf8(&output.stderr).unwrap());
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["level"], "error");
    assert!(lines[0]["message"].as_str().unwrap().contains("did you mean \"json\"?"));
}
