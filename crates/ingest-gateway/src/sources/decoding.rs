//! Who decodes much at once takes a turn for it, so that one thread of the runtime is always free for
//! whoever has little: a flood on one source keeps nobody else's bytes in the kernel.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

/// What is decoded so quickly that it needs no turn, in bytes.
const LITTLE: usize = 16 << 10;

/// The turns of all sources: one fewer than the runtime has threads, and yet one fewer while several
/// sources have something, so that a core is left, too. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Decoding {
    turns: Arc<Semaphore>,
    in_company: Arc<Semaphore>,
}

/// A turn; it ends with its drop.
#[derive(Debug)]
pub(crate) struct Turn<'d> {
    _in_company: Option<SemaphorePermit<'d>>,
    _turn: SemaphorePermit<'d>,
}

impl Decoding {
    /// For the runtime that it is called on.
    pub(crate) fn of_this_runtime() -> Self {
        let threads = tokio::runtime::Handle::current().metrics().num_workers();
        let turns = |less| Arc::new(Semaphore::new(threads.saturating_sub(less).max(1)));
        Self { turns: turns(1), in_company: turns(2) }
    }

    /// Waits until this many bytes may be decoded, in the order of those who ask. `company`: other
    /// sources have something as well. `None`: they are few.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    pub(crate) async fn turn(&self, bytes: usize, company: bool) -> Option<Turn<'_>> {
        if bytes <= LITTLE {
            return None;
        }
        // They are never closed. Who has one of the first kind waits for no more than one of the
        // second, and who has that waits for nobody.
        let turn = self.turns.acquire().await.ok()?;
        let in_company = match company {
            true => Some(self.in_company.acquire().await.ok()?),
            false => None,
        };
        Some(Turn { _in_company: in_company, _turn: turn })
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
        let first = decoding.turn(LITTLE + 1, false).await;
        let second = decoding.turn(1 << 20, false).await;
        assert!(first.is_some() && second.is_some());
        let mut third = pin!(decoding.turn(1 << 20, false));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(third.as_mut().poll(&mut cx).is_pending());
        assert!(decoding.turn(LITTLE, true).await.is_none(), "it needs none");
        drop(first);
        assert!(third.as_mut().poll(&mut cx).is_ready());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn in_company_a_core_is_left_too() {
        let decoding = Decoding::of_this_runtime();
        let first = decoding.turn(1 << 20, true).await;
        let mut second = pin!(decoding.turn(1 << 20, true));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        drop(first);
        assert!(second.as_mut().poll(&mut cx).is_ready());
    }

    #[tokio::test]
    async fn a_single_thread_has_a_turn_too() {
        let decoding = Decoding::of_this_runtime();
        assert!(decoding.turn(1 << 20, false).await.is_some());
        assert!(decoding.turn(1 << 20, true).await.is_some());
    }
}
