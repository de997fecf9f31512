//! Syncs of segments wait, or fail, as a test says.

use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex};

use super::hooked::{Hooks, is_named};

/// What becomes of syncs.
#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// Syncs that wait.
    waiting: usize,
    /// Every so many fails; 0: none.
    fail_every: u64,
    syncs: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<State>, Condvar);

impl Gate {
    /// Lets no sync pass, or lets them all.
    pub(crate) fn close(&self, closed: bool) {
        self.0.lock().unwrap().closed = closed;
        self.1.notify_all();
    }

    pub(crate) fn fail_every(&self, syncs: u64) {
        self.0.lock().unwrap().fail_every = syncs;
    }

    /// Waits until a sync waits.
    pub(crate) fn until_one_waits(&self) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |state| state.waiting == 0).unwrap());
    }
}

impl Hooks for Gate {
    fn before_sync(&self, path: &Path) -> io::Result<()> {
        if !is_named(path, "seg-") {
            return Ok(());
        }
        let mut state = self.0.lock().unwrap();
        state.waiting += 1;
        self.1.notify_all();
        state = self.1.wait_while(state, |state| state.closed).unwrap();
        state.waiting -= 1;
        state.syncs += 1;
        if state.fail_every > 0 && state.syncs.is_multiple_of(state.fail_every) {
            return Err(io::Error::other("planted"));
        }
        Ok(())
    }
}
