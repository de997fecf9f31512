//! What can go wrong, with the texts of the libraries that users know.

use std::fmt;

/// Whose texts an error has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Service {
    /// The first generation's server, for its streams and its `/recent`.
    Loggregator,
    /// The second generation's, for its streams.
    TrafficController,
    /// The second generation's, for single answers.
    TrafficControllerEndpoint,
    /// The RLP's gateway.
    Gateway,
    /// Log Cache.
    LogCache,
}

/// A server that was not reached, or did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialError {
    /// What happened.
    pub cause: String,
    /// The endpoint as it was given, without user and password.
    pub endpoint: String,
    /// Whose texts are used.
    pub service: Service,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The first 1024 bytes of the answer's body.
    pub body: String,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ASK: &str =
            "Please ask your Cloud Foundry Operator to check the platform configuration";
        let Self { cause, endpoint, .. } = self;
        match self.service {
            Service::Loggregator => write!(
                f,
                "Error dialing loggregator server: {cause}.\n{ASK} (loggregator endpoint is {endpoint})."
            ),
            Service::TrafficController => write!(
                f,
                "error dialing trafficcontroller server: {cause}.\n{ASK} (trafficcontroller is {endpoint})"
            ),
            Service::TrafficControllerEndpoint => write!(
                f,
                "error dialing trafficcontroller server: {cause}.\n{ASK} (trafficcontroller endpoint is {endpoint})"
            ),
            Service::Gateway => write!(f, "error dialing the RLP's gateway at {endpoint}: {cause}"),
            Service::LogCache => write!(f, "error dialing Log Cache at {endpoint}: {cause}"),
        }
    }
}

impl std::error::Error for DialError {}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The token is not accepted.
    #[error("Unauthorized error: {0}")]
    Unauthorized(String),
    /// The token is not accepted for a stream of the second generation.
    #[error("{0}")]
    UnauthorizedStream(Box<DialError>),
    /// There are no recent messages to be had.
    #[error("/recent path not found or has issues")]
    NotFound,
    /// The answer cannot be read.
    #[error("bad server response")]
    BadResponse,
    /// The server does not understand the request.
    #[error("bad client request")]
    BadRequest,
    /// Any other status.
    #[error("unknown issue when making HTTP request to Loggregator")]
    NotOk,
    /// The server was not reached, or did not do what was asked.
    #[error("{0}")]
    Dial(Box<DialError>),
    /// The endpoint is no address, and trying again will not help.
    #[error("Please ask your Cloud Foundry Operator to check the platform configuration: {0}")]
    NonRetry(String),
    /// The endpoint is no address.
    #[error("{0}")]
    Endpoint(String),
    /// A message of the server in place of what was asked for.
    #[error("upstream error: {0}")]
    Upstream(String),
    /// So many connections failed in a row.
    #[error("maximum number of connection retries reached")]
    MaxRetries,
    /// There is no connection, or not any more.
    #[error("connection does not exist")]
    NotConnected,
    /// No token could be had.
    #[error("no token: {0}")]
    Token(String),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(String),
}

impl ClientError {
    /// Whether the server did not accept the token.
    #[must_use]
    pub const fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Unauthorized(_) | Self::UnauthorizedStream(_))
    }

    /// Whether another try can succeed.
    #[must_use]
    pub const fn can_retry(&self) -> bool {
        !matches!(self, Self::NonRetry(_) | Self::Endpoint(_) | Self::MaxRetries | Self::Tls(_))
    }

    /// The status of the server's answer, where there was one and it is the fault.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unauthorized(_) => Some(401),
            Self::UnauthorizedStream(dial) | Self::Dial(dial) => dial.status,
            _ => None,
        }
    }
}
