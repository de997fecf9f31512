//! What the gateway and its admin pages share.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use ingest_mux::{Health, Muxer, Status};
use ingest_wal::{Reader, Writer};

use super::outputs::Known;
use crate::admin::View;
use crate::config::{Config, DestinationKind};
use crate::counters::SourceCounters;
use crate::rules::Rules;
use crate::sidecars;

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) muxer: Muxer,
    pub(super) started: Instant,
    running: Mutex<Running>,
}

/// What a reload changes.
#[derive(Debug, Default)]
struct Running {
    /// In the order of the configuration; behind them those that left it.
    counters: Vec<Arc<SourceCounters>>,
    stores: Vec<String>,
    outputs: Vec<Known>,
    rules: Rules,
}

impl Running {
    fn output(&self, name: &str) -> Option<&Known> {
        self.outputs.iter().find(|output| output.name == name)
    }
}

impl Inner {
    pub(super) fn new(muxer: Muxer) -> Self {
        Self { muxer, started: Instant::now(), running: Mutex::default() }
    }

    /// What the pages see, for as long as the gateway runs.
    pub(super) fn view(inner: &Arc<Self>) -> Weak<dyn View> {
        let view: Arc<dyn View> = Arc::clone(inner) as _;
        Arc::downgrade(&view)
    }

    /// Shows what runs from now on.
    pub(super) fn show(
        &self,
        config: &Config,
        counters: Vec<Arc<SourceCounters>>,
        outputs: &[Known],
        rules: &Rules,
    ) {
        let stores = config
            .destinations
            .iter()
            .filter(|destination| matches!(destination.kind, DestinationKind::Store))
            .map(|destination| destination.name.clone());
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = std::mem::replace(&mut running.counters, counters).into_iter().filter(|gone| {
            // What came in counts, whatever became of the source.
            gone.totals().received_items > 0
        });
        for gone in gone {
            if !running.counters.iter().any(|counters| counters.name == gone.name) {
                gone.listens(String::new());
                running.counters.push(gone);
            }
        }
        running.stores = stores.collect();
        running.outputs = outputs.to_vec();
        running.rules = rules.clone();
    }

    fn running<T>(&self, of: impl FnOnce(&Running) -> T) -> T {
        of(&self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl View for Inner {
    fn status(&self) -> Status {
        self.muxer.status()
    }

    fn sources(&self) -> Vec<Arc<SourceCounters>> {
        self.running(|running| running.counters.clone())
    }

    fn store_outputs(&self) -> Vec<String> {
        self.running(|running| running.stores.clone())
    }

    fn output_type(&self, name: &str) -> &str {
        let kind = |running: &Running| Some(running.output(name)?.kind);
        self.running(kind).unwrap_or("injected")
    }

    fn output_targets(&self, name: &str) -> Vec<String> {
        let targets = |running: &Running| Some(running.output(name)?.targets.clone());
        self.running(targets).unwrap_or_default()
    }

    fn output_fates(&self, name: &str) -> Vec<(&'static str, u64)> {
        let counts = |running: &Running| Some(running.output(name)?.fates.as_ref()?.counts());
        self.running(counts).unwrap_or_default()
    }

    fn rules(&self) -> Rules {
        self.running(|running| running.rules.clone())
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

    fn newest(&self) -> (Reader, Writer) {
        let (log, writer) = (self.muxer.log(), self.muxer.log().writer());
        (log.reader(writer.shown_end()), writer)
    }
}
