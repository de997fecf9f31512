//! The gateway as a library: sources, log and outputs put together from a configuration.

mod error;
mod listener;
mod makers;
mod outputs;
mod reload;
mod shared;
mod units;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ingest_mux::{CloseReport, DefineError, Relay, SharedDestination, Status};
use ingest_store::Digests;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{self, View};
use crate::config::Config;
use crate::counters::{SourceCounters, Totals};
use crate::inherited::Inherited;
use crate::sidecars;
use crate::sources::Decoding;
use crate::sources::samples::Samples;

pub use error::GatewayError;
pub(crate) use listener::Socket;
use listener::{bind_error, bind_tcp};
pub use reload::{ReloadError, ReloadOptions, Reloaded};
use shared::{Inner, Policy};
use units::{Prepared, Surroundings, Units};

/// How long outputs may deliver when the gateway stops.
pub const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// A gateway that is being put together.
#[derive(Debug)]
pub struct Builder {
    config: Config,
    destinations: Vec<(String, SharedDestination)>,
    inherited: Inherited,
    samples: BTreeMap<String, Samples>,
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

    /// Sources that connect, by name, which take samples instead.
    #[must_use]
    pub(crate) fn samples(mut self, samples: BTreeMap<String, Samples>) -> Self {
        self.samples = samples;
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
    config: Config,
    inner: Arc<Inner>,
    stop: watch::Sender<bool>,
    units: Units,
    /// Destinations that the program brought along.
    injected: Vec<(String, SharedDestination)>,
    outputs: Vec<outputs::Known>,
    policy: Policy,
    decoding: Decoding,
    output_files: outputs::Files,
    helpers: JoinSet<()>,
    admin: Option<SocketAddr>,
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
        Builder {
            config,
            destinations: Vec::new(),
            inherited: Inherited::default(),
            samples: BTreeMap::new(),
        }
    }

    async fn start(builder: Builder) -> Result<Self, GatewayError> {
        let Builder { config, destinations, mut inherited, mut samples } = builder;
        // Addresses first: who is refused one has not touched the log.
        let mut sockets = Vec::new();
        for source in &config.sources {
            sockets.push(Socket::bind(source, &mut inherited).await?);
        }
        let listener = match &config.admin {
            admin if admin.enabled => Some(bind_tcp("admin", &admin.listen, &mut inherited).await?),
            _ => None,
        };
        if !inherited.is_empty() {
            tracing::warn!(
                "Handed over, and no source listens there: {inherited}. They are closed."
            );
        }
        let output_files = outputs::files(&config);
        let digests = Arc::new(Digests::default());
        let (muxer, outputs) =
            outputs::open(&config, destinations.clone(), Arc::clone(&digests)).await?;
        let policy = Policy::default().next(&config);
        let decoding = Decoding::of_this_runtime();
        let with = Surroundings::new(&muxer, &config, &policy, &decoding);
        let mut prepared = Vec::new();
        for (source, socket) in config.sources.iter().zip(sockets) {
            let made = Prepared::new(source, socket, None, &with)?;
            prepared.push(match samples.remove(&source.name) {
                Some(samples) => made.sampled(samples),
                None => made,
            });
        }
        let inner = Arc::new(Inner::new(muxer));
        let mut units = Units::default();
        for prepared in prepared {
            units.start(prepared, Inner::view(&inner));
        }
        inner.show(&config, units.counters(), &outputs, &policy);
        let (stop, stopping) = watch::channel(false);
        let mut helpers = JoinSet::new();
        let mut admin = None;
        if let Some(listener) = listener {
            let failed = |error| bind_error("admin", &config.admin.listen, error);
            admin = Some(listener.local_addr().map_err(failed)?);
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
            let mut stopped = stopping.clone();
            let view: Arc<dyn View> = Arc::clone(&inner) as _;
            helpers.spawn(admin::serve(listener, view, async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            }));
        }
        let dir = config.log.dir.clone();
        helpers.spawn(sidecars::keep(dir, Arc::clone(&inner) as _, digests, stopping));
        Ok(Self {
            config,
            inner,
            stop,
            units,
            injected: destinations,
            outputs,
            policy,
            decoding,
            output_files,
            helpers,
            admin,
        })
    }

    /// The addresses that are really bound, by the name of the source, and `admin`.
    #[must_use]
    pub fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        let mut addresses = self.units.addresses();
        addresses.extend(self.admin.map(|admin| ("admin".to_owned(), admin)));
        addresses
    }

    /// Where the ingest secrets of the sources that want one are kept: `$NAME` for the environment,
    /// or the path of a file.
    #[must_use]
    pub fn secret_places(&self) -> BTreeMap<String, String> {
        self.units.secret_places()
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

    /// The sources' counters, also of sources that were there before a reload.
    #[must_use]
    pub fn sources(&self) -> Vec<Arc<SourceCounters>> {
        self.inner.sources()
    }

    /// Stops in order: accept no more, read what has arrived, make it durable, close the
    /// connections, let outputs deliver until `deadline`, keep their positions.
    ///
    /// # Cancel safety
    /// Dropping the future ends everything at once; nothing durable is lost.
    pub async fn stop(mut self, deadline: Duration) -> StopReport {
        let until = Instant::now() + deadline;
        self.stop.send_replace(true);
        self.units.stop();
        if tokio::time::timeout(deadline, self.units.ended()).await.is_err() {
            tracing::warn!("Connections were cut: what they sent did not become durable in time.");
            self.units.cut().await;
        }
        while self.helpers.join_next().await.is_some() {}
        let counters = self.inner.sources();
        let mut inner = self.inner;
        let muxer = loop {
            match Arc::try_unwrap(inner) {
                Ok(inner) => break inner.muxer,
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
