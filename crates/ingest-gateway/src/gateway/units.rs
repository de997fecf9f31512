//! The sources that run. One can be put in the place of another: the address stays bound,
//! connections that are open go on as they were begun, and the counters go on.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Weak};

use ingest_entry::{TagId, TagName};
use ingest_mux::{Level, Muxer};
use ingest_wire::Secret;
use tokio::net::{TcpListener, UdpSocket, UnixDatagram, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::GatewayError;
use super::listener::{Socket, bind_error};
use super::makers;
use super::shared::Policy;
use crate::admin::View;
use crate::config::{
    Config, Durability, GraphiteCompression, GraphiteLines, GraphiteSource, GravwellSource,
    HydraSource, LoggregatorSource, SecretFrom, ServerTls, SourceConfig, SourceKind, fingerprint,
};
use crate::counters::SourceCounters;
use crate::limits::SourceLimits;
use crate::map;
use crate::rules::SourceRules;
use crate::secret::ingest_secret;
use crate::sources::accept::Entrance;
#[cfg(feature = "amqp")]
use crate::sources::amqp::{self, Amqp};
use crate::sources::graphite_udp::Inlet;
use crate::sources::gravwell::Gravwell;
use crate::sources::hydra::Hydra;
#[cfg(feature = "kafka")]
use crate::sources::kafka::{self, Kafka};
use crate::sources::loggregator::Loggregator;
use crate::sources::samples::Samples;
use crate::sources::transport::Wrapping;
use crate::sources::{
    Allowed, Context, Decoding, RejectLog, RejectStore, graphite, graphite_udp, gravwell, hydra,
    loggregator,
};
#[cfg(feature = "amqp")]
use crate::template::Tagger;

/// What sources are made with, beside their own settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) muxer: &'a Muxer,
    pub(super) dir: &'a Path,
    pub(super) policy: &'a Policy,
    pub(super) durability: Durability,
    pub(super) websocket_enabled: bool,
    pub(super) decoding: &'a Decoding,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(
        muxer: &'a Muxer,
        config: &'a Config,
        policy: &'a Policy,
        decoding: &'a Decoding,
    ) -> Self {
        Self {
            muxer,
            decoding,
            dir: &config.log.dir,
            policy,
            durability: config.log.durability,
            websocket_enabled: config.hydra.websocket_enabled,
        }
    }
}

impl Surroundings<'_> {
    fn rules_of(&self, source: &str) -> SourceRules {
        self.policy.rules.of_source(source, self.muxer.tags())
    }

    fn limits_of(&self, source: &str) -> SourceLimits {
        self.policy.limits.of_source(source, self.muxer.tags())
    }

    const fn level(&self) -> Level {
        match self.durability {
            Durability::Memory => Level::Memory,
            Durability::Os => Level::Os,
            Durability::Disk => Level::Disk,
        }
    }
}

/// A source that could run: everything that can fail is done.
pub(super) struct Prepared {
    config: SourceConfig,
    socket: Socket,
    service: Service,
    cx: Context,
    stop: Arc<watch::Sender<bool>>,
    retire: watch::Sender<bool>,
    secret_place: Option<String>,
    websocket_enabled: bool,
    files: u64,
}

