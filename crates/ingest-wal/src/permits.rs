//! Fair byte permits: memory is bounded before anything is encoded.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::sync::{Misstep, Mutex, MutexGuard, block_on, planted};

/// A pool of bytes. Whoever asks first is served first: a large request is not overtaken by small
/// ones. Clones share the pool.
#[derive(Clone, Debug)]
pub struct Permits {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    capacity: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    available: u64,
    next_id: u64,
    queue: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    need: u64,
    granted: bool,
    waker: Option<Waker>,
}

/// Bytes taken from a pool; dropping it gives them back.
#[derive(Debug)]
#[must_use = "a permit that is dropped gives its bytes back"]
pub struct Permit {
    pool: Arc<Pool>,
    bytes: u64,
}

impl Permits {
    /// A pool of `capacity` bytes.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let state = State { available: capacity, next_id: 0, queue: VecDeque::new() };
        Self { pool: Arc::new(Pool { capacity, state: Mutex::new(state) }) }
    }

    /// Size of the pool in bytes.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.pool.capacity
    }

    /// Bytes that nobody has taken.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.pool.lock().available
    }

    /// Takes `bytes` now, if nobody waits and they are there. A request above the pool's size is
    /// cut to it, so that it is served alone rather than never.
    #[must_use]
    pub fn try_acquire(&self, bytes: u64) -> Option<Permit> {
        let bytes = bytes.min(self.pool.capacity);
        let mut state = self.pool.lock();
        if !state.queue.is_empty() || state.available < bytes {
            return None;
        }
        state.available -= bytes;
        Some(Permit { pool: Arc::clone(&self.pool), bytes })
    }

    /// Takes `bytes` in turn. A request above the pool's size is cut to it.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue, and what was granted meanwhile.
    pub fn acquire(&self, bytes: u64) -> Acquire {
        Acquire { pool: Arc::clone(&self.pool), need: bytes.min(self.pool.capacity), id: None }
    }

    /// Takes `bytes` in turn, blocking the thread.
    pub fn acquire_blocking(&self, bytes: u64) -> Permit {
        block_on(self.acquire(bytes))
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, bytes: u64) {
        let woken = {
            let mut state = self.lock();
            state.available = state.available.saturating_add(bytes);
            state.grant()
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// Serves the queue from its head as far as the bytes go.
    fn grant(&mut self) -> Vec<Waker> {
        let mut woken = Vec::new();
        let mut available = self.available;
        for waiter in self.queue.iter_mut().filter(|waiter| !waiter.granted) {
            if waiter.need > available {
                break;
            }
            available -= waiter.need;
            waiter.granted = true;
            woken.extend(waiter.waker.take());
        }
        self.available = available;
        woken
    }

    fn leave(&mut self, id: u64) -> Option<Waiter> {
        let at = self.queue.iter().position(|waiter| waiter.id == id)?;
        self.queue.remove(at)
    }
}

impl Permit {
    /// How many bytes it stands for.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives back what is above `bytes`, when less was needed than was taken.
    pub fn shrink_to(&mut self, bytes: u64) {
        let surplus = self.bytes.saturating_sub(bytes);
        if surplus > 0 {
            self.bytes -= surplus;
            self.pool.give_back(surplus);
        }
    }

    /// Takes `bytes` out of this permit into one of its own; all of them if it has fewer.
    pub fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { pool: Arc::clone(&self.pool), bytes }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.pool.give_back(self.bytes);
        }
    }
}

/// The future of [`Permits::acquire`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Acquire {
    pool: Arc<Pool>,
    need: u64,
    id: Option<u64>,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        let this = &mut *self;
        let need = this.need;
        let mut state = this.pool.lock();
        match this.id {
            None if state.queue.is_empty() && state.available >= need => {
                state.available -= need;
            }
            None => {
                let id = state.next_id;
                state.next_id += 1;
                let waker = Some(cx.waker().clone());
                state.queue.push_back(Waiter { id, need, granted: false, waker });
                this.id = Some(id);
                return Poll::Pending;
            }
            Some(id) => {
                let waiting = state.queue.iter_mut().find(|waiter| waiter.id == id);
                if let Some(waiter) = waiting.filter(|waiter| !waiter.granted) {
                    waiter.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                state.leave(id);
                this.id = None;
            }
        }
        drop(state);
        Poll::Ready(Permit { pool: Arc::clone(&this.pool), bytes: need })
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let woken = {
            let mut state = self.pool.lock();
            if let Some(waiter) = state.leave(id)
                && waiter.granted
                && !planted(Misstep::GrantKept)
            {
                state.available = state.available.saturating_add(waiter.need);
            }
            // Even one that was not granted may have stood in the way of smaller ones.
            state.grant()
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Wake;

    struct Nobody;
    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    fn poll(acquire: &mut Acquire) -> Poll<Permit> {
        let waker = Waker::from(Arc::new(Nobody));
        Pin::new(acquire).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn bytes_come_back_when_a_permit_is_dropped_or_shrunk() {
        let permits = Permits::new(100);
        let mut permit = permits.try_acquire(80).unwrap();
        assert!(permits.try_acquire(30).is_none());
        permit.shrink_to(50);
        assert_eq!(permits.available(), 50);
        let part = permit.split(20);
        drop(permit);
        assert_eq!(permits.available(), 80);
        drop(part);
        assert_eq!(permits.available(), 100);
    }

    #[test]
    fn a_large_request_is_not_overtaken() {
        let permits = Permits::new(100);
        let held = permits.try_acquire(60).unwrap();
        let mut large = permits.acquire(90);
        let mut small = permits.acquire(10);
        assert!(poll(&mut large).is_pending());
        assert!(poll(&mut small).is_pending());
        assert!(permits.try_acquire(1).is_none(), "a queue is not jumped");
        drop(held);
        let Poll::Ready(first) = poll(&mut large) else { panic!("the head is served") };
        let Poll::Ready(second) = poll(&mut small) else { panic!("then the next") };
        assert_eq!((first.bytes(), second.bytes(), permits.available()), (90, 10, 0));
    }

    #[test]
    fn a_dropped_request_frees_its_place_and_its_grant() {
        let permits = Permits::new(100);
        let held = permits.try_acquire(100).unwrap();
        let mut large = permits.acquire(100);
        let mut small = permits.acquire(10);
        assert!(poll(&mut large).is_pending());
        assert!(poll(&mut small).is_pending());
        drop(held);
        drop(large);
        let Poll::Ready(permit) = poll(&mut small) else { panic!("the next is served") };
        drop(permit);
        assert_eq!(permits.available(), 100);
    }

    #[test]
    fn more_than_the_pool_is_served_alone() {
        let permits = Permits::new(10);
        let permit = permits.acquire_blocking(1_000);
        assert_eq!((permit.bytes(), permits.available()), (10, 0));
    }

    #[test]
    fn threads_share_a_small_pool() {
        let permits = Permits::new(8);
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let permits = permits.clone();
                std::thread::spawn(move || {
                    for _ in 0..200 {
                        drop(permits.acquire_blocking(1 + n));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(permits.available(), 8);
    }
}
