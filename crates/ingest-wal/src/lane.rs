//! What one source has handed over: its records, counted in their own order, and how far these have
//! come.
//!
//! A record gets its LSNs from the log thread, when that takes it into a group, so that it need not
//! stand behind all that others handed over before it. Until then, and for whoever waits, an entry is
//! known by its place in its source's own order, which is the order of its LSNs too.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use crate::error::RefusedError;
use crate::progress::{Progress, Reached};
use crate::sync::{AtomicU64, Misstep, Mutex, MutexGuard, block_on, planted};

/// The entries of one source, in the order in which they were handed over; the first is number 1.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The next one's number. Moved under the lock of the hand-over.
    next: AtomicU64,
    pub(crate) written: Arc<Progress>,
    pub(crate) synced: Arc<Progress>,
}

impl Lane {
    pub(crate) fn new(refused: Option<RefusedError>) -> Self {
        let progress = || {
            let progress = Progress::new(1);
            if refused.is_some() {
                progress.refuse(refused.clone());
            }
            Arc::new(progress)
        };
        Self { next: AtomicU64::new(1), written: progress(), synced: progress() }
    }

    /// Gives `count` entries their places. Only for the hand-over, under its lock.
    pub(crate) fn place(&self, count: u16) -> Range<u64> {
        let first = self.next.load(Ordering::Relaxed);
        let end = first.saturating_add(u64::from(count));
        self.next.store(end, Ordering::Release);
        first..end
    }

    /// One after the last entry that was handed over.
    fn end(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }
}

/// All lanes, by the number of their source.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<u16, Arc<Lane>>,
    refused: Option<RefusedError>,
}

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lane of this source, made now if it is the first time that it hands something over.
    pub(crate) fn of(&self, source: u16) -> Arc<Lane> {
        let mut state = self.lock();
        if let Some(lane) = state.lanes.get(&source) {
            return Arc::clone(lane);
        }
        let refused = state.refused.clone().filter(|_| !planted(Misstep::RefusedBefore));
        let lane = Arc::new(Lane::new(refused));
        state.lanes.insert(source, Arc::clone(&lane));
        lane
    }

    /// From now on waiting fails with this error (`None`: it works again), in lanes that begin later
    /// as well. Only the log thread says so.
    pub(crate) fn refuse(&self, refused: Option<&RefusedError>) {
        let lanes: Vec<_> = {
            let mut state = self.lock();
            state.refused = refused.cloned();
            state.lanes.values().cloned().collect()
        };
        // Nobody is woken under the lock.
        for lane in lanes {
            lane.written.refuse(refused.cloned());
            lane.synced.refuse(refused.cloned());
        }
    }

    /// Waits for all that was handed over up to now.
    pub(crate) fn all_synced(&self) -> AllReached {
        let state = self.lock();
        let left = state.lanes.values().map(|lane| {
            let end = lane.end();
            Reached::new(Arc::clone(&lane.synced), end..end)
        });
        AllReached { left: left.collect() }
    }
}

/// Waits until everything that was handed over before is durable, whoever handed it over. What was
/// dropped because the log was full does not keep it.
///
/// # Cancel safety
/// Dropping it forgets the wait and changes nothing else.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct AllReached {
    left: Vec<Reached>,
}

impl AllReached {
    /// Blocks the thread until it is so.
    ///
    /// # Errors
    /// [`RefusedError`] when the log failed or was closed before.
    pub fn wait(self) -> Result<(), RefusedError> {
        block_on(self)
    }
}

impl Future for AllReached {
    type Output = Result<(), RefusedError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        while let Some(reached) = self.left.last_mut() {
            match Pin::new(reached).poll(cx) {
                Poll::Ready(Ok(())) => drop(self.left.pop()),
                other => return other,
            }
        }
        Poll::Ready(Ok(()))
    }
}
