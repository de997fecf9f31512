//! The hand-over: records get their numbers and go to the log thread in the order of these.

use std::ops::Range;
use std::sync::PoisonError;

use crossbeam_channel::Sender;

use crate::Lsn;
use crate::error::Refused;
use crate::sync::{Misstep, Mutex, MutexGuard, planted};

/// Where what is handed over goes. Never blocks.
pub(crate) trait Sink<M> {
    /// Whether it was taken: not when nobody is there any more.
    fn put(&self, message: M) -> bool;
}

impl<M> Sink<M> for Sender<M> {
    fn put(&self, message: M) -> bool {
        self.send(message).is_ok()
    }
}

/// What all producers share. Its lock is held for a hand-over only, so that the order of the sink is
/// the order of the numbers.
#[derive(Debug)]
pub(crate) struct Intake<S> {
    state: Mutex<State<S>>,
}

#[derive(Debug)]
struct State<S> {
    next: Lsn,
    closed: bool,
    sink: S,
}

impl<S> Intake<S> {
    pub(crate) fn new(next: Lsn, sink: S) -> Self {
        Self { state: Mutex::new(State { next, closed: false, sink }) }
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next number to be given.
    pub(crate) fn next(&self) -> Lsn {
        self.lock().next
    }

    /// Gives `count` numbers to a message and hands it over.
    pub(crate) fn number<M>(
        &self,
        count: u16,
        message: impl FnOnce(Lsn) -> M,
    ) -> Result<Range<Lsn>, Refused>
    where
        S: Sink<M>,
    {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        let first = state.next;
        let end = first.saturating_add(u64::from(count));
        state.next = end;
        if planted(Misstep::NumberedApart) {
            drop(state);
            state = self.lock();
        }
        if state.sink.put(message(first)) { Ok(first..end) } else { Err(Refused::Closed) }
    }

    /// Hands a message over that needs no number.
    pub(crate) fn pass<M>(&self, message: M)
    where
        S: Sink<M>,
    {
        self.lock().sink.put(message);
    }

    /// Hands the last message over: from here on nothing is numbered. Says whether it was the first
    /// to do so.
    pub(crate) fn close<M>(&self, message: M) -> bool
    where
        S: Sink<M>,
    {
        let mut state = self.lock();
        if !state.closed {
            state.closed = true;
            state.sink.put(message);
            return true;
        }
        false
    }
}
