//! The gateway as a library: sources, log and outputs put together from a configuration.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ingest_entry::TagId;
use ingest_mux::{
    CloseReport, DefineError, Filter, Health, Identity, Level, Muxer, Output, Relay,
    SharedDestination, StartError, Status,
};
use ingest_wire::Secret;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::admin::{self, View};
use crate::config::{
    Config, DestinationKind, Durability, GraphiteSource, GraphiteUdpSource, GravwellSource,
    HydraSource, ListenAddr, LoggregatorSource, Route, SecretError, SecretFrom, ServerTls,
    SourceConfig, SourceKind, StateMessages, TlsFileError,
};
use crate::counters::{SourceCounters, Totals};
use crate::inherited::Inherited;
use crate::log_options::log_options;
use crate::map::graphite::reasons;
use crate::map::hydra;
use crate::secret::{IngestSecretError, ingest_secret};
use crate::sources::gravwell::Gravwell;
use crate::sources::hydra::Hydra;
use crate::sources::loggregator::Loggregator;
use crate::sources::{Context, RejectLog, graphite, graphite_udp, gravwell, loggregator};
use crate::{destinations, sidecars};

/// Why a gateway could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The log, or the outputs' positions in it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A name got no number.
    #[error("source {name:?}: {error}")]
    Define {
        /// The source.
        name: String,
        /// Why.
        error: DefineError,
    },
    /// An address could not be bound.
    #[error("{name} cannot listen on {listen}: {error}")]
    Bind {
        /// The source, or `admin`.
        name: String,
        /// The address.
        listen: String,
        /// What the operating system said.
        error: io::Error,
    },
    /// There is no secret that clients of a source could be asked for.
    #[error("source {name:?} has no ingest secret: {error}")]
    Secret {
        /// The source.
        name: String,
        /// Why.
        error: IngestSecretError,
    },
    /// A destination's secret cannot be read.
    #[error("destination {name:?} has no secret: {error}")]
    DestinationSecret {
        /// The destination.
        name: String,
        /// Why.
        error: SecretError,
    },
    /// Certificates or keys cannot be used.
    #[error("{name}: TLS: {error}")]
    Tls {
        /// The source or destination.
        name: String,
        /// Why.
        error: TlsFileError,
    },
    /// A destination was given twice.
    #[error("two destinations are named {0:?}")]
    DestinationTwice(String),
}

/// How long outputs may deliver when the gateway stops.
pub const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// A gateway that is being put together.
#[derive(Debug)]
pub struct Builder {
    config: Config,
    destinations: Vec<(String, SharedDestination)>,
    inherited: Inherited,
}

impl Builder {
    /// Sockets that are bound already: a source, or `admin`, whose name or address one has listens
    /// there.
    #[must_use]
    pub fn inherited(mut self, inherited: Inherited) -> Self {
        self.inherited = inherited;
        self
    }

    /// Adds a destination of your own: an output of that name, which gets what the routes of the
    /// configuration send to it, or everything without routes.
    #[must_use]
    pub fn destination(mut self, name: impl Into<String>, destination: SharedDestination) -> Self {
        self.destinations.push((name.into(), destination));
        self
    }

    /// Opens the log, binds every address, and accepts. Needs a multi-threaded tokio runtime.
    ///
    /// # Errors
    /// [`GatewayError`]; nothing runs then.
    ///
    /// # Cancel safety
    /// Dropping the future ends what was begun.
    pub async fn start(self) -> Result<Gateway, GatewayError> {
        Gateway::start(self).await
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    inner: Arc<Inner>,
    stop: watch::Sender<bool>,
    sources: JoinSet<()>,
    helpers: JoinSet<()>,
    addresses: BTreeMap<String, SocketAddr>,
    secrets: BTreeMap<String, String>,
}

/// What the gateway and its admin pages share.
#[derive(Debug)]
struct Inner {
    muxer: Muxer,
    counters: Vec<Arc<SourceCounters>>,
    stores: Vec<String>,
    /// The configured destinations.
    outputs: BTreeMap<String, OutputKind>,
    started: Instant,
}

/// What a destination is, for operators.
#[derive(Debug)]
struct OutputKind {
    type_name: &'static str,
    /// Where its links lead, in their order.
    targets: Vec<String>,
}

impl OutputKind {
    fn of(kind: &DestinationKind) -> Self {
        let targets = match kind {
            DestinationKind::Gravwell(gravwell) => {
                gravwell.targets.iter().map(ToString::to_string).collect()
            }
            DestinationKind::Store => Vec::new(),
        };
        Self { type_name: kind.type_name(), targets }
    }
}

/// What a stopped gateway leaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StopReport {
    /// Each source's name, reasons and totals.
    pub sources: Vec<(String, Vec<&'static str>, Totals)>,
    /// The log and the outputs.
    pub close: CloseReport,
    /// Entries that the log accepted in the life of its directory.
    pub stored: u64,
    /// The accounts held.
    pub balanced: bool,
}

impl Gateway {
    /// A gateway with this configuration.
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        Builder { config, destinations: Vec::new(), inherited: Inherited::default() }
    }

