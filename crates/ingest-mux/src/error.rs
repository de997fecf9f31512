//! Errors of the muxer.

use ingest_entry::{LimitError, TagId, TagName};
use ingest_wal::{OpenError, RefusedError};

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
    /// A tag that was to be there from the start got no number.
    #[error(transparent)]
    Tag(#[from] DefineError),
    /// What was to be attached to entries cannot be.
    #[error("cannot attach what is configured: {0}")]
    Attach(#[source] LimitError),
    /// A muxer without a directory has less memory than it needs.
    #[error("a muxer without a directory needs {needed} bytes of memory; it was given {found}")]
    Memory {
        /// What it was given.
        found: u64,
        /// What it needs.
        needed: u64,
    },
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
    Refused(#[from] RefusedError),
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
    Refused(#[from] RefusedError),
    /// Its tag number was never given out.
    #[error("the tag number {0} was never given out")]
    UnknownTag(TagId),
    /// It was to be on disk, and the muxer has no directory.
    #[error("nothing can be on disk: the muxer has no directory")]
    NoDirectory,
    /// There is no room for it now, and it was not to wait.
    #[error("no room for it now: the source's budget is used up")]
    Busy,
    /// The time was over before it was as safe as was asked for.
    #[error("the time was over before it was done (handed over: {handed_over})")]
    Timeout {
        /// It may become so yet; what was not handed over will not.
        handed_over: bool,
    },
}

impl SendError {
    /// Whether other entries can be accepted: the entry was at fault, or the moment, not the log.
    #[must_use]
    pub const fn can_continue(&self) -> bool {
        !matches!(
            self,
            Self::Refused(RefusedError::Closed | RefusedError::Failed(_)) | Self::NoDirectory
        )
    }

    /// Name for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Limit(_) | Self::Refused(RefusedError::TooLarge { .. }) => "too-large",
            Self::Refused(RefusedError::Closed) => "closed",
            Self::Refused(RefusedError::Dropped) => "dropped",
            Self::Refused(_) => "log-failed",
            Self::UnknownTag(_) => "unknown-tag",
            Self::NoDirectory => "no-directory",
            Self::Busy => "busy",
            Self::Timeout { .. } => "timeout",
        }
    }
}

/// What a flush did not see delivered in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not delivered in time: {}", self.texts())]
#[non_exhaustive]
pub struct FlushError {
    /// Everything is on disk, at least.
    pub on_disk: bool,
    /// Each output that has not confirmed all, and how many LSNs it has not.
    pub outputs: Vec<(String, u64)>,
    /// The log's own failure, if that is what it was.
    pub refused: Option<RefusedError>,
}

impl FlushError {
    fn texts(&self) -> String {
        let mut texts: Vec<_> =
            self.outputs.iter().map(|(name, left)| format!("{left} entries to {name}")).collect();
        if let Some(refused) = &self.refused {
            texts.push(refused.to_string());
        } else if !self.on_disk {
            texts.push("not all is on disk".to_owned());
        }
        texts.join(", ")
    }
}
