//! `ingestry test`: the samples of a configuration through its own sources, templates, rules, limits
//! and routes.

use std::fs;
use std::path::Path;

use crate::support::process::ended;

const CONFIG: &str = r#"
[log]
dir = "never-made"
[admin]
listen = "127.0.0.1:0"
[sources.graphite]
type = "graphite"
listen = "127.0.0.1:2003"
tag = "x-{path.0}"
plain_tag = "rest"
allow = ["192.0.2.0/24"]
[sources.pickle]
type = "graphite-pickle"
listen = "127.0.0.1:2004"
[sources.udp]
type = "graphite-udp"
listen = "127.0.0.1:2003"
[sources.unix]
type = "graphite-unix"
path = "/no/such/place"
socket = "datagram"
[sources.wire]
type = "gravwell"
listen = "127.0.0.1:4023"
secret = "env:PATH"
[sources.hydra]
type = "hydra"
listen = "127.0.0.1:8080"
tag = "h-{header.hydra-app|none}"
[destinations.kept]
type = "store"
[destinations.carbon]
type = "graphite"
targets = ["192.0.2.1:2003"]
[[routes]]
tags = ["x-web", "graphite"]
to = ["carbon"]
[[routes]]
tags = ["*"]
to = ["kept"]
[[rules]]
tags = ["x-debug"]
action = "drop"
[[limits]]
sources = ["udp"]
entries = 1
on_limit = "drop"
[[tests]]
name = "tags and routes"
source = "graphite"
lines = """
web.a 1.50 1700000000
debug.a 2 1700000000
nonsense
db 3 1700000000
"""
entries = [
  { tag = "x-web", data = "web.a 1.5 1700000000", to = ["carbon", "kept"] },
  { tag = "x-db", data = "db 3 1700000000", to = ["kept"] },
]
rejected = { rule = 1, field_count = 1 }
[[tests]]
name = "a frame"
source = "pickle"
lines = "a.b 4 1700000000"
entries = [{ tag = "graphite", data = "a.b 4 1700000000" }]
[[tests]]
name = "no frame"
source = "pickle"
hex = "ff ff ff ff 00"
rejected = { frame_too_long = 1 }
[[tests]]
name = "datagrams"
source = "udp"
lines = "a 5 1700000000\nb 6 1700000000\n"
entries = [{ tag = "graphite", data = "a 5 1700000000" }]
rejected = { limit = 1 }
[[tests]]
source = "unix"
hex = "61 20 37 20 31"
entries = [{ tag = "graphite", data = "a 7 1" }]
[[tests]]
source = "wire"
tag = "app"
lines = "an entry\nanother"
entries = [{ tag = "app", data = "an entry" }, { tag = "app", data = "another", to = ["kept"] }]
[[tests]]
source = "hydra"
headers = { hydra-app = "shop" }
lines = "a message"
entries = [{ tag = "h-shop", data = " a message" }]
"#;

