//! Rows that are answers of servers: a server gives them, byte by byte as recorded, and our clients
//! read them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use loggregator_consumer::client::{
    ClientError, Consumer, Gateway, Item, Proxy, Query, Reason, TrafficController,
};
use loggregator_consumer::json::decode_batch;
use loggregator_consumer::legacy::LogMessage;
use loggregator_consumer::sse::SseDecoder;
use loggregator_consumer::v2::EnvelopeBatch;
use loggregator_consumer::wire::Message;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::messages::{hex_of, legacy_fields};
use super::vectors::{Report, Row, bytes, hex, same};

/// The heads of requests, and what came behind each.
type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// What a server does with a connection.
#[derive(Clone, Default)]
pub(crate) struct Script {
    /// The answer to a request; `{ACCEPT}` in its head is the right answer to the key.
    answer: Vec<u8>,
    /// The answer to `/dump/`, where it is asked for.
    dump: Option<Vec<u8>>,
    /// Whether the client's next bytes are waited for before the end.
    wait: bool,
    /// Whether the end is a reset.
    reset: bool,
}

pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) seen: Seen,
    done: oneshot::Receiver<()>,
}

pub(crate) fn block_on<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), run).await.unwrap() })
}

pub(crate) async fn serve(script: Script) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen: Seen = Arc::default();
    let (finished, done) = oneshot::channel();
    let requests = Arc::clone(&seen);
    tokio::spawn(async move {
        let mut finished = Some(finished);
        while let Ok((stream, _)) = listener.accept().await {
            let connection = answer(stream, &script, &requests).await;
            if let (Some(()), Some(finished)) = (connection, finished.take()) {
                let _ = finished.send(());
            }
        }
    });
    Server { address, seen, done }
}

async fn answer(mut stream: TcpStream, script: &Script, requests: &Seen) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut reply = script.answer.clone();
    if let Some(dump) = script.dump.as_ref().filter(|_| head.starts_with("GET /dump/")) {
        reply.clone_from(dump);
    }
    reply = accepted(reply, &head);
    let _ = stream.write_all(&reply).await;
    let _ = stream.flush().await;
    let mut behind = Vec::new();
    if script.wait {
        let _ = stream.read_to_end(&mut behind).await;
    } else if script.reset {
        let _ = stream.set_zero_linger();
    }
    requests.lock().unwrap().push((head, behind));
    drop(stream);
    Some(())
}

/// With the accept header that belongs to the request's key, where the recorded one has one.
fn accepted(reply: Vec<u8>, head: &str) -> Vec<u8> {
    let mark = b"{ACCEPT}";
    let Some(at) = memchr::memmem::find(&reply, mark) else { return reply };
    let key = header(head, "sec-websocket-key").unwrap_or_default();
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    [&reply[..at], accept.as_bytes(), &reply[at + mark.len()..]].concat()
}

pub(crate) fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_end().to_owned())
    })
}

const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                    Connection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n";

fn base64(text: &str) -> Vec<u8> {
    // The crate's own reader of base64 is what JSON is read with.
    let json = format!("{{\"batch\":[{{\"log\":{{\"payload\":\"{text}\"}}}}]}}");
    let batch = decode_batch(&Bytes::from(json));
    match batch.envelopes[0].message.clone() {
        Some(loggregator_consumer::v2::EnvelopeMessage::Log(log)) => log.payload.to_vec(),
        _ => panic!("{text}"),
    }
}

/// The kind of an error, in the words of the vectors.
fn kind(error: &ClientError) -> &'static str {
    match error {
        ClientError::Unauthorized(_) => "Unauthorized",
        ClientError::UnauthorizedStream(_) | ClientError::Dial(_) => "Dial",
        ClientError::NotFound => "ErrNotFound",
        ClientError::BadResponse => "ErrBadResponse",
        ClientError::BadRequest => "ErrBadRequest",
        ClientError::NotOk => "ErrNotOK",
        ClientError::NonRetry(_) => "NonRetry",
        _ => "Other",
    }
}