    async fn start(builder: Builder) -> Result<Self, GatewayError> {
        let Builder { config, destinations, mut inherited } = builder;
        // Addresses first: who is refused one has not touched the log.
        let mut listeners = Vec::new();
        for source in &config.sources {
            listeners.push(Listener::bind(source, &mut inherited).await?);
        }
        let admin = match &config.admin {
            admin if admin.enabled => Some(bind_tcp("admin", &admin.listen, &mut inherited).await?),
            _ => None,
        };
        if !inherited.is_empty() {
            tracing::warn!(
                "Handed over, and no source listens there: {inherited}. They are closed."
            );
        }
        let muxer = open(&config, destinations).await?;
        let stores = config
            .destinations
            .iter()
            .filter(|destination| matches!(destination.kind, DestinationKind::Store))
            .map(|destination| destination.name.clone())
            .collect();
        let (stop, stopping) = watch::channel(false);
        let mut addresses = BTreeMap::new();
        let mut counters = Vec::new();
        let mut secrets = BTreeMap::new();
        let mut ready = Vec::new();
        let level = match config.log.durability {
            Durability::Memory => Level::Memory,
            Durability::Os => Level::Os,
            Durability::Disk => Level::Disk,
        };
        let memory = muxer.log().status().limits.memory;
        muxer.announcement().set_minimal(config.delivery.state == StateMessages::Minimal);
        let dir = config.log.dir.clone();
        for (source, listener) in config.sources.iter().zip(listeners) {
            let named = |error| GatewayError::Define { name: source.name.clone(), error };
            let bound = listener.local_addr();
            let reasons = match &source.kind {
                SourceKind::Gravwell(_) => gravwell::reasons(),
                SourceKind::Hydra(_) => hydra::reasons(),
                SourceKind::Loggregator(_) => loggregator::reasons(),
                _ => reasons(),
            };
            let own = SourceCounters::new(
                &source.name,
                source.kind.type_name(),
                bound.map(|bound| bound.to_string()).unwrap_or_default(),
                reasons,
            );
            let cx = Context {
                // Half of the budget at most, so that one source cannot take another's share.
                source: muxer.source(&source.name, memory / 2).map_err(named)?,
                rejects: Arc::new(RejectLog::new(&source.name, own.reasons.clone())),
                counters: Arc::new(own),
                level,
                read_bytes: usize::try_from((memory / 128).clamp(4 << 10, 256 << 10))
                    .unwrap_or(4 << 10),
                stopping: stopping.clone(),
            };
            cx.counters.follow(cx.source.clone());
            cx.counters.children.tell(muxer.announcement());
            counters.push(Arc::clone(&cx.counters));
            addresses.extend(bound.map(|bound| (source.name.clone(), bound)));
            let service = match (&source.kind, listener) {
                (SourceKind::Graphite(config), Listener::Tcp(listener, _)) => {
                    let tag = muxer.tag(&config.lines.tag).map_err(named)?;
                    Service::Graphite(listener, config.clone(), tag)
                }
                (SourceKind::GraphiteUdp(config), Listener::Udp(socket, _)) => {
                    let tag = muxer.tag(&config.lines.tag).map_err(named)?;
                    Service::GraphiteUdp(socket, config.clone(), tag)
                }
                (SourceKind::Gravwell(config), Listener::Tcp(listener, _)) => {
                    let set_up = gravwell_source(&source.name, config, &muxer, &dir)?;
                    secrets.insert(source.name.clone(), set_up.1);
                    Service::Gravwell(listener, Box::new(set_up.0))
                }
                (SourceKind::Hydra(source_config), Listener::Tcp(listener, _)) => {
                    let enabled = config.hydra.websocket_enabled;
                    let set_up = hydra_source(&source.name, source_config, enabled, &muxer)?;
                    Service::Hydra(listener, Box::new(set_up))
                }
                (SourceKind::Loggregator(config), Listener::None) => {
                    let set_up = loggregator_source(&source.name, config, &muxer)?;
                    Service::Loggregator(Box::new(set_up))
                }
                // `Listener::bind` makes what the kind needs.
                _ => continue,
            };
            ready.push((service, cx));
        }
        let outputs = config
            .destinations
            .iter()
            .map(|destination| (destination.name.clone(), OutputKind::of(&destination.kind)))
            .collect();
        let inner = Arc::new(Inner { muxer, counters, stores, outputs, started: Instant::now() });
        let mut sources = JoinSet::new();
        for (service, cx) in ready {
            match service {
                Service::Graphite(listener, config, tag) => {
                    sources.spawn(graphite::serve(listener, config, tag, cx));
                }
                Service::GraphiteUdp(socket, config, tag) => {
                    sources.spawn(graphite_udp::serve(socket, config, tag, cx));
                }
                Service::Gravwell(listener, gravwell) => {
                    sources.spawn(gravwell::serve(listener, *gravwell, cx));
                }
                Service::Hydra(listener, hydra) => {
                    let inner: Arc<dyn View> = Arc::clone(&inner) as _;
                    let view = Arc::downgrade(&inner);
                    sources.spawn(crate::sources::hydra::serve(listener, *hydra, cx, view));
                }
                Service::Loggregator(loggregator) => {
                    sources.spawn(loggregator::serve(*loggregator, cx));
                }
            }
        }
        let mut helpers = JoinSet::new();
        if let Some((listener, bound)) = admin {
            addresses.insert("admin".to_owned(), bound);
            let mut stopped = stopping.clone();
            let view: Arc<dyn View> = Arc::clone(&inner) as _;
            helpers.spawn(admin::serve(listener, view, async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            }));
        }
        helpers.spawn(sidecars::keep(dir, Arc::clone(&inner) as _, stopping));
        Ok(Self { inner, stop, sources, helpers, addresses, secrets })
    }

    /// The addresses that are really bound, by the name of the source, and `admin`.
    #[must_use]
    pub fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// Where the ingest secrets of the sources that want one are kept: `$NAME` for the environment,
    /// or the path of a file.
    #[must_use]
    pub fn secret_places(&self) -> &BTreeMap<String, String> {
        &self.secrets
    }

    /// A moment of the log and the outputs.
    #[must_use]
    pub fn status(&self) -> Status {
        self.inner.muxer.status()
    }

    /// Takes the lines of the program's own log, for the tag `gravwell`.
    ///
    /// # Errors
    /// [`DefineError`].
    pub fn relay(&self) -> Result<Relay, DefineError> {
        self.inner.muxer.relay()
    }

    /// The sources' counters.
    #[must_use]
    pub fn sources(&self) -> &[Arc<SourceCounters>] {
        &self.inner.counters
    }

    /// Stops in order: accept no more, read what has arrived, make it durable, close the
    /// connections, let outputs deliver until `deadline`, keep their positions.
    ///
    /// # Cancel safety
    /// Dropping the future ends everything at once; nothing durable is lost.
    pub async fn stop(mut self, deadline: Duration) -> StopReport {
        let until = Instant::now() + deadline;
        self.stop.send_replace(true);
        let drained = async { while self.sources.join_next().await.is_some() {} };
        if tokio::time::timeout(deadline, drained).await.is_err() {
            tracing::warn!("Connections were cut: what they sent did not become durable in time.");
            self.sources.shutdown().await;
        }
        while self.helpers.join_next().await.is_some() {}
        let mut inner = self.inner;
        let Inner { muxer, counters, .. } = loop {
            match Arc::try_unwrap(inner) {
                Ok(inner) => break inner,
                Err(shared) => inner = shared,
            }
            tokio::task::yield_now().await;
        };
        let close = muxer.close(until.saturating_duration_since(Instant::now())).await;
        let sources: Vec<_> = counters
            .iter()
            .map(|source| (source.name.clone(), source.reasons.clone(), source.totals()))
            .collect();
        let balanced = sources.iter().all(|(_, _, totals)| totals.is_balanced())
            && close.outputs.iter().all(|output| output.balanced);
        StopReport { sources, stored: close.stored, close, balanced }
    }
}

