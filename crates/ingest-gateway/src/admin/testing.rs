//! A gateway for tests.

use std::sync::Arc;
use std::time::Duration;

use ingest_mux::{Muxer, OutputStatus, Status};

use super::view::View;
use crate::counters::{SourceCounters, Totals};

/// Answers what the test put in.
pub(crate) struct FakeView {
    pub(crate) status: Status,
    pub(crate) sources: Vec<Arc<SourceCounters>>,
    pub(crate) ready: bool,
}

impl FakeView {
    /// One source, one store, all in balance.
    pub(crate) fn new() -> Self {
        let mut status = empty_status();
        let log = &mut status.log;
        (log.synced_end, log.written_end, log.next) = (101, 101, 102);
        (log.void, log.unwitnessed, log.accepted) = (2, 1, 97);
        log.sync_nanos = 1_500_000_000;
        let source = source("graphite");
        Self { status, sources: vec![Arc::new(source)], ready: true }
    }
}

/// A source that got 12 items and took 10 of them.
pub(crate) fn source(name: &str) -> SourceCounters {
    let reasons = vec!["too-long", "bad-number"];
    let source = SourceCounters::new(name, "graphite", "127.0.0.1:2003".to_owned(), reasons);
    let mut batch = Totals::new(2);
    batch.received_bytes = 1_000;
    batch.received_items = 12;
    batch.accepted_items = 10;
    batch.accepted_entries = 11;
    batch.refuse_many(1, 2);
    source.add(&batch);
    source.connections_total.add(3);
    source.connections_open.add(1);
    source
}

/// An output that owes `queued` entries.
pub(crate) fn output(name: &str, queued: u64) -> OutputStatus {
    let mut output = OutputStatus::default();
    output.name = name.to_owned();
    output.configured = true;
    output.start = 1;
    output.queued = queued;
    output.confirmed = 20;
    output.filtered = 3;
    output.lost.insert("too-large".to_owned(), 2);
    output.accepted = queued + 25;
    output
}

/// The status of a log that nobody wrote to: nothing else can make one.
fn empty_status() -> Status {
    // A test may be in a runtime of its own, which must not wait for another one.
    let made = std::thread::spawn(|| {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let muxer = Muxer::builder().dir(dir.path()).start().unwrap();
            let status = muxer.status();
            muxer.close(Duration::ZERO).await;
            status
        })
    });
    made.join().unwrap()
}

impl View for FakeView {
    fn status(&self) -> Status {
        self.status.clone()
    }

    fn sources(&self) -> Vec<Arc<SourceCounters>> {
        self.sources.clone()
    }

    fn store_outputs(&self) -> Vec<String> {
        vec!["store".to_owned()]
    }

    fn output_fates(&self, name: &str) -> Vec<(&'static str, u64)> {
        if name.is_empty() { Vec::new() } else { vec![("sent", 18), ("elsewhere", 2)] }
    }

    fn ready(&self) -> bool {
        self.ready
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(61_500)
    }

    fn version(&self) -> &str {
        "1.2.3"
    }
}
