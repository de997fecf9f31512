//! The first generation: `tail` and `recent`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::again::{Callback, Task};
use super::backoff::Backoff;
use super::dial::{Connector, Dialer, Undialed};
use super::endpoint::{Endpoint, escape};
use super::error::{ClientError, DialError, Service};
use super::http::{self, Ask};
use super::item::{Clock, Item, Reason};
use super::machine::End;
use super::notice::{self, Notice};
use super::proxy::Proxy;
use super::queue::WhenFull;
use super::session::{self, Habits, Idle, Seen, Timed};
use super::socket::{Target, dial_error, timed_out};
use super::stream::{Messages, messages};
use super::tls::TlsOptions;
use super::token::{TokenSource, Tokens};
use crate::legacy::LogMessage;
use crate::multipart::{Parts, boundary};
use crate::wire::Message;

/// How much of an answer with recent messages is read.
const MAX_RECENT: usize = 64 << 20;
/// How much of a refusal is read.
const MAX_BODY: usize = 64 << 10;

/// Makes a [`Consumer`].
#[derive(Clone)]
#[must_use]
pub struct ConsumerBuilder {
    endpoint: String,
    dialer: Dialer,
    keep_alive: Duration,
    backoff: Backoff,
    idle: Idle,
    max_message: usize,
    capacity: usize,
    when_full: WhenFull,
    keep_partial: bool,
    on_connect: Option<Callback>,
}

impl fmt::Debug for ConsumerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder").field("dialer", &self.dialer).finish_non_exhaustive()
    }
}

impl ConsumerBuilder {
    /// How TLS is set up for `wss://`.
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

    /// How long connecting, or a whole `recent`, may take. 10 s by default.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.dialer.timeout = timeout;
        self
    }

    /// What is sent as `User-Agent`.
    pub fn user_agent(mut self, agent: impl Into<String>) -> Self {
        self.dialer.agent = agent.into();
        self
    }

    /// How often the text keep-alive is sent; 25 s by default.
    pub const fn keep_alive(mut self, every: Duration) -> Self {
        self.keep_alive = every;
        self
    }

    /// How long [`Consumer::follow`] waits between tries.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// A stream on which nothing comes for so long, not even a ping, is over. By default 60 s, from
    /// the first ping on: the oldest servers send none, later ones every 15 s.
    pub fn idle_timeout(mut self, idle: Option<Duration>) -> Self {
        self.idle = idle.into();
        self
    }

    /// The longest message, in bytes. 16 MiB by default.
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// How many messages wait for whoever takes them, and what happens when they are more. 10,000
    /// and [`WhenFull::Block`] by default.
    pub const fn buffer(mut self, messages: usize, when_full: WhenFull) -> Self {
        self.capacity = messages;
        self.when_full = when_full;
        self
    }

    /// Whether `recent` gives messages that could be decoded in part only, as the Go library does.
    /// Off by default: they are counted.
    pub const fn keep_partial(mut self, keep: bool) -> Self {
        self.keep_partial = keep;
        self
    }

    /// Called each time a web socket is open, before [`Consumer::tail`] returns and before anything
    /// is sent on it.
    pub fn on_connect(mut self, callback: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_connect = Some(Arc::new(callback));
        self
    }

    /// The consumer.
    #[must_use]
    pub const fn build(self) -> Consumer {
        Consumer { settings: self }
    }
}

/// Reads an application's messages from a server of the first generation.
///
/// Any number of streams may be open at once.
#[derive(Debug, Clone)]
pub struct Consumer {
    settings: ConsumerBuilder,
}

/// What `recent` gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recent {
    /// The messages, in the server's order: see [`crate::sort_recent`].
    pub messages: Vec<LogMessage>,
    /// Whether the answer was cut off, and so messages are missing.
    pub truncated: bool,
    /// How many parts were no messages.
    pub undecodable: u64,
}

impl Timed for LogMessage {
    fn nanos(&self) -> Option<i64> {
        self.timestamp
    }

    fn notice(&self) -> Option<Notice> {
        notice::line(self.source_name.as_ref()?.as_bytes(), self.message())
    }
}

