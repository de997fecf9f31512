//! The background task that has the store write a sidecar for each segment that is sealed, so that
//! searches find their way quickly. Never at start, never in a search: it only follows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ingest_store::{missing_sidecars, write_sidecar};
use ingest_wal::{Directory, StdFileSystem};
use tokio::sync::watch;

/// How often it is looked whether a segment was sealed.
const LOOK: Duration = Duration::from_secs(1);

/// What the task needs to know of the log.
pub(crate) trait Log: Send + Sync {
    /// Rises whenever a segment is begun, which is when another one was sealed.
    fn segments_created(&self) -> u64;

    /// Files beside the segments have changed.
    fn companions_changed(&self);
}

/// Runs until the gateway stops.
pub(crate) async fn keep(dir: PathBuf, log: Arc<dyn Log>, mut stopping: watch::Receiver<bool>) {
    let mut seen = None;
    loop {
        let created = log.segments_created();
        if seen != Some(created) {
            let (dir, stop) = (dir.clone(), stopping.clone());
            let work = tokio::task::spawn_blocking(move || write_missing(&dir, &stop));
            match work.await {
                Ok(Ok(written)) => {
                    seen = Some(created);
                    if written > 0 {
                        log.companions_changed();
                    }
                }
                // Tried again at the next look; searches work without.
                Ok(Err(error)) => tracing::warn!(%error, "Cannot write a sidecar."),
                Err(error) => tracing::error!(%error, "Writing sidecars ended."),
            }
        }
        let stop = stopping.wait_for(|stop| *stop);
        if tokio::time::timeout(LOOK, stop).await.is_ok() {
            return;
        }
    }
}

/// Writes those that are missing, the newest first: that is where most searches look.
fn write_missing(dir: &std::path::Path, stop: &watch::Receiver<bool>) -> anyhow::Result<u64> {
    let dir = Directory::new(dir, Arc::new(StdFileSystem));
    let mut written = 0;
    for segment in missing_sidecars(&dir)?.into_iter().rev() {
        if *stop.borrow() {
            break;
        }
        written += u64::from(write_sidecar(&dir, &segment)?.is_some());
    }
    Ok(written)
}
