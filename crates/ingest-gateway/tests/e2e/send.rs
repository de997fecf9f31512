//! `ingestry send` into a gateway, over every protocol, and what it says of what went wrong.

use std::fs;

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
[sources.udp]
type = "graphite-udp"
listen = "127.0.0.1:0"
[sources.pickle]
type = "graphite-pickle"
listen = "127.0.0.1:0"
[sources.protobuf]
type = "graphite-protobuf"
listen = "127.0.0.1:0"
[sources.wire]
type = "gravwell"
listen = "127.0.0.1:0"
secret = "file:secret"
[sources.secured]
type = "gravwell"
listen = "127.0.0.1:0"
secret = "file:secret"
tls = { cert = "cert.pem", key = "key.pem" }
[sources.hydra]
type = "hydra"
listen = "127.0.0.1:0"
"#;

fn start(work: &std::path::Path) -> Ingestry {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    fs::write(work.join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(work.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::write(work.join("secret"), "open sesame\n").unwrap();
    fs::write(work.join("in.toml"), CONFIG).unwrap();
    Ingestry::start(work, &["--config", "in.toml"])
}

#[test]
fn every_protocol_brings_the_items_of_a_file() {
    let work = tempfile::tempdir().unwrap();
    let ingestry = start(work.path());
    let items = 2_000;
    for (scheme, source, more) in [
        ("graphite", "graphite", &[][..]),
        ("graphite-pickle", "pickle", &[]),
        ("graphite-protobuf", "protobuf", &[]),
        ("gravwell", "wire", &["--tag", "sent", "--secret", "file:secret"]),
        ("gravwells", "secured", &["--tag", "sent", "--secret", "file:secret", "--ca", "cert.pem"]),
        ("ws", "hydra", &["--header", "hydra-ack=persisted"]),
    ] {
        let text: String =
            (0..items).map(|n| format!("by.{source}.{n} {n} 1700000000\n")).collect();
        fs::write(work.path().join("items"), text).unwrap();
        let path = if scheme == "ws" { "/ws-ingest/gravwell_ingestor" } else { "" };
        let url = format!("{scheme}://{}{path}", ingestry.address(source));
        let output = ended(work.path(), &[&["send", "--to", &url, "items"], more].concat());
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{url}: {out}{err}");
        assert!(out.contains("sent 2000 items") && out.contains("all acknowledged"), "{out}");
        // Acknowledged is stored.
        let found = search(&work.path().join("ingestry-data"), &format!("by.{source}."));
        let data: Vec<_> = found.iter().map(|found| found.data.trim()).collect();
        let all: Vec<_> = (0..items).map(|n| format!("by.{source}.{n} {n} 1700000000")).collect();
        assert_eq!(data, all, "{source}");
    }
    let url = format!("graphite-udp://{}", ingestry.address("udp"));
    let lines: String = (0..100).map(|n| format!("by.udp.{n} 1 1700000000\n")).collect();
    let (code, out, err) = piped(work.path(), &["send", "--to", &url, "--rate", "5000"], &lines);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("sent 100 items") && out.contains("datagrams are not"), "{out}");
    until("the datagrams", || {
        let row = source_row(&status(ingestry.address("admin")), "udp");
        (row["accepted"]["items"].as_u64() == Some(100)).then_some(())
    });
    ingestry.stop();
}

#[test]
fn what_cannot_be_sent_or_is_refused_is_said() {
    let work = tempfile::tempdir().unwrap();
    let ingestry = start(work.path());
    let lines = "good 1 1700000000\nbad\ngood 2 1700000000";
    let to = |scheme: &str, source: &str| format!("{scheme}://{}", ingestry.address(source));
    let (code, out, _) =
        piped(work.path(), &["send", "--to", &to("graphite-pickle", "pickle")], lines);
    assert_eq!(code, Some(1));
    assert!(out.contains("sent 2 items") && out.contains("1 not sent"), "{out}");
    // Lines go as they are: what the other side makes of them is its business.
    let (code, out, _) = piped(work.path(), &["send", "--to", &to("graphite", "graphite")], lines);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("sent 3 items"), "{out}");

    fs::write(work.path().join("wrong"), "open barley").unwrap();
    let wire = to("gravwell", "wire");
    let (code, out, err) =
        piped(work.path(), &["send", "--to", &wire, "--secret", "file:wrong"], lines);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("cannot connect to gravwell://") && !err.contains("barley"), "{err}");
    let (code, _, err) = piped(work.path(), &["send", "--to", &wire], lines);
    assert!(code == Some(1) && err.contains("env:INGEST_SECRET"), "{err}");
    let hydra = format!("{}/ws-ingest/nobody", to("ws", "hydra"));
    let (code, out, _) = piped(work.path(), &["send", "--to", &hydra], "one\ntwo\n");
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("2 refused by the other side"), "{out}");
    let (code, _, err) = piped(work.path(), &["send", "--to", "http://127.0.0.1:1"], lines);
    assert!(code == Some(2) && err.contains("allowed: one of graphite://"), "{err}");
    assert!(page(ingestry.address("admin"), "/ready").contains("ready"));
    ingestry.stop();
}
