//! What the permits, the waker queue and the hand-over are built from: `std`'s, or with `--cfg loom`
//! that of a checker which runs every order of threads (`loom.rs`).

#[cfg(not(all(loom, test)))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64};
#[cfg(not(all(loom, test)))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(all(loom, test))]
pub(crate) use loom::future::block_on;
#[cfg(all(loom, test))]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64};
#[cfg(all(loom, test))]
pub(crate) use loom::sync::{Mutex, MutexGuard};

#[cfg(not(all(loom, test)))]
pub(crate) use crate::block_on::block_on;

/// Faults in the order of steps, each of which the checker has to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misstep {
    /// Whoever waits does not look again once it holds the lock: an advance in between is missed.
    LookedOnce,
    /// A request that is dropped keeps the bytes that it was granted meanwhile.
    GrantKept,
    /// Places are given under one lock and handed over under the next.
    NumberedApart,
    /// Who begins a lane after a refusal is not told of it.
    RefusedBefore,
}

#[cfg(all(loom, test))]
impl Misstep {
    pub(crate) const ALL: [Self; 4] =
        [Self::LookedOnce, Self::GrantKept, Self::NumberedApart, Self::RefusedBefore];
}

/// Whether this fault is planted now: never, but in the checker's own tests.
#[cfg(not(all(loom, test)))]
pub(crate) const fn planted(_: Misstep) -> bool {
    false
}

#[cfg(all(loom, test))]
std::thread_local! {
    static PLANTED: std::cell::Cell<Option<Misstep>> = const { std::cell::Cell::new(None) };
}

#[cfg(all(loom, test))]
pub(crate) fn planted(misstep: Misstep) -> bool {
    PLANTED.get() == Some(misstep)
}

/// Plants a fault for this thread; the checker runs all of its threads on it.
#[cfg(all(loom, test))]
pub(crate) fn plant(misstep: Option<Misstep>) {
    PLANTED.set(misstep);
}
