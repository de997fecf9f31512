//! Log Cache: what the platform has kept of a source, and following it by asking again.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::backoff::{Backoff, Waits, chance};
use super::dial::{Connector, Dialer};
use super::endpoint::{Endpoint, escape};
use super::error::{ClientError, Service};
use super::http::{self, Ask};
use super::item::{Clock, Gap, GapCause, Item, Reason};
use super::legacy::answered;
use super::machine::End;
use super::overlap::digest;
use super::proxy::Proxy;
use super::queue::{Gone, WhenFull};
use super::socket::{dial_error, timed_out};
use super::stream::{Messages, Outlet, messages};
use super::tls::TlsOptions;
use super::token::{TokenSource, Tokens, refused_or_not_found};
use crate::json::{Batch, decode_answer};
use crate::v2::Envelope;
use crate::wire::Message as _;

const MAX_ANSWER: usize = 64 << 20;
/// The most envelopes of an answer.
const MOST: u32 = 1000;
/// How often a source in which nothing happens is asked for.
const POLL: Duration = Duration::from_millis(250);
/// What is read again, for envelopes that come late.
const WINDOW: i64 = 2_000_000_000;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Read {
    /// From this time on, in nanoseconds since 1970; from the oldest if not set.
    pub start: Option<i64>,
    /// Up to, and without, this time; up to now if not set.
    pub end: Option<i64>,
    /// How many at most: 100 if not set, 1000 is the most.
    pub limit: Option<u32>,
    /// The newest first.
    pub descending: bool,
    /// Of these types only: `LOG`, `COUNTER`, `GAUGE`, `TIMER`, `EVENT`.
    pub types: Vec<String>,
    /// A regular expression on the names of counters, gauges and time spans.
    pub name_filter: Option<String>,
}

impl Read {
    fn query(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.start.map(|start| format!("start_time={start}")));
        parts.extend(self.end.map(|end| format!("end_time={end}")));
        parts.extend(self.types.iter().map(|kind| format!("envelope_types={}", escape(kind))));
        parts.extend(self.limit.map(|limit| format!("limit={}", limit.clamp(1, MOST))));
        parts.extend(self.descending.then(|| "descending=true".to_owned()));
        parts.extend(self.name_filter.iter().map(|name| format!("name_filter={}", escape(name))));
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }
}

/// Makes a [`LogCache`].
#[derive(Clone)]
#[must_use]
pub struct LogCacheBuilder {
    endpoint: String,
    prefix: String,
    dialer: Dialer,
    token: String,
    source: Option<Arc<dyn TokenSource>>,
    backoff: Backoff,
    capacity: usize,
    when_full: WhenFull,
}

impl fmt::Debug for LogCacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogCacheBuilder").field("dialer", &self.dialer).finish_non_exhaustive()
    }
}

impl LogCacheBuilder {
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

    /// How long an answer may take. 10 s by default.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.dialer.timeout = timeout;
        self
    }

    /// The token: the whole value of the header, `bearer …`.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// Where a new token comes from when there is none, or the answer is 401 or 404.
    pub fn token_source(mut self, source: Arc<dyn TokenSource>) -> Self {
        self.source = Some(source);
        self
    }

    /// What stands before `/read/`: `/api/v1` by default, `/v1` for old ones.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long to wait between tries while following.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How many envelopes wait for whoever takes them while following.
    pub const fn buffer(mut self, messages: usize, when_full: WhenFull) -> Self {
        self.capacity = messages;
        self.when_full = when_full;
        self
    }

    /// The client.
    #[must_use]
    pub fn build(self) -> LogCache {
        let tokens = Tokens::new(&self.token, self.source.clone());
        LogCache { settings: self, tokens }
    }
}

/// Reads from Log Cache, that is, `log-cache.DOMAIN`.
#[derive(Debug, Clone)]
pub struct LogCache {
    settings: LogCacheBuilder,
    tokens: Tokens,
}

impl LogCache {
    /// For a server at `https://HOST:PORT`.
    pub fn builder(endpoint: impl Into<String>) -> LogCacheBuilder {
        LogCacheBuilder {
            endpoint: endpoint.into(),
            prefix: "/api/v1".to_owned(),
            dialer: Dialer::default(),
            token: String::new(),
            source: None,
            backoff: Backoff::default(),
            capacity: 10_000,
            when_full: WhenFull::Block,
        }
    }

    /// Envelopes of a source. An overloaded server (429) is asked for half as many, and again.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer, or another than envelopes. 404 is also the answer to a
    /// token without the right.
    ///
    /// # Cancel safety
    /// A dropped future closes its connection. Nothing was taken from the server: it can be asked again.
    pub async fn read(&self, source_id: &str, read: &Read) -> Result<Batch, ClientError> {
        let mut read = read.clone();
        loop {
            let answer = self.once(source_id, &read).await;
            let limit = read.limit.unwrap_or(100);
            match answer {
                Err(error) if error.status() == Some(429) && limit > 1 => {
                    read.limit = Some(limit / 2);
                }
                answer => return answer,
            }
        }
    }

    async fn once(&self, source_id: &str, read: &Read) -> Result<Batch, ClientError> {
        // A source's id may hold slashes, which stay.
        let id: Vec<_> = source_id.split('/').map(escape).collect();
        let target = format!("{}/read/{}{}", self.settings.prefix, id.join("/"), read.query());
        let target = target.as_str();
        let ask = |token: String| async move { self.ask(target, &token).await };
        self.tokens.ask(refused_or_not_found, ask).await
    }

