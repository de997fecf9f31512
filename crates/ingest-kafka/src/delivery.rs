//! What became of records.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::error::Error;

/// What became of the records that were sent together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// All brokers in sync have them.
    pub confirmed: u64,
    /// They are at fault themselves, and will never be stored.
    pub refused: u64,
    /// Why the first of those was.
    pub refusal: Option<Error>,
    /// They may be stored or not.
    pub failed: u64,
    /// Why the first of those may not.
    pub failure: Option<Error>,
}

/// Records that are waited for together. Each [`Producer::send`](crate::Producer::send) names one of
/// these.
#[derive(Debug)]
pub struct Deliveries {
    pub(crate) pending: Arc<Pending>,
    /// Records that went into the queue.
    sent: AtomicU64,
    closed: bool,
}

/// What the thread that hears the answers has to touch: once for each record.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Less one for each answer; it comes to 0 with the last, once it is known how many there are.
    left: AtomicU64,
    bad: Mutex<Outcome>,
    done: Notify,
}

/// What is left while more may be sent: more than anybody sends.
const OPEN: u64 = 1 << 62;

impl Default for Deliveries {
    fn default() -> Self {
        Self::new()
    }
}

impl Deliveries {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        let pending =
            Pending { left: AtomicU64::new(OPEN), bad: Mutex::default(), done: Notify::new() };
        Self { pending: Arc::new(pending), sent: AtomicU64::new(0), closed: false }
    }

    /// One more is in the queue. Its answer may have come already.
    pub(crate) fn one_more(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until there is an answer for every record: nothing more may be sent under this one.
    ///
    /// # Cancel safety
    /// It can be called again.
    pub async fn done(&mut self) -> Outcome {
        let sent = *self.sent.get_mut();
        if !self.closed {
            self.closed = true;
            self.pending.less(OPEN - sent);
        }
        while self.pending.left.load(Ordering::Acquire) > 0 {
            self.pending.done.notified().await;
        }
        let mut outcome = self.pending.lock().clone();
        outcome.confirmed = sent - outcome.refused - outcome.failed;
        outcome
    }
}

impl Pending {
    fn less(&self, by: u64) {
        if self.left.fetch_sub(by, Ordering::AcqRel) == by {
            // Kept for whoever waits next, if nobody does now.
            self.done.notify_one();
        }
    }

    pub(crate) fn confirm(&self) {
        self.less(1);
    }

    pub(crate) fn fail(&self, error: Error) {
        {
            let mut bad = self.lock();
            if error.kind().is_of_record() {
                bad.refused += 1;
                bad.refusal.get_or_insert(error);
            } else {
                bad.failed += 1;
                bad.failure.get_or_insert(error);
            }
        }
        self.less(1);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Outcome> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[tokio::test]
    async fn every_record_has_one_fate() {
        let mut none = Deliveries::new();
        assert_eq!(none.done().await, Outcome::default());
        assert_eq!(none.done().await, Outcome::default(), "as often as one likes");

        let mut some = Deliveries::new();
        let pending = Arc::clone(&some.pending);
        // An answer may be faster than whoever counts.
        pending.confirm();
        (0..4).for_each(|_| some.one_more());
        let answers = tokio::spawn(async move {
            pending.fail(Error::new(ErrorKind::TooLarge, "large"));
            pending.fail(Error::new(ErrorKind::TimedOut, "late"));
            pending.fail(Error::new(ErrorKind::Connection, "later"));
        });
        let outcome = some.done().await;
        answers.await.unwrap();
        assert_eq!((outcome.confirmed, outcome.refused, outcome.failed), (1, 1, 2));
        assert_eq!(outcome.failure.unwrap().kind(), ErrorKind::TimedOut, "the first");
    }
}
