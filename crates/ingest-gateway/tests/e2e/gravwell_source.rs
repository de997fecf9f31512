//! Gravwell ingesters: what they send is kept as it is, and confirmed when it is on disk.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use ingest_entry::{Source, Timestamp, Values};
use ingest_gateway::config;
use ingest_wire::{
    ClientError, Connection, Connector, EntryRef, Identity, IngesterState, ProtocolError, TagId,
    TlsOptions,
};
use serde_json::{Value as Json, json};

use crate::support::client::{source_row, status};
use crate::support::full::SMALL;
use crate::support::gate::Gate;
use crate::support::library::Library;
use crate::support::process::{ANY_PORTS, Ingestry, printed};
use crate::support::stored::{lines, search};
use crate::support::wait::until;

const SECRET: &str = "open sesame";
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds, 5).unwrap()
}

fn entry(tag: TagId, data: &[u8]) -> EntryRef<'_> {
    EntryRef::new(at(1_700_000_000), Source::from_ip([10, 1, 2, 3].into()), tag, data)
}

/// `[log]` and a source for ingesters on any port, with these keys.
fn configuration(dir: &Path, log: &str, keys: &str) -> String {
    format!(
        "admin.enabled = false\n[log]\ndir = {dir:?}\n{log}\n[sources.gravwell]\ntype = \
         \"gravwell\"\nlisten = \"127.0.0.1:0\"\nsecret = \"literal:{SECRET}\"\n{keys}\n"
    )
}

async fn connect(library: &Library, tags: &[&str]) -> Connection {
    let target = format!("tcp://{}", library.address("gravwell"));
    ingest_wire::connect(&target, SECRET, tags).await.unwrap()
}

#[test]
fn tags_and_values_are_kept_and_the_secret_is_made() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let listen = [&ANY_PORTS[..], &["--listen", "gravwell=127.0.0.1:0"]].concat();
    let ingestry = Ingestry::start(work, &listen);
    let file = work.join("ingestry-data/ingest-secret");
    assert!(ingestry.out().contains("ingestry-data/ingest-secret"), "{}", ingestry.out());
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    let secret = std::fs::read_to_string(&file).unwrap();
    let secret = secret.trim_end();
    assert!(!ingestry.out().contains(secret) && !ingestry.err().contains(secret));

    let target = format!("tcp://{}", ingestry.address("gravwell"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let uuid = "11111111-2222-3333-4444-555555555555".to_owned();
        let (name, version) = ("collector".to_owned(), "1.2".to_owned());
        let connection = Connector::new(&target, secret)
            .unwrap()
            .tag("alpha")
            .unwrap()
            .identity(Identity { name, version, uuid: uuid.clone() })
            .compression(true)
            .connect()
            .await
            .unwrap();
        let alpha = connection.tag("alpha").await.unwrap();
        let late = connection.tag("late").await.unwrap();
        let mut values = Values::default();
        values.push("port", 514_u16).unwrap();
        values.push("app", "nginx").unwrap();
        let with = entry(alpha, b"first").to_entry();
        let with = ingest_entry::Entry { values, ..with };
        connection.send(&with).await.unwrap();
        connection.send(entry(late, b"second")).await.unwrap();
        // The protocol's own two numbers need no negotiation.
        connection.send(entry(TagId::DEFAULT, b"third")).await.unwrap();
        connection.send(entry(TagId::GRAVWELL, b"")).await.unwrap();
        connection.sync(LONG).await.unwrap();
        let children = [("behind".to_owned(), IngesterState::default())].into();
        let label = "north".to_owned();
        let state = IngesterState { uuid, label, entries: 4, children, ..Default::default() };
        connection.send_state(&state).await.unwrap();
        connection.send_ditto(&[entry(alpha, b"ditto")]).await.unwrap();

        let wrong = ingest_wire::connect(&target, "open barley", &["alpha"]).await.unwrap_err();
        assert!(matches!(wrong, ClientError::Protocol(ProtocolError::BadSecret)), "{wrong}");

        // The client hears of its refusal before it is counted.
        let row = until("the refusal", || {
            let row = source_row(&status(ingestry.address("admin")), "gravwell");
            (row["connections"]["refused"] == 1).then_some(row)
        });
        assert_eq!(
            (&row["accepted"]["entries"], &row["connections"]["open"]),
            (&5.into(), &1.into())
        );
        let child = &row["children"][0];
        assert_eq!((&child["name"], &child["label"]), (&"collector".into(), &"north".into()));
        assert_eq!((&child["entries"], &child["children"]), (&4.into(), &json!(["behind"])));
        assert_eq!((&child["protocol"], &child["connections"]), (&9.into(), &1.into()));
        assert!(connection.close(LONG).await.unacknowledged.is_empty());
    });
    let text = printed(work, &["search", "--format", "json"]);
    let found: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let column = |key: &str| found.iter().map(|entry| entry[key].clone()).collect::<Vec<_>>();
    assert_eq!(column("tag"), ["alpha", "late", "default", "gravwell", "alpha"]);
    assert_eq!(column("data"), ["first", "second", "third", "", "ditto"]);
    assert_eq!(found[0]["values"], json!({ "port": 514, "app": "nginx" }));
    assert_eq!(
        (&found[0]["src"], &found[0]["ts"]),
        (&"10.1.2.3".into(), &"2023-11-14T22:13:20.000000005Z".into())
    );
    // The next start finds the secret.
    ingestry.stop();
    let again = Ingestry::start(work, &listen);
    let target = format!("tcp://{}", again.address("gravwell"));
    let connected = runtime.block_on(ingest_wire::connect(&target, secret, &["alpha"]));
    assert!(connected.is_ok());
    again.stop();
}

