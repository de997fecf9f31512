//! The second generation: streams of applications, the firehose, container metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::again::Task;
use super::backoff::Backoff;
use super::dial::{Connector, Dialer, Undialed};
use super::endpoint::{Endpoint, escape};
use super::error::{ClientError, Service};
use super::http::{self, Ask};
use super::legacy::refused;
use super::notice::{self, Notice};
use super::proxy::Proxy;
use super::queue::WhenFull;
use super::session::{Habits, Timed};
use super::socket::{Target, dial_error, timed_out};
use super::stream::{Messages, messages};
use super::tls::TlsOptions;
use super::token::{TokenSource, Tokens};
use crate::dropsonde::{ContainerMetric, Envelope, EventType};
use crate::multipart::{Parts, boundary};
use crate::wire::Message;

const MAX_ANSWER: usize = 64 << 20;
const MAX_BODY: usize = 64 << 10;

/// What of the firehose is wanted. The server filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Filter {
    /// Everything.
    #[default]
    All,
    /// Lines.
    Logs,
    /// Everything but lines.
    Metrics,
}

/// Makes a [`TrafficController`].
#[derive(Clone)]
#[must_use]
pub struct TrafficControllerBuilder {
    endpoint: String,
    dialer: Dialer,
    token: String,
    source: Option<Arc<dyn TokenSource>>,
    backoff: Backoff,
    reconnect: bool,
    idle: Option<Duration>,
    max_message: usize,
    capacity: usize,
    when_full: WhenFull,
}

impl fmt::Debug for TrafficControllerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TrafficControllerBuilder");
        out.field("dialer", &self.dialer).field("backoff", &self.backoff).finish_non_exhaustive()
    }
}

impl TrafficControllerBuilder {
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

    /// How long connecting, or a whole answer, may take. 10 s by default.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.dialer.timeout = timeout;
        self
    }

    /// The token: the whole value of the header, `bearer …`.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// Where a new token comes from when there is none, or the server answers 401. It is
    /// remembered.
    pub fn token_source(mut self, source: Arc<dyn TokenSource>) -> Self {
        self.source = Some(source);
        self
    }

    /// How long to wait between tries.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Whether streams connect again. On by default.
    pub const fn reconnect(mut self, reconnect: bool) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// A connection on which nothing comes for so long, not even a ping, is over. 60 s by default:
    /// the server pings every 15 s.
    pub const fn idle_timeout(mut self, idle: Option<Duration>) -> Self {
        self.idle = idle;
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

    /// The client.
    #[must_use]
    pub fn build(self) -> TrafficController {
        let tokens = Tokens::new(&self.token, self.source.clone());
        TrafficController { settings: self, tokens }
    }
}

/// Reads envelopes from a traffic controller, that is, `doppler.DOMAIN`.
#[derive(Debug, Clone)]
pub struct TrafficController {
    settings: TrafficControllerBuilder,
    tokens: Tokens,
}

impl Timed for Envelope {
    fn nanos(&self) -> Option<i64> {
        self.timestamp
    }

    fn notice(&self) -> Option<Notice> {
        match self.event_type() {
            EventType::LOG_MESSAGE => {
                let line = self.log_message.as_ref()?;
                notice::line(line.source_type.as_ref()?.as_bytes(), line.message())
            }
            EventType::COUNTER_EVENT => {
                let counter = self.counter_event.as_ref()?;
                let (origin, name) = (self.origin.as_ref()?, counter.name.as_ref()?);
                notice::counter(origin.as_bytes(), name.as_bytes(), counter.delta())
            }
            _ => None,
        }
    }
}

impl TrafficController {
    /// For a server at `ws://HOST:PORT` or `wss://HOST:PORT`.
    pub fn builder(endpoint: impl Into<String>) -> TrafficControllerBuilder {
        TrafficControllerBuilder {
            endpoint: endpoint.into(),
            dialer: Dialer::default(),
            token: String::new(),
            source: None,
            backoff: Backoff::default(),
            reconnect: true,
            idle: Some(Duration::from_secs(60)),
            max_message: 16 << 20,
            capacity: 10_000,
            when_full: WhenFull::Block,
        }
    }

    /// All envelopes of an application.
    #[must_use]
    pub fn stream(&self, app: &str) -> Messages<Envelope> {
        self.open(format!("/apps/{}/stream", escape(app)), |_| true)
    }

    /// The lines of an application: all envelopes come, and the others are passed over here.
    #[must_use]
    pub fn tailing_logs(&self, app: &str) -> Messages<Envelope> {
        self.open(format!("/apps/{}/stream", escape(app)), |envelope| {
            envelope.event_type() == EventType::LOG_MESSAGE
        })
    }

    /// Everything of the platform. Each envelope goes to one of those who read with the same
    /// subscription.
    #[must_use]
    pub fn firehose(&self, subscription: &str, filter: Filter) -> Messages<Envelope> {
        let query = match filter {
            Filter::All => "",
            Filter::Logs => "filter-type=logs",
            Filter::Metrics => "filter-type=metrics",
        };
        self.open(format!("/firehose/{}?{query}", escape(subscription)), |_| true)
    }

