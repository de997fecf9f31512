//! Hydra: the session of its document, with the gateway and with an ingestor of one's own.

use crate::support::{Beside, Served, ended, example, said};

#[test]
fn the_session_of_the_document() {
    let gateway = Served::start();
    let url = format!("ws://{}/ws-ingest/gravwell_ingestor", gateway.address("hydra"));
    let out = said(example("hydra_session").arg(url), "");
    assert!(out.to_lowercase().contains("hydra-kafka-topic = test-topic\n"), "{out}");
    assert!(out.ends_with("200 OK\n  gravwell_ingestor: 200 OK\n"), "{out}");
    let stored = gateway.stop();
    let expected = r#"{"name":"test","value":"test"}"#;
    assert_eq!(stored.len(), 1, "{stored:?}");
    assert_eq!((stored[0].0.as_str(), stored[0].1.trim_start()), ("hydra", expected));
}

#[test]
fn a_session_without_a_broker_is_told_so() {
    let gateway = Served::start();
    let url = format!("ws://{}/ws-ingest/kafka_ingestor", gateway.address("hydra"));
    let (fine, out, why) = ended(example("hydra_session").arg(url), "");
    assert!(!fine && why.contains("the payload was not taken"), "{why}");
    assert!(out.contains("kafka_ingestor has no broker"), "{out}");
}

#[test]
fn an_ingestor_of_ones_own() {
    let mut server = Beside::start(example("hydra_ingestor").arg("127.0.0.1:0"));
    let line = server.line();
    let address = line.strip_prefix("listening on ").unwrap();
    let url = format!("ws://{address}/ws-ingest/line_count_ingestor");
    let out = said(example("hydra_session").arg(&url).arg("one"), "");
    assert!(out.ends_with("200 OK\n  line_count_ingestor: 200 OK\n"), "{out}");
    assert_eq!(server.line(), "1:  one");
    let (fine, out, _) = ended(example("hydra_session").arg(&url).arg(" "), "");
    assert!(!fine && out.contains("There is nothing in it."), "{out}");
}
