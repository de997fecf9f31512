//! What the Kafka client is made with, from settings.

use ingest_kafka::{
    Compression, Credentials, IngestorOptions, Producer, ProducerOptions, RecordFormat, Settings,
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
    };
    options.rewrite = hydra.dialect == HydraDialect::Head;
    options
}
