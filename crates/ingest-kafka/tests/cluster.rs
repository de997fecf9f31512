//! Producer and consumer against the client library's own cluster of brokers in this process, which
//! speaks the protocol over loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeSet;
use std::time::Duration;

use ingest_kafka::{
    Compression, Consumer, ConsumerOptions, Deliveries, ErrorKind, Headers, Positions, Producer,
    ProducerOptions, Reading, Record, Settings,
};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Cluster(MockCluster<'static, DefaultProducerContext>);

impl Cluster {
    fn new(topic: &str, partitions: i32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(topic, partitions, 1).unwrap();
        Self(cluster)
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::new(self.0.bootstrap_servers().split(','));
        let set = [("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "200")];
        settings.properties = set.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        settings
    }

    fn producer(&self) -> Producer {
        Producer::new(&self.settings(), &ProducerOptions::default()).unwrap()
    }

    fn consumer(&self, options: &ConsumerOptions) -> Consumer {
        Consumer::new(&self.settings(), options).unwrap()
    }
}

async fn send(producer: &Producer, topic: &str, values: impl IntoIterator<Item = String>) {
    let mut deliveries = Deliveries::new();
    let mut count = 0;
    for value in values {
        producer.send(Record::new(topic, value.as_bytes()), &deliveries).await.unwrap();
        count += 1;
    }
    let outcome = tokio::time::timeout(PATIENCE, deliveries.done()).await.unwrap();
    assert_eq!((outcome.confirmed, outcome.failed, outcome.refused), (count, 0, 0), "{outcome:?}");
}

/// The next values, and how far that is.
async fn take(consumer: &Consumer, count: usize) -> (Vec<String>, Positions) {
    let mut messages = consumer.messages();
    let (mut values, mut read) = (Vec::new(), Positions::default());
    let mut reading = Reading::default();
    while values.len() < count {
        let next = tokio::time::timeout(PATIENCE, messages.next()).await.expect("in time");
        let Ok(message) = next else { continue };
        values.push(String::from_utf8(message.value().unwrap().to_vec()).unwrap());
        read.read(&message);
        reading.read(message);
    }
    assert_eq!(reading.done(), read, "one by one or in runs");
    (values, read)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_comes_as_it_was() {
    let cluster = Cluster::new("t", 1);
    let producer = cluster.producer();
    producer.connected(PATIENCE).await.unwrap();
    let mut deliveries = Deliveries::new();
    let headers = Headers::with_capacity(2).with("a", b"1").with("b", b"\xff").with("n\0", b"");
    let record = Record {
        key: Some(b"key"),
        timestamp: Some(1_234),
        headers: Some(headers),
        ..Record::new("t", b"value")
    };
    producer.send(record, &deliveries).await.unwrap();
    let tombstone = Record { key: Some(b""), value: None, ..Record::new("t", b"") };
    producer.send(tombstone, &deliveries).await.unwrap();
    producer.send(Record::new("t", b""), &deliveries).await.unwrap();
    assert_eq!(deliveries.done().await.confirmed, 3);

    let consumer = cluster.consumer(&ConsumerOptions::new("g", ["t"]));
    let mut messages = consumer.messages();
    let first = messages.next().await.unwrap();
    assert_eq!((first.topic(), first.partition(), first.offset()), ("t", 0, 0));
    assert_eq!((first.key(), first.value()), (Some(&b"key"[..]), Some(&b"value"[..])));
    assert_eq!(first.timestamp(), Some(1_234));
    let headers: Vec<_> = first.headers().collect();
    assert_eq!(headers, [("a", &b"1"[..]), ("b", b"\xff")]);
    let second = messages.next().await.unwrap();
    assert_eq!(second.value(), None, "a tombstone");
    let third = messages.next().await.unwrap();
    assert_eq!((third.key(), third.value()), (None, Some(&b""[..])));
    assert!(third.timestamp().unwrap() > 1_600_000_000_000, "now");
    assert_eq!(consumer.assigned(), 1);
    drop((first, second, third, messages));
    consumer.close().await;
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_every_kind_are_written_and_read() {
    let cluster = Cluster::new("t", 1);
    let kinds = [
        Compression::None,
        Compression::Lz4,
        Compression::Snappy,
        Compression::Gzip,
        Compression::Zstd,
    ];
    for (at, kind) in kinds.into_iter().enumerate() {
        let mut options = ProducerOptions::default();
        options.compression = kind;
        let producer = Producer::new(&cluster.settings(), &options).unwrap();
        send(&producer, "t", (0..200).map(|n| format!("{at} {n} {}", "x".repeat(100)))).await;
        producer.close().await;
    }
    let consumer = cluster.consumer(&ConsumerOptions::new("g", ["t"]));
    let (values, _) = take(&consumer, 1000).await;
    for (at, value) in values.iter().enumerate() {
        assert!(value.starts_with(&format!("{} {} x", at / 200, at % 200)), "{at}: {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_stored_is_committed() {
    let cluster = Cluster::new("t", 1);
    let producer = cluster.producer();
    send(&producer, "t", (0..6).map(|n| n.to_string())).await;
    let options = ConsumerOptions::new("g", ["t"]);

    // Nothing was stored: all of it comes again.
    let consumer = cluster.consumer(&options);
    assert_eq!(take(&consumer, 6).await.0.len(), 6);
    consumer.close().await;

    // The first two were.
    let consumer = cluster.consumer(&options);
    let (values, read) = take(&consumer, 2).await;
    assert_eq!(values, ["0", "1"]);
    consumer.store(&read);
    assert_eq!(take(&consumer, 2).await.0, ["2", "3"]);
    consumer.close().await;

    let consumer = cluster.consumer(&options);
    let (values, mut read) = take(&consumer, 3).await;
    assert_eq!(values, ["2", "3", "4"]);
    let (_, rest) = take(&consumer, 1).await;
    read.merge(rest);
    consumer.store(&read);
    consumer.close().await;
    send(&producer, "t", ["new".to_owned()]).await;
    let consumer = cluster.consumer(&options);
    assert_eq!(take(&consumer, 1).await.0, ["new"]);
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_partitions_and_take_over() {
    let cluster = Cluster::new("t", 4);
    let producer = cluster.producer();
    let mut options = ConsumerOptions::new("g", ["t"]);
    options.commit_interval = Duration::from_millis(50);
    let (one, two) = (cluster.consumer(&options), cluster.consumer(&options));
    // Both ask, as members have to.
    let (mut of_one, mut of_two) = (one.messages(), two.messages());
    let shared = async {
        loop {
            for messages in [&mut of_one, &mut of_two] {
                let _ = tokio::time::timeout(Duration::from_millis(10), messages.next()).await;
            }
            if one.assigned() == 2 && two.assigned() == 2 {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, shared).await.expect("shared in time");
    drop((of_one, of_two));
    one.close().await;
    let mut of_two = two.messages();
    let taken_over = async {
        while two.assigned() < 4 {
            let _ = tokio::time::timeout(Duration::from_millis(10), of_two.next()).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken_over).await.expect("taken over in time");
    drop(of_two);

    // What comes now is all the other's.
    send(&producer, "t", (0..100).map(|n| n.to_string())).await;
    let (values, read) = take(&two, 100).await;
    let distinct: BTreeSet<_> = values.iter().collect();
    assert_eq!(distinct.len(), 100);
    assert_eq!(two.assigned(), 4);
    assert!(two.rebalances() >= 2);
    two.store(&read);
    two.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_is_refused_by_itself() {
    let cluster = Cluster::new("t", 1);
    let producer = cluster.producer();
    let deliveries = Deliveries::new();
    let large = vec![0; 2_000_000];
    let error = producer.send(Record::new("t", &large), &deliveries).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.kind().is_of_record());
    send(&producer, "t", ["small".to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_waits_for_room_and_nothing_is_lost() {
    let cluster = Cluster::new("t", 1);
    cluster.0.broker_down(1).unwrap();
    let mut options = ProducerOptions::default();
    options.queue_records = 10;
    let producer = Producer::new(&cluster.settings(), &options).unwrap();
    let mut deliveries = Deliveries::new();
    for _ in 0..10 {
        producer.send(Record::new("t", b"x"), &deliveries).await.unwrap();
    }
    let mut one_more = Record::new("t", b"x");
    let full = producer.try_send(&mut one_more, &deliveries).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    {
        let waiting = producer.send(one_more, &deliveries);
        tokio::pin!(waiting);
        let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
        assert!(early.is_err(), "there is no room");
        cluster.0.broker_up(1).unwrap();
        tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
    }
    let outcome = tokio::time::timeout(PATIENCE, deliveries.done()).await.unwrap();
    assert_eq!((outcome.confirmed, outcome.failed), (11, 0), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_stays_away_fails_records_in_time() {
    let cluster = Cluster::new("t", 1);
    cluster.0.broker_down(1).unwrap();
    let mut options = ProducerOptions::default();
    options.delivery_timeout = Duration::from_secs(1);
    let producer = Producer::new(&cluster.settings(), &options).unwrap();
    let mut deliveries = Deliveries::new();
    producer.send(Record::new("t", b"x"), &deliveries).await.unwrap();
    let outcome = tokio::time::timeout(PATIENCE, deliveries.done()).await.unwrap();
    assert_eq!((outcome.confirmed, outcome.failed), (0, 1));
    assert_eq!(outcome.failure.unwrap().kind(), ErrorKind::TimedOut);
    let error = producer.connected(Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_do_not_go_together_are_told_at_once() {
    let mut settings = Settings::new(["127.0.0.1:1"]);
    settings.properties = vec![("security.protocol".to_owned(), "sasl_plaintext".to_owned())];
    settings.properties.push(("sasl.mechanism".to_owned(), "NONE".to_owned()));
    let refused = Producer::new(&settings, &ProducerOptions::default()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Settings, "{refused}");
    let refused = Consumer::check(&settings, &ConsumerOptions::new("g", ["t"])).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Settings, "{refused}");
    let options = ConsumerOptions::new("g", ["^("]);
    let refused = Consumer::new(&Settings::new(["127.0.0.1:1"]), &options).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Settings, "{refused}");
}