/// Whether a text is the recorded one, up to the cause of a dial and the addresses.
fn same_error(ours: Option<&ClientError>, theirs: &Value) -> Result<(), String> {
    let expected = theirs.get("kind").and_then(Value::as_str).unwrap_or_default();
    same("kind", &ours.map_or("none", kind), &expected)?;
    let (Some(ours), Some(text)) = (ours, theirs.get("text").and_then(Value::as_str)) else {
        return Ok(());
    };
    let ours = ours.to_string();
    if expected != "Dial" {
        return same("text", &ours.as_str(), &text);
    }
    // The cause is the library's own; those of the protocol are ours too.
    let shared = ["Unauthorized error", "bad handshake", "malformed ws or wss", "cannot contain"];
    let cause = |text: &str| -> Option<String> {
        let from = text.find("server: ")? + 8;
        let to = text.find(".\nPlease")?;
        Some(text.get(from..to)?.to_owned())
    };
    let around = |text: &str| {
        let from = text.find("server: ").map_or(0, |at| at + 8);
        let to = text.find(".\nPlease").unwrap_or(text.len());
        let endpoint = text.rfind(" is ").unwrap_or(text.len());
        format!("{}{}", &text[..from], &text[to..endpoint])
    };
    same("text around the cause", &around(&ours), &around(text))?;
    let theirs = cause(text).unwrap_or_default();
    if shared.iter().any(|shared| theirs.contains(shared)) {
        let ours = cause(&ours).unwrap_or_default();
        let mask = |text: &str| text.split('"').next().unwrap_or_default().to_owned();
        return same("cause", &mask(&ours), &mask(&theirs));
    }
    Ok(())
}

/// Requests as far as they are ours to choose: the line, and the headers that the protocol names.
fn same_request(ours: &str, theirs: &str) -> Result<(), String> {
    same("request line", &ours.lines().next(), &theirs.lines().next())?;
    for name in ["authorization", "connection", "upgrade", "sec-websocket-version"] {
        let expected = header(theirs, name).filter(|value| value != "close");
        if expected.is_some() {
            same(name, &header(ours, name), &expected)?;
        }
    }
    if header(theirs, "origin").as_deref() == Some("http://localhost") {
        same("origin", &header(ours, "origin").as_deref(), &Some("http://localhost"))?;
    }
    Ok(())
}

fn check_request(row: &Row, report: &mut Report, server: &Server, theirs: Option<&Value>) {
    let Some(theirs) = theirs.and_then(Value::as_array) else {
        return report.count("requests", "absent");
    };
    let seen = server.seen.lock().unwrap();
    let ours: Vec<_> = seen.iter().map(|(head, _)| head.clone()).collect();
    drop(seen);
    report.check(row, "requests", same("count", &ours.len(), &theirs.len()));
    for (ours, theirs) in ours.iter().zip(theirs) {
        report.check(row, "request", same_request(ours, theirs.as_str().unwrap_or_default()));
    }
}

/// A `Content-Type` that Go reads as RFC 2045 has it. Otherwise we differ: `loggregator.md` 1.5,
/// "Ours: parse by RFC 2045 (quotes, other parameters, any case), and report `BadResponse` when
/// the body is not empty and no delimiter was found."
fn plain_boundary(answer: &[u8]) -> bool {
    let head = String::from_utf8_lossy(answer);
    let kind = header(&head, "content-type").unwrap_or_default();
    match kind.split_once("boundary=") {
        Some((_, value)) => {
            let wrong = |c: char| c == '"' || c == ';' || c == ' ';
            value.trim().is_empty() || (!value.contains(wrong) && delimited(answer, value))
        }
        None => !kind.to_ascii_lowercase().contains("boundary="),
    }
}

