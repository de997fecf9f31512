//! How a server behaves.

use std::fmt;
use std::time::Duration;

use crate::options::{Dialect, Options};

/// How a server behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The rules of sessions and requests.
    pub options: Options,
    /// `hydra.ingest.websocket.enabled`: when false, web sockets are refused with 409. Default:
    /// true.
    pub websocket_enabled: bool,
    /// Time between pings. Default: 20 s; `None` in recorded modes.
    pub ping: Option<Duration>,
    /// After this much silence, pongs included, a web socket is closed with 1001. Default: 60 s;
    /// `None` in the recorded modes of `doc` and `seed`.
    pub idle: Option<Duration>,
    /// Who may ask. See [`Access`].
    pub access: Access,
    /// Requests of one session that have no report yet. Default: 16,384. Past it nothing is read.
    pub in_flight: usize,
    /// Bytes of their payloads. Default: 4 MiB. Past it nothing is read.
    pub in_flight_bytes: usize,
    /// Bytes of the head of an HTTP request, at least 8 KiB. Default: 16 KiB.
    pub head_bytes: usize,
    /// Time for the head of an HTTP request, the wait for it included, and for its body.
    /// Default: 10 s.
    pub request_time: Duration,
}

impl ServerConfig {
    /// A server with these rules.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let recorded = options.is_recorded();
        let never = recorded && options.dialect != Dialect::Head;
        Self {
            options,
            websocket_enabled: true,
            ping: (!recorded).then_some(Duration::from_secs(20)),
            idle: (!never).then_some(Duration::from_secs(60)),
            access: Access::default(),
            in_flight: 16_384,
            in_flight_bytes: 4 << 20,
            head_bytes: 16 << 10,
            request_time: Duration::from_secs(10),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

/// Who may ask. What is refused gets 403, web socket and HTTP alike.
///
/// A page from anywhere can make a browser send requests to loopback. The browser then names the
/// page's origin, and the host that the page asked for.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Access {
    /// Hosts that requests may name, beside `localhost` and loopback addresses. `*`: any.
    pub hosts: Vec<String>,
    /// Origins that requests may come from, beside none at all, those on the host that the request
    /// names, and browser extensions. `*`: any.
    pub origins: Vec<String>,
    /// What requests have to bring in `Authorization: Bearer`. `None`: nothing. Without it 401.
    pub token: Option<Token>,
}

/// A secret that requests have to bring.
#[derive(Clone)]
pub struct Token(pub(super) Box<[u8]>);

impl Token {
    /// A token of these bytes.
    #[must_use]
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self(secret.into().into_boxed_slice())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}
