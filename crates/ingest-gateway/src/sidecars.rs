//! The background task that has the store write a sidecar for each segment that is sealed, so that
//! searches find their way quickly. Never at start, never in a search: it only follows.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ingest_store::{Digests, missing_sidecars_but, write_sidecar_with};
use ingest_wal::{Directory, OfflineSegment, Reader, SegmentName, StdFileSystem, Writer};
use tokio::sync::watch;

/// How often it is looked whether a segment was sealed.
const LOOK: Duration = Duration::from_secs(1);

/// What the task needs to know of the log.
pub(crate) trait Log: Send + Sync {
    /// Rises whenever a segment is begun, which is when another one was sealed.
    fn segments_created(&self) -> u64;

    /// Files beside the segments have changed.
    fn companions_changed(&self);

    /// Where readers are told of new records, and a reader at the newest.
    fn newest(&self) -> (Reader, Writer);
}

/// Runs until the gateway stops.
pub(crate) async fn keep(dir: PathBuf, log: Arc<dyn Log>, stopping: watch::Receiver<bool>) {
    let digests = Arc::new(Digests::default());
    tokio::select! {
        () = digest(log.newest(), &digests) => {}
        () = write(dir, log, &digests, stopping) => {}
    }
}

/// Looks at each record while it is new and in memory: to read it again costs far more.
async fn digest((mut reader, writer): (Reader, Writer), digests: &Digests) {
    loop {
        while let Some(record) = reader.next_recent() {
            digests.add(&record);
            tokio::task::yield_now().await;
        }
        if writer.shown(reader.position().saturating_add(1)).await.is_err() {
            // Failed or closed; it may accept again.
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn write(
    dir: PathBuf,
    log: Arc<dyn Log>,
    digests: &Arc<Digests>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut seen = None;
    let mut known = Known::default();
    loop {
        let created = log.segments_created();
        if seen != Some(created) {
            let (dir, stop, digests) = (dir.clone(), stopping.clone(), Arc::clone(digests));
            let mut remembered = std::mem::take(&mut known);
            let work = tokio::task::spawn_blocking(move || {
                let written = write_missing(&dir, &mut remembered, &digests, &stop);
                (written, remembered)
            });
            let work = work.await.map(|(written, remembered)| {
                known = remembered;
                written
            });
            match work {
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

/// The sidecars that were found valid, or written, as they were then: not read again until their
/// length or time says that somebody has changed them.
#[derive(Debug, Default)]
struct Known(HashMap<SegmentName, (u64, SystemTime)>);

impl Known {
    /// What the file system says of a segment's sidecar.
    fn look(dir: &Path, name: SegmentName) -> Option<(u64, SystemTime)> {
        let file = std::fs::metadata(dir.join(name.companion("idx"))).ok()?;
        Some((file.len(), file.modified().ok()?))
    }

    fn has(&self, dir: &Path, segment: &OfflineSegment) -> bool {
        let known = self.0.get(&segment.name);
        known.is_some() && Self::look(dir, segment.name).as_ref() == known
    }

    /// Remembers the sidecars that are there, but for those that are missing.
    fn learn(&mut self, dir: &Path, segments: &[OfflineSegment], missing: &[OfflineSegment]) {
        let there = segments.iter().filter(|segment| !missing.contains(segment));
        let there =
            there.filter_map(|segment| Some((segment.name, Self::look(dir, segment.name)?)));
        self.0 = there.collect();
    }
}

/// Writes those that are missing, the newest first: that is where most searches look.
fn write_missing(
    path: &Path,
    known: &mut Known,
    digests: &Digests,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<u64> {
    let dir = Directory::new(path, Arc::new(StdFileSystem));
    let segments = dir.segments()?;
    let missing = missing_sidecars_but(&dir, &mut |segment| known.has(path, segment))?;
    known.learn(path, &segments, &missing);
    let mut written = 0;
    for segment in missing.into_iter().rev() {
        if *stop.borrow() {
            break;
        }
        // Not remembered before it was read once: it is not synced.
        written += u64::from(write_sidecar_with(&dir, &segment, Some(digests))?.is_some());
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_wal::{Entries, Level, Log, NoCatalog, Options, Tally};

    /// A closed log of several segments.
    fn written() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::default();
        options.max_bytes = Some(1 << 20);
        options.min_free = Some(0);
        let log = Log::open(dir.path(), options, Arc::new(NoCatalog)).unwrap();
        let writer = log.writer();
        for _ in 0..20 {
            let body = bytes::Bytes::from(vec![7; 10_000]);
            let permits = vec![writer.permits().acquire_blocking(10_000)];
            let (level, tally) = (Level::Disk, Tally::new());
            let entries = Entries { count: 1, source: 0, arrival: 0, body, level, tally, permits };
            let ticket = writer.append(entries).unwrap();
            writer.done(&ticket).wait().unwrap();
        }
        assert_eq!(log.close(), ingest_wal::Unwritten::default());
        dir
    }

    #[test]
    fn what_was_valid_is_read_again_only_when_it_changed() {
        let dir = written();
        let (_stop, stopping) = watch::channel(false);
        let (mut known, none) = (Known::default(), Digests::default());
        let all = write_missing(dir.path(), &mut known, &none, &stopping).unwrap();
        assert!(all >= 3, "{all}");
        assert_eq!(write_missing(dir.path(), &mut known, &none, &stopping).unwrap(), 0);
        assert_eq!(known.0.len() as u64, all);
        let directory = Directory::new(dir.path(), Arc::new(StdFileSystem));
        let segments = directory.segments().unwrap();
        assert!(segments.iter().all(|segment| known.has(dir.path(), segment)));
        // Torn, removed, replaced by something of the same length: each is seen.
        let sidecar = |at: usize| dir.path().join(segments[at].name.companion("idx"));
        let bytes = std::fs::read(sidecar(0)).unwrap();
        std::fs::write(sidecar(0), &bytes[..bytes.len() / 2]).unwrap();
        std::fs::remove_file(sidecar(1)).unwrap();
        let len = std::fs::metadata(sidecar(2)).unwrap().len();
        std::fs::write(sidecar(2), vec![0; len as usize]).unwrap();
        let later = SystemTime::now() + Duration::from_secs(5);
        let file = std::fs::File::options().write(true).open(sidecar(2)).unwrap();
        file.set_modified(later).unwrap();
        let changed = segments.iter().filter(|segment| !known.has(dir.path(), segment)).count();
        assert_eq!(changed, 3);
        assert_eq!(write_missing(dir.path(), &mut known, &none, &stopping).unwrap(), 3);
        assert_eq!(std::fs::read(sidecar(0)).unwrap(), bytes);
        assert_eq!(write_missing(dir.path(), &mut known, &none, &stopping).unwrap(), 0);
    }
}
