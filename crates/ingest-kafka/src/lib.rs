//! Kafka, by the client library that everybody uses (librdkafka), behind an interface that says what
//! was confirmed and what was not.
//!
//! * A [`Producer`] sends [`Record`]s. It is idempotent, and a record counts as delivered when all
//!   brokers in sync have it (`acks=all`): [`Deliveries`] says so for as many records as belong
//!   together. Its queue is bounded; [`Producer::send`] waits for room.
//! * A [`Consumer`] is a member of a group. Nothing is committed by itself: what
//!   [`Consumer::store`] was told of is, so that whoever consumes can write to disk first.
//! * [`Settings`] say where the brokers are. Properties of the client library pass through, except
//!   those that these promises stand on: [`Settings::check_property`].
//! * With the feature `hydra`, `KafkaIngestor` is Hydra's `kafka_ingestor`.
//! * With the feature `avro`, `Registry` is the client of a schema registry, and an `AvroSchema` of it
//!   makes JSON into Avro.
//!
//! The client library has threads of its own. What may block in it, which is its end above all, runs
//! on a thread of its own too.
//!
//! ```no_run
//! use std::time::Duration;
//! use ingest_kafka::{Deliveries, Producer, ProducerOptions, Record, Settings};
//!
//! # async fn example() -> Result<(), ingest_kafka::Error> {
//! let settings = Settings::new(["127.0.0.1:9092"]);
//! let producer = Producer::new(&settings, &ProducerOptions::default())?;
//! producer.connected(Duration::from_secs(10)).await?;
//! let mut deliveries = Deliveries::new();
//! producer.send(Record::new("metrics", b"cpu 4"), &deliveries).await?;
//! let outcome = deliveries.done().await;
//! assert_eq!(outcome.confirmed, 1);
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "avro")]
mod avro;
mod consumer;
mod context;
mod delivery;
mod error;
#[cfg(feature = "hydra")]
mod ingestor;
mod options;
mod producer;
mod record;
#[cfg(feature = "avro")]
mod registry;
mod settings;

#[cfg(feature = "avro")]
pub use avro::{AvroError, AvroSchema};
pub use consumer::{Consumer, Message, Messages, Positions};
pub use delivery::{Deliveries, Outcome};
pub use error::{Error, ErrorKind};
#[cfg(feature = "hydra")]
pub use ingestor::{Handed, IngestorOptions, KafkaIngestor, RecordFormat};
pub use options::{Compression, ConsumerOptions, ProducerOptions, StartFrom};
pub use producer::Producer;
pub use record::{Headers, Record};
#[cfg(feature = "avro")]
pub use registry::{Registry, RegistryError, RegistryOptions};
pub use settings::{Credentials, PropertyError, Settings};

/// The examples of the README are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