fn delimited(answer: &[u8], boundary: &str) -> bool {
    let end = memchr::memmem::find(answer, b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let body = &answer[end..];
    body.is_empty() || memchr::memmem::find(body, format!("--{boundary}").as_bytes()).is_some()
}

pub(crate) fn recent(row: &Row, report: &mut Report) {
    let Some(answer) = row.get("response_b64").and_then(Value::as_str).map(base64) else {
        return report.count("response_b64", "absent");
    };
    let Some(error) = row.get("error") else { return report.count("error", "absent") };
    let script = Script { answer: answer.clone(), dump: Some(dump(row)), ..Script::default() };
    let (server, kept, strict) = block_on(async {
        let server = serve(script.clone()).await;
        let endpoint = format!("ws://{}", server.address);
        let builder = Consumer::builder(&endpoint).proxy(Proxy::None);
        let kept = builder.clone().keep_partial(true).build().recent("GUID", "bearer T").await;
        let other = serve(script).await;
        let endpoint = format!("ws://{}", other.address);
        let strict = Consumer::builder(endpoint).proxy(Proxy::None).build();
        let strict = strict.recent("GUID", "bearer T").await;
        (server, kept, strict)
    });
    check_request(row, report, &server, row.get("requests"));
    let theirs: Vec<_> = row.get("messages").and_then(Value::as_array).cloned().unwrap_or_default();
    if !plain_boundary(&answer) {
        report.count("Content-Type", "that Go misreads");
        let sound = match &kept {
            Ok(recent) => !recent.messages.is_empty() && recent.undecodable == 0,
            Err(error) => *error == ClientError::BadResponse,
        };
        return report.check(row, "read by RFC 2045", same("sound", &sound, &true));
    }
    report.check(row, "error", same_error(kept.as_ref().err(), error));
    let kept = kept.unwrap_or_default();
    report.check(row, "messages", same_messages(&kept.messages, &theirs));
    // Without those that lack what is required.
    let whole = |message: &&Value| {
        ["message_hex", "message_type", "timestamp", "app_id"]
            .iter()
            .all(|name| !message[name].is_null())
    };
    let good: Vec<_> = theirs.iter().filter(whole).cloned().collect();
    let strict = strict.unwrap_or_default();
    report.check(row, "whole messages", same_messages(&strict.messages, &good));
    let lost = (theirs.len() - good.len()) as u64;
    let told = strict.undecodable >= lost;
    report.check(row, "undecodable", same("told", &told, &true));
    if is_cut(&answer) {
        report.check(row, "truncated", same("told", &strict.truncated, &true));
    }
}

/// Whether a body with parts lacks the final delimiter.
fn is_cut(answer: &[u8]) -> bool {
    let head = String::from_utf8_lossy(answer);
    let kind = header(&head, "content-type").unwrap_or_default();
    let Some((_, boundary)) = kind.split_once("boundary=").filter(|_| head.contains(" 200 "))
    else {
        return false;
    };
    if boundary.trim().is_empty() {
        return false;
    }
    let has = |mark: String| memchr::memmem::find(answer, mark.as_bytes()).is_some();
    has(format!("\n--{boundary}")) && !has(format!("\n--{boundary}--"))
}

/// For status 400: the messages of the row as `/dump/` gives them.
fn dump(row: &Row) -> Vec<u8> {
    let mut out = GOOD.as_bytes().to_vec();
    for message in row.get("messages").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| message[name].as_str().map(Into::into);
        let message = LogMessage::<Bytes> {
            message: message["message_hex"].as_str().map(|text| hex(text).into()),
            message_type: message["message_type"]
                .as_i64()
                .map(|number| loggregator_consumer::legacy::MessageType(number as i32)),
            timestamp: message["timestamp"].as_i64(),
            app_id: text("app_id"),
            source_id: text("source_id"),
            source_name: text("source_name"),
            ..LogMessage::default()
        };
        let encoded = message.encode();
        out.extend_from_slice(&[0x82, 0x7e]);
        out.extend_from_slice(&(encoded.len() as u16).to_be_bytes());
        out.extend_from_slice(&encoded);
    }
    out.extend_from_slice(b"\x88\x02\x03\xe8");
    out
}

fn same_messages(ours: &[LogMessage], theirs: &[Value]) -> Result<(), String> {
    same("count", &ours.len(), &theirs.len())?;
    for (ours, theirs) in ours.iter().zip(theirs) {
        legacy_fields(ours, theirs.as_object().unwrap())?;
    }
    Ok(())
}