    fn open(
        &self,
        path: String,
        keep: impl Fn(&Envelope) -> bool + Send + Sync + 'static,
    ) -> Messages<Envelope> {
        let settings = &self.settings;
        let (outlet, messages) = messages(settings.capacity, settings.when_full);
        let target = Target {
            endpoint: settings.endpoint.clone(),
            path,
            service: Service::TrafficController,
            max_message: settings.max_message,
        };
        let task = Task {
            dialer: settings.dialer.clone(),
            tokens: self.tokens.clone(),
            target,
            habits: Habits { keep_alive: None, idle: settings.idle.into() },
            backoff: settings.backoff,
            reconnect: settings.reconnect,
            on_connect: None,
            outlet,
        };
        tokio::spawn(async move {
            // Nobody is left to be told.
            let _ = task.run(keep).await;
        });
        messages
    }

    /// What the instances of an application use, sorted by their number.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer, or another than envelopes.
    ///
    /// # Cancel safety
    /// A dropped future closes its connection. Nothing was taken from the server: it can be asked again.
    pub async fn container_metrics(&self, app: &str) -> Result<Vec<ContainerMetric>, ClientError> {
        let envelopes = self.container_envelopes(app).await?;
        let mut metrics: Vec<_> = envelopes
            .into_iter()
            .filter_map(|envelope| envelope.container_metric.map(|m| *m))
            .collect();
        crate::sort_by_instance(&mut metrics);
        Ok(metrics)
    }

    /// The envelopes that [`Self::container_metrics`] is made of.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer, or another than envelopes.
    ///
    /// # Cancel safety
    /// A dropped future closes its connection. Nothing was taken from the server: it can be asked again.
    pub async fn container_envelopes(&self, app: &str) -> Result<Vec<Envelope>, ClientError> {
        let envelopes = self.answer(&format!("/apps/{}/containermetrics", escape(app))).await?;
        for envelope in &envelopes {
            if let Some(message) = &envelope.log_message
                && envelope.event_type() == EventType::LOG_MESSAGE
            {
                let text = String::from_utf8_lossy(message.message()).into_owned();
                return Err(ClientError::Upstream(text));
            }
        }
        Ok(envelopes)
    }

    /// The envelopes that the server has kept of an application, `limit` at most; servers since
    /// 2022 have none.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer, or another than envelopes.
    ///
    /// # Cancel safety
    /// A dropped future closes its connection. Nothing was taken from the server: it can be asked again.
    pub async fn recent_logs(
        &self,
        app: &str,
        limit: Option<u32>,
    ) -> Result<Vec<Envelope>, ClientError> {
        let query = limit.map_or_else(String::new, |limit| format!("?limit={limit}"));
        self.answer(&format!("/apps/{}/recentlogs{query}", escape(app))).await
    }

    async fn answer(&self, target: &str) -> Result<Vec<Envelope>, ClientError> {
        let ask = |token: String| async move { self.ask(target, &token).await };
        self.tokens.ask(ClientError::is_unauthorized, ask).await
    }

    async fn ask(&self, target: &str, token: &str) -> Result<Vec<Envelope>, ClientError> {
        let Self { settings, .. } = self;
        let service = Service::TrafficControllerEndpoint;
        let server = Endpoint::parse(&settings.endpoint).map_err(ClientError::Endpoint)?.for_http();
        let deadline = Instant::now() + settings.dialer.timeout;
        let ask = Ask { server: &server, target, token: Some(token), headers: &[] };
        let mut answer = match timeout_at(deadline, http::get(&settings.dialer, &ask)).await {
            Err(_) => return Err(timed_out(&settings.endpoint, service, settings.dialer.timeout)),
            Ok(Err(Undialed::Cause(cause))) => {
                let cause = format!("Get \"{server:?}{target}\": {cause}");
                return Err(dial_error(&settings.endpoint, service, Undialed::Cause(cause)));
            }
            Ok(Err(other)) => return Err(dial_error(&settings.endpoint, service, other)),
            Ok(Ok(answer)) => answer,
        };
        let status = answer.status().as_u16();
        if status != 200 {
            let (body, _) = answer.body(MAX_BODY, deadline).await;
            return Err(refused(status, String::from_utf8_lossy(&body).into_owned()));
        }
        let kind = answer.header("content-type").map(str::to_owned);
        let boundary = kind.as_deref().and_then(boundary).ok_or(ClientError::BadResponse)?;
        let (body, _) = answer.body(MAX_ANSWER, deadline).await;
        let parts = Parts::new(body, &boundary).flatten();
        // What is no envelope is passed over, as noaa does.
        Ok(parts.filter_map(|part: Bytes| Envelope::decode(&part).ok()).collect())
    }
}
