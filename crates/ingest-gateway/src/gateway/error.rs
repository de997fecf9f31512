//! Why a gateway does not start, or does not change.

use std::io;

use ingest_mux::{DefineError, StartError};

use crate::config::{SecretError, TlsFileError};
use crate::secret::IngestSecretError;

/// What helps when an address cannot be bound.
fn remedy(name: &str, error: &io::Error) -> String {
    let key =
        if name == "admin" { "admin.listen".into() } else { format!("sources.{name}.listen") };
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("; another program has it: change {key}, or give --listen {name}=ADDRESS")
        }
        io::ErrorKind::PermissionDenied => format!(
            "; ports below 1024 are for the system: change {key}, or let the service manager bind it"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("; this machine has no such address: change {key}")
        }
        _ => String::new(),
    }
}

/// Why a gateway could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The log, or the outputs' positions in it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A name got no number.
    #[error("source {name:?}: {error}")]
    Define {
        /// The source.
        name: String,
        /// Why.
        error: DefineError,
    },
    /// An address could not be bound.
    #[error("{name} cannot listen on {listen}: {error}{}", remedy(name, error))]
    Bind {
        /// The source, or `admin`.
        name: String,
        /// The address.
        listen: String,
        /// What the operating system said.
        error: io::Error,
    },
    /// There is no secret that clients of a source could be asked for.
    #[error("source {name:?} has no ingest secret: {error}")]
    Secret {
        /// The source.
        name: String,
        /// Why.
        error: IngestSecretError,
    },
    /// A destination's secret cannot be read.
    #[error("destination {name:?} has no secret: {error}")]
    DestinationSecret {
        /// The destination.
        name: String,
        /// Why.
        error: SecretError,
    },
    /// Certificates or keys cannot be used.
    #[error("{name}: TLS: {error}")]
    Tls {
        /// The source or destination.
        name: String,
        /// Why.
        error: TlsFileError,
    },
    /// The client of a source or destination cannot be made.
    #[cfg(feature = "kafka")]
    #[error("{name}: Kafka: {error}")]
    Kafka {
        /// The source or destination.
        name: String,
        /// Why.
        error: ingest_kafka::Error,
    },
    /// The client of a schema registry cannot be made.
    #[cfg(feature = "avro")]
    #[error("{name}: the registry of schemas: {error}")]
    Registry {
        /// The source.
        name: String,
        /// Why.
        error: ingest_kafka::RegistryError,
    },
    /// A destination was given twice.
    #[error("two destinations are named {0:?}")]
    DestinationTwice(String),
    /// A source got a socket that is not of its kind: a mistake of this program.
    #[error("source {0:?} has no socket of its kind")]
    WrongSocket(String),
}

impl GatewayError {
    /// The secret of the source or destination of that name cannot be read.
    pub(crate) fn secret(name: &str, error: SecretError) -> Self {
        Self::Secret { name: name.to_owned(), error: IngestSecretError::Read(error) }
    }
}
