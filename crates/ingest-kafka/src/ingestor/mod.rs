//! Hydra's `kafka_ingestor` (hydra.md 8): a payload becomes a record of the topic that
//! `hydra-kafka-topic` names.

#[cfg(feature = "avro")]
mod avro;
mod prepared;
mod subject;

use std::sync::{Arc, Mutex, PoisonError};

use hydra_ws::{Ack, Dialect, Failure, Ingestor, Join, Outcome, Request};

use crate::delivery::Deliveries;
use crate::error::{Error, ErrorKind};
use crate::options::ProducerOptions;
use crate::producer::Producer;
use crate::record::Record;
use crate::settings::Settings;

use prepared::{Prepared, Ready};

/// What payloads are made into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordFormat {
    /// JSON: it has to be some.
    #[default]
    Json,
    /// Text.
    Text,
    /// Avro, by the schema of a registry: the feature `avro`.
    Avro,
}

/// How the ingestor reads requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IngestorOptions {
    /// What is made of payloads of requests without a `hydra-record-format`. Default: JSON. Hydra's
    /// own default is Avro, which needs a registry of schemas.
    pub format: RecordFormat,
    /// Whose rules apply. The last version of Hydra, [`Dialect::Head`], writes JSON anew, without
    /// blanks, where others send it as it came; it knows the format `avro-key`; and it says where the
    /// schema is that a payload does not fit. Default: [`Dialect::Doc`].
    pub dialect: Dialect,
}

/// Takes requests that name a topic, and hands them to a broker.
///
/// A request with `hydra-ack` of `explicit` or `replicated` is complete when all brokers in sync have
/// its record. So is one of `persisted`: there is no other disk that it would be on. Without one of
/// these it is complete when it is in the producer's queue.
///
/// An empty payload is a tombstone. Clones share the producer.
#[derive(Clone, Debug)]
pub struct KafkaIngestor {
    inner: Arc<Inner>,
    #[cfg(feature = "avro")]
    registry: Option<crate::registry::Registry>,
}

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
        Ok(Self {
            inner: Arc::new(Inner { settings, sending, options, producer }),
            #[cfg(feature = "avro")]
            registry: None,
        })
    }

    /// With a registry, whose schemas make payloads into Avro.
    #[cfg(feature = "avro")]
    #[must_use]
    pub fn with_registry(mut self, registry: crate::registry::Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// What a request becomes, as far as that shows without a registry.
    fn prepared(&self, request: &Request) -> Result<Prepared, Failure> {
        #[cfg(feature = "avro")]
        let registry = self.registry.is_some();
        #[cfg(not(feature = "avro"))]
        let registry = false;
        Prepared::new(request, &self.inner.options, registry)
    }

    #[cfg(feature = "avro")]
    async fn with_schema(&self, prepared: Prepared, request: &Request) -> Result<Ready, Failure> {
        let Some(registry) = &self.registry else { return Ok(Ready::from(prepared)) };
        avro::ready(prepared, request, registry, self.inner.options.dialect).await
    }

    #[cfg(not(feature = "avro"))]
    async fn with_schema(&self, prepared: Prepared, _: &Request) -> Result<Ready, Failure> {
        Ok(Ready::from(prepared))
    }

    /// Puts the record of a request into the producer's queue, and waits for room there. For Avro it
    /// waits for the registry before, if that has to be asked.
    ///
    /// # Errors
    /// What a report says of it.
    ///
    /// # Cancel safety
    /// A record whose future is dropped was not handed over.
    pub async fn hand_over(&self, request: &Request) -> Result<Handed, Failure> {
        let ready = self.with_schema(self.prepared(request)?, request).await?;
        let deliveries = Deliveries::new();
        let record = Record {
            topic: &ready.topic,
            key: ready.key.as_deref(),
            value: ready.value.as_deref(),
            timestamp: None,
            headers: None,
        };
        let producer = self.inner.producer();
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

    /// Whether its payload can become a record, as far as that shows without a registry: whether it
    /// fits a schema shows when it is handed over.
    ///
    /// # Errors
    /// What the report says of it.
    pub fn check(&self, request: &Request) -> Result<(), Failure> {
        self.prepared(request).map(drop)
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