impl Prepared {
    /// `before`: the source of that name that runs, whose place it will take.
    pub(super) fn new(
        config: &SourceConfig,
        socket: Socket,
        before: Option<&Unit>,
        with: &Surroundings<'_>,
    ) -> Result<Self, GatewayError> {
        let named = |error| GatewayError::Define { name: config.name.clone(), error };
        // Before they are read: what changes meanwhile is seen the next time.
        let found = files(config, with.dir);
        let first = !with.dir.join(crate::secret::FILE).exists();
        let before = before.filter(|unit| unit.config.kind.type_name() == config.kind.type_name());
        let memory = with.muxer.log().status().limits.memory;
        let listens = !matches!(socket, Socket::None);
        let counters = match before {
            Some(unit) => Arc::clone(&unit.cx.counters),
            None => {
                let counters = SourceCounters::new(
                    &config.name,
                    config.kind.type_name(),
                    String::new(),
                    reasons(&config.kind),
                );
                counters.children.tell(with.muxer.announcement());
                Arc::new(counters)
            }
        };
        let source = match before {
            Some(unit) => unit.cx.source.clone(),
            // An eighth of the budget at most: one source cannot take the others' share, and more
            // waiting does not make the disk quicker.
            None => with.muxer.source(&config.name, memory / 8).map_err(named)?,
        };
        let kept = reject_store(config, before, with)?;
        let stop = before.map_or_else(Default::default, |unit| Arc::clone(&unit.stop));
        let retire = watch::Sender::new(false);
        let cx = Context {
            source,
            rejects: Arc::new(RejectLog::new(&config.name, counters.reasons.clone()).keeping(kept)),
            maker: makers::maker(&config.kind, counters.maker(), with.muxer.tags()),
            counters,
            allowed: Arc::new(Allowed::of(config)),
            rules: with.rules_of(&config.name),
            limits: with.limits_of(&config.name),
            level: with.level(),
            decoding: with.decoding.clone(),
            read_bytes: usize::try_from((memory / 128).clamp(4 << 10, 256 << 10))
                .unwrap_or(4 << 10),
            // What connects by itself has no connections that could go on without it.
            stopping: if listens { stop.subscribe() } else { retire.subscribe() },
            retired: retire.subscribe(),
        };
        let mut secret_place = None;
        let lent = socket.lend().and_then(Lent::new);
        let lent = lent.map_err(|error| bind_error(&config.name, &config.place(), error))?;
        let tag = |tag| with.muxer.tag(tag).map_err(named);
        let service = match (&config.kind, lent) {
            (SourceKind::Graphite(graphite), Lent::Tcp(listener)) => Service::Graphite(
                Entrance::Tcp(listener),
                graphite.clone(),
                wrapping(&config.name, graphite)?,
                tag(&graphite.lines.tag)?,
            ),
            (SourceKind::GraphiteUdp(graphite), Lent::Udp(socket)) => {
                let tag = tag(&graphite.lines.tag)?;
                Service::GraphiteUdp(Inlet::Udp(socket), graphite.lines.clone(), tag)
            }
            (SourceKind::GraphiteUnix(graphite), Lent::Unix(entrance)) => Service::Graphite(
                entrance,
                Box::new(graphite.stream.clone()),
                wrapping(&config.name, &graphite.stream)?,
                tag(&graphite.stream.lines.tag)?,
            ),
            (SourceKind::GraphiteUnix(graphite), Lent::UnixDatagram(inlet)) => {
                let lines = &graphite.stream.lines;
                Service::GraphiteUdp(inlet, lines.clone(), tag(&lines.tag)?)
            }
            #[cfg(feature = "amqp")]
            (SourceKind::Amqp(amqp), _) => {
                let broker = crate::broker::broker(&config.name, &amqp.broker)?;
                let tagger = Tagger::new(tag(&amqp.lines.tag)?, cx.maker.clone());
                Service::Amqp(Box::new(Amqp::new(amqp, broker, tagger)))
            }
            #[cfg(feature = "kafka")]
            (SourceKind::Kafka(kafka), _) => {
                Service::Kafka(Box::new(kafka_source(&config.name, kafka, with)?))
            }
            (SourceKind::Gravwell(gravwell), Lent::Tcp(listener)) => {
                let (gravwell, place) = gravwell_source(&config.name, gravwell, with)?;
                secret_place = Some(place);
                Service::Gravwell(listener, Box::new(gravwell))
            }
            (SourceKind::Hydra(hydra), Lent::Tcp(listener)) => {
                Service::Hydra(listener, Box::new(hydra_source(&config.name, hydra, with)?))
            }
            (SourceKind::Loggregator(loggregator), _) => {
                let set_up = loggregator_source(&config.name, loggregator, with)?;
                Service::Loggregator(Box::new(set_up))
            }
            // `Socket::bind` makes what the kind needs.
            (_, _) => return Err(GatewayError::WrongSocket(config.name.clone())),
        };
        Ok(Self {
            config: config.clone(),
            socket,
            service,
            cx,
            stop,
            retire,
            secret_place,
            websocket_enabled: with.websocket_enabled,
            // The secret may have been made just now.
            files: if first { files(config, with.dir) } else { found },
        })
    }