pub(crate) fn container_metrics(row: &Row, report: &mut Report) {
    let Some(answer) = row.get("response_b64").and_then(Value::as_str).map(base64) else {
        return report.count("response_b64", "absent");
    };
    let (server, envelopes) = block_on(async {
        let server = serve(Script { answer, ..Script::default() }).await;
        let client = TrafficController::builder(format!("ws://{}", server.address));
        let client = client.proxy(Proxy::None).token("bearer T").build();
        let envelopes = client.container_envelopes("GUID").await;
        (server, envelopes)
    });
    check_request(row, report, &server, row.get("requests"));
    if let Some(error) = row.get("error") {
        report.check(row, "error", same_error(envelopes.as_ref().err(), error));
    }
    if let Some(theirs) = row.get("envelopes_hex").and_then(Value::as_array) {
        let ours: Vec<_> =
            envelopes.unwrap_or_default().iter().map(|one| hex_of(&one.encode())).collect();
        let theirs: Vec<String> = strings(theirs);
        report.check(row, "envelopes", same("envelopes", &ours, &theirs));
    }
}

/// The first end or error of a stream.
async fn first_reason<M>(stream: &mut loggregator_consumer::client::Messages<M>) -> Option<Reason> {
    while let Some(item) = stream.next().await {
        match item {
            Item::Ended(reason) | Item::Retrying { error: reason, .. } => return Some(reason),
            _ => {}
        }
    }
    None
}

fn error_of(reason: Option<Reason>) -> Option<ClientError> {
    match reason {
        Some(Reason::Error(error)) => Some(error),
        _ => None,
    }
}

pub(crate) fn tail_handshake(row: &Row, report: &mut Report) {
    let Some(mut answer) = row.get("response_b64").and_then(Value::as_str).map(base64) else {
        return report.count("response_b64", "absent");
    };
    let token = row.get("token").and_then(Value::as_str).unwrap_or_default();
    let text = String::from_utf8_lossy(&answer).into_owned();
    // The recorded accept belongs to the recorded key; a row without an error has the right one.
    let good =
        |side: &str| row.get(side).and_then(|side| side["error"]["kind"].as_str()) == Some("none");
    if good("loggregator_consumer")
        && let Some(accept) = header(&text, "sec-websocket-accept")
    {
        answer = text.replace(&accept, "{ACCEPT}").into_bytes();
    }
    let called = Arc::new(Mutex::new(false));
    let script = Script { answer, ..Script::default() };
    let (old, result, new, reason) = block_on(async {
        let old = serve(script.clone()).await;
        let flag = Arc::clone(&called);
        let consumer = Consumer::builder(format!("ws://{}", old.address)).proxy(Proxy::None);
        let consumer = consumer.on_connect(move || *flag.lock().unwrap() = true).build();
        let result = consumer.tail("GUID", token).await;
        let new = serve(script).await;
        let client = TrafficController::builder(format!("ws://{}", new.address));
        let client = client.proxy(Proxy::None).token(token).reconnect(false).build();
        let reason = first_reason(&mut client.stream("GUID")).await;
        (old, result, new, reason)
    });
    if let Some(theirs) = row.get("loggregator_consumer") {
        report.check(row, "tail's error", same_error(result.as_ref().err(), &theirs["error"]));
        if let Some(expected) = theirs["callback_called"].as_bool() {
            let called = *called.lock().unwrap();
            report.check(row, "callback", same("called", &called, &expected));
        }
        check_request(row, report, &old, theirs.get("request"));
    }
    if let Some(theirs) = row.get("noaa") {
        report.check(
            row,
            "stream's error",
            same_error(error_of(reason).as_ref(), &theirs["error"]),
        );
        check_request(row, report, &new, theirs.get("request"));
    }
}

