//! Hydra's web sockets and HTTP: what is reported with 200 is what `hydra-ack` asks for.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hydra_ws::{ClientOptions, HydraClient, Target};
use ingest_wire::TlsOptions;
use serde_json::{Value as Json, json};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::support::client::{source_row, status};
use crate::support::gate::Gate;
use crate::support::hydra::{Socket, post};
use crate::support::library::Library;
use crate::support::process::{Ingestry, piped, printed};
use crate::support::stored::{lines, search};
use crate::support::wait::until;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);
const LISTEN: [&str; 4] = ["--listen", "hydra=127.0.0.1:0", "--listen", "admin=127.0.0.1:0"];

/// Hydra on any port, and nothing else.
fn configuration(dir: &std::path::Path, keys: &str) -> String {
    format!(
        "admin.enabled = false\n[log]\ndir = {dir:?}\n[sources.hydra]\ntype = \"hydra\"\n\
         listen = \"127.0.0.1:0\"\n{keys}\n"
    )
}

/// What the document shows, on a default run. Its last reply needs a broker, and the ingestor says
/// so.
#[test]
fn the_document_s_sample_and_what_is_missing_for_it() {
    let work = tempfile::tempdir().unwrap();
    let ingestry = Ingestry::start(work.path(), &LISTEN);
    let address = ingestry.address("hydra");
    assert!(ingestry.out().contains("Hydra, web sockets and HTTP"), "{}", ingestry.out());
    let mut socket = Socket::open(address, "/ws-ingest/kafka_ingestor", "").unwrap();
    assert_eq!(
        socket.say("-c set hydra-kafka-topic = test-topic"),
        r#"{"status":200,"message":"OK[HYDRA-KAFKA_TOPIC=test-topic]"}"#
    );
    assert_eq!(
        socket.say("-c set hydra-ack = explicit"),
        r#"{"status":200,"message":"OK[HYDRA-ACK=explicit]"}"#
    );
    let report = socket.report(r#"{"name":"test","value":"test"}"#);
    assert_eq!(report["status"], json!({ "code": 503, "message": "Service Unavailable" }));
    let kafka = &report["ingestors"]["kafka_ingestor"];
    assert_eq!(kafka["code"], 503);
    assert!(kafka["message"].as_str().unwrap().contains("sources.hydra.kafka.brokers"), "{kafka}");
    // The same with an ingestor that is complete.
    socket.say("-c set hydra-ingestor = gravwell_ingestor");
    let sent = r#"{"name":"test","value":"test"}"#;
    let reply = socket.say(sent);
    let id =
        serde_json::from_str::<Json>(&reply).unwrap()["requestId"].as_str().unwrap().to_owned();
    assert_eq!(
        reply.replacen(&id, "GrnuqJBX", 1),
        r#"{"requestId":"GrnuqJBX","status":{"code":200,"message":"OK"},"ingestors":{"gravwell_ingestor":{"code":200,"message":"OK"}}}"#
    );
    ingestry.stop();
    assert_eq!(lines(&work.path().join("ingestry-data"), ""), [sent]);
}

#[test]
fn payloads_become_entries_lines_and_messages() {
    let work = tempfile::tempdir().unwrap();
    let ingestry = Ingestry::start(work.path(), &LISTEN);
    let address = ingestry.address("hydra");
    let mut socket = Socket::open(address, "/ws-ingest", "hydra-ack: persisted\r\n").unwrap();
    let report = socket.report("-i 1 one");
    assert_eq!(
        report["ingestors"],
        json!({ "gravwell_ingestor": { "code": 200, "message": "OK" } })
    );
    socket.say("-c set hydra-tag = app");
    assert_eq!(socket.report("two")["status"]["code"], 200);
    socket.say("-c set hydra-tag = not a tag");
    assert_eq!(socket.report("three")["status"]["code"], 400);
    assert!(socket.say("-c WHAT").contains("400"));

    let mut socket = Socket::open(address, "/ws-ingest/graphite_ingestor", "").unwrap();
    assert_eq!(socket.report("cpu.load 0.5 1700000000")["status"]["code"], 200);
    let report = socket.report("-i g cpu.load none 1700000000");
    let message = report["ingestors"]["graphite_ingestor"]["message"].as_str().unwrap();
    assert_eq!(message, "1 of 1 lines refused, the first: bad_value");
    let (code, _) = post(address, "/ingest/graphite_ingestor", "", "a 1 5\nb 2 5\n");
    assert_eq!(code, 200);
    let (code, body) = post(address, "/ingest/graphite_ingestor", "", "c 1 5\nbad\n");
    assert!(code == 400 && body.contains("1 of 2 lines"), "{code} {body}");

    let mut socket = Socket::open(address, "/ws-ingest/log_ingestor", "").unwrap();
    assert_eq!(socket.report("shown to the operator")["status"]["code"], 200);
    let (code, body) =
        post(address, "/ingest", "hydra-ack: persisted\r\nhydra-tag: web\r\n", "four\nlines");
    assert_eq!(code, 200, "{body}");
    let (code, _) = post(address, "/ingest/nobody", "", "x");
    assert_eq!(code, 404);

    let row = until("the account", || {
        let row = source_row(&status(ingestry.address("admin")), "hydra");
        (row["rejected"]["not_a_message"] == 1).then_some(row)
    });
    assert_eq!(row["accepted"]["entries"], 7);
    assert_eq!(row["rejected"]["bad_tag"], 1);
    assert!(ingestry.err().contains("shown to the operator"), "{}", ingestry.err());
    ingestry.stop();
    let text = printed(work.path(), &["search", "--format", "json"]);
    let found: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let column = |key: &str| found.iter().map(|entry| entry[key].clone()).collect::<Vec<_>>();
    assert_eq!(
        column("tag"),
        ["hydra", "app", "graphite", "graphite", "graphite", "graphite", "web"]
    );
    let data = [" one", "two", "cpu.load 0.5 1700000000", "a 1 5", "b 2 5", "c 1 5", "four\nlines"];
    assert_eq!(column("data"), data);
    assert!(found.iter().all(|entry| entry["src"] == "127.0.0.1"));
}

#[test]
fn metadata_is_attached_if_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let library =
        Library::with(&configuration(dir.path(), "values = \"metadata\"\ntag = \"own\""), None);
    let mut socket =
        Socket::open(library.address("hydra"), "/ws-ingest", "hydra-a: 1\r\n").unwrap();
    socket.say("-c set b c = 2");
    assert_eq!(socket.report("x")["status"]["code"], 200);
    let totals = library.totals("hydra");
    assert_eq!((totals.received_items, totals.accepted_entries), (1, 1));
    library.stop(LONG);
    let text = printed(dir.path(), &["search", "--data-dir", ".", "--format", "json"]);
    let entry: Json = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(entry["values"], json!({ "HYDRA-A": "1", "B C": "2" }));
    assert_eq!(entry["tag"], "own");
}

