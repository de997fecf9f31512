//! Hydra's `kafka_ingestor` against the client library's own cluster of brokers in this process.
#![cfg(feature = "hydra")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hydra_ws::{FailureKind, Ingestor, Join, Options, Outcome, Request, Session, Step};
use ingest_kafka::{
    Consumer, ConsumerOptions, IngestorOptions, KafkaIngestor, ProducerOptions, Settings,
};
use rdkafka::mocking::MockCluster;

/// What a session with these metadata makes of a message.
fn request(fields: &[(&str, &str)], message: &str) -> Request {
    let options = Arc::new(Options::default());
    let mut session = Session::new(options, fields.iter().copied(), None, 1).unwrap();
    let message = Bytes::copy_from_slice(message.as_bytes());
    match session.text(&message, 1, Instant::now(), &mut Vec::new()) {
        Step::Request(request) => request,
        _ => panic!("no request"),
    }
}

fn ingestor(settings: Settings, options: ProducerOptions) -> KafkaIngestor {
    KafkaIngestor::new(settings, options, IngestorOptions::default()).unwrap()
}

async fn ingested(ingestor: &KafkaIngestor, request: Request) -> Result<(), hydra_ws::Failure> {
    match ingestor.ingest(request) {
        Outcome::Now(result) => result,
        Outcome::Later(later) => later.await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_become_records() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let settings = Settings::new([cluster.bootstrap_servers()]);
    let ingestor = ingestor(settings.clone(), ProducerOptions::default());
    let topic = ("hydra-kafka-topic", "t");
    let explicit = ("hydra-ack", "explicit");
    let key = ("hydra-record-key", "{$.id}");
    let none = request(&[], "{}");
    assert_eq!(Ingestor::join(&ingestor, &none), Join::Ignore);
    let one = request(&[topic, explicit, key], r#"-i 1 {"id":"a"}"#);
    assert_eq!(Ingestor::join(&ingestor, &one), Join::Join);
    ingestor.validate(&one).unwrap();
    ingested(&ingestor, one).await.unwrap();
    let text = request(&[topic, explicit, ("hydra-record-format", "STRING")], "text");
    ingested(&ingestor, text).await.unwrap();
    let fixed = ("hydra-record-key", "k");
    ingested(&ingestor, request(&[topic, explicit, fixed], "")).await.unwrap();
    ingested(&ingestor, request(&[topic], "7")).await.unwrap();
    let bad = request(&[topic, explicit], "no json");
    assert_eq!(ingestor.validate(&bad).unwrap_err().kind(), FailureKind::Invalid);
    assert_eq!(ingested(&ingestor, bad).await.unwrap_err().kind(), FailureKind::Invalid);

    let consumer = Consumer::new(&settings, &ConsumerOptions::new("g", ["t"])).unwrap();
    let mut messages = consumer.messages();
    let mut records = Vec::new();
    for _ in 0..4 {
        let message = messages.next().await.unwrap();
        let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8(b.to_vec()).unwrap());
        records.push((text(message.key()), text(message.value())));
    }
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        records,
        [
            (some("a"), some(r#" {"id":"a"}"#)),
            (None, some("text")),
            (some("k"), None),
            (None, some("7")),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_the_ingestor_s_fault() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    cluster.broker_down(1).unwrap();
    let mut options = ProducerOptions::default();
    options.delivery_timeout = Duration::from_secs(1);
    let ingestor = ingestor(Settings::new([cluster.bootstrap_servers()]), options);
    let fields = [("hydra-kafka-topic", "t"), ("hydra-ack", "replicated")];
    let failure = ingested(&ingestor, request(&fields, "1")).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Error, "{failure}");
    // Whoever does not ask is told that it was taken.
    ingested(&ingestor, request(&fields[..1], "1")).await.unwrap();
}
