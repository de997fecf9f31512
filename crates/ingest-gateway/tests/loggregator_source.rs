//! The source `loggregator`: what a platform's server sends is stored, and counted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc;

/// A gateway that sends one event to each who asks with the right token, and then nothing.
fn gateway() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heads, seen) = mpsc::channel();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap() > 0 {}
            let good = head.to_lowercase().contains("authorization: bearer good\r\n");
            let answer = if good {
                let batch = "{\"batch\":[{\"timestamp\":\"1700000000000000001\",\"source_id\":\"app\",\
                    \"tags\":{\"ip\":\"10.0.16.12\"},\"log\":{\"payload\":\"aGVsbG8=\",\"type\":\"ERR\"}},\
                    {\"timestamp\":\"x\"},{\"timestamp\":\"2\",\"counter\":{\"name\":\"c\",\"delta\":\"3\"}}]}";
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {batch}\n\n"
                )
            } else {
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()
            };
            stream.write_all(answer.as_bytes()).unwrap();
            heads.send(head).unwrap();
            open.push(stream);
        }
    });
    (address, seen)
}

#[test]
fn what_the_platform_sends_is_stored() {
    let (address, seen) = gateway();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("token"), "bearer good\n").unwrap();
    let config = format!(
        "[log]\ndir = {:?}\n[log.keep]\nbytes = \"16 MiB\"\n[admin]\nenabled = false\n\
         [sources.cf]\ntype = \"loggregator\"\nendpoint = \"http://{address}\"\n\
         token = \"file:{}\"\ngroup = \"g\"\ntag = \"cf\"\n[sources.cf.tags]\ncounter = \"cf-counters\"\n",
        path("data"),
        path("token").display(),
    );
    std::fs::write(path("config.toml"), config).unwrap();
    let program = env!("CARGO_BIN_EXE_ingestry");
    let mut gateway = Command::new(program)
        .args(["run", "--config"])
        .arg(path("config.toml"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let head = seen.recv().unwrap();
    assert!(
        head.starts_with("GET /v2/read?log&counter&gauge&timer&event&shard_id=g HTTP"),
        "{head}"
    );
    // Follows until both entries are there.
    let mut search = Command::new(program)
        .args(["search", "--follow", "--format", "json", "--data-dir"])
        .arg(path("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(search.stdout.take().unwrap()).lines();
    let entries: Vec<String> = lines.take(2).map(Result::unwrap).collect();
    search.kill().unwrap();
    search.wait().unwrap();
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    assert!(entries[0].contains("\"tag\":\"cf\""), "{entries:?}");
    assert!(entries[0].contains("\"data\":\"hello\""), "{entries:?}");
    assert!(entries[0].contains("\"ts\":\"2023-11-14T22:13:20.000000001Z\""), "{entries:?}");
    assert!(entries[0].contains("\"src\":\"10.0.16.12\""), "{entries:?}");
    assert!(entries[0].contains("\"stream\":\"ERR\""), "{entries:?}");
    assert!(entries[1].contains("\"tag\":\"cf-counters\""), "{entries:?}");
    assert!(entries[1].contains("\"delta\":3"), "{entries:?}");
}

#[test]
fn mistakes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    for (keys, expected) in [
        ("endpoint = \"https://h\"", "token"),
        ("endpoint = \"wss://h\"\ntoken = \"env:PATH\"", "https://"),
        ("endpoint = \"http://h\"\ntoken = \"env:PATH\"", "can be read"),
        ("endpoint = \"wss://h\"\ntoken = \"env:PATH\"\nread = \"tail\"", "apps"),
        ("endpoint = \"https://h\"\ntoken = \"env:PATH\"\ntags = { logs = \"x\" }", "logs"),
        ("endpoint = \"https://h\"\ntoken = \"env:PATH\"\nlisten = \"127.0.0.1:1\"", "listen"),
    ] {
        std::fs::write(&file, format!("[sources.cf]\ntype = \"loggregator\"\n{keys}\n")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_ingestry")).arg("check").arg(&file).output();
        let output = output.unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert_eq!(output.status.code(), Some(2), "{keys}: {text}");
        assert!(text.contains(expected), "{keys}: {text}");
    }
}

/// A gateway that gives each connection one line, of another organization each time, and ends it.
fn cutting() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for (number, stream) in (1..).zip(listener.incoming()) {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap() > 0 {}
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {{\"batch\":[{{\
                 \"timestamp\":\"{number}\",\"source_id\":\"55fdb274-d6c9-4b8c-9b1f-00000000000{number}\",\
                 \"tags\":{{\"organization_name\":\"org {number}\"}},\
                 \"log\":{{\"payload\":\"aGVsbG8=\",\"type\":\"OUT\"}}}}]}}\n\n"
            );
            // Whoever is gone by now has had enough.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn gaps_are_entries_and_tags_are_given_by_rule() {
    let address = cutting();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("token"), "bearer x").unwrap();
    let config = format!(
        "[log]\ndir = {:?}\n[log.keep]\nbytes = \"16 MiB\"\n[admin]\nenabled = false\n\
         [sources.cf]\ntype = \"loggregator\"\nendpoint = \"http://{address}\"\n\
         token = \"file:{}\"\ntag = \"cf\"\ntag_per = \"org\"\nwhen_full = \"drop-oldest\"\n\
         buffer = 100\napp_tags = {{ 55fdb274-d6c9-4b8c-9b1f-000000000002 = \"second\" }}\n",
        path("data"),
        path("token").display(),
    );
    std::fs::write(path("config.toml"), config).unwrap();
    let program = env!("CARGO_BIN_EXE_ingestry");
    let mut gateway = Command::new(program)
        .args(["run", "--config"])
        .arg(path("config.toml"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut search = Command::new(program)
        .args(["search", "--follow", "--format", "json", "--data-dir"])
        .arg(path("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(search.stdout.take().unwrap()).lines();
    let entries: Vec<serde_json::Value> =
        lines.take(5).map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    search.kill().unwrap();
    search.wait().unwrap();
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    let tags: Vec<_> = entries.iter().map(|entry| entry["tag"].as_str().unwrap()).collect();
    assert_eq!(tags, ["cf-org_1", "cf", "second", "cf", "cf-org_3"], "{entries:?}");
    for (gap, after) in [(&entries[1], 1), (&entries[3], 2)] {
        let text = gap.to_string();
        assert!(text.contains("Messages may be missing: "), "{text}");
        for part in ["\"event_type\":\"gap\"", "\"cause\":\"ended\"", &format!("\"after\":{after}")]
        {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }
}
