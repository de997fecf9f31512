//! Why an ingestor did not take a request.

use std::fmt;

/// Why an ingestor did not take a request. What a report shows of it depends on the dialect.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: FailureKind,
    message: Option<Box<str>>,
    cause: Option<Box<str>>,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The request is at fault: 400.
    Invalid,
    /// The ingestor is at fault: 500, in dialect `head` 503. The recorded code of the other
    /// dialects books it as a time-out, 408.
    Error,
    /// The same, but reported by the ingestion itself: 500 in the recorded code as well, 503 in
    /// dialect `head`.
    Ingestion,
    /// The ingestor cannot take anything just now: 503.
    Unavailable,
}

impl Failure {
    /// A failure of this kind.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<Box<str>>) -> Self {
        Self(Box::new(Inner { kind, message: Some(message.into()), cause: None }))
    }

    /// The request is at fault.
    #[must_use]
    pub fn invalid(message: impl Into<Box<str>>) -> Self {
        Self::new(FailureKind::Invalid, message)
    }

    /// The ingestor is at fault.
    #[must_use]
    pub fn error(message: impl Into<Box<str>>) -> Self {
        Self::new(FailureKind::Error, message)
    }

    /// The ingestor cannot take anything just now.
    #[must_use]
    pub fn unavailable(message: impl Into<Box<str>>) -> Self {
        Self::new(FailureKind::Unavailable, message)
    }

    /// An error that says nothing of itself.
    #[must_use]
    pub fn unknown() -> Self {
        Self(Box::new(Inner { kind: FailureKind::Error, message: None, cause: None }))
    }

    /// What it came from. Only dialect `head` shows it, behind the message.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<str>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// What it says; `Unknown error.` when nothing.
    #[must_use]
    pub fn message(&self) -> &str {
        self.0.message.as_deref().unwrap_or("Unknown error.")
    }

    /// What it came from.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())?;
        match self.cause() {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