fn test(work: &Path, config: &str, more: &[&str]) -> (Option<i32>, String, String) {
    fs::write(work.join("in.toml"), config).unwrap();
    let output = ended(work, &[&["test", "in.toml"], more].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn samples_become_what_they_are_to_become() {
    let work = tempfile::tempdir().unwrap();
    let (code, out, err) = test(work.path(), CONFIG, &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.ends_with("7 tests: 7 hold, 0 do not\n"), "{out}");
    assert!(out.contains("holds  tags and routes\n") && out.contains("holds  test 5\n"), "{out}");
    assert!(!work.path().join("never-made").exists(), "nothing outside is touched");
    let (code, out, _) = test(work.path(), CONFIG, &["--only", "frame"]);
    assert_eq!((code, out.lines().count()), (Some(0), 3), "{out}");
}

#[test]
fn what_does_not_hold_is_said() {
    let work = tempfile::tempdir().unwrap();
    let changed = CONFIG
        .replace(
            "{ tag = \"x-web\", data = \"web.a 1.5 1700000000\"",
            "{ tag = \"x-weh\", data = \"web.a 1.6 1700000000\"",
        )
        .replace("to = [\"carbon\", \"kept\"] }", "to = [\"kept\"] }")
        .replace("rule = 1, ", "")
        .replace("rejected = { limit = 1 }", "rejected = { limit = 1, rule = 2 }")
        .replace(", { tag = \"app\", data = \"another\", to = [\"kept\"] }", "")
        .replace("lines = \"a message\"", "lines = \"a message\"\nrejected = { bad_tag = 1 }");
    let (code, out, err) = test(work.path(), &changed, &[]);
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    let expected = "\
FAILED tags and routes
       entry 1: tag: found \"x-web\", expected \"x-weh\"
       entry 1: data: found \"web.a 1.5 1700000000\", expected \"web.a 1.6 1700000000\"
       entry 1: to: found [\"kept\", \"carbon\"], expected [\"kept\"]
       rejected for rule: found 1, expected 0
holds  a frame
holds  no frame
FAILED datagrams
       rejected for rule: found 0, expected 2
holds  test 5
FAILED test 6
       entry 2: found \"another\" of tag \"app\", expected none
FAILED test 7
       rejected for bad_tag: found 0, expected 1
7 tests: 3 hold, 4 do not
";
    assert_eq!(out, expected);
}

#[test]
fn a_file_that_is_wrong_or_has_no_tests_is_a_usage_error() {
    let work = tempfile::tempdir().unwrap();
    let (code, out, err) = test(work.path(), "[admin]\nenabled = false\n", &[]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert_eq!(err, "error: in.toml: no [[tests]]\n");
    let (code, _, err) = test(work.path(), CONFIG, &["--only", "nothing"]);
    assert_eq!((code, err.as_str()), (Some(2), "error: in.toml: no [[tests]] of such a name\n"));
    let wrong = CONFIG.replace("source = \"hydra\"", "source = \"hydro\"");
    let (code, _, err) = test(work.path(), &wrong, &[]);
    assert_eq!(code, Some(2));
    assert!(err.contains("did you mean \"hydra\"?"), "{err}");
    let checked = ended(work.path(), &["check", "in.toml"]);
    assert_eq!(checked.status.code(), Some(2), "check says so, too: {checked:?}");
}

/// The messages are from vectors: `logmessage.jsonl` lm-000, `dropsonde.jsonl` ds-000.
const CONNECTING: &str = r#"
[sources.rlp]
type = "loggregator"
endpoint = "https://log-stream.example.com"
token = "env:PATH"
tag = "cf"
org_tags = { retail = "cf-retail" }
[sources.tail]
type = "loggregator"
endpoint = "wss://loggregator.example.com:4443"
token = "env:PATH"
read = "tail"
apps = ["55fdb274-d6c9-4b8c-9b1f-9b7e7f3a346c"]
tag = "old"
app_tags = { 55fdb274-d6c9-4b8c-9b1f-9b7e7f3a346c = "shop" }
[sources.firehose]
type = "loggregator"
endpoint = "wss://doppler.example.com:443"
token = "env:PATH"
read = "firehose"
tag = "fire"
[destinations.kept]
type = "store"
[[tests]]
name = "envelopes"
source = "rlp"
lines = """
{"timestamp":"1700000000123456789","log":{"payload":"aGVsbG8=","type":"OUT"}}

{"timestamp":"1700000000123456790","tags":{"organization_name":"retail"},"log":{"payload":"YnV5"}}
{"timestamp":"x"}
{"timest
"""
entries = [
  { tag = "cf", data = "hello", to = ["kept"] },
  { tag = "cf-retail", data = "buy", to = ["kept"] },
]
rejected = { undecodable = 2 }
[[tests]]
name = "a line"
source = "tail"
base64 = """
ChBIZWxsbyB5OGI3bXttMHt0EAEYqvy929OZ8oAnIiQ1NWZkYjI3NC1kNmM5LTRiOGMtOWIxZi05
YjdlN2YzYTM0NmMyATBCA0FwcA==
"""
entries = [{ tag = "shop", data = "Hello y8b7m{m0{t" }]
[[tests]]
name = "no line"
source = "tail"
hex = "ff"
rejected = { undecodable = 1 }
[[tests]]
name = "an envelope of the firehose"
source = "firehose"
base64 = """
CgNyZXAQBTCVmpfs45/nyxdCVwoSaGVsbG8gOnEzdT0vdXR7ODM1EAEYmpqX7OOf58sXIiQ0MzNj
YTlmMC1iMzg3LWVlNTQtMDI3MS00ZjkzZDI1YmMwNDUqDEFQUC9QUk9DL1dFQjIBMGoCY2ZyCmRp
ZWdvLWNlbGx6JDA5MGM5MmYwLWFhMmQtZmIzNy0xZTZiLTUzNTI1ZGVlZjhmY4IBCjEwLjAuMTYu
MTKKARMKDHByb2Nlc3NfdHlwZRIDd2ViigExCglzb3VyY2VfaWQSJDQzM2NhOWYwLWIzODctZWU1
NC0wMjcxLTRmOTNkMjViYzA0NQ==
"""
entries = [{ tag = "fire", data = "hello :q3u=/ut{835" }]
"#;

#[test]
fn sources_that_connect_are_given_messages() {
    let work = tempfile::tempdir().unwrap();
    let (code, out, err) = test(work.path(), CONNECTING, &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.ends_with("4 tests: 4 hold, 0 do not\n"), "{out}");
    let changed =
        CONNECTING.replace("undecodable = 2", "undecodable = 1").replace("\"buy\"", "\"by\"");
    let (code, out, _) = test(work.path(), &changed, &["--only", "envelopes"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("entry 2: data: found \"buy\", expected \"by\""), "{out}");
    assert!(out.contains("rejected for undecodable: found 2, expected 1"), "{out}");
}

#[cfg(feature = "amqp")]
#[test]
fn messages_of_a_broker_have_keys() {
    let work = tempfile::tempdir().unwrap();
    let config = r#"
[sources.broker]
type = "amqp"
AMQP_HOST = "192.0.2.1"
AMQP_PASSWORD = "env:PATH"
name = "auto"
tag = "q-{key.0|none}"
ENABLE_AMQP = false
[destinations.kept]
type = "store"
[[tests]]
name = "the name in the key"
source = "broker"
key = "web.requests"
lines = "1.50 1700000000\n2 1700000001"
entries = [
  { tag = "q-web", data = "web.requests 1.5 1700000000", to = ["kept"] },
  { tag = "q-web", data = "web.requests 2 1700000001" },
]
[[tests]]
name = "the name in the body"
source = "broker"
base64 = "ZGIgMyAxNzAwMDAwMDAwCm5vbnNlbnNl"
entries = [{ tag = "q-none", data = "db 3 1700000000" }]
rejected = { field_count = 1 }
"#;
    let (code, out, err) = test(work.path(), config, &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.ends_with("2 tests: 2 hold, 0 do not\n"), "{out}");
    let changed = config.replace("key = \"web.requests\"", "key = \"app.requests\"");
    let (code, out, _) = test(work.path(), &changed, &[]);
    assert_eq!(code, Some(1));
    assert!(out.contains("entry 1: tag: found \"q-app\", expected \"q-web\""), "{out}");
}