/// Opens the log and sets the outputs going, off the runtime's own threads.
async fn open(
    config: &Config,
    given: Vec<(String, SharedDestination)>,
) -> Result<Muxer, GatewayError> {
    let identity = Identity {
        name: "ingestry".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        label: config.delivery.label.clone(),
        ..Identity::default()
    };
    let mut builder = Muxer::builder()
        .dir(&config.log.dir)
        .log(log_options(&config.log))
        .identity(identity)
        .longest_wait(config.delivery.longest_wait);
    if let Some(rate) = config.delivery.rate_limit {
        builder = builder.rate_limit(rate);
    }
    let mut names = Vec::new();
    for destination in &config.destinations {
        let name = &destination.name;
        if let DestinationKind::Gravwell(gravwell) = &destination.kind {
            let output = Output::new(name).filter(filter(&config.routes, name));
            let output = destinations::outflow::apply(output, &gravwell.outflow);
            builder = builder.output(destinations::gravwell::output(output, name, gravwell)?);
            names.push(name.clone());
        }
    }
    for (name, destination) in given {
        if names.contains(&name) {
            return Err(GatewayError::DestinationTwice(name));
        }
        let filter = filter(&config.routes, &name);
        builder = builder.output(Output::new(&name).filter(filter).link(destination));
        names.push(name);
    }
    tokio::task::block_in_place(|| Ok(builder.start()?))
}

