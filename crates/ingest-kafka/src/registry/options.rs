//! Where a registry is.

use std::fmt;
use std::time::Duration;

use super::error::RegistryError;

/// Where a schema registry is, and how it is asked.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// `http://HOST:PORT` or `https://HOST:PORT`, and a path if it has one.
    pub url: String,
    /// User and password, sent as HTTP's basic authentication: in clear text unless by `https`.
    /// Default: none.
    pub credentials: Option<(String, String)>,
    /// Authorities to trust instead of the system's, in PEM. Default: the system's.
    pub authority: Option<Vec<u8>>,
    /// How long an answer may take, connection included. Default 2 s: whoever waits for a report
    /// waits for 3.
    pub timeout: Duration,
    /// How long the latest version of a subject is believed to be it. Default 2 min.
    pub fresh: Duration,
    /// Schemas that are remembered. Default 1,000.
    pub most: usize,
    /// Bytes of an answer. Default 1 MiB.
    pub max_answer: usize,
}

impl RegistryOptions {
    /// A registry there.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            authority: None,
            timeout: Duration::from_secs(2),
            fresh: Duration::from_secs(120),
            most: 1000,
            max_answer: 1 << 20,
        }
    }
}

impl RegistryOptions {
    /// Whether a URL can be one of a registry. Nothing is connected, and nothing looked up.
    ///
    /// # Errors
    /// [`RegistryError::Settings`].
    pub fn check_url(url: &str) -> Result<(), RegistryError> {
        super::http::check(url)
    }
}

impl fmt::Debug for RegistryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryOptions")
            .field("url", &self.url)
            .field("user", &self.credentials.as_ref().map(|(user, _)| user))
            .field("own_authority", &self.authority.is_some())
            .field("timeout", &self.timeout)
            .field("fresh", &self.fresh)
            .finish_non_exhaustive()
    }
}
