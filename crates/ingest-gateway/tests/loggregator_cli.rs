//! `ingestry loggregator` against servers of each generation, as a user runs it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};

use loggregator_consumer::legacy::{LogMessage, MessageType};
use loggregator_consumer::wire::Message as _;

/// Serves one request: `answer` makes the answer from the request's head.
fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap() > 0 {}
            let _ = stream.write_all(&answer(&head));
        }
    });
    address
}

fn ingestry(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestry"));
    command.arg("loggregator").args(arguments).env_clear();
    command.env("CF_ACCESS_TOKEN", "bearer T").envs(variables.iter().copied());
    command.output().unwrap()
}

fn line(text: &str, seconds: i64) -> Vec<u8> {
    let message: LogMessage = LogMessage {
        message: Some(text.to_owned().into()),
        message_type: Some(MessageType::OUT),
        timestamp: Some(seconds * 1_000_000_000),
        app_id: Some("guid".into()),
        source_name: Some("App".into()),
        source_id: Some("0".into()),
        ..LogMessage::default()
    };
    message.encode()
}

fn has(head: &str, line: &str) -> bool {
    head.lines().any(|one| one.eq_ignore_ascii_case(line))
}

#[test]
fn recent_is_sorted_and_the_environment_says_where_and_who() {
    let address = serve(|head| {
        if !head.starts_with("GET /recent?app=guid HTTP") || !has(head, "Authorization: bearer T") {
            return b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno".to_vec();
        }
        let mut body = Vec::new();
        for message in [line("second", 2), line("first", 1)] {
            body.extend_from_slice(b"\r\n--b\r\n\r\n");
            body.extend_from_slice(&message);
        }
        body.extend_from_slice(b"\r\n--b--\r\n");
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-protobuf; boundary=b\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body].concat()
    });
    let endpoint = format!("ws://{address}");
    let output = ingestry(
        &["recent", "--format", "raw"],
        &[("LOGGREGATOR_ENDPOINT", &endpoint), ("APP_GUID", "guid")],
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "first\nsecond\n", "{output:?}");
    assert!(output.status.success());
    let output = ingestry(&["recent", "guid", "--endpoint", &endpoint], &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("1970-01-01T00:00:01.000000000Z [App/0 OUT] first\n"), "{text}");
    let output =
        ingestry(&["recent", "guid", "--endpoint", &endpoint], &[("CF_ACCESS_TOKEN", "other")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Unauthorized error: no"));
}

#[test]
fn tail_follows_until_the_server_closes() {
    let address = serve(|head| {
        let key = head.lines().find_map(|line| {
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        });
        let accept = tungstenite::handshake::derive_accept_key(key.unwrap().1.as_bytes());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let message = line("hello", 3);
        let frame = [&[0x82, message.len() as u8], &message[..], &[0x88, 2, 3, 0xe8]].concat();
        [head.into_bytes(), frame].concat()
    });
    let output = ingestry(
        &["tail", "guid", "--endpoint", &format!("ws://{address}"), "--format", "raw"],
        &[],
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n", "{output:?}");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("closed by the server: 1000"));
}

#[test]
fn read_asks_for_types_and_ends_after_so_many() {
    let address = serve(|head| {
        assert!(
            head.starts_with("GET /v2/read?log&gauge&source_id=guid&shard_id=s HTTP"),
            "{head}"
        );
        let event = "data: {\"batch\":[{\"timestamp\":\"5\",\"source_id\":\"guid\",\"instance_id\":\"1\",\
                     \"log\":{\"payload\":\"aGk=\"}},{\"gauge\":{\"metrics\":{}}},{}]}\n\n";
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{event}").into_bytes()
    });
    let endpoint = format!("http://{address}");
    let common = ["guid", "--endpoint", &endpoint, "--type", "log", "--type", "gauge"];
    let rest = ["--shard-id", "s", "--limit", "2", "--format", "json"];
    let output = ingestry(&[&["read"], &common[..], &rest[..]].concat(), &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{output:?}");
    assert!(lines[0].contains("\"payload\":\"aGk=\""), "{text}");
    assert!(output.status.success());
}

#[test]
fn what_is_missing_is_named() {
    let output = ingestry(&["tail", "guid"], &[("CF_ACCESS_TOKEN", "")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("CF_ACCESS_TOKEN"), "{output:?}");
}

#[test]
fn a_refused_token_ends_it_and_one_that_ran_out_is_read_again() {
    let refuse = || {
        serve(|head| {
            let status = if head.starts_with("GET /v2/") { "404 Not Found" } else { "401 No" };
            format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno").into_bytes()
        })
    };
    for (what, scheme) in [("stream", "ws"), ("firehose", "ws"), ("read", "http")] {
        let endpoint = format!("{scheme}://{}", refuse());
        let output = ingestry(&[what, "--endpoint", &endpoint], &[("APP_GUID", "guid")]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{what}: {text}");
        assert!(text.contains("cf oauth-token"), "{what}: {text}");
    }
    // The file has another token by the time that the first is refused.
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".cf")).unwrap();
    let file = home.path().join(".cf/config.json");
    std::fs::write(&file, r#"{"AccessToken": "bearer old"}"#).unwrap();
    let address = serve(move |head| {
        if !has(head, "Authorization: bearer new") {
            std::fs::write(&file, r#"{"AccessToken": "bearer new"}"#).unwrap();
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
        }
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"batch\":[{\
          \"source_id\":\"s\",\"log\":{\"payload\":\"aGVsbG8K\",\"type\":\"OUT\"}}]}\n\n"
            .to_vec()
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestry"));
    command.args([
        "loggregator",
        "read",
        "--limit",
        "1",
        "--endpoint",
        &format!("http://{address}"),
    ]);
    let output = command.env_clear().env("CF_HOME", home.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with(" [s/ OUT] hello\n"), "{text:?}");
    assert!(output.status.success());
}
