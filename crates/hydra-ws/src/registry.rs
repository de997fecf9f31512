//! Which ingestors there are.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use crate::Ingestor;

/// Most ingestors of a registry.
pub const MAX_INGESTORS: usize = 256;
/// Most bytes of an ingestor's name.
pub const MAX_NAME: usize = 128;

/// The ingestors of a server, by name. Clones are the same registry, and it may change while
/// servers use it: a request sees the ingestors of the moment it arrived.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    shared: Arc<RwLock<Arc<Vec<Registered>>>>,
}

/// An ingestor of a registry.
#[derive(Clone)]
pub struct Registered {
    name: Arc<str>,
    since: SystemTime,
    ingestor: Arc<dyn Ingestor>,
}

impl Registered {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Since when it is registered.
    #[must_use]
    pub fn since(&self) -> SystemTime {
        self.since
    }

    pub(crate) const fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) const fn ingestor(&self) -> &Arc<dyn Ingestor> {
        &self.ingestor
    }
}

impl std::fmt::Debug for Registered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registered")
            .field("name", &self.name)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// Why an ingestor was not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Another one has the name, and keeps it.
    #[error("an ingestor named {0:?} is registered already")]
    Taken(String),
    /// The name is empty, longer than [`MAX_NAME`] bytes, or holds `/` or a control character.
    #[error("{0:?} cannot be the name of an ingestor")]
    Name(String),
    /// There are [`MAX_INGESTORS`].
    #[error("{MAX_INGESTORS} ingestors are registered")]
    Full,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an ingestor. Names are case-sensitive; Hydra's are in snake case, with `_ingestor` at
    /// the end. `now` is what the list of ingestors shows.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub fn register(
        &self,
        name: &str,
        ingestor: Arc<dyn Ingestor>,
        now: SystemTime,
    ) -> Result<(), RegisterError> {
        let fits = !name.is_empty() && name.len() <= MAX_NAME;
        if !fits || name.contains(|c: char| c == '/' || c.is_control()) {
            return Err(RegisterError::Name(name.to_owned()));
        }
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        if shared.iter().any(|have| &*have.name == name) {
            return Err(RegisterError::Taken(name.to_owned()));
        }
        if shared.len() >= MAX_INGESTORS {
            return Err(RegisterError::Full);
        }
        let mut list = Vec::clone(&shared);
        list.push(Registered { name: name.into(), since: now, ingestor });
        list.sort_by(|a, b| a.name.cmp(&b.name));
        *shared = Arc::new(list);
        Ok(())
    }

    /// Takes an ingestor out: it gets no further request, and what it has goes on. Whether it was
    /// there.
    pub fn unregister(&self, name: &str) -> bool {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        let list: Vec<_> = shared.iter().filter(|have| &*have.name != name).cloned().collect();
        let found = list.len() < shared.len();
        *shared = Arc::new(list);
        found
    }

    /// The ingestors of this moment, by name.
    #[must_use]
    pub fn list(&self) -> Arc<Vec<Registered>> {
        Arc::clone(&self.shared.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is one of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.list().iter().any(|have| &*have.name == name)
    }
}