pub(crate) fn tail_endpoint(row: &Row, report: &mut Report) {
    let Some(endpoint) = row.get("endpoint").and_then(Value::as_str) else {
        return report.count("endpoint", "absent");
    };
    let (tail, recent, stream, metrics) = block_on(async {
        let consumer = Consumer::builder(endpoint).proxy(Proxy::None).build();
        let tail = consumer.tail("GUID", "T").await.err();
        let recent = consumer.recent("GUID", "T").await.err();
        let client = TrafficController::builder(endpoint).proxy(Proxy::None);
        let client = client.token("T").reconnect(false).build();
        let stream = error_of(first_reason(&mut client.stream("GUID")).await);
        let metrics = client.container_envelopes("GUID").await.err();
        (tail, recent, stream, metrics)
    });
    let ours = [
        ("tail", tail),
        ("recent", recent),
        ("noaa_stream", stream),
        ("noaa_containermetrics", metrics),
    ];
    for (column, ours) in ours {
        match row.get(column) {
            // The vectors' mask stands for the address in texts.
            Some(theirs) => {
                let masked = theirs.to_string().replace("PEER", "127.0.0.1:1");
                let theirs = serde_json::from_str(&masked).unwrap();
                report.check(row, column, same_error(ours.as_ref(), &theirs));
            }
            None => report.count(column, "absent"),
        }
    }
}

/// The frames that a client sent: opcode and payload.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while bytes.len() >= 6 {
        let (len, head) = match bytes[1] & 0x7f {
            126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
            len => (usize::from(len), 2),
        };
        let mask = &bytes[head..head + 4];
        let payload = &bytes[head + 4..head + 4 + len];
        let plain = payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect();
        frames.push((bytes[0] & 0x0f, plain));
        bytes = &bytes[head + 4 + len..];
    }
    frames
}

/// Pongs, and the code of the close that answers the server. Where Go sends no close, or one of
/// its own making (1000 of the harness), nothing is compared.
fn same_frames(ours: &[u8], theirs: &Value) -> Result<(), String> {
    let ours = frames(ours);
    let theirs: Vec<(u8, Vec<u8>)> = theirs
        .as_array()
        .into_iter()
        .flatten()
        .map(|frame| {
            let payload = hex(frame["payload_hex"].as_str().unwrap_or_default());
            (frame["opcode"].as_u64().unwrap_or_default() as u8, payload)
        })
        .collect();
    let of = |frames: &[(u8, Vec<u8>)], opcode: u8| -> Vec<Vec<u8>> {
        frames.iter().filter(|frame| frame.0 == opcode).map(|frame| frame.1.clone()).collect()
    };
    same("pongs", &of(&ours, 10), &of(&theirs, 10))?;
    let code = |frames: &[(u8, Vec<u8>)]| {
        of(frames, 8).first().map(|close| close.get(..2).map(hex_of).unwrap_or_default())
    };
    match code(&theirs) {
        Some(expected) if expected != "03e8" => same("close", &code(&ours), &Some(expected)),
        _ => Ok(()),
    }
}

pub(crate) fn tail_frames(row: &Row, report: &mut Report) {
    let Some(frames) = bytes(row, "server_bytes_hex") else {
        return report.count("server_bytes_hex", "absent");
    };
    let then = row.get("then").and_then(Value::as_str).unwrap_or_default();
    let script = Script {
        answer: [GOOD.as_bytes(), &frames].concat(),
        wait: then.contains("wait"),
        reset: then.contains("reset"),
        ..Script::default()
    };
    if let Some(theirs) = row.get("loggregator_consumer") {
        let (server, messages) = block_on(async {
            let mut server = serve(script.clone()).await;
            let consumer = Consumer::builder(format!("ws://{}", server.address));
            let consumer = consumer.proxy(Proxy::None).build();
            let mut stream = consumer.tail("GUID", "T").await.unwrap();
            let mut messages = Vec::new();
            while let Some(item) = stream.next().await {
                if let Item::Message(message) = item {
                    messages.push(message);
                }
            }
            let _ = (&mut server.done).await;
            (server, messages)
        });
        let expected = theirs["messages"].as_array().cloned().unwrap_or_default();
        report.check(row, "tail", same_messages(&messages, &expected));
        let sent = server.seen.lock().unwrap()[0].1.clone();
        if script.wait {
            report.check(row, "tail's frames", same_frames(&sent, &theirs["client_frames"]));
        }
    }
    if let Some(theirs) = row.get("noaa") {
        let (server, envelopes) = block_on(async {
            let mut server = serve(script.clone()).await;
            let client = TrafficController::builder(format!("ws://{}", server.address));
            let client = client.proxy(Proxy::None).token("T").reconnect(false).build();
            let mut stream = client.stream("GUID");
            let mut envelopes = Vec::new();
            while let Some(item) = stream.next().await {
                if let Item::Message(envelope) = item {
                    envelopes.push(hex_of(&envelope.encode()));
                }
            }
            let _ = (&mut server.done).await;
            (server, envelopes)
        });
        let expected = theirs["envelopes_hex"].as_array().cloned().unwrap_or_default();
        let expected: Vec<String> = strings(&expected);
        report.check(row, "stream", same("envelopes", &envelopes, &expected));
        let sent = server.seen.lock().unwrap()[0].1.clone();
        if script.wait {
            report.check(row, "stream's frames", same_frames(&sent, &theirs["client_frames"]));
        }
    }
}

