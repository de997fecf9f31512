//! Tokens that run out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::Error;

/// Gives a new token.
pub trait TokenSource: Send + Sync + 'static {
    /// A token that is good now: the whole value of the header, `bearer …`.
    ///
    /// # Errors
    /// Why there is none; it becomes [`Error::Token`].
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>>;
}

/// The token in use, and where the next comes from.
#[derive(Clone)]
pub(crate) struct Tokens {
    current: Arc<Mutex<String>>,
    source: Option<Arc<dyn TokenSource>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("source", &self.source.is_some()).finish_non_exhaustive()
    }
}

impl Tokens {
    pub(crate) fn new(token: &str, source: Option<Arc<dyn TokenSource>>) -> Self {
        Self { current: Arc::new(Mutex::new(token.to_owned())), source }
    }

    /// The token; with a source and none yet, a new one.
    pub(crate) async fn current(&self) -> Result<String, Error> {
        let token = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if token.is_empty() && self.source.is_some() {
            return self.refresh().await;
        }
        Ok(token)
    }

    pub(crate) const fn can_refresh(&self) -> bool {
        self.source.is_some()
    }

    /// A new token, which is remembered.
    pub(crate) async fn refresh(&self) -> Result<String, Error> {
        let Some(source) = &self.source else {
            return Err(Error::Token("there is no source of tokens".to_owned()));
        };
        let token = source.token().await.map_err(Error::Token)?;
        token.clone_into(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(token)
    }
}