    /// Takes samples instead of connecting: for a source that connects.
    pub(super) fn sampled(mut self, samples: Samples) -> Self {
        self.service = Service::Sampled(Box::new(self.service), samples);
        self
    }
}

/// A source that runs.
pub(super) struct Unit {
    pub(super) config: SourceConfig,
    pub(super) socket: Socket,
    pub(super) cx: Context,
    /// Ends its connections, those of its predecessors included.
    stop: Arc<watch::Sender<bool>>,
    /// Ends its accepting.
    retire: watch::Sender<bool>,
    /// Where its clients find their secret.
    secret_place: Option<String>,
    websocket_enabled: bool,
    /// What its certificates and secrets were.
    files: u64,
}

/// All sources that run, in the order of the configuration, and those that end.
#[derive(Default)]
pub(super) struct Units {
    running: Vec<Unit>,
    tasks: JoinSet<()>,
}

impl std::fmt::Debug for Units {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.running.iter().map(|unit| &unit.config.name);
        f.debug_list().entries(names).finish()
    }
}

impl Units {
    /// The source of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Unit> {
        self.running.iter().find(|unit| unit.config.name == name)
    }

    /// The socket for a source, if one that runs has it: the one of its name, or of its address.
    pub(super) fn lend(&self, source: &SourceConfig) -> Result<Option<Socket>, GatewayError> {
        let lent = |unit: &Unit| {
            let lent = unit.socket.lend();
            lent.map(Some).map_err(|error| bind_error(&source.name, &source.place(), error))
        };
        if let SourceKind::GraphiteUnix(unix) = &source.kind {
            let same = |unit: &&Unit| match &unit.config.kind {
                SourceKind::GraphiteUnix(had) => {
                    (&had.path, had.socket) == (&unix.path, unix.socket)
                }
                _ => false,
            };
            return self.running.iter().find(same).map_or(Ok(None), lent);
        }
        let Some(listen) = source.listen() else { return Ok(Some(Socket::None)) };
        let fits = |unit: &&Unit| {
            let same = unit.config.listen() == Some(listen);
            same && unit.config.protocol() == source.protocol()
        };
        // Port 0 is another address for each.
        let by_address = |unit: &&Unit| fits(unit) && listen.port() != 0;
        let own = self.get(&source.name).filter(fits);
        own.or_else(|| self.running.iter().find(by_address)).map_or(Ok(None), lent)
    }

    /// The counters of all that run.
    pub(super) fn counters(&self) -> Vec<Arc<SourceCounters>> {
        self.running.iter().map(|unit| Arc::clone(&unit.cx.counters)).collect()
    }

    /// Lets a source run in the place of the one of its name, if there is one.
    pub(super) fn start(&mut self, prepared: Prepared, view: Weak<dyn View>) {
        while self.tasks.try_join_next().is_some() {}
        let Prepared { config, socket, service, cx, stop, retire, .. } = prepared;
        let Prepared { secret_place, websocket_enabled, files, .. } = prepared;
        socket.set_up(&config.kind);
        cx.counters.follow(cx.source.clone());
        cx.counters.makes(cx.maker.clone());
        let bound = socket.local_addr();
        cx.counters.listens(bound.map_or_else(|| config.place(), |bound| bound.to_string()));
        let unit = Unit {
            config,
            socket,
            cx: cx.clone(),
            stop,
            retire,
            secret_place,
            websocket_enabled,
            files,
        };
        match self.running.iter_mut().find(|had| had.config.name == unit.config.name) {
            Some(had) => {
                let had = std::mem::replace(had, unit);
                had.retire.send_replace(true);
                if !Arc::ptr_eq(&had.cx.counters, &cx.counters) {
                    had.stop.send_replace(true);
                }
            }
            None => self.running.push(unit),
        }
        self.tasks.spawn(service.serve(cx, view));
    }

    /// Ends every source whose name is not among these, and puts the others in their order. What
    /// had arrived is still read and made durable.
    pub(super) fn keep(&mut self, names: &[&str]) {
        let place = |unit: &Unit| names.iter().position(|name| *name == unit.config.name);
        for unit in self.running.extract_if(.., |unit| place(unit).is_none()) {
            unit.end();
        }
        self.running.sort_by_key(place);
    }

    /// The addresses that are really bound, by name.
    pub(super) fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        let named = |unit: &Unit| Some((unit.config.name.clone(), unit.socket.local_addr()?));
        self.running.iter().filter_map(named).collect()
    }

    /// Where the sources' secrets are kept, by name.
    pub(super) fn secret_places(&self) -> BTreeMap<String, String> {
        let named = |unit: &Unit| Some((unit.config.name.clone(), unit.secret_place.clone()?));
        self.running.iter().filter_map(named).collect()
    }

    /// Tells all to stop, and closes what listens.
    pub(super) fn stop(&mut self) {
        self.running.drain(..).for_each(|unit| unit.end());
    }

    /// Waits until all have ended.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Ends what still runs at once.
    pub(super) async fn cut(&mut self) {
        self.tasks.shutdown().await;
    }
}