pub(crate) fn proxy(row: &Row, report: &mut Report) {
    let Some(answer) = row.get("proxy_response").and_then(Value::as_str) else {
        return report.count("proxy_response", "absent");
    };
    let user = row.get("proxy_userinfo").and_then(Value::as_str).unwrap_or_default();
    let tunnel = answer.starts_with("HTTP/1.1 200");
    let (server, result) = block_on(async {
        let server = serve(Script { answer: answer.into(), ..Script::default() }).await;
        let proxy = Proxy::Url(format!("http://{user}{}", server.address));
        let client = TrafficController::builder("ws://loggregator.example.com:4443");
        let client = client.proxy(proxy.clone()).token("T").reconnect(false).build();
        let result = error_of(first_reason(&mut client.stream("GUID")).await);
        (server, result)
    });
    let Some(theirs) = row.get("noaa") else { return report.count("noaa", "absent") };
    let seen = server.seen.lock().unwrap();
    let expected = theirs["connect_request"][0].as_str().unwrap_or_default();
    let ours = &seen[0].0;
    for name in ["host", "proxy-authorization"] {
        report.check(row, name, same(name, &header(ours, name), &header(expected, name)));
    }
    let line = same("line", &ours.lines().next(), &expected.lines().next());
    report.check(row, "request line", line);
    if tunnel {
        // This server ends the tunnel, the recorded one led on: the error is the handshake's.
        report.check(row, "tunnel", same("kind", &result.as_ref().map(kind), &Some("Dial")));
        return;
    }
    report.check(row, "error", same_error(result.as_ref(), &theirs["error"]));
    // What a proxy says is the cause, in the words of its answer.
    let reason = answer.lines().next().and_then(|line| line.splitn(3, ' ').nth(2));
    if let (Some(reason), Some(error)) = (reason, &result) {
        report.check(row, "reason", same("told", &error.to_string().contains(reason), &true));
    }
}

