//! Hydra's web sockets and HTTP. A report of 200 says that what `hydra-ack` asks for has happened:
//! nothing more than that it was taken, that it is on disk, or that the destinations have it.

mod delivered;
mod ingestors;
#[cfg(feature = "kafka")]
mod kafka;
mod taken;

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use hydra_ws::{
    Compat, Dialect, Echo, Options, RegisterError, Registry, Server, ServerConfig, ServerStats,
    Token,
};
use ingest_mux::Tags;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;

use super::accept::accept;
use super::{Context, RejectLog};
use crate::admin::View;
use crate::config::{HydraCompat, HydraDialect, HydraEcho, HydraSource};
use crate::counters::Totals;
use crate::map::hydra::Refusal;
use delivered::Delivered;
use ingestors::{Entries, Graphite, Kafka, Log, Shared};

/// How long TLS may take to begin.
const TLS_TIME: Duration = Duration::from_secs(10);
/// How often the protocol's own counters are taken over.
const LOOK: Duration = Duration::from_secs(1);
/// Why a connection is not let in.
const REFUSALS: [&str; 1] = ["handshake"];
/// Requests of one session without a report.
const IN_FLIGHT: usize = 16_384;

/// What this source has beside what all have.
pub(crate) struct Hydra {
    pub(crate) config: HydraSource,
    /// `hydra.ingest.websocket.enabled`.
    pub(crate) websocket_enabled: bool,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) token: Option<Vec<u8>>,
    pub(crate) tags: Tags,
    /// What `kafka_ingestor` sends with. `None`: it has no broker.
    #[cfg(feature = "kafka")]
    pub(crate) kafka: Option<ingest_kafka::KafkaIngestor>,
    /// The largest record that the log takes, in bytes.
    pub(crate) max_record: u64,
}

impl Hydra {
    fn options(&self) -> Options {
        let config = &self.config;
        let dialect = match config.dialect {
            HydraDialect::Doc => Dialect::Doc,
            HydraDialect::Seed => Dialect::Seed,
            HydraDialect::Head => Dialect::Head,
        };
        let mut options = Options::new(dialect);
        options.compat = match config.compat {
            HydraCompat::Document => Compat::Document,
            HydraCompat::Recorded => Compat::Recorded,
        };
        match config.echo {
            Some(HydraEcho::Document) => options.echo = Echo::Document,
            Some(HydraEcho::Code) => options.echo = Echo::Code,
            None => {}
        }
        options.multiline = config.multiline;
        options.ingest_timeout = config.ingest_timeout;
        // Whatever passes fits into a record.
        let message = config.max_message.min(self.max_record / 2);
        options.limits.message = usize::try_from(message).unwrap_or(usize::MAX);
        options
    }

    fn server_config(&self, local: Option<IpAddr>) -> ServerConfig {
        let mut config = ServerConfig::new(self.options());
        config.websocket_enabled = self.websocket_enabled;
        config.idle = self.config.idle_timeout;
        let third = self.config.idle_timeout.map(|idle| idle / 3);
        config.ping = config.ping.and(third);
        config.in_flight = IN_FLIGHT;
        config.in_flight_bytes = usize::try_from(self.config.read_ahead).unwrap_or(usize::MAX);
        config.access.hosts = self.config.hosts.clone();
        config
            .access
            .hosts
            .extend(local.filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string()));
        config.access.origins = self.config.origins.clone();
        config.access.token = self.token.clone().map(Token::new);
        config
    }
}

/// Serves connections until the gateway stops, then ends those that are open.
pub(crate) async fn serve(listener: TcpListener, hydra: Hydra, cx: Context, view: Weak<dyn View>) {
    let refusals = Arc::new(RejectLog::new(&cx.counters.name, REFUSALS.to_vec()));
    let delivered = Delivered::new(view);
    let registry = Registry::new();
    if let Err(error) = register(&registry, &hydra, &cx, &delivered) {
        tracing::error!(source = %cx.counters.name, %error, "An ingestor is missing.");
    }
    let local = listener.local_addr().ok().map(|address| address.ip());
    let server = Server::new(hydra.server_config(local), registry);
    let serving = accept(listener, hydra.config.max_connections, &cx, |(stream, peer)| {
        let client = Client {
            cx: cx.clone(),
            server: server.clone(),
            refusals: Arc::clone(&refusals),
            peer,
        };
        client.run(stream, hydra.tls.clone())
    });
    tokio::pin!(serving);
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = ServerStats::default();
    loop {
        tokio::select! {
            () = &mut serving => break,
            () = delivered.look() => {}
            _ = look.tick() => take_over(&cx, &mut seen, server.stats()),
        }
    }
    take_over(&cx, &mut seen, server.stats());
}

fn register(
    registry: &Registry,
    hydra: &Hydra,
    cx: &Context,
    delivered: &Delivered,
) -> Result<(), RegisterError> {
    let shared = Arc::new(Shared::new(cx, hydra, delivered.clone()));
    let now = SystemTime::now();
    registry.register("gravwell_ingestor", Arc::new(Entries(Arc::clone(&shared))), now)?;
    registry.register("graphite_ingestor", Arc::new(Graphite::new(Arc::clone(&shared))), now)?;
    registry.register("log_ingestor", Arc::new(Log(Arc::clone(&shared))), now)?;
    #[cfg(feature = "kafka")]
    if let Some(broker) = &hydra.kafka {
        let ingestor = kafka::Brokers::new(broker.clone(), shared);
        return registry.register("kafka_ingestor", Arc::new(ingestor), now);
    }
    registry.register("kafka_ingestor", Arc::new(Kafka(shared)), now)
}

/// What the protocol counts by itself.
fn take_over(cx: &Context, seen: &mut ServerStats, now: ServerStats) {
    let bad = now.bad_messages - seen.bad_messages;
    if bad > 0 {
        let mut totals = Totals::new(cx.counters.reasons.len());
        totals.received_items = bad;
        totals.refuse_many(Refusal::NotAMessage.index(), bad);
        cx.counters.add(&totals);
    }
    cx.counters.connections_refused.add(now.refused - seen.refused);
    let broken = |stats: &ServerStats| stats.broken + stats.violations;
    cx.counters.connections_aborted.add(broken(&now) - broken(seen));
    *seen = now;
}

struct Client {
    cx: Context,
    server: Server,
    refusals: Arc<RejectLog>,
    peer: IpAddr,
}

impl Client {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let counters = &self.cx.counters;
        counters.connections_total.add(1);
        counters.connections_open.add(1);
        // Reports are small and awaited.
        let _ = stream.set_nodelay(true);
        let stop = self.cx.stopping.clone();
        match tls {
            None => self.server.serve(stream, self.peer, stop).await,
            // The state of TLS is large: those without it do not carry it.
            Some(tls) => Box::pin(self.sealed(&tls, stream, stop)).await,
        }
        counters.connections_open.sub(1);
    }

    async fn sealed(&self, tls: &TlsAcceptor, stream: TcpStream, stop: watch::Receiver<bool>) {
        match timeout(TLS_TIME, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.server.serve(stream, self.peer, stop).await,
            Ok(Err(error)) => self.refuse(&error),
            Err(late) => self.refuse(&late),
        }
    }

    fn refuse(&self, error: &dyn std::fmt::Display) {
        self.cx.counters.connections_refused.add(1);
        self.refusals.note_connection(0, self.peer, error);
    }
}