impl Unit {
    /// Whether it is what these settings would make.
    pub(super) fn is_as(&self, source: &SourceConfig, with: &Surroundings<'_>) -> bool {
        self.config == *source
            && self.cx.level == with.level()
            && self.cx.rules.are(&with.rules_of(&source.name))
            && self.cx.limits.are(&with.limits_of(&source.name))
            && self.websocket_enabled == with.websocket_enabled
            && self.files == files(source, with.dir)
    }

    fn end(self) {
        self.stop.send_replace(true);
        self.retire.send_replace(true);
    }
}

/// What the files hold that a source is made of.
fn files(source: &SourceConfig, dir: &Path) -> u64 {
    let made = dir.join(crate::secret::FILE);
    let made =
        matches!(&source.kind, SourceKind::Gravwell(own) if own.secret.is_none()).then_some(&made);
    fingerprint(source.kind.files().into_iter().chain(made))
}

fn reasons(kind: &SourceKind) -> Vec<&'static str> {
    match kind {
        SourceKind::Gravwell(_) => gravwell::reasons(),
        SourceKind::Hydra(_) => map::hydra::reasons(),
        SourceKind::Loggregator(_) => loggregator::reasons(),
        SourceKind::Kafka(_) => map::kafka::reasons(),
        SourceKind::Graphite(_)
        | SourceKind::GraphiteUdp(_)
        | SourceKind::GraphiteUnix(_)
        | SourceKind::Amqp(_) => map::graphite::reasons(),
    }
}

/// A socket of the runtime.
enum Lent {
    Tcp(TcpListener),
    Udp(UdpSocket),
    Unix(Entrance),
    UnixDatagram(Inlet),
    None,
}

impl Lent {
    fn new(socket: Socket) -> io::Result<Self> {
        Ok(match socket {
            Socket::Tcp(listener, _) => Self::Tcp(TcpListener::from_std(listener)?),
            Socket::Udp(socket, _) => Self::Udp(UdpSocket::from_std(socket)?),
            Socket::Unix(listener, file) => {
                let listener = UnixListener::from_std(listener)?;
                Self::Unix(Entrance::Unix { listener, _file: file })
            }
            Socket::UnixDatagram(socket, file) => {
                let socket = UnixDatagram::from_std(socket)?;
                Self::UnixDatagram(Inlet::Unix { socket, file })
            }
            Socket::None => Self::None,
        })
    }
}