impl Consumer {
    /// For a server at `ws://HOST:PORT` or `wss://HOST:PORT`.
    pub fn builder(endpoint: impl Into<String>) -> ConsumerBuilder {
        ConsumerBuilder {
            endpoint: endpoint.into(),
            dialer: Dialer::default(),
            keep_alive: Duration::from_secs(25),
            backoff: Backoff::default(),
            idle: Idle::OncePinged(Duration::from_secs(60)),
            max_message: 16 << 20,
            capacity: 10_000,
            when_full: WhenFull::Block,
            keep_partial: false,
            on_connect: None,
        }
    }

    /// For a server, with all settings at their defaults.
    #[must_use]
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self::builder(endpoint).build()
    }

    fn target(&self, path: &str, app: &str) -> Target {
        Target {
            endpoint: self.settings.endpoint.clone(),
            path: format!("{path}?app={}", escape(app)),
            service: Service::Loggregator,
            max_message: self.settings.max_message,
        }
    }

    async fn open(
        &self,
        path: &str,
        app: &str,
        token: &str,
    ) -> Result<super::socket::Socket, ClientError> {
        let socket = self.target(path, app).connect(&self.settings.dialer, token).await?;
        if let Some(callback) = &self.settings.on_connect {
            callback();
        }
        Ok(socket)
    }

    fn habits(&self) -> Habits {
        Habits {
            keep_alive: Some(self.settings.keep_alive.max(Duration::from_millis(1))),
            idle: self.settings.idle,
        }
    }

    /// Messages as they come, over as many connections as it takes: when one has ended, the next
    /// is made, and [`Item::Gap`] says what may be missing between the two. The token comes from
    /// `tokens` at first, and again after a 401.
    ///
    /// What [`Self::tail`] gives as an error is an item here.
    #[must_use]
    pub fn follow(&self, app: &str, tokens: Arc<dyn TokenSource>) -> Messages<LogMessage> {
        let settings = &self.settings;
        let (outlet, messages) = messages(settings.capacity, settings.when_full);
        let task = Task {
            dialer: settings.dialer.clone(),
            tokens: Tokens::new("", Some(tokens)),
            target: self.target("/tail/", app),
            habits: self.habits(),
            backoff: settings.backoff,
            reconnect: true,
            on_connect: settings.on_connect.clone(),
            outlet,
        };
        tokio::spawn(async move {
            // Nobody is left to be told.
            let _ = task.run(|_| true).await;
        });
        messages
    }

    /// Messages as they come, until the connection ends; the last item says why. The token is the
    /// whole value of the header, `bearer …`.
    ///
    /// # Errors
    /// [`ClientError`] if there is no connection.
    ///
    /// # Cancel safety
    /// A dropped future closes its connection; [`ConsumerBuilder::on_connect`] may have been called.
    pub async fn tail(&self, app: &str, token: &str) -> Result<Messages<LogMessage>, ClientError> {
        let mut socket = self.open("/tail/", app, token).await?;
        let (mut outlet, messages) = messages(self.settings.capacity, self.settings.when_full);
        let habits = self.habits();
        tokio::spawn(async move {
            let clock = Clock::new();
            let mut seen = Seen::new(clock.now());
            let end = session::run(&mut socket, &mut outlet, habits, &mut seen, &clock, |_| true);
            if let Ok(end) = end.await {
                // Nobody may be left to be told.
                let _ = outlet.give(Item::Ended(Reason::End(end))).await;
            }
        });
        Ok(messages)
    }

    /// The messages that the server has kept.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer, or another than messages.
    ///
    /// # Cancel safety
    /// A dropped future closes its connection. Nothing was taken from the server: it can be asked again.
    pub async fn recent(&self, app: &str, token: &str) -> Result<Recent, ClientError> {
        let settings = &self.settings;
        let endpoint = &settings.endpoint;
        let server = Endpoint::parse(endpoint).map_err(ClientError::Endpoint)?.for_http();
        let target = format!("/recent?app={}", escape(app));
        let deadline = Instant::now() + settings.dialer.timeout;
        let ask = Ask { server: &server, target: &target, token: Some(token), headers: &[] };
        let asked = tokio::time::timeout_at(deadline, http::get(&settings.dialer, &ask)).await;
        let mut answer = match asked {
            Err(_) => {
                return Err(timed_out(endpoint, Service::Loggregator, settings.dialer.timeout));
            }
            Ok(Err(Undialed::Cause(cause))) => {
                let url = format!("{server:?}{target}");
                let cause = Undialed::Cause(format!("Get \"{url}\": {cause}"));
                return Err(dial_error(endpoint, Service::Loggregator, cause));
            }
            Ok(answer) => {
                answer.map_err(|cause| dial_error(endpoint, Service::Loggregator, cause))?
            }
        };
        match answer.status().as_u16() {
            401 => {
                let (body, _) = answer.body(MAX_BODY, deadline).await;
                return Err(ClientError::Unauthorized(String::from_utf8_lossy(&body).into_owned()));
            }
            // A server from before `/recent`.
            400 => return self.dump(app, token).await,
            200 => {}
            _ => return Err(ClientError::NotFound),
        }
        let kind = answer.header("content-type").map(str::to_owned);
        let boundary = kind.as_deref().and_then(boundary).ok_or(ClientError::BadResponse)?;
        let (body, complete) = answer.body(MAX_RECENT, deadline).await;
        let mut recent = parts(body, &boundary, settings.keep_partial)?;
        recent.truncated |= !complete;
        Ok(recent)
    }

    /// What `/recent` was before.
    async fn dump(&self, app: &str, token: &str) -> Result<Recent, ClientError> {
        let mut socket = self.open("/dump/", app, token).await?;
        let mut recent = Recent::default();
        let deadline = Instant::now() + self.settings.dialer.timeout;
        let mut bytes = 0;
        let reading = async {
            loop {
                let turn = socket.turn().await;
                while let Some(message) = socket.machine.next() {
                    bytes += message.len;
                    add(&mut recent, &message.bytes(), self.settings.keep_partial);
                }
                if let Some(end) = socket.machine.end().cloned() {
                    socket.finish(|_| {}).await;
                    return matches!(end, End::Closed { code: Some(1000), .. });
                }
                if turn.is_err() || bytes > MAX_RECENT {
                    return false;
                }
            }
        };
        let complete = tokio::time::timeout_at(deadline, reading).await.unwrap_or(false);
        recent.truncated = !complete;
        Ok(recent)
    }
}

