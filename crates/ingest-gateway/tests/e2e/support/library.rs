//! The gateway as a library, in this process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ingest_gateway::config;
use ingest_gateway::counters::{SourceCounters, Totals};
use ingest_gateway::{Gateway, StopReport};
use ingest_mux::{SharedDestination, Status};
use tokio::runtime::Runtime;

/// Graphite over TCP and UDP on any ports, without admin pages.
pub(crate) const SOURCES: &str = r#"
[admin]
enabled = false
[sources.graphite]
type = "graphite"
listen = "127.0.0.1:0"
[sources.graphite-udp]
type = "graphite-udp"
listen = "127.0.0.1:0"
"#;

/// A gateway on a runtime of its own.
#[derive(Debug)]
pub(crate) struct Library {
    gateway: Option<Gateway>,
    runtime: Runtime,
}

impl Library {
    /// Starts a gateway with [`SOURCES`], this `[log]` table, and a destination `out` if there is
    /// one.
    pub(crate) fn start(dir: &Path, log: &str, out: Option<SharedDestination>) -> Self {
        Self::with(&format!("[log]\ndir = {dir:?}\n{log}\n{SOURCES}"), out)
    }

    /// Starts a gateway with this configuration, and a destination `out` if there is one.
    pub(crate) fn with(text: &str, out: Option<SharedDestination>) -> Self {
        let loaded = config::parse(Path::new("test.toml"), text.as_bytes()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let mut builder = Gateway::builder(loaded.config);
        if let Some(out) = out {
            builder = builder.destination("out", out);
        }
        let gateway = Some(runtime.block_on(builder.start()).unwrap());
        Self { gateway, runtime }
    }

    /// Where what is async runs.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    /// The address of a source.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.gateway().addresses()[name]
    }

    /// A moment of the log and the outputs, which must add up.
    pub(crate) fn status(&self) -> Status {
        let status = self.gateway().status();
        assert!(status.balanced, "{status:#?}");
        assert!(status.log.used_bytes <= status.log.limits.max_bytes, "{:#?}", status.log);
        status
    }

    /// The counters of a source.
    pub(crate) fn source(&self, name: &str) -> Arc<SourceCounters> {
        self.gateway().sources().into_iter().find(|source| source.name == name).unwrap()
    }

    /// The totals of a source, which must add up.
    pub(crate) fn totals(&self, name: &str) -> Totals {
        let totals = self.source(name).totals();
        assert!(totals.is_balanced(), "{name}: {totals:?}");
        totals
    }

    /// Items of a source refused for a reason.
    pub(crate) fn refused(&self, name: &str, reason: &str) -> u64 {
        let at = self.source(name).reasons.iter().position(|have| *have == reason).unwrap();
        self.totals(name).refused[at]
    }

    /// Stops it, and hands out the runtime, on which clients may still be at work.
    pub(crate) fn stop_keeping_runtime(mut self, deadline: Duration) -> Runtime {
        let report = self.runtime.block_on(self.gateway.take().unwrap().stop(deadline));
        assert!(report.balanced, "{report:#?}");
        self.runtime
    }

    /// Stops it.
    pub(crate) fn stop(mut self, deadline: Duration) -> StopReport {
        let report = self.runtime.block_on(self.gateway.take().unwrap().stop(deadline));
        assert!(report.balanced, "{report:#?}");
        report
    }
}