#[test]
fn what_was_confirmed_survives_a_kill() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    std::fs::write(work.join("s"), SECRET).unwrap();
    let listen = ["--listen", "gravwell=127.0.0.1:0"];
    let ingestry = Ingestry::start(work, &listen);
    let secret = std::fs::read_to_string(work.join("ingestry-data/ingest-secret")).unwrap();
    let target = format!("tcp://{}", ingestry.address("gravwell"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let acknowledged = runtime.block_on(async {
        let connection = ingest_wire::connect(&target, secret.trim_end(), &["t"]).await.unwrap();
        let tag = connection.tag("t").await.unwrap();
        let mut killed = Some(ingestry);
        let mut n = 0_u64;
        loop {
            let data = format!("numbered {n:08}");
            if connection.send(entry(tag, data.as_bytes())).await.is_err() {
                break;
            }
            n += 1;
            if connection.counts().acknowledged > 20_000
                && let Some(ingestry) = killed.take()
            {
                tokio::task::spawn_blocking(|| ingestry.kill()).await.unwrap();
            }
        }
        connection.counts().acknowledged
    });
    assert!(acknowledged > 20_000);
    let found = lines(&work.join("ingestry-data"), "numbered");
    assert!(found.len() as u64 >= acknowledged, "{} of {acknowledged}", found.len());
    let in_order = found.iter().enumerate().all(|(n, data)| *data == format!("numbered {n:08}"));
    assert!(in_order, "a prefix of what was sent, without gaps");
}

#[test]
fn an_unknown_tag_number_ends_the_connection_and_nothing_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::with(&configuration(dir.path(), "", ""), None);
    library.runtime().block_on(async {
        let connection = connect(&library, &["t"]).await;
        let tag = connection.tag("t").await.unwrap();
        connection.send(entry(tag, b"good")).await.unwrap();
        connection.send(entry(TagId(777), b"bad")).await.unwrap();
        connection.lost().await;
        assert_eq!(connection.counts().acknowledged, 1);
        assert_eq!(connection.close(LONG).await.unacknowledged.len(), 1);
    });
    assert_eq!(library.refused("gravwell", "protocol"), 1);
    assert_eq!(library.totals("gravwell").accepted_items, 1);
    library.stop(LONG);
    assert_eq!(lines(dir.path(), ""), ["good"]);
}

