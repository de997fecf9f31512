//! The third generation: the RLP's gateway.

mod connection;
mod query;
mod supervisor;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use query::Query;

use super::backoff::Backoff;
use super::dial::{Connector, Dialer};
use super::proxy::Proxy;
use super::queue::WhenFull;
use super::stream::{Messages, messages};
use super::tls::TlsOptions;
use super::token::{TokenSource, Tokens};
use crate::sse::SseDecoder;
use crate::v2::Envelope;

/// Makes a [`Gateway`].
#[derive(Clone)]
#[must_use]
pub struct GatewayBuilder {
    endpoint: String,
    dialer: Dialer,
    token: String,
    source: Option<Arc<dyn TokenSource>>,
    backoff: Backoff,
    idle: Option<Duration>,
    renew: Option<Duration>,
    max_event: usize,
    capacity: usize,
    when_full: WhenFull,
}

impl fmt::Debug for GatewayBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("GatewayBuilder");
        out.field("dialer", &self.dialer).field("backoff", &self.backoff).finish_non_exhaustive()
    }
}

impl GatewayBuilder {
    /// How TLS is set up for `https://`.
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.dialer.tls = tls;
        self
    }

    /// What makes connections, in place of TCP.
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.dialer.connector = connector;
        self
    }

    /// Which proxy is used; by default the environment's.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.dialer.proxy = proxy;
        self
    }

    /// How long connecting may take. 10 s by default.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.dialer.timeout = timeout;
        self
    }

    /// The token: the whole value of the header, `bearer …`.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// Where a new token comes from when there is none, or the gateway answers 401 or 404: it
    /// answers 404 to a token that has run out. It is remembered.
    pub fn token_source(mut self, source: Arc<dyn TokenSource>) -> Self {
        self.source = Some(source);
        self
    }

    /// How long to wait between tries. After a stream that the gateway closed in good order, or
    /// that lasted 10 s, there is no wait.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// A connection on which nothing comes for so long is over. 45 s by default, three heartbeats.
    pub const fn idle_timeout(mut self, idle: Option<Duration>) -> Self {
        self.idle = idle;
        self
    }

    /// When a connection is so old, the next is made beside it, so that nothing is lost when the
    /// gateway closes it. 13.5 minutes by default: the gateway closes after 14.
    pub const fn renew_after(mut self, age: Option<Duration>) -> Self {
        self.renew = age;
        self
    }

    /// The longest event of the stream, in bytes. 64 MiB by default.
    pub const fn max_event(mut self, bytes: usize) -> Self {
        self.max_event = bytes;
        self
    }

    /// How many envelopes wait for whoever takes them, and what happens when they are more. 10,000
    /// and [`WhenFull::Block`] by default.
    pub const fn buffer(mut self, messages: usize, when_full: WhenFull) -> Self {
        self.capacity = messages;
        self.when_full = when_full;
        self
    }

    /// The client.
    #[must_use]
    pub fn build(self) -> Gateway {
        let tokens = Tokens::new(&self.token, self.source.clone());
        Gateway { settings: self, tokens }
    }
}

/// Reads envelopes from the RLP's gateway, that is, `log-stream.DOMAIN`.
#[derive(Debug, Clone)]
pub struct Gateway {
    settings: GatewayBuilder,
    tokens: Tokens,
}

impl Gateway {
    /// For a gateway at `https://HOST:PORT`.
    pub fn builder(endpoint: impl Into<String>) -> GatewayBuilder {
        GatewayBuilder {
            endpoint: endpoint.into(),
            dialer: Dialer::default(),
            token: String::new(),
            source: None,
            backoff: Backoff::default(),
            idle: Some(Duration::from_secs(45)),
            renew: Some(Duration::from_secs(13 * 60 + 30)),
            max_event: SseDecoder::DEFAULT_LIMIT,
            capacity: 10_000,
            when_full: WhenFull::Block,
        }
    }

    /// Envelopes as they come, over as many connections as it takes.
    ///
    /// When a connection gets old, the next is made beside it. With a shard, each envelope goes
    /// to one of the two and all are passed on. Without, both get all: each envelope is passed on
    /// as often as the connection that got it more often.
    #[must_use]
    pub fn stream(&self, query: Query) -> Messages<Envelope> {
        let settings = &self.settings;
        let (outlet, messages) = messages(settings.capacity, settings.when_full);
        tokio::spawn(supervisor::run(self.clone(), query, outlet));
        messages
    }
}
