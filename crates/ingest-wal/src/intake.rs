//! The hand-over: records get their places among those of their source, and go to the log thread in
//! the order of these.

use std::ops::Range;
use std::sync::PoisonError;

use crossbeam_channel::Sender;

use crate::Lsn;
use crate::error::RefusedError;
use crate::lane::Lane;
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
/// the order of the places.
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

    /// One after the last number that will be given to what was handed over.
    pub(crate) fn next(&self) -> Lsn {
        self.lock().next
    }

    /// Gives a message of `count` entries its place in its lane and hands it over.
    pub(crate) fn hand_over<M>(
        &self,
        lane: &Lane,
        count: u16,
        message: impl FnOnce(Range<u64>) -> M,
    ) -> Result<Range<u64>, RefusedError>
    where
        S: Sink<M>,
    {
        let mut state = self.lock();
        if state.closed {
            return Err(RefusedError::Closed);
        }
        let place = lane.place(count);
        state.next = state.next.saturating_add(u64::from(count));
        if planted(Misstep::NumberedApart) {
            drop(state);
            state = self.lock();
        }
        if state.sink.put(message(place.clone())) { Ok(place) } else { Err(RefusedError::Closed) }
    }

    /// Hands a message over that has no entries.
    pub(crate) fn pass<M>(&self, message: M) -> Result<(), RefusedError>
    where
        S: Sink<M>,
    {
        let state = self.lock();
        let taken = !state.closed && state.sink.put(message);
        taken.then_some(()).ok_or(RefusedError::Closed)
    }

    /// Hands the last message over: from here on nothing is taken. Says whether it was the first
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