pub(crate) fn rlp_sse(row: &Row, report: &mut Report) {
    let Some(body) = row.get("body_b64").and_then(Value::as_str).map(base64) else {
        return report.count("body_b64", "absent");
    };
    let hex_list = |column: &str| -> Option<Vec<String>> {
        let list = row.get(column)?.as_array()?;
        Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    let mut batches = Vec::new();
    for size in [1, 7, body.len().max(1)] {
        let mut decoder = SseDecoder::default();
        let mut found = Vec::new();
        for piece in body.chunks(size) {
            let mut take = |event: loggregator_consumer::sse::SseEvent| {
                if matches!(event.name.as_str(), "" | "message") {
                    let batch = decode_batch(&event.data).envelopes;
                    found.push(hex_of(&EnvelopeBatch { batch, unknown: Vec::new() }.encode()));
                }
            };
            decoder.push(piece, &mut take).unwrap();
        }
        batches.push(found);
    }
    report.check(row, "any split", same("batches", &batches[0], &batches[1]));
    report.check(row, "whole", same("batches", &batches[1], &batches[2]));
    let ours = batches.remove(0);
    let filled: Vec<_> = ours.iter().filter(|batch| !batch.is_empty()).cloned().collect();
    if let Some(source) = hex_list("source_batches_hex") {
        let source: Vec<_> = source.into_iter().filter(|batch| !batch.is_empty()).collect();
        report.check(row, "as sent", same("batches", &filled, &source));
    } else {
        report.count("source_batches_hex", "absent");
    }
    // Hand-written streams: all that Go delivers and more, by the WHATWG's rules (3.1).
    if let Some(theirs) = hex_list("go_client_batches_sorted_hex") {
        let all = theirs.iter().all(|batch| batch.is_empty() || ours.contains(batch));
        report.check(row, "what Go has", same("there", &all, &true));
    }
    let Some(raw) = row.get("raw_http_b64").and_then(Value::as_str).map(base64) else {
        return report.count("raw_http_b64", "absent");
    };
    let envelopes = block_on(async {
        let server = serve(Script { answer: raw, ..Script::default() }).await;
        let client = Gateway::builder(format!("http://{}", server.address)).proxy(Proxy::None);
        let mut stream = client.token("T").build().stream(Query::everything());
        let mut envelopes = Vec::new();
        while let Some(item) = stream.next().await {
            match item {
                Item::Message(envelope) => envelopes.push(hex_of(&envelope.encode())),
                Item::Gap(_) | Item::Retrying { .. } | Item::Ended(_) => break,
                _ => {}
            }
        }
        envelopes
    });
    let sent: Vec<_> = filled
        .iter()
        .flat_map(|batch| EnvelopeBatch::decode(&Bytes::from(hex(batch))).unwrap().batch)
        .map(|envelope| hex_of(&envelope.encode()))
        .collect();
    report.check(row, "over HTTP", same("envelopes", &envelopes, &sent));
}

pub(crate) fn rlp_query(row: &Row, report: &mut Report) {
    let Some(query) = row.get("query").and_then(Value::as_str) else {
        return report.count("query", "absent");
    };
    let ours = query_of(query);
    let status = row.get("status").and_then(Value::as_u64).unwrap_or_default();
    if let Some(request) = row.get("egress_request") {
        report.check(row, "selectors", same("request", &request_of(&ours), request));
    } else {
        report.count("egress_request", "absent");
    }
    let note = row.get("note").and_then(Value::as_str).unwrap_or_default();
    let by_query = note.is_empty() && row.get("method").and_then(Value::as_str) == Some("GET");
    if by_query && !query.contains(';') {
        report.check(row, "has a type", same("type", &ours.has_type(), &(status == 200)));
    }
    let Some(body) = row.get("body").and_then(Value::as_str).filter(|_| status != 200) else {
        return;
    };
    // The refusal as it was sent: its status and text are the error's.
    let answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let error = block_on(async {
        let server = serve(Script { answer: answer.into_bytes(), ..Script::default() }).await;
        let client = Gateway::builder(format!("http://{}", server.address)).proxy(Proxy::None);
        let mut stream = client.token("T").build().stream(ours.clone());
        error_of(first_reason(&mut stream).await)
    });
    let told =
        error.as_ref().map(|error| (error.status(), error.to_string().contains(body.trim())));
    report.check(row, "refusal", same("told", &told, &Some((Some(status as u16), true))));
}

/// The query that a text stands for, as the gateway reads it.
fn query_of(text: &str) -> Query {
    let mut query = Query::default();
    let text = text.trim_start_matches('?');
    for part in text.split('&').filter(|part| !part.is_empty() && !part.contains(';')) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match key {
            "log" => query.log = true,
            "counter" => query.counter = true,
            "gauge" => query.gauge = true,
            "timer" => query.timer = true,
            "event" => query.event = true,
            "counter.name" => query.counter_names.push(value.to_owned()),
            "gauge.name" => {
                query.gauge_names.push(value.split(',').map(str::to_owned).collect());
            }
            "source_id" => query.source_ids.push(value.to_owned()),
            "shard_id" => query.shard_id = query.shard_id.or_else(|| Some(value.to_owned())),
            "deterministic_name" => {
                query.deterministic_name =
                    query.deterministic_name.or_else(|| Some(value.to_owned()));
            }
            _ => {}
        }
    }
    query
}

