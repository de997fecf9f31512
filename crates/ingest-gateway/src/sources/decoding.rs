//! Who decodes much at once takes a turn for it, so that one thread of the runtime is always free for
//! whoever has little: a flood on one source keeps nobody else's bytes in the kernel.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

/// What is decoded so quickly that it needs no turn, in bytes.
const LITTLE: usize = 16 << 10;

/// The turns of all sources: one fewer than the runtime has threads. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Decoding {
    turns: Arc<Semaphore>,
}

impl Decoding {
    /// For the runtime that it is called on.
    pub(crate) fn of_this_runtime() -> Self {
        let threads = tokio::runtime::Handle::current().metrics().num_workers();
        Self { turns: Arc::new(Semaphore::new(threads.saturating_sub(1).max(1))) }
    }

    /// Waits until this many bytes may be decoded, in the order of those who ask. The turn ends with
    /// its drop. `None`: they are few.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    pub(crate) async fn turn(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        if bytes <= LITTLE {
            return None;
        }
        // They are never closed.
        self.turns.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Waker};

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn one_thread_is_left_for_those_who_have_little() {
        let decoding = Decoding::of_this_runtime();
        let (first, second) = (decoding.turn(LITTLE + 1).await, decoding.turn(1 << 20).await);
        assert!(first.is_some() && second.is_some());
        let mut third = pin!(decoding.turn(1 << 20));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(third.as_mut().poll(&mut cx).is_pending());
        assert!(decoding.turn(LITTLE).await.is_none(), "it needs none");
        drop(first);
        assert!(third.as_mut().poll(&mut cx).is_ready());
    }

    #[tokio::test]
    async fn a_single_thread_has_a_turn_too() {
        assert!(Decoding::of_this_runtime().turn(1 << 20).await.is_some());
    }
}