#[test]
fn web_sockets_are_off_when_hydra_s_own_key_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let keys = "[hydra.ingest.websocket]\nenabled = false";
    let library = Library::with(&configuration(dir.path(), keys), None);
    let refused = Socket::open(library.address("hydra"), "/ws-ingest", "").err().unwrap();
    assert!(refused.to_string().starts_with("HTTP/1.1 409 Conflict"), "{refused}");
    assert_eq!(post(library.address("hydra"), "/ingest", "", "x").0, 200);
    library.stop(LONG);
}

/// `explicit` is complete when the destinations have it, and not before.
#[test]
fn explicit_waits_for_the_destinations() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::closed();
    let library = Library::with(
        &configuration(dir.path(), "ingest_timeout = \"30s\""),
        Some(Arc::clone(&gate) as _),
    );
    let mut socket = Socket::open(library.address("hydra"), "/ws-ingest", "").unwrap();
    socket.say("-c set hydra-ack = persisted");
    assert_eq!(socket.report("on disk")["status"]["code"], 200);
    socket.say("-c set hydra-ack = explicit");
    socket.send("-i late delivered").unwrap();
    assert!(socket.say("-c set").contains("explicit"), "the session goes on");
    until("the entry", || (lines(dir.path(), "delivered").len() == 1).then_some(()));
    gate.open();
    assert!(socket.reply().unwrap().contains(r#""requestId":"late","status":{"code":200"#));
    library.stop(LONG);
}

/// Over TLS, with a token: payloads of who has it are stored, and nobody else is let in.
#[test]
fn tls_and_a_token() {
    let work = tempfile::tempdir().unwrap();
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (authority, data) = (signed.cert.pem(), work.path().join("data"));
    let file = |name: &str, text: &str| {
        let path = work.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (cert, key) = (file("cert", &authority), file("key", &signed.signing_key.serialize_pem()));
    let token = file("token", "s3cret");
    let keys =
        format!("tls = {{ cert = {cert:?}, key = {key:?} }}\ntoken = \"file:{}\"", token.display());
    let library = Library::with(&configuration(&data, &keys), None);
    let address = library.address("hydra");
    let config = TlsOptions::default().authority(authority).client_config().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let connect = move || {
        let connector = connector.clone();
        async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
        }
    };
    let target: Target = "wss://localhost/ws-ingest".parse().unwrap();
    library.runtime().block_on(async {
        let refused = HydraClient::connect_with(connect.clone(), &target, ClientOptions::default());
        let refused = refused.await.unwrap_err().to_string();
        assert!(refused.contains("401"), "{refused}");
        let mut options = ClientOptions::default();
        options.fields.push(("Authorization".into(), "Bearer s3cret".into()));
        let (client, _) = HydraClient::connect_with(connect, &target, options).await.unwrap();
        client.set("hydra-ack", "persisted").await.unwrap();
        assert_eq!(client.send("sealed").await.unwrap().code, 200);
        client.close().await;
    });
    // Without TLS there is no word to be had.
    assert!(Socket::open(address, "/ws-ingest", "").is_err());
    until("the refusal", || (library.source("hydra").connections_refused.get() >= 2).then_some(()));
    library.stop(LONG);
    assert_eq!(lines(&data, ""), [" sealed"]);
}

/// On a default run a page from elsewhere gets nothing, nor does a name that leads here by
/// accident; the document's Chrome extensions do.
#[test]
fn strangers_get_nothing_on_a_default_run() {
    let work = tempfile::tempdir().unwrap();
    let ingestry = Ingestry::start(work.path(), &LISTEN);
    let address = ingestry.address("hydra");
    let refused = |fields: &str| Socket::open(address, "/ws-ingest", fields).err();
    for stranger in ["Origin: http://elsewhere.example\r\n", "Origin: null\r\n"] {
        let head = refused(stranger).unwrap().to_string();
        assert!(head.starts_with("HTTP/1.1 403 "), "{stranger}: {head}");
        assert_eq!(post(address, "/ingest", stranger, "x").0, 403, "{stranger}");
    }
    let own = format!("Origin: http://{address}\r\n");
    for friend in [own.as_str(), "Origin: chrome-extension://omalebghpgejjiaoknljcfmglgbpocdp\r\n"]
    {
        assert!(refused(friend).is_none(), "{friend}");
        assert_eq!(post(address, "/ingest", friend, "x").0, 200, "{friend}");
    }
    ingestry.stop();
}

/// Killed under load from several sessions: every message that was reported with 200 is stored.
#[test]
fn what_was_reported_survives_a_kill() {
    const SESSIONS: usize = 4;
    let work = tempfile::tempdir().unwrap();
    let ingestry = Ingestry::start(work.path(), &LISTEN);
    let address = ingestry.address("hydra");
    let reports: Arc<[AtomicU64; SESSIONS]> = Arc::default();
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|session| {
            let reports = Arc::clone(&reports);
            let mut socket =
                Socket::open(address, "/ws-ingest", "hydra-ack: persisted\r\n").unwrap();
            let mut reader = socket.twin();
            let sender = std::thread::spawn(move || {
                (0..).find(|n| socket.send(&format!("-i {n} s{session}n{n}e")).is_err())
            });
            std::thread::spawn(move || {
                let mut good = Vec::new();
                while let Ok(report) = reader.reply() {
                    let report: Json = serde_json::from_str(&report).unwrap();
                    assert_eq!(report["status"]["code"], 200, "{report}");
                    good.push(report["requestId"].as_str().unwrap().to_owned());
                    reports[session].fetch_add(1, Ordering::Relaxed);
                }
                sender.join().unwrap();
                (session, good)
            })
        })
        .collect();
    let many = |count: &AtomicU64| count.load(Ordering::Relaxed) > 500;
    until("reports", || reports.iter().all(many).then_some(()));
    ingestry.kill();
    let dir = work.path().join("ingestry-data");
    let stored: HashSet<_> = search(&dir, "").into_iter().map(|found| found.data).collect();
    let mut reported = 0;
    for session in sessions {
        let (session, good) = session.join().unwrap();
        reported += good.len();
        for id in good {
            assert!(stored.contains(&format!(" s{session}n{id}e")), "{session}: {id} is lost");
        }
    }
    assert!(stored.len() >= reported, "{} stored, {reported} reported", stored.len());
}