#[test]
fn a_full_log_makes_ingesters_wait_and_loses_nothing() {
    const ENTRIES: usize = 60_000;
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::closed();
    let text = configuration(dir.path(), SMALL, "read_ahead = \"64 KiB\"");
    let library = Library::with(&text, Some(gate.clone()));
    let target = format!("tcp://{}", library.address("gravwell"));
    let sender = library.runtime().spawn(async move {
        let connection = ingest_wire::connect(&target, SECRET, &["t"]).await.unwrap();
        let tag = connection.tag("t").await.unwrap();
        for n in 0..ENTRIES {
            connection.send(entry(tag, format!("an entry {n}").as_bytes())).await.unwrap();
        }
        connection.close(LONG).await.unacknowledged.len()
    });
    until("a full log", || (library.status().log.health.as_str() == "full").then_some(()));
    // Whoever asks whether it may ingest is told to wait, and is let in later.
    let target = format!("tcp://{}", library.address("gravwell"));
    let second = library.runtime().spawn(async move {
        let connection = ingest_wire::connect(&target, SECRET, &["t"]).await.unwrap();
        let tag = connection.tag("t").await.unwrap();
        connection.send(entry(tag, b"the second")).await.unwrap();
        connection.close(LONG).await.unacknowledged.len()
    });
    until("a source that waits", || (library.source("gravwell").waits.get() > 0).then_some(()));
    assert!(!sender.is_finished());
    gate.open();
    let runtime = library.runtime();
    assert_eq!((runtime.block_on(sender).unwrap(), runtime.block_on(second).unwrap()), (0, 0));
    until("all is delivered", || (library.status().outputs[0].queued == 0).then_some(()));
    let mut got = gate.got();
    got.retain(|data| data != "the second");
    assert!(
        got.iter().map(String::as_str).eq((0..ENTRIES)
            .map(|n| format!("an entry {n}"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str))
    );
    assert_eq!(library.totals("gravwell").accepted_items, ENTRIES as u64 + 1);
    library.stop(LONG);
}

#[test]
fn a_stop_confirms_what_it_has_read() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::with(&configuration(dir.path(), "", ""), None);
    let connection = library.runtime().block_on(async {
        let connection = connect(&library, &["t"]).await;
        let tag = connection.tag("t").await.unwrap();
        for n in 0..500 {
            connection.send(entry(tag, format!("before the stop {n}").as_bytes())).await.unwrap();
        }
        connection.flush();
        connection
    });
    let handle = library.runtime().handle().clone();
    let lost = handle.spawn(async move {
        connection.lost().await;
        connection
    });
    // The runtime ends with the gateway, so what the client saw is looked at before.
    let accepted = library.source("gravwell").clone();
    let connection = {
        let stopped = std::thread::spawn(move || library.stop_keeping_runtime(LONG));
        let connection = handle.block_on(lost).unwrap();
        drop(stopped.join().unwrap());
        connection
    };
    assert_eq!(connection.counts().acknowledged, accepted.totals().accepted_items);
    assert_eq!(accepted.totals().accepted_items, 500);
    assert_eq!(search(dir.path(), "before the stop").len(), 500);
}

#[test]
fn tls_with_certificates_of_both_sides() {
    let work = tempfile::tempdir().unwrap();
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let issue = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    };
    let (cert, key) = issue("localhost");
    let (client_cert, client_key) = issue("client");
    let file = |name: &str, text: &str| {
        let path = work.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let paths = [file("cert", &cert), file("key", &key), file("ca", &authority_pem)];
    let keys = format!(
        "tls = {{ cert = {:?}, key = {:?}, client_ca = {:?} }}",
        paths[0], paths[1], paths[2]
    );
    let library = Library::with(&configuration(&work.path().join("data"), "", &keys), None);
    let target = format!("tls://localhost:{}", library.address("gravwell").port());
    let connector = |tls| Connector::new(&target, SECRET).unwrap().tag("t").unwrap().tls(tls);
    library.runtime().block_on(async {
        let options = TlsOptions::default().authority(authority_pem.clone());
        let with = options.clone().certificate(client_cert, client_key);
        let connection = connector(with).connect().await.unwrap();
        let tag = connection.tag("t").await.unwrap();
        connection.send(entry(tag, b"sealed")).await.unwrap();
        assert!(connection.close(LONG).await.unacknowledged.is_empty());
        // Without a certificate of its own nobody is let in.
        assert!(connector(options).connect().await.is_err());
    });
    assert!(library.source("gravwell").connections_refused.get() >= 1);
    library.stop(LONG);
    assert_eq!(lines(&work.path().join("data"), ""), ["sealed"]);
}

#[test]
fn a_public_address_wants_tls_or_consent() {
    let text = |more: &str| {
        format!(
            "[sources.g]\ntype = \"gravwell\"\nlisten = \"0.0.0.0:0\"\nsecret = \"literal:x\"\n{more}"
        )
    };
    let parse = |text: String| config::parse(Path::new("t.toml"), text.as_bytes());
    let error = parse(text("")).unwrap_err().to_string();
    assert!(error.contains("which other machines can reach without TLS"), "{error}");
    assert!(parse(text("allow_public = true")).is_ok());
}
