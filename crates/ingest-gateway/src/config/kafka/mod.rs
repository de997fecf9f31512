//! Kafka: the settings of sources, destinations and of Hydra's `kafka_ingestor`, and how they are
//! read.

mod model;
mod read;
mod template;

pub use model::{
    HydraKafka, KafkaBrokers, KafkaCompression, KafkaDecoding, KafkaDestination, KafkaEncoding,
    KafkaFormat, KafkaFrom, KafkaHeaders, KafkaRegistry, KafkaSending, KafkaSent, KafkaSource,
    KafkaTagPer, KafkaTime, KafkaValues,
};
pub(super) use read::{read_destination, read_hydra, read_source};
#[cfg(feature = "kafka")]
pub(crate) use template::write_value;
pub use template::{Template, TemplateError};