/// Decodes a body in parts.
fn parts(body: Bytes, boundary: &str, keep_partial: bool) -> Result<Recent, ClientError> {
    let mut recent = Recent::default();
    let empty = body.is_empty();
    let mut parts = Parts::new(body, boundary);
    if !parts.started() && !empty {
        return Err(ClientError::BadResponse);
    }
    for part in parts.by_ref() {
        match part {
            Ok(part) => add(&mut recent, &part, keep_partial),
            Err(_) => recent.undecodable += 1,
        }
    }
    recent.truncated = !empty && !parts.complete();
    Ok(recent)
}

fn add(recent: &mut Recent, bytes: &Bytes, keep_partial: bool) {
    let (message, fault) = LogMessage::decode_partly(bytes);
    recent.undecodable += u64::from(fault.is_some());
    if fault.is_none() || keep_partial {
        recent.messages.push(message);
    }
}

/// What a status other than the wanted one means to the second generation.
pub(crate) fn refused(status: u16, body: String) -> ClientError {
    match status {
        401 => ClientError::Unauthorized(body),
        400 => ClientError::BadRequest,
        _ => ClientError::NotOk,
    }
}

/// An error with a status.
pub(crate) fn answered(endpoint: &str, service: Service, status: u16, body: String) -> ClientError {
    ClientError::Dial(Box::new(DialError {
        cause: format!("the answer is {status}: {}", body.trim_end()),
        endpoint: super::endpoint::without_user(endpoint),
        service,
        status: Some(status),
        body,
    }))
}
