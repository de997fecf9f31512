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

#[cfg(feature = "avro")]
#[path = "../../../testdata/support/registry.rs"]
mod server;

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

#[cfg(feature = "avro")]
mod avro {
    use super::*;
    use hydra_ws::Dialect;
    use ingest_kafka::{Registry, RegistryOptions};

    const VALUE: &str =
        r#"{"type":"record","name":"v","hydra.key":"id","fields":[{"name":"id","type":"long"}]}"#;
    const KEY: &str = r#"{"type":"record","name":"k","fields":[{"name":"k","type":"string"}]}"#;

    async fn next(consumer: &Consumer) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let message = consumer.messages().next().await.unwrap();
        (message.key().map(<[u8]>::to_vec), message.value().map(<[u8]>::to_vec))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn payloads_become_avro_by_the_registry_s_schema() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let settings = Settings::new([cluster.bootstrap_servers()]);
        let server = server::Registry::start().unwrap();
        server.add("t-value", 300, VALUE);
        server.add("t-key", 4, KEY);
        let mut registry = RegistryOptions::new(server.url());
        registry.fresh = Duration::ZERO;
        let registry = Registry::new(registry).unwrap();
        let made = |dialect| {
            let mut options = IngestorOptions::default();
            options.dialect = dialect;
            let ingestor =
                KafkaIngestor::new(settings.clone(), ProducerOptions::default(), options);
            ingestor.unwrap().with_registry(registry.clone())
        };
        let (doc, head) = (made(Dialect::Doc), made(Dialect::Head));
        let fields = [
            ("hydra-kafka-topic", "t"),
            ("hydra-ack", "explicit"),
            ("hydra-record-format", "avro"),
        ];
        ingested(&doc, request(&fields, r#"-i 1 {"id":2}"#)).await.unwrap();
        let key = ("hydra-record-key", "{$.id}x");
        let keyed = [fields[0], fields[1], fields[2], key, ("hydra-validation", "RELAXED")];
        ingested(&doc, request(&keyed, r#"{"id":3,"more":4}"#)).await.unwrap();
        let both = [fields[0], ("hydra-ack", "replicated"), ("hydra-record-format", "avro-key")];
        ingested(&head, request(&both, r#"{"key":{"k":"a"},"value":{"id":1}}"#)).await.unwrap();
        ingested(&head, request(&both, r#"{"key":{"k":"a"},"value":null}"#)).await.unwrap();

        let failure = async |ingestor, fields: &[(&str, &str)], payload| {
            let failure = ingested(ingestor, request(fields, payload)).await.unwrap_err();
            (failure.kind(), failure.to_string())
        };
        let more = "Field(s) 'more' are not defined in the schema and validation is set to strict. \
                    Declared fields are: id.";
        let payload = r#"{"id":3,"more":4}"#;
        let expected = (FailureKind::Invalid, more.to_owned());
        assert_eq!(failure(&doc, &fields, payload).await, expected);
        let place = format!("{more} [{}/schemas/ids/300]", server.url());
        assert_eq!(failure(&head, &fields, payload).await, (FailureKind::Invalid, place));
        let other = [fields[0], fields[1], fields[2], ("hydra-schema", "other")];
        let missing = "Schema 'other-value' cannot be loaded. Cause: Subject 'other-value' not \
                       found.; error code: 40401";
        let expected = (FailureKind::Invalid, missing.to_owned());
        assert_eq!(failure(&doc, &other, "{}").await, expected);
        server.state().mood = server::Mood::Gone;
        let another = [fields[0], fields[1], fields[2], ("hydra-schema", "another")];
        let (kind, text) = failure(&doc, &another, "{}").await;
        assert_eq!(kind, FailureKind::Unavailable, "{text}");
        // What was known goes on.
        ingested(&doc, request(&fields, r#"{"id":5}"#)).await.unwrap();
        assert_eq!(
            doc.check(&request(&fields, "no json")).unwrap_err().kind(),
            FailureKind::Invalid
        );

        let consumer = Consumer::new(&settings, &ConsumerOptions::new("g", ["t"])).unwrap();
        let value = |id: u8| Some(vec![0, 0, 0, 1, 44, id * 2]);
        let avro_key = Some(vec![0, 0, 0, 0, 4, 2, b'a']);
        assert_eq!(next(&consumer).await, (Some(b"2".to_vec()), value(2)), "the schema's own key");
        assert_eq!(next(&consumer).await, (Some(b"{$.id}x".to_vec()), value(3)));
        assert_eq!(next(&consumer).await, (avro_key.clone(), value(1)));
        assert_eq!(next(&consumer).await, (avro_key, None));
        assert_eq!(next(&consumer).await, (Some(b"5".to_vec()), value(5)));
    }
}
