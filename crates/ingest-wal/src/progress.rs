//! How far the log has come, and who waits for it: one ordered queue of (LSN, waker).

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::RefusedError;
use crate::sync::{AtomicBool, AtomicU64, Misstep, Mutex, MutexGuard, block_on, planted};
use crate::{Lsn, RangeSet};

/// Ranges of dropped LSNs that are told apart. Beyond, the oldest are taken together: somebody who
/// waits that late for something between them is told that it was dropped, and may repeat it.
const MOST_DROPPED: usize = 1024;

/// A watermark with waiters: every LSN below `end` has got there.
#[derive(Debug)]
pub(crate) struct Progress {
    end: AtomicU64,
    /// Something was dropped: looked at before the lock is taken.
    dropped: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    waiters: BTreeMap<(Lsn, u64), Waker>,
    refused: Option<RefusedError>,
    /// LSNs that were dropped in this run.
    dropped: RangeSet,
}

impl Progress {
    pub(crate) fn new(end: Lsn) -> Self {
        Self { end: AtomicU64::new(end), dropped: AtomicBool::new(false), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first LSN that has not got there.
    pub(crate) fn end(&self) -> Lsn {
        self.end.load(Ordering::Acquire)
    }

    /// Moves the watermark up and wakes those who waited for it.
    pub(crate) fn advance(&self, end: Lsn) {
        let woken = {
            let mut state = self.lock();
            if end <= self.end.load(Ordering::Relaxed) {
                return;
            }
            self.end.store(end, Ordering::Release);
            let later = state.waiters.split_off(&(end.saturating_add(1), 0));
            std::mem::replace(&mut state.waiters, later)
        };
        woken.into_values().for_each(Waker::wake);
    }

    /// Moves the watermark over LSNs that were dropped; waiting for one of them fails.
    pub(crate) fn drop_range(&self, range: Range<Lsn>) {
        let end = range.end;
        {
            let mut state = self.lock();
            state.dropped.insert(range);
            state.dropped.merge_oldest(MOST_DROPPED);
            self.dropped.store(true, Ordering::Release);
        }
        self.advance(end);
    }

    /// What is to be said to somebody who waited for these LSNs, which the watermark has passed.
    pub(crate) fn outcome(&self, range: &Range<Lsn>) -> Result<(), RefusedError> {
        if self.dropped.load(Ordering::Acquire)
            && self.lock().dropped.overlapping(range).next().is_some()
        {
            return Err(RefusedError::Dropped);
        }
        Ok(())
    }

    /// From now on waiting fails with this error (`None`: it works again).
    pub(crate) fn refuse(&self, refused: Option<RefusedError>) {
        let woken = {
            let mut state = self.lock();
            let failing = refused.is_some();
            state.refused = refused;
            if failing { std::mem::take(&mut state.waiters) } else { BTreeMap::new() }
        };
        woken.into_values().for_each(Waker::wake);
    }

    pub(crate) fn refused(&self) -> Option<RefusedError> {
        self.lock().refused.clone()
    }
}

/// Waits until every LSN below a given one is durable (or written, by level).
///
/// # Cancel safety
/// Dropping it forgets the wait and changes nothing else.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Reached {
    progress: Arc<Progress>,
    start: Lsn,
    end: Lsn,
    id: Option<u64>,
}

impl Reached {
    pub(crate) fn new(progress: Arc<Progress>, range: Range<Lsn>) -> Self {
        Self { progress, start: range.start, end: range.end, id: None }
    }

    /// Blocks the thread until it is so.
    ///
    /// # Errors
    /// [`RefusedError`] when the log failed or was closed before, or dropped some of it.
    pub fn wait(self) -> Result<(), RefusedError> {
        block_on(self)
    }
}

impl Future for Reached {
    type Output = Result<(), RefusedError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let range = this.start..this.end;
        if this.progress.end() >= this.end {
            return Poll::Ready(this.progress.outcome(&range));
        }
        let mut state = this.progress.lock();
        // Under the lock, so that an advance in between is not missed.
        if this.progress.end() >= this.end && !planted(Misstep::LookedOnce) {
            drop(state);
            return Poll::Ready(this.progress.outcome(&range));
        }
        if let Some(refused) = &state.refused {
            return Poll::Ready(Err(refused.clone()));
        }
        let id = *this.id.get_or_insert_with(|| {
            state.next_id += 1;
            state.next_id
        });
        state.waiters.insert((this.end, id), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.progress.lock().waiters.remove(&(self.end, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_those_who_are_reached_are_woken() {
        let progress = Arc::new(Progress::new(1));
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let mut near = Reached::new(Arc::clone(&progress), 4..5);
        let mut far = Reached::new(Arc::clone(&progress), 5..6);
        assert!(Pin::new(&mut near).poll(&mut cx).is_pending());
        assert!(Pin::new(&mut far).poll(&mut cx).is_pending());
        progress.advance(5);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(Pin::new(&mut near).poll(&mut cx).is_ready());
        assert!(Pin::new(&mut far).poll(&mut cx).is_pending());
        progress.refuse(Some(RefusedError::Closed));
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(Pin::new(&mut far).poll(&mut cx), Poll::Ready(Err(RefusedError::Closed)));
        assert!(Reached::new(progress, 1..3).wait().is_ok(), "what was reached stays reached");
    }

    #[test]
    fn who_waits_for_something_dropped_is_told_so_now_and_later() {
        let progress = Arc::new(Progress::new(1));
        let mut cx = Context::from_waker(Waker::noop());
        let mut early = Reached::new(Arc::clone(&progress), 3..7);
        let mut all = Reached::new(Arc::clone(&progress), 1..10);
        assert!(Pin::new(&mut early).poll(&mut cx).is_pending());
        assert!(Pin::new(&mut all).poll(&mut cx).is_pending());
        progress.advance(5);
        progress.drop_range(5..7);
        assert_eq!(Pin::new(&mut early).poll(&mut cx), Poll::Ready(Err(RefusedError::Dropped)));
        progress.advance(10);
        assert_eq!(Pin::new(&mut all).poll(&mut cx), Poll::Ready(Err(RefusedError::Dropped)));
        let wait = |range| Reached::new(Arc::clone(&progress), range).wait();
        assert_eq!(
            (wait(1..5), wait(6..7), wait(7..10)),
            (Ok(()), Err(RefusedError::Dropped), Ok(()))
        );
    }

    #[test]
    fn a_thread_waits_for_another() {
        let progress = Arc::new(Progress::new(1));
        let waiting = {
            let progress = Arc::clone(&progress);
            std::thread::spawn(move || Reached::new(progress, 2..3).wait())
        };
        progress.advance(2);
        progress.advance(3);
        assert_eq!(waiting.join().unwrap(), Ok(()));
    }
}
