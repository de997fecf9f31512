//! A client of a schema registry: what a subject's schema is, asked once in a while.

mod error;
mod http;
mod options;
mod tls;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use error::RegistryError;
pub use options::RegistryOptions;

use crate::avro::AvroSchema;
use http::Client;

/// Requests that are under way at the same time.
const AT_ONCE: usize = 8;
/// How long nothing is asked again that was answered by an error.
const PAUSE: Duration = Duration::from_secs(1);

/// A client of a schema registry. Clones share what it knows.
///
/// What is under a number of a version never changes and is asked for once; which version is the
/// latest is asked again after [`RegistryOptions::fresh`]. Whoever wants the same at the same time
/// waits for one request. While the registry does not answer, the latest that is known is used on.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    client: Client,
    options: RegistryOptions,
    known: Mutex<HashMap<Wanted, Arc<Slot>>>,
    turns: Semaphore,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("options", &self.0.options).finish_non_exhaustive()
    }
}

/// A schema that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    subject: String,
    /// `None`: the latest.
    version: Option<u32>,
}

/// What is known of it.
#[derive(Default)]
struct Slot {
    asking: tokio::sync::Mutex<()>,
    found: Mutex<Found>,
}

#[derive(Clone, Default)]
struct Found {
    schema: Option<Arc<AvroSchema>>,
    /// When it was found.
    at: Option<Instant>,
    /// What was answered last, if that was an error.
    error: Option<(Instant, RegistryError)>,
    used: Option<Instant>,
}

impl Slot {
    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What needs no question.
    fn known(&self, fresh: Option<Duration>) -> Option<Result<Arc<AvroSchema>, RegistryError>> {
        let now = Instant::now();
        let mut found = self.found();
        found.used = Some(now);
        let paused = found.error.as_ref().filter(|(at, _)| now < *at + PAUSE);
        match (&found.schema, paused) {
            (Some(schema), Some((_, error))) if !error.is_of_request() => {
                Some(Ok(Arc::clone(schema)))
            }
            (_, Some((_, error))) => Some(Err(error.clone())),
            (Some(schema), None) => {
                let is = fresh.is_none_or(|fresh| found.at.is_some_and(|at| now < at + fresh));
                is.then(|| Ok(Arc::clone(schema)))
            }
            (None, None) => None,
        }
    }
}

impl Registry {
    /// A client with these options. Nothing is connected.
    ///
    /// # Errors
    /// [`RegistryError::Settings`].
    pub fn new(options: RegistryOptions) -> Result<Self, RegistryError> {
        let client = Client::new(&options)?;
        let (known, turns) = (Mutex::default(), Semaphore::new(AT_ONCE));
        Ok(Self(Arc::new(Inner { client, options, known, turns })))
    }

    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.client.url()
    }

    /// The schema of a subject: of a version, or the latest.
    ///
    /// # Errors
    /// [`RegistryError`]. [`RegistryError::is_of_request`] tells a subject that is not there from a
    /// registry that does not answer.
    ///
    /// # Cancel safety
    /// Nothing is left behind; whoever waits for the same asks anew.
    pub async fn schema(
        &self,
        subject: &str,
        version: Option<u32>,
    ) -> Result<Arc<AvroSchema>, RegistryError> {
        let fresh = version.is_none().then_some(self.0.options.fresh);
        let slot = self.slot(Wanted { subject: subject.to_owned(), version });
        if let Some(known) = slot.known(fresh) {
            return known;
        }
        let _turn = slot.asking.lock().await;
        // Somebody else may have asked meanwhile.
        if let Some(known) = slot.known(fresh) {
            return known;
        }
        let asked = {
            let _one = self.0.turns.acquire().await;
            self.0.client.schema(subject, version).await
        };
        let now = Instant::now();
        let mut found = slot.found();
        match asked {
            Ok(schema) => {
                let schema = Arc::new(schema);
                let (kept, at) = (Some(Arc::clone(&schema)), Some(now));
                *found = Found { schema: kept, at, error: None, used: found.used };
                Ok(schema)
            }
            Err(error) => {
                let first = found.error.is_none();
                found.error = Some((now, error.clone()));
                match &found.schema {
                    Some(schema) if !error.is_of_request() => {
                        if first {
                            tracing::warn!(
                                subject, %error,
                                "The registry does not answer: the schema that is known is used on."
                            );
                        }
                        Ok(Arc::clone(schema))
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// The place of a schema. The one that was used least lately makes room.
    fn slot(&self, wanted: Wanted) -> Arc<Slot> {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = known.get(&wanted) {
            return Arc::clone(slot);
        }
        if known.len() >= self.0.options.most.max(1) {
            let oldest = known.iter().min_by_key(|(_, slot)| slot.found().used);
            if let Some(oldest) = oldest.map(|(wanted, _)| wanted.clone()) {
                known.remove(&oldest);
            }
        }
        let slot = Arc::new(Slot::default());
        slot.found().used = Some(Instant::now());
        known.insert(wanted, Arc::clone(&slot));
        slot
    }
}