/// The program's own console, in a pipe.
#[test]
fn the_console_sends_lines_and_waits_for_their_answers() {
    let work = tempfile::tempdir().unwrap();
    let ingestry = Ingestry::start(work.path(), &LISTEN);
    let url = format!("ws://{}/ws-ingest", ingestry.address("hydra"));
    let input = "-c SET hydra-ack = persisted\n-i 1 from the console\n-c WHAT\n";
    let (code, out, err) =
        piped(work.path(), &["hydra", &url, "--header", "hydra-tag=console"], input);
    assert_eq!(code, Some(0), "{err}");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(out.contains(r#"{"status":200,"message":"OK[HYDRA-ACK=persisted]"}"#), "{out}");
    assert!(out.contains(r#"{"requestId":"1","status":{"code":200"#), "{out}");
    let found = search(&work.path().join("ingestry-data"), "from the console");
    assert_eq!((found.len(), found[0].tag.as_str()), (1, "console"));
    ingestry.stop();
    let (code, _, err) = piped(work.path(), &["hydra", &url], "");
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot connect"), "{err}");
}

/// A stop ends sessions with 1001, after the reports of what had arrived.
#[test]
fn a_stop_reports_and_says_good_bye() {
    let work = tempfile::tempdir().unwrap();
    let mut ingestry = Ingestry::start(work.path(), &LISTEN);
    let mut socket =
        Socket::open(ingestry.address("hydra"), "/ws-ingest", "hydra-ack: persisted\r\n").unwrap();
    for number in 0..500 {
        socket.send(&format!("-i {number} last words")).unwrap();
    }
    ingestry.signal("TERM");
    let mut reports = 0;
    let close = loop {
        match socket.frame().unwrap() {
            (0x81, _) => reports += 1,
            other => break other,
        }
    };
    assert_eq!((close.0, &close.1[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    assert_eq!(ingestry.wait().code(), Some(0), "{}", ingestry.err());
    let out = ingestry.out();
    assert!(out.contains(&format!("hydra: received {reports} items, accepted {reports}")), "{out}");
    assert_eq!(lines(&work.path().join("ingestry-data"), "last words").len(), reports);
}