    async fn ask(&self, target: &str, token: &str) -> Result<Batch, ClientError> {
        let (settings, service) = (&self.settings, Service::LogCache);
        let endpoint = &settings.endpoint;
        let server = Endpoint::parse(endpoint).map_err(ClientError::Endpoint)?;
        let target = format!("{}{target}", server.rest.trim_end_matches('/'));
        let deadline = Instant::now() + settings.dialer.timeout;
        let ask = Ask { server: &server, target: &target, token: Some(token), headers: &[] };
        let mut answer = timeout_at(deadline, http::get(&settings.dialer, &ask))
            .await
            .map_err(|_| timed_out(endpoint, service, settings.dialer.timeout))?
            .map_err(|cause| dial_error(endpoint, service, cause))?;
        let status = answer.status().as_u16();
        let (body, complete) = answer.body(MAX_ANSWER, deadline).await;
        if status != 200 {
            let body = body.get(..body.len().min(1024)).unwrap_or_default();
            let body = String::from_utf8_lossy(body).into_owned();
            return Err(answered(endpoint, service, status, body));
        }
        let batch = decode_answer(&body);
        if !complete || batch.fault.is_some_and(|fault| !fault.can_continue()) {
            return Err(ClientError::BadResponse);
        }
        Ok(batch)
    }

    /// Envelopes of a source from `read.start` on, and those that come: by asking again and again.
    /// What comes late is found if it is no more than 2 s late; nothing is given twice.
    #[must_use]
    pub fn follow(&self, source_id: &str, read: Read) -> Messages<Envelope> {
        let (outlet, messages) = messages(self.settings.capacity, self.settings.when_full);
        let walk = Walk {
            cache: self.clone(),
            source_id: source_id.to_owned(),
            newest: read.start.unwrap_or(0),
            begin: read.start.unwrap_or(i64::MIN),
            read,
            seen: HashMap::new(),
            outlet,
            clock: Clock::new(),
        };
        tokio::spawn(async move {
            // Nobody is left to be told.
            let _ = walk.run().await;
        });
        messages
    }
}

/// The task behind following.
struct Walk {
    cache: LogCache,
    source_id: String,
    read: Read,
    /// Nothing before this is wanted.
    begin: i64,
    /// The newest timestamp so far.
    newest: i64,
    /// What was given of the window, by digest.
    seen: HashMap<u128, i64>,
    outlet: Outlet<Envelope>,
    clock: Clock,
}

impl Walk {
    async fn run(mut self) -> Result<(), Gone> {
        let mut waits = Waits::new(self.cache.settings.backoff);
        loop {
            let pause = match self.sweep().await? {
                Ok(found) => {
                    waits.reset();
                    if found { Duration::ZERO } else { POLL }
                }
                Err(error) => {
                    let wait = waits.next(chance()).filter(|_| error.can_retry());
                    let error = Reason::Error(error);
                    let Some(wait) = wait else {
                        return self.outlet.give(Item::Ended(error)).await;
                    };
                    self.outlet.give(Item::Retrying { error, wait }).await?;
                    wait
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.outlet.closed() => {}
            }
            if self.outlet.is_closed() {
                return self.outlet.give(Item::Ended(Reason::End(End::ClosedByUs))).await;
            }
        }
    }

    /// Reads from the window's start to the end, page by page. Whether something new was found.
    async fn sweep(&mut self) -> Result<Result<bool, ClientError>, Gone> {
        let mut start = self.newest.saturating_sub(WINDOW).max(self.begin);
        let mut found = false;
        loop {
            let page = Read {
                start: Some(start.max(0)),
                end: None,
                limit: Some(MOST),
                descending: false,
                ..self.read.clone()
            };
            let batch = match self.cache.read(&self.source_id, &page).await {
                Ok(batch) => batch,
                Err(error) => return Ok(Err(error)),
            };
            let count = batch.envelopes.len();
            let last = batch.envelopes.last().map_or(start, |envelope| envelope.timestamp);
            for envelope in batch.envelopes {
                let digest = digest(&envelope.encode());
                if self.seen.insert(digest, envelope.timestamp).is_none() {
                    self.newest = self.newest.max(envelope.timestamp);
                    self.outlet.batch.push_back(Item::Message(envelope));
                    found = true;
                }
            }
            // Fewer than asked for, 429 aside: this was the last page.
            if count < MOST as usize && (count < 2 || !found) {
                break;
            }
            if last > start {
                start = last;
            } else if count >= MOST as usize {
                // More of one instant than a page holds: the rest cannot be had.
                let now = self.clock.now();
                let cause = GapCause::Undecodable("more of one instant than a page holds".into());
                let gap = Gap { since: now, until: now, after: Some(last), cause };
                self.outlet.batch.push_back(Item::Gap(gap));
                start = last.saturating_add(1);
            } else {
                break;
            }
            self.outlet.flush().await?;
        }
        let keep_from = self.newest.saturating_sub(WINDOW);
        self.seen.retain(|_, timestamp| *timestamp >= keep_from);
        self.outlet.flush().await?;
        Ok(Ok(found))
    }
}
