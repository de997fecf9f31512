//! What the Kafka client is made with, from settings.

use hydra_ws::Dialect;
use ingest_kafka::{
    Compression, Credentials, IngestorOptions, Producer, ProducerOptions, RecordFormat, Settings,
};
#[cfg(feature = "avro")]
use ingest_kafka::{Registry, RegistryOptions};

#[cfg(feature = "avro")]
use crate::{
    config::{KafkaRegistry, pem},
    gateway::GatewayError,
};

use crate::config::{
    HydraDialect, HydraKafka, HydraSource, KafkaBrokers, KafkaCompression, KafkaFormat,
    KafkaSending, SecretError,
};

/// Where the brokers are, and who we are to them.
pub(crate) fn settings(config: &KafkaBrokers) -> Result<Settings, SecretError> {
    let mut settings = Settings::new(config.brokers.iter().cloned());
    settings.properties.clone_from(&config.properties);
    if let (Some(user), Some(password)) = (&config.user, &config.password) {
        let password = String::from_utf8_lossy(&password.read()?).into_owned();
        let (mechanism, user) = (config.mechanism.clone(), user.clone());
        settings.credentials = Some(Credentials { mechanism, user, password });
    }
    Ok(settings)
}

/// How records are sent.
pub(crate) fn sending(config: &KafkaSending) -> ProducerOptions {
    let mut options = ProducerOptions::default();
    options.compression = match config.compression {
        KafkaCompression::None => Compression::None,
        KafkaCompression::Lz4 => Compression::Lz4,
        KafkaCompression::Snappy => Compression::Snappy,
        KafkaCompression::Gzip => Compression::Gzip,
        KafkaCompression::Zstd => Compression::Zstd,
    };
    options.linger = config.linger;
    options.delivery_timeout = config.delivery_timeout;
    options
}

/// How long a broker has to answer a check.
const CHECK: std::time::Duration = std::time::Duration::from_secs(10);

/// Whether a broker answers; on this thread.
pub(crate) fn answers(config: &KafkaBrokers) -> anyhow::Result<()> {
    let settings = settings(config)?;
    Ok(Producer::new(&settings, &ProducerOptions::default())?.answered(CHECK)?)
}

/// How Hydra's `kafka_ingestor` reads requests.
pub(crate) fn ingestor(hydra: &HydraSource, config: &HydraKafka) -> IngestorOptions {
    let mut options = IngestorOptions::default();
    options.format = match config.format {
        KafkaFormat::Json => RecordFormat::Json,
        KafkaFormat::Text => RecordFormat::Text,
        KafkaFormat::Avro => RecordFormat::Avro,
    };
    options.dialect = match hydra.dialect {
        HydraDialect::Doc => Dialect::Doc,
        HydraDialect::Seed => Dialect::Seed,
        HydraDialect::Head => Dialect::Head,
    };
    options
}

/// A client of the registry, for what becomes Avro.
#[cfg(feature = "avro")]
pub(crate) fn registry(name: &str, config: &KafkaRegistry) -> Result<Registry, GatewayError> {
    let named = || name.to_owned();
    let mut options = RegistryOptions::new(&config.url);
    if let (Some(user), Some(password)) = (&config.user, &config.password) {
        let password = password.read().map_err(|error| GatewayError::secret(name, error))?;
        options.credentials = Some((user.clone(), String::from_utf8_lossy(&password).into_owned()));
    }
    let authority = config.ca.as_ref().map(pem).transpose();
    options.authority = authority.map_err(|error| GatewayError::Tls { name: named(), error })?;
    options.timeout = config.timeout;
    options.fresh = config.fresh;
    Registry::new(options).map_err(|error| GatewayError::Registry { name: named(), error })
}
