//! Waiting until the destinations have what was stored: for `explicit` and `replicated`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ingest_mux::Lsn;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::admin::View;

/// How often outputs are looked at while somebody waits.
const LOOK: Duration = Duration::from_millis(10);

/// How far all outputs have come. Nothing is looked at while nobody waits.
#[derive(Clone)]
pub(super) struct Delivered {
    shared: Arc<Shared>,
}

struct Shared {
    view: Weak<dyn View>,
    waiters: AtomicUsize,
    wanted: Notify,
    reached: watch::Sender<Lsn>,
}

impl Delivered {
    pub(super) fn new(view: Weak<dyn View>) -> Self {
        let (reached, _) = watch::channel(0);
        let waiters = AtomicUsize::new(0);
        Self { shared: Arc::new(Shared { view, waiters, wanted: Notify::new(), reached }) }
    }

    /// Waits until every output has everything below `end`, or has given it up. Without outputs
    /// there is only the store, which has what is durable.
    pub(super) async fn wait(&self, end: Lsn) {
        let waiting = Waiting::new(&self.shared);
        let mut reached = self.shared.reached.subscribe();
        let _ = reached.wait_for(|low| *low >= end).await;
        drop(waiting);
    }

    /// Looks once, a little later, while somebody waits; else it does not end. The source calls it
    /// again and again.
    pub(super) async fn look(&self) {
        while self.shared.waiters.load(Ordering::Acquire) == 0 {
            self.shared.wanted.notified().await;
        }
        sleep(LOOK).await;
        let Some(view) = self.shared.view.upgrade() else { return };
        let outputs = view.status().outputs;
        drop(view);
        let lows = outputs.iter().filter(|output| output.configured).map(|output| output.low);
        let low = lows.min().unwrap_or(Lsn::MAX);
        self.shared.reached.send_if_modified(|have| {
            let moved = *have != low;
            *have = low;
            moved
        });
    }
}

struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.waiters.fetch_add(1, Ordering::AcqRel);
        shared.wanted.notify_one();
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Ordering::AcqRel);
    }
}
