//! The files beside the configuration that sources and destinations are made of.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::amqp::AmqpBroker;
use super::kafka::{HydraKafka, KafkaBrokers};
use super::model::{DestinationKind, SourceKind};
use super::secret::SecretFrom;
use super::tls::{ClientTls, ServerTls};

/// More is not looked at, in bytes.
const MOST: u64 = 1 << 20;

fn of_server(tls: Option<&ServerTls>) -> impl Iterator<Item = &PathBuf> {
    tls.into_iter().flat_map(|tls| [&tls.cert, &tls.key].into_iter().chain(&tls.client_ca))
}

fn of_client(tls: &ClientTls) -> impl Iterator<Item = &PathBuf> {
    let identity = tls.identity.iter().flat_map(|(cert, key)| [cert, key]);
    tls.ca.iter().chain(identity)
}

fn of_secret(secret: Option<&SecretFrom>) -> Option<&PathBuf> {
    match secret {
        Some(SecretFrom::File(path)) => Some(path),
        _ => None,
    }
}

fn of_broker(broker: &AmqpBroker) -> impl Iterator<Item = &PathBuf> {
    broker.tls.iter().flat_map(of_client).chain(of_secret(broker.password.as_ref()))
}

fn of_ingestor(kafka: &HydraKafka) -> impl Iterator<Item = &PathBuf> {
    let registry = kafka.registry.iter();
    let registry = registry.flat_map(|at| at.ca.iter().chain(of_secret(at.password.as_ref())));
    of_brokers(&kafka.brokers).into_iter().chain(registry)
}

fn of_brokers(brokers: &KafkaBrokers) -> Option<&PathBuf> {
    of_secret(brokers.password.as_ref())
}

impl SourceKind {
    /// The files that it names.
    pub(crate) fn files(&self) -> Vec<&PathBuf> {
        match self {
            Self::Graphite(graphite) => of_server(graphite.tls.as_ref()).collect(),
            Self::GraphiteUdp(_) | Self::GraphiteUnix(_) => Vec::new(),
            Self::Amqp(amqp) => of_broker(&amqp.broker).collect(),
            Self::Kafka(kafka) => of_brokers(&kafka.brokers).into_iter().collect(),
            Self::Gravwell(gravwell) => of_server(gravwell.tls.as_ref())
                .chain(of_secret(gravwell.secret.as_ref()))
                .collect(),
            Self::Hydra(hydra) => of_server(hydra.tls.as_ref())
                .chain(of_secret(hydra.token.as_ref()))
                .chain(hydra.kafka.iter().flat_map(of_ingestor))
                .collect(),
            Self::Loggregator(loggregator) => {
                of_client(&loggregator.tls).chain(of_secret(Some(&loggregator.token))).collect()
            }
        }
    }
}

impl DestinationKind {
    /// The files that it names.
    pub(crate) fn files(&self) -> Vec<&PathBuf> {
        match self {
            Self::Store => Vec::new(),
            Self::Gravwell(gravwell) => {
                of_client(&gravwell.tls).chain(of_secret(Some(&gravwell.secret))).collect()
            }
            Self::Graphite(graphite) => graphite.tls.iter().flat_map(of_client).collect(),
            Self::Amqp(amqp) => of_broker(&amqp.broker).collect(),
            Self::Kafka(kafka) => of_brokers(&kafka.brokers).into_iter().collect(),
        }
    }
}

/// Another number when one of these files has changed.
pub(crate) fn fingerprint<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        read(file).map_err(|error| error.kind().to_string()).hash(&mut hasher);
    }
    hasher.finish()
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}