/// A source that is ready to be served.
enum Service {
    Graphite(Entrance, Box<GraphiteSource>, Wrapping, TagId),
    GraphiteUdp(Inlet, GraphiteLines, TagId),
    Gravwell(TcpListener, Box<Gravwell>),
    Hydra(TcpListener, Box<Hydra>),
    Loggregator(Box<Loggregator>),
    #[cfg(feature = "amqp")]
    Amqp(Box<Amqp>),
    #[cfg(feature = "kafka")]
    Kafka(Box<Kafka>),
    /// One of those that connect, with samples in the place of a server's messages.
    Sampled(Box<Self>, Samples),
}

impl Service {
    async fn serve(self, cx: Context, view: Weak<dyn View>) {
        match self {
            Self::Graphite(entrance, config, wrapping, tag) => {
                graphite::serve(entrance, *config, wrapping, tag, cx).await;
            }
            Self::GraphiteUdp(inlet, lines, tag) => {
                graphite_udp::serve(inlet, lines, tag, cx).await;
            }
            #[cfg(feature = "amqp")]
            Self::Amqp(amqp) => amqp::serve(*amqp, cx).await,
            #[cfg(feature = "kafka")]
            Self::Kafka(kafka) => kafka::serve(*kafka, cx).await,
            Self::Gravwell(listener, gravwell) => gravwell::serve(listener, *gravwell, cx).await,
            Self::Hydra(listener, hydra) => hydra::serve(listener, *hydra, cx, view).await,
            Self::Loggregator(loggregator) => loggregator::serve(*loggregator, cx).await,
            Self::Sampled(source, samples) => match *source {
                #[cfg(feature = "amqp")]
                Self::Amqp(amqp) => amqp::sampled(*amqp, cx, samples).await,
                Self::Loggregator(loggregator) => {
                    loggregator::sampled(*loggregator, cx, samples).await;
                }
                // Those that listen are sent theirs; who gives one here hears that nobody takes it.
                _ => drop(samples),
            },
        }
    }
}

/// What is around the bytes of a source's connections.
fn wrapping(name: &str, config: &GraphiteSource) -> Result<Wrapping, GatewayError> {
    Ok(Wrapping {
        proxies: config.proxies.clone(),
        tls: acceptor(name, config.tls.as_ref())?,
        gzip: config.compression == GraphiteCompression::Gzip,
    })
}

/// Bytes of refused items that may be under way from one source.
const REJECTS: u64 = 1 << 20;

/// Where a source's refused items go, if they are kept. `before`: the source of that name that
/// runs.
fn reject_store(
    source: &SourceConfig,
    before: Option<&Unit>,
    with: &Surroundings<'_>,
) -> Result<Option<RejectStore>, GatewayError> {
    let Some(tag) = source.kind.rejects() else { return Ok(None) };
    let named = |error| GatewayError::Define { name: source.name.clone(), error };
    let tag = with.muxer.tag(tag).map_err(named)?;
    if let Some(before) = before.and_then(|unit| unit.cx.rejects.store()) {
        return Ok(Some(before.with(tag, with.level())));
    }
    // A source of its own, so that the account of the other is one of its items.
    let own = with.muxer.source(&format!("{} rejects", source.name), REJECTS).map_err(named)?;
    Ok(Some(RejectStore::new(own, tag, with.level())))
}

/// A source of Hydra's protocol.
fn hydra_source(
    name: &str,
    config: &HydraSource,
    with: &Surroundings<'_>,
) -> Result<Hydra, GatewayError> {
    let token = config
        .token
        .as_ref()
        .map(SecretFrom::read)
        .transpose()
        .map_err(|error| GatewayError::secret(name, error))?;
    Ok(Hydra {
        config: config.clone(),
        websocket_enabled: with.websocket_enabled,
        tls: acceptor(name, config.tls.as_ref())?,
        #[cfg(feature = "kafka")]
        kafka: config
            .kafka
            .as_ref()
            .map(|kafka| kafka_ingestor(name, config, kafka))
            .transpose()?,
        token,
        tags: with.muxer.tags(),
        max_record: with.muxer.log().writer().limits().max_record(),
    })
}

