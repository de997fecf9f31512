//! A destination that can be down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ingest_mux::{Destination, Leases, LinkError, LinkFuture};
use tokio::sync::watch;

/// Keeps what it gets, while it is open. Closed, it first refuses a few attempts, and then does
/// not answer.
#[derive(Debug)]
pub(crate) struct Gate {
    open: watch::Sender<bool>,
    refusals: AtomicUsize,
    got: Mutex<Vec<(u64, String)>>,
}

impl Gate {
    /// One that is closed.
    pub(crate) fn closed() -> Arc<Self> {
        let open = watch::Sender::new(false);
        Arc::new(Self { open, refusals: AtomicUsize::new(2), got: Mutex::default() })
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// Breaks the link, if there is one.
    pub(crate) fn close(&self) {
        self.refusals.store(2, Ordering::Relaxed);
        self.open.send_replace(false);
    }

    /// The data that came, as it came. LSNs rise: nothing comes twice, nothing out of order.
    pub(crate) fn got(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        assert!(got.is_sorted_by(|(one, _), (next, _)| one < next), "out of order");
        got.iter().map(|(_, data)| data.clone()).collect()
    }

    /// How much came.
    pub(crate) fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

impl Destination for Gate {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async move {
            let mut open = self.open.subscribe();
            let less = |left: usize| left.checked_sub(1);
            let refuses = || {
                let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
                self.refusals.fetch_update(set, fetch, less).is_ok()
            };
            if !*open.borrow() && refuses() {
                return Err(LinkError::passing("down"));
            }
            let ended = |_| LinkError::passing("the test is over");
            open.wait_for(|open| *open).await.map_err(ended)?;
            leases.connected();
            loop {
                let lease = tokio::select! {
                    biased;
                    _ = open.wait_for(|open| !*open) => {
                        return Err(LinkError::passing("went down"));
                    }
                    lease = leases.next() => lease,
                };
                let Some(lease) = lease else { return Ok(()) };
                let entries = lease
                    .entries()
                    .map(|(id, entry)| (id.lsn, String::from_utf8_lossy(entry.data).into_owned()));
                self.got.lock().unwrap().extend(entries);
                lease.confirm();
            }
        })
    }
}
