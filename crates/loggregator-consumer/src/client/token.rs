//! Tokens that run out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::ClientError;

/// Gives a new token.
pub trait TokenSource: Send + Sync + 'static {
    /// A token that is good now: the whole value of the header, `bearer …`.
    ///
    /// # Errors
    /// Why there is none; it becomes [`ClientError::Token`].
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

    /// Asks with the token; once more with a new one, where there can be one and the answer may mean
    /// that the old one `has_run_out`.
    pub(crate) async fn ask<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        has_run_out: impl Fn(&ClientError) -> bool,
        ask: impl Fn(String) -> F,
    ) -> Result<T, ClientError> {
        match ask(self.current().await?).await {
            Err(error) if has_run_out(&error) && self.source.is_some() => {
                ask(self.refresh().await?).await
            }
            answer => answer,
        }
    }

    /// The token; with a source and none yet, a new one.
    async fn current(&self) -> Result<String, ClientError> {
        let token = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if token.is_empty() && self.source.is_some() {
            return self.refresh().await;
        }
        Ok(token)
    }

    /// A new token, which is remembered.
    async fn refresh(&self) -> Result<String, ClientError> {
        let Some(source) = &self.source else {
            return Err(ClientError::Token("there is no source of tokens".to_owned()));
        };
        let token = source.token().await.map_err(ClientError::Token)?;
        token.clone_into(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(token)
    }
}

/// The second generation answers 404 as well to a token that has run out.
pub(crate) fn refused_or_not_found(error: &ClientError) -> bool {
    matches!(error.status(), Some(401 | 404))
}
