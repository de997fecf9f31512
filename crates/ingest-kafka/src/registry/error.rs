//! What a registry has said, or why it has not.

use std::time::Duration;

use crate::avro::AvroError;

/// Why there is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry cannot be asked with these options.
    #[error("{0}")]
    Settings(String),
    /// The registry has it not, or does not say it.
    #[error("{text}; error code: {code}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// The registry's own code, which begins with the status, else the status.
        code: u64,
        /// What it says.
        text: String,
    },
    /// There is no connection, or it broke.
    #[error("no connection to the registry: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("no answer of the registry within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// What came is no answer of a registry.
    #[error("that is no answer of a registry: {0}")]
    Answer(String),
    /// The answer is longer than is read.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// The schema is none that can be used here.
    #[error(transparent)]
    Schema(#[from] AvroError),
}

impl RegistryError {
    /// Whether whoever asked is at fault, by naming what is not there or cannot be used; else the
    /// registry is, and asking again later may help.
    #[must_use]
    pub const fn is_of_request(&self) -> bool {
        match self {
            // Too many requests, and not yet authenticated, are nobody's fault who names a subject.
            Self::Refused { status, .. } => matches!(*status, 404 | 422),
            Self::Schema(_) => true,
            _ => false,
        }
    }
}