/// What the routes send to an output.
fn filter(routes: &[Route], name: &str) -> Filter {
    if routes.is_empty() {
        return Filter::All;
    }
    let tags = routes.iter().filter(|route| route.to.iter().any(|to| to == name));
    Filter::Tags(tags.flat_map(|route| &route.tags).cloned().collect())
}

/// A source that is ready to be served.
enum Service {
    Graphite(TcpListener, GraphiteSource, TagId),
    GraphiteUdp(UdpSocket, GraphiteUdpSource, TagId),
    Gravwell(TcpListener, Box<Gravwell>),
    Hydra(TcpListener, Box<Hydra>),
    Loggregator(Box<Loggregator>),
}

/// A source of Hydra's protocol.
fn hydra_source(
    name: &str,
    config: &HydraSource,
    websocket_enabled: bool,
    muxer: &Muxer,
) -> Result<Hydra, GatewayError> {
    let token = config.token.as_ref().map(SecretFrom::read).transpose().map_err(|error| {
        GatewayError::Secret { name: name.to_owned(), error: IngestSecretError::Read(error) }
    })?;
    let tls = config.tls.as_ref().map(ServerTls::load).transpose();
    let tls = tls.map_err(|error| GatewayError::Tls { name: name.to_owned(), error })?;
    Ok(Hydra {
        config: config.clone(),
        websocket_enabled,
        tls: tls.map(|tls| TlsAcceptor::from(Arc::new(tls))),
        token,
        tags: muxer.tags(),
        max_record: muxer.log().writer().limits().max_record(),
    })
}

/// A source of Loggregator messages.
fn loggregator_source(
    name: &str,
    config: &LoggregatorSource,
    muxer: &Muxer,
) -> Result<Loggregator, GatewayError> {
    let defined = |error| GatewayError::Define { name: name.to_owned(), error };
    let mut tags = Vec::new();
    for (kind, tag) in &config.tags {
        tags.push((*kind, muxer.tag(tag).map_err(defined)?));
    }
    let tls = |error| GatewayError::Tls { name: name.to_owned(), error };
    Ok(Loggregator {
        tls: config.tls.load_for_loggregator().map_err(tls)?,
        tag: muxer.tag(&config.tag).map_err(defined)?,
        tags,
        config: config.clone(),
    })
}

