//! Errors of the muxer.

use ingest_entry::{LimitError, TagName};
use ingest_wal::{OpenError, Refused};

/// Why a muxer could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The log could not be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// Two outputs have one name.
    #[error("two outputs are named {0:?}")]
    OutputTwice(String),
    /// The starting positions of the outputs could not be made durable.
    #[error("cannot keep where the outputs start: {0}")]
    Positions(#[source] std::io::Error),
}

/// Why a tag or a source got no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefineError {
    /// The table of names is full.
    #[error("no room for the tag {name:?}: the log holds at most {limit} ({what})")]
    TableFull {
        /// The name that was asked for.
        name: String,
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The name breaks a rule.
    #[error("{0}")]
    Name(String),
    /// The log does not take it now.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl DefineError {
    pub(crate) fn full(name: &TagName, what: &'static str, limit: u64) -> Self {
        Self::TableFull { name: name.as_str().to_owned(), what, limit }
    }
}

/// Why an entry was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It is beyond the limits of the format.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The log does not take it.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl SendError {
    /// Whether other entries can be accepted: the entry was at fault, not the log.
    #[must_use]
    pub const fn can_continue(&self) -> bool {
        matches!(self, Self::Limit(_) | Self::Refused(Refused::TooLarge { .. }))
    }
}
