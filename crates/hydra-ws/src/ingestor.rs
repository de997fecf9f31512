//! The interface of what takes requests.

use std::future::Future;
use std::pin::Pin;

use crate::{Failure, Request};

/// A future in a box.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Whether an ingestor takes part in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Join {
    /// It does, and will be in the report.
    Join,
    /// It does not, and is not mentioned.
    Ignore,
}

/// What becomes of one request.
pub enum Outcome {
    /// It is decided.
    Now(Result<(), Failure>),
    /// It will be. When the time of the request is up, the future is dropped.
    Later(Later<Result<(), Failure>>),
}

impl Outcome {
    /// It is complete.
    #[must_use]
    pub const fn completed() -> Self {
        Self::Now(Ok(()))
    }

    /// It is refused.
    #[must_use]
    pub const fn failed(failure: Failure) -> Self {
        Self::Now(Err(failure))
    }

    /// It is what the future comes to.
    pub fn later(future: impl Future<Output = Result<(), Failure>> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }
}

/// What becomes of several requests.
pub enum Outcomes {
    /// Each by itself, in the order of the requests. Requests beyond the end of the list count as
    /// failed.
    Each(Vec<Outcome>),
    /// All at the same time, in the order of the requests.
    Together(Later<Vec<Result<(), Failure>>>),
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Now(outcome) => f.debug_tuple("Now").field(outcome).finish(),
            Self::Later(_) => f.debug_tuple("Later").finish_non_exhaustive(),
        }
    }
}

impl std::fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Each(each) => f.debug_tuple("Each").field(each).finish(),
            Self::Together(_) => f.debug_tuple("Together").finish_non_exhaustive(),
        }
    }
}

/// What takes requests. A request goes to one ingestor or to all: each says whether it joins;
/// who joins validates; whose validation succeeds ingests (hydra.md 5.1).
///
/// The first two are called between reading and answering and must not block. What a future does
/// is polled by the task of the session that the request came from.
pub trait Ingestor: Send + Sync + 'static {
    /// Whether this request is for this ingestor. Default: it is not.
    fn join(&self, request: &Request) -> Join {
        let _ = request;
        Join::Ignore
    }

    /// Whether the request can be ingested. Default: it can.
    ///
    /// # Errors
    /// What the report says of it; [`Failure::invalid`] for a bad request.
    fn validate(&self, request: &Request) -> Result<(), Failure> {
        let _ = request;
        Ok(())
    }

    /// Takes a request, and says when that is complete: when what [`Request::ack`] asks for has
    /// happened.
    fn ingest(&self, request: Request) -> Outcome;

    /// Takes what has come in one go, all with the same metadata. For ingestors for which many
    /// are cheaper than one after the other. Default: [`Ingestor::ingest`] for each.
    fn ingest_all(&self, requests: Vec<Request>) -> Outcomes {
        Outcomes::Each(requests.into_iter().map(|request| self.ingest(request)).collect())
    }
}