/// A source for Gravwell ingesters, and where its secret is.
fn gravwell_source(
    name: &str,
    config: &GravwellSource,
    muxer: &Muxer,
    dir: &Path,
) -> Result<(Gravwell, String), GatewayError> {
    let secret = ingest_secret(config.secret.as_ref(), dir)
        .map_err(|error| GatewayError::Secret { name: name.to_owned(), error })?;
    let tls = match &config.tls {
        None => None,
        Some(files) => Some(TlsAcceptor::from(Arc::new(
            files.load().map_err(|error| GatewayError::Tls { name: name.to_owned(), error })?,
        ))),
    };
    let source = Gravwell {
        config: config.clone(),
        tls,
        secret: Secret::new(&secret.bytes),
        tags: muxer.tags(),
        max_record: muxer.log().writer().limits().max_record(),
    };
    Ok((source, secret.place))
}

/// A bound socket.
#[derive(Debug)]
enum Listener {
    Tcp(TcpListener, SocketAddr),
    Udp(UdpSocket, SocketAddr),
    /// Of a source that connects.
    None,
}

impl Listener {
    async fn bind(source: &SourceConfig, inherited: &mut Inherited) -> Result<Self, GatewayError> {
        let name = &source.name;
        let Some(listen) = source.listen() else { return Ok(Self::None) };
        match &source.kind {
            SourceKind::Graphite(_) => {
                let (listener, bound) = bind_tcp(name, listen, inherited).await?;
                // Connections inherit it where the system does that; see `sources::graphite`.
                let _ = rustix::net::sockopt::set_socket_linger(&listener, Some(Duration::ZERO));
                Ok(Self::Tcp(listener, bound))
            }
            SourceKind::Gravwell(_) | SourceKind::Hydra(_) => {
                let (listener, bound) = bind_tcp(name, listen, inherited).await?;
                Ok(Self::Tcp(listener, bound))
            }
            SourceKind::Loggregator(_) => Ok(Self::None),
            SourceKind::GraphiteUdp(config) => {
                let failed = |error| bind_error(name, listen, error);
                let socket = match inherited.take_udp(name, &listen.to_string()) {
                    Some(socket) => UdpSocket::from_std(socket).map_err(failed)?,
                    None => UdpSocket::bind(listen.to_string()).await.map_err(failed)?,
                };
                let bound = socket.local_addr().map_err(|error| bind_error(name, listen, error))?;
                let wanted = usize::try_from(config.receive_buffer).unwrap_or(usize::MAX);
                // As much as the system allows; less is no error.
                let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, wanted);
                Ok(Self::Udp(socket, bound))
            }
        }
    }

    const fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, bound) | Self::Udp(_, bound) => Some(*bound),
            Self::None => None,
        }
    }
}

async fn bind_tcp(
    name: &str,
    listen: &ListenAddr,
    inherited: &mut Inherited,
) -> Result<(TcpListener, SocketAddr), GatewayError> {
    let failed = |error| bind_error(name, listen, error);
    let listener = match inherited.take_tcp(name, &listen.to_string()) {
        Some(listener) => TcpListener::from_std(listener).map_err(failed)?,
        None => TcpListener::bind(listen.to_string()).await.map_err(failed)?,
    };
    let bound = listener.local_addr().map_err(|error| bind_error(name, listen, error))?;
    Ok((listener, bound))
}

fn bind_error(name: &str, listen: &ListenAddr, error: io::Error) -> GatewayError {
    GatewayError::Bind { name: name.to_owned(), listen: listen.to_string(), error }
}

impl View for Inner {
    fn status(&self) -> Status {
        self.muxer.status()
    }

    fn sources(&self) -> Vec<Arc<SourceCounters>> {
        self.counters.clone()
    }

    fn store_outputs(&self) -> Vec<String> {
        self.stores.clone()
    }

    fn output_type(&self, name: &str) -> &str {
        self.outputs.get(name).map_or("injected", |output| output.type_name)
    }

    fn output_targets(&self, name: &str) -> &[String] {
        self.outputs.get(name).map_or(&[], |output| &output.targets)
    }

    fn ready(&self) -> bool {
        self.muxer.log().writer().health() == Health::Accepting
    }

    fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }
}

impl sidecars::Log for Inner {
    fn segments_created(&self) -> u64 {
        self.muxer.log().status().segments_created
    }

    fn companions_changed(&self) {
        self.muxer.log().look();
    }
}
