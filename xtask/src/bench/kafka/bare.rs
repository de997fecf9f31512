//! A bare producer and a bare consumer: the client library, and nothing of ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Message as _};

use super::Job;
use crate::bench::process::say;
use crate::bench::usage::Meter;
use crate::bench::wire::data;

const PATIENCE: Duration = Duration::from_secs(60);

/// Counts what was confirmed.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicU64>);

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }
}

pub(crate) fn producer(job: Job) -> Result<()> {
    let confirmed = Counting::default();
    let producer: ThreadedProducer<Counting> = ClientConfig::new()
        .set("bootstrap.servers", format!("127.0.0.1:{}", job.port))
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "5")
        .set("compression.type", "none")
        .set("delivery.timeout.ms", "30000")
        .set("queue.buffering.max.messages", "65536")
        .set("queue.buffering.max.kbytes", "65536")
        .create_with_context(confirmed.clone())?;
    producer.client().fetch_metadata(Some(&job.topic), PATIENCE)?;
    let data = data();
    let meter = Meter::start();
    for _ in 0..job.count {
        let mut record = BaseRecord::<(), [u8]>::to(&job.topic).payload(&data);
        while let Err((error, back)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            ensure!(error == full, "{error}");
            std::thread::sleep(Duration::from_millis(1));
            record = back;
        }
    }
    producer.flush(PATIENCE)?;
    while confirmed.0.load(Ordering::Acquire) < job.count {
        std::thread::yield_now();
    }
    say(&meter.stop(job.count)?)
}

pub(crate) fn consumer(job: Job) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", format!("127.0.0.1:{}", job.port))
        .set("group.id", format!("bare-{}", std::process::id()))
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "true")
        .set("enable.auto.offset.store", "false")
        .set("auto.commit.interval.ms", "1000")
        .set("auto.offset.reset", "earliest")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.queue.backoff.ms", "10")
        .create()?;
    consumer.subscribe(&[&job.topic])?;
    let begin = Instant::now();
    let next = || -> Result<usize> {
        loop {
            ensure!(begin.elapsed() < PATIENCE, "nothing comes");
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                let message = message?;
                consumer.store_offset_from_message(&message)?;
                return Ok(message.payload().context("a tombstone")?.len());
            }
        }
    };
    let size = next()?;
    let meter = Meter::start();
    for _ in 1..job.count {
        ensure!(next()? == size, "another size");
    }
    say(&meter.stop(job.count)?)
}
