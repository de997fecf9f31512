//! Between the task that reads a socket and whoever takes the messages: bounded, many at a time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use std::future::poll_fn;

/// What happens when messages come faster than they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// The socket is not read: the server finds us slow, and drops or closes.
    #[default]
    Block,
    /// The oldest messages are dropped; how many is an item of the stream.
    DropOldest,
}

/// What can wait in a queue.
pub(crate) trait Queued {
    /// Whether it may be dropped, and is counted then. What is not is kept whatever happens.
    fn can_be_dropped(&self) -> bool;
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    dropped: u64,
    /// The sender is gone.
    done: bool,
    /// The receiver is gone, or wants no more.
    gone: bool,
    receiver: Option<Waker>,
    sender: Option<Waker>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    when_full: WhenFull,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The task's end.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Shared<T>>);

/// The user's end.
#[derive(Debug)]
pub(crate) struct Receiver<T> {
    shared: Arc<Shared<T>>,
    taken: VecDeque<T>,
}

/// A queue of `capacity` items.
pub(crate) fn queue<T>(capacity: usize, when_full: WhenFull) -> (Sender<T>, Receiver<T>) {
    let state = State {
        items: VecDeque::new(),
        dropped: 0,
        done: false,
        gone: false,
        receiver: None,
        sender: None,
    };
    let shared =
        Arc::new(Shared { state: Mutex::new(state), capacity: capacity.max(1), when_full });
    (Sender(Arc::clone(&shared)), Receiver { shared, taken: VecDeque::new() })
}

/// Nobody takes the items any more.
#[derive(Debug)]
pub(crate) struct Gone;

impl<T: Queued> Sender<T> {
    /// Hands over all of `batch`, waiting for room if need be. What was not handed over when the
    /// future is dropped is still in `batch`.
    pub(crate) async fn send(&self, batch: &mut VecDeque<T>) -> Result<(), Gone> {
        poll_fn(|cx| self.poll_send(batch, cx)).await
    }

    fn poll_send(&self, batch: &mut VecDeque<T>, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let mut state = self.0.lock();
        if state.gone {
            return Poll::Ready(Err(Gone));
        }
        match self.0.when_full {
            WhenFull::Block => {
                let room = self.0.capacity.saturating_sub(state.items.len()).min(batch.len());
                if state.items.is_empty() && room == batch.len() {
                    std::mem::swap(&mut state.items, batch);
                } else {
                    state.items.extend(batch.drain(..room));
                }
            }
            WhenFull::DropOldest => {
                state.items.append(batch);
                let over = state.items.len().saturating_sub(self.0.capacity);
                let dropped = drop_oldest(&mut state.items, over);
                state.dropped += dropped as u64;
            }
        }
        let receiver = state.receiver.take();
        if !batch.is_empty() {
            state.sender = Some(cx.waker().clone());
        }
        drop(state);
        wake(receiver);
        if batch.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

/// Drops so many items from the front, as far as they can be dropped, and says how many were.
fn drop_oldest<T: Queued>(items: &mut VecDeque<T>, over: usize) -> usize {
    if items.iter().take(over).all(Queued::can_be_dropped) {
        items.drain(..over);
        return over;
    }
    let mut left = over;
    items.retain(|item| {
        let stays = left == 0 || !item.can_be_dropped();
        left -= usize::from(!stays);
        stays
    });
    over - left
}

impl<T> Sender<T> {
    /// Until nobody takes the items any more.
    pub(crate) async fn gone(&self) {
        poll_fn(|cx| {
            let mut state = self.0.lock();
            if state.gone {
                return Poll::Ready(());
            }
            state.sender = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.done = true;
        let receiver = state.receiver.take();
        drop(state);
        wake(receiver);
    }
}

/// What comes of the queue.
pub(crate) enum Taken<T> {
    Item(T),
    /// So many were dropped before the next item.
    Dropped(u64),
}

impl<T> Receiver<T> {
    /// The next item; none when the sender is gone and all were taken.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Taken<T>>> {
        if let Some(item) = self.taken.pop_front() {
            return Poll::Ready(Some(Taken::Item(item)));
        }
        let mut state = self.shared.lock();
        if state.dropped > 0 {
            return Poll::Ready(Some(Taken::Dropped(std::mem::take(&mut state.dropped))));
        }
        if state.items.is_empty() {
            if state.done {
                return Poll::Ready(None);
            }
            state.receiver = Some(cx.waker().clone());
            return Poll::Pending;
        }
        std::mem::swap(&mut state.items, &mut self.taken);
        let sender = state.sender.take();
        drop(state);
        wake(sender);
        Poll::Ready(self.taken.pop_front().map(Taken::Item))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.gone = true;
        let sender = state.sender.take();
        drop(state);
        wake(sender);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    impl Queued for u32 {
        fn can_be_dropped(&self) -> bool {
            *self < 100
        }
    }

    fn take(receiver: &mut Receiver<u32>) -> Vec<String> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut taken = Vec::new();
        while let Poll::Ready(Some(next)) = receiver.poll(&mut cx) {
            taken.push(match next {
                Taken::Item(item) => item.to_string(),
                Taken::Dropped(count) => format!("-{count}"),
            });
        }
        taken
    }

    fn offer(sender: &Sender<u32>, batch: &mut VecDeque<u32>) -> bool {
        sender.poll_send(batch, &mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_full_queue_blocks() {
        let (sender, mut receiver) = queue(3, WhenFull::Block);
        let mut batch = (0..5).collect();
        assert!(!offer(&sender, &mut batch));
        assert_eq!(batch, [3, 4]);
        assert_eq!(take(&mut receiver), ["0", "1", "2"]);
        assert!(offer(&sender, &mut batch));
        drop(sender);
        assert_eq!(take(&mut receiver), ["3", "4"]);
    }

    #[test]
    fn or_drops_the_oldest_and_says_so() {
        let (sender, mut receiver) = queue(3, WhenFull::DropOldest);
        assert!(offer(&sender, &mut (0..5).collect()));
        assert!(offer(&sender, &mut [5].into()));
        assert_eq!(take(&mut receiver), ["-3", "3", "4", "5"]);
        // What tells of the stream stays, in its place.
        assert!(offer(&sender, &mut [1, 100, 2, 101, 3, 4, 5].into()));
        assert_eq!(take(&mut receiver), ["-4", "100", "101", "5"]);
        drop(receiver);
        assert!(matches!(
            sender.poll_send(&mut [1].into(), &mut Context::from_waker(Waker::noop())),
            Poll::Ready(Err(Gone))
        ));
    }
}