/// What Hydra's `kafka_ingestor` sends with.
#[cfg(feature = "kafka")]
fn kafka_ingestor(
    name: &str,
    hydra: &HydraSource,
    config: &crate::config::HydraKafka,
) -> Result<ingest_kafka::KafkaIngestor, GatewayError> {
    let settings = crate::kafka::settings(&config.brokers)
        .map_err(|error| GatewayError::secret(name, error))?;
    let sending = crate::kafka::sending(&config.sending);
    let options = crate::kafka::ingestor(hydra, config);
    let made = ingest_kafka::KafkaIngestor::new(settings, sending, options);
    let made = made.map_err(|error| GatewayError::Kafka { name: name.to_owned(), error })?;
    #[cfg(feature = "avro")]
    if let Some(registry) = &config.registry {
        return Ok(made.with_registry(crate::kafka::registry(name, registry)?));
    }
    Ok(made)
}

/// A source of topics of Kafka.
#[cfg(feature = "kafka")]
fn kafka_source(
    name: &str,
    config: &crate::config::KafkaSource,
    with: &Surroundings<'_>,
) -> Result<Kafka, GatewayError> {
    let settings = crate::kafka::settings(&config.brokers)
        .map_err(|error| GatewayError::secret(name, error))?;
    // What cannot be set together shows here, and not when the broker is asked.
    ingest_kafka::Consumer::check(&settings, &Kafka::options(config))
        .map_err(|error| GatewayError::Kafka { name: name.to_owned(), error })?;
    Ok(Kafka { config: config.clone(), settings, tags: with.muxer.tags() })
}

/// A source of Loggregator messages.
fn loggregator_source(
    name: &str,
    config: &LoggregatorSource,
    with: &Surroundings<'_>,
) -> Result<Loggregator, GatewayError> {
    let defined = |error| GatewayError::Define { name: name.to_owned(), error };
    let mut tags = Vec::new();
    for (kind, tag) in &config.tags {
        tags.push((*kind, with.muxer.tag(tag).map_err(defined)?));
    }
    let named = |tags: &[(String, TagName)]| {
        let tags = tags.iter();
        let numbered = tags.map(|(of, tag)| Ok((of.clone(), with.muxer.tag(tag)?)));
        numbered.collect::<Result<Vec<_>, _>>().map_err(defined)
    };
    let tls = |error| GatewayError::Tls { name: name.to_owned(), error };
    Ok(Loggregator {
        tls: config.tls.load_for_loggregator().map_err(tls)?,
        tag: with.muxer.tag(&config.tag).map_err(defined)?,
        tags,
        app_tags: named(&config.app_tags)?,
        org_tags: named(&config.org_tags)?,
        config: config.clone(),
    })
}

/// A source for Gravwell ingesters, and where its secret is.
fn gravwell_source(
    name: &str,
    config: &GravwellSource,
    with: &Surroundings<'_>,
) -> Result<(Gravwell, String), GatewayError> {
    let secret = ingest_secret(config.secret.as_ref(), with.dir)
        .map_err(|error| GatewayError::Secret { name: name.to_owned(), error })?;
    let source = Gravwell {
        config: config.clone(),
        tls: acceptor(name, config.tls.as_ref())?,
        secret: Secret::new(&secret.bytes),
        tags: with.muxer.tags(),
        max_record: with.muxer.log().writer().limits().max_record(),
    };
    Ok((source, secret.place))
}

fn acceptor(name: &str, tls: Option<&ServerTls>) -> Result<Option<TlsAcceptor>, GatewayError> {
    let tls = tls.map(ServerTls::load).transpose();
    let tls = tls.map_err(|error| GatewayError::Tls { name: name.to_owned(), error })?;
    Ok(tls.map(|tls| TlsAcceptor::from(Arc::new(tls))))
}