/// What the gateway makes of what we send for a query: from our own text of it.
fn request_of(query: &Query) -> Value {
    let query = query_of(&query.encode());
    let mut selectors = Vec::new();
    let all = [String::new()];
    let sources = if query.source_ids.is_empty() { &all[..] } else { &query.source_ids };
    for source in sources {
        let mut add = |name: &str, value: Value| {
            let mut selector = Row::new();
            if !source.is_empty() {
                selector.insert("sourceId".to_owned(), source.clone().into());
            }
            selector.insert(name.to_owned(), value);
            selectors.push(Value::Object(selector));
        };
        let empty = || Value::Object(Row::new());
        if query.log {
            add("log", empty());
        }
        if query.counter_names.is_empty() && query.counter {
            add("counter", empty());
        }
        for name in &query.counter_names {
            let named = serde_json::json!({ "name": name });
            add("counter", if name.is_empty() { empty() } else { named });
        }
        if query.gauge_names.is_empty() && query.gauge {
            add("gauge", empty());
        }
        for names in &query.gauge_names {
            add("gauge", serde_json::json!({ "names": names }));
        }
        if query.timer {
            add("timer", empty());
        }
        if query.event {
            add("event", empty());
        }
    }
    let mut request = Row::new();
    if let Some(shard) = &query.shard_id {
        request.insert("shardId".to_owned(), shard.clone().into());
    }
    if let Some(name) = &query.deterministic_name {
        request.insert("deterministicName".to_owned(), name.clone().into());
    }
    request.insert("selectors".to_owned(), selectors.into());
    request.insert("usePreferredTags".to_owned(), true.into());
    Value::Object(request)
}

/// Answers of the real traffic controller: the handshake's accept is replaced.
pub(crate) fn traffic_controller(row: &Row, report: &mut Report) {
    let Some(head) = row.get("response_head").and_then(Value::as_str) else {
        return report.count("response_head", "absent");
    };
    let behind = bytes(row, "after_head_hex").unwrap_or_default();
    let mut text = head.replace("{DATE}", "Sat, 21 Nov 2026 08:00:00 GMT");
    if let Some(accept) = header(&text, "sec-websocket-accept") {
        text = text.replace(&accept, "{ACCEPT}");
    }
    let status: u16 = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let answer = [text.as_bytes(), &behind].concat();
    let (envelopes, reason) = block_on(async {
        let server = serve(Script { answer, ..Script::default() }).await;
        let client = TrafficController::builder(format!("ws://{}", server.address));
        let client = client.proxy(Proxy::None).token("T").reconnect(false).build();
        let mut stream = client.stream("55fdb274-d6c9-4b8c-9b1f-9b7e7f3a346c");
        let mut envelopes = Vec::new();
        let mut reason = None;
        while let Some(item) = stream.next().await {
            match item {
                Item::Message(envelope) => envelopes.push(hex_of(&envelope.encode())),
                Item::Ended(end) => reason = Some(end),
                _ => {}
            }
        }
        (envelopes, reason)
    });
    if let Some(theirs) = row.get("envelopes_hex").and_then(Value::as_array) {
        let theirs: Vec<String> = strings(theirs);
        report.check(row, "envelopes", same("envelopes", &envelopes, &theirs));
    }
    if status != 101 {
        let error = error_of(reason);
        let told = error.as_ref().and_then(ClientError::status);
        report.check(row, "refusal", same("status", &told, &Some(status)));
        if let Some(body) = row.get("body").and_then(Value::as_str) {
            let ours = match &error {
                Some(ClientError::Dial(dial) | ClientError::UnauthorizedStream(dial)) => {
                    dial.body.clone()
                }
                _ => String::new(),
            };
            report.check(row, "body", same("body", &ours.as_str(), &body));
        }
    }
}

fn strings(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
