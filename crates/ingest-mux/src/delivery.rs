//! Waiting until entries are on disk, and until they are delivered.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ingest_entry::TagId;
use ingest_wal::{Lsn, RefusedError, Writer};

use crate::block_on::block_on;
use crate::error::FlushError;
use crate::outputs::Outputs;
use crate::shared::Shared;
use crate::sync::lock;

/// What a muxer's outputs have and have not. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) writer: Writer,
    pub(crate) outputs: Outputs,
}

impl Delivery {
    /// Waits until every output that takes one of these tags has settled all of `range`: whether
    /// all of it was delivered.
    pub(crate) async fn delivered(&self, range: Range<Lsn>, tags: &[TagId]) -> bool {
        let mut all = true;
        for output in self.outputs.all().iter() {
            if tags.iter().any(|tag| output.matcher.takes(*tag)) {
                all &= self.settled(output, &range).await;
            }
        }
        all
    }

    /// Waits until an output, or the one that took its place, has settled all of `range`: whether
    /// all of it was delivered.
    async fn settled(&self, output: &Arc<Shared>, range: &Range<Lsn>) -> bool {
        let mut output = Arc::clone(output);
        loop {
            let delivered = output.until_settled(range).await;
            match self.outputs.instead_of(&output) {
                Some(next) if !delivered => output = next,
                _ => return delivered,
            }
        }
    }

    /// Waits until everything that was handed over before is on disk.
    pub(crate) async fn on_disk(&self) -> Result<(), RefusedError> {
        let all = self.writer.all_synced();
        self.writer.sync();
        all.await
    }

    /// Waits until everything that was handed over before is on disk and settled by every output.
    async fn everything(&self) -> Result<(), RefusedError> {
        self.on_disk().await?;
        let end = self.writer.synced_end();
        for output in self.outputs.all().iter() {
            self.settled(output, &(0..end)).await;
        }
        Ok(())
    }

    /// Waits until everything is settled by every output that has a link.
    pub(crate) async fn all_linked(&self) {
        if self.on_disk().await.is_ok() {
            let end = self.writer.synced_end();
            for output in self.outputs.all().iter() {
                if !lock(&output.state).links.is_empty() {
                    output.until_settled(&(0..end)).await;
                }
            }
        }
    }

    pub(crate) async fn flush(&self, within: Duration) -> Result<(), FlushError> {
        let end = self.writer.next();
        let done = tokio::time::timeout(within, self.everything()).await;
        self.judge(end, done.ok())
    }

    pub(crate) fn flush_blocking(&self, within: Duration) -> Result<(), FlushError> {
        let end = self.writer.next();
        let deadline = Instant::now().checked_add(within);
        let done = block_on(self.everything(), deadline);
        self.judge(end, done)
    }

    /// What is missing when a flush has ended; `None`: its time was over. As many LSNs are below
    /// `end` as entries were handed over before.
    fn judge(&self, end: Lsn, done: Option<Result<(), RefusedError>>) -> Result<(), FlushError> {
        let outputs: Vec<_> = self
            .outputs
            .all()
            .iter()
            .filter_map(|output| {
                let left = lock(&output.state).left_below(end);
                (left > 0).then(|| (output.name.clone(), left))
            })
            .collect();
        let on_disk = self.writer.synced_end() >= end;
        match done {
            Some(Ok(())) if outputs.is_empty() && on_disk => Ok(()),
            done => Err(FlushError { on_disk, outputs, refused: done.and_then(Result::err) }),
        }
    }
}
