//! Hydra's `kafka_ingestor` (hydra.md 8): a payload becomes a record of the topic that
//! `hydra-kafka-topic` names.

mod prepared;

use std::sync::{Arc, Mutex, PoisonError};

use hydra_ws::{Ack, Failure, Ingestor, Join, Outcome, Request};

use crate::delivery::Deliveries;
use crate::error::{Error, ErrorKind};
use crate::options::ProducerOptions;
use crate::producer::Producer;
use crate::record::Record;
use crate::settings::Settings;

use prepared::Prepared;

/// What payloads are made into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordFormat {
    /// JSON: it has to be some.
    #[default]
    Json,
    /// Text.
    Text,
}

/// How the ingestor reads requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IngestorOptions {
    /// What is made of payloads of requests without a `hydra-record-format`. Default: JSON. Hydra's
    /// own default is Avro, which needs a registry of schemas.
    pub format: RecordFormat,
    /// Whether JSON is written anew, without blanks, as the last version of Hydra does it, instead of
    /// going as it came.
    pub rewrite: bool,
}

/// Takes requests that name a topic, and hands them to a broker.
///
/// A request with `hydra-ack` of `explicit` or `replicated` is complete when all brokers in sync have
/// its record. So is one of `persisted`: there is no other disk that it would be on. Without one of
/// these it is complete when it is in the producer's queue.
///
/// An empty payload is a tombstone. Clones share the producer.
#[derive(Clone, Debug)]
pub struct KafkaIngestor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    sending: ProducerOptions,
    options: IngestorOptions,
    producer: Mutex<Producer>,
}

/// A record in the producer's queue.
#[derive(Debug)]
#[must_use = "it is not delivered yet"]
pub struct Handed(Deliveries);

impl Handed {
    /// Waits for the broker's answer.
    ///
    /// # Errors
    /// What a report says of it.
    ///
    /// # Cancel safety
    /// Of a dropped future the record is on its way all the same, and nothing says what became of it.
    pub async fn delivered(mut self) -> Result<(), Failure> {
        let outcome = self.0.done().await;
        match outcome.refusal.or(outcome.failure) {
            None => Ok(()),
            Some(error) => Err(failure(&error)),
        }
    }
}

/// A bad record is the request's fault; whatever else the broker says is the ingestor's.
fn failure(error: &Error) -> Failure {
    let text = error.to_string();
    match error.kind() {
        kind if kind.is_of_record() => Failure::invalid(text),
        ErrorKind::Topic => Failure::invalid(text),
        ErrorKind::Full => Failure::unavailable(text),
        _ => Failure::error(text),
    }
}

impl KafkaIngestor {
    /// The name under which it is registered.
    pub const NAME: &'static str = "kafka_ingestor";

    /// An ingestor with a producer of its own, which waits for no broker.
    ///
    /// # Errors
    /// As [`Producer::new`].
    pub fn new(
        settings: Settings,
        sending: ProducerOptions,
        options: IngestorOptions,
    ) -> Result<Self, Error> {
        let producer = Mutex::new(Producer::new(&settings, &sending)?);
        Ok(Self(Arc::new(Inner { settings, sending, options, producer })))
    }

    /// Puts the record of a request into the producer's queue, and waits for room there.
    ///
    /// # Errors
    /// What a report says of it.
    ///
    /// # Cancel safety
    /// A record whose future is dropped was not handed over.
    pub async fn hand_over(&self, request: &Request) -> Result<Handed, Failure> {
        let prepared = Prepared::new(request, &self.0.options)?;
        let deliveries = Deliveries::new();
        let record = Record {
            topic: &prepared.topic,
            key: prepared.key.as_deref().map(str::as_bytes),
            value: prepared.value.as_deref(),
            timestamp: None,
            headers: None,
        };
        let producer = self.0.producer();
        producer.send(record, &deliveries).await.map_err(|error| failure(&error))?;
        Ok(Handed(deliveries))
    }

    /// Whether a request is for it: it names a topic.
    #[must_use]
    pub fn join(request: &Request) -> Join {
        match request.metadata().get("hydra-kafka-topic") {
            Some(_) => Join::Join,
            None => Join::Ignore,
        }
    }

    /// Whether its payload can become a record.
    ///
    /// # Errors
    /// What the report says of it.
    pub fn check(&self, request: &Request) -> Result<(), Failure> {
        Prepared::new(request, &self.0.options).map(drop)
    }
}

impl Inner {
    /// A producer that can go on.
    fn producer(&self) -> Producer {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = producer.fatal() {
            tracing::warn!(%error, "A Kafka producer could not go on: another takes its place.");
            if let Ok(new) = Producer::new(&self.settings, &self.sending) {
                *producer = new;
            }
        }
        producer.clone()
    }
}

impl Ingestor for KafkaIngestor {
    fn join(&self, request: &Request) -> Join {
        Self::join(request)
    }

    fn validate(&self, request: &Request) -> Result<(), Failure> {
        self.check(request)
    }

    fn ingest(&self, request: Request) -> Outcome {
        let ingestor = self.clone();
        Outcome::later(async move {
            let handed = ingestor.hand_over(&request).await?;
            match request.ack() {
                Ack::None => Ok(()),
                Ack::Persisted | Ack::Replicated => handed.delivered().await,
            }
        })
    }
}
