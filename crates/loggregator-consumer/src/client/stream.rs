//! A stream of messages, and the task behind it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::watch;

use super::item::Item;
use super::queue::{Gone, Receiver, Sender, Taken, WhenFull, queue};

/// Messages of a server as they come. Dropping it closes the connection.
///
/// A task answers pings and keeps the connection; it needs a tokio runtime with time and I/O.
#[derive(Debug)]
pub struct Messages<M> {
    receiver: Receiver<Item<M>>,
    close: watch::Sender<bool>,
}

/// The task's side.
#[derive(Debug)]
pub(crate) struct Outlet<M> {
    sender: Sender<Item<M>>,
    close: watch::Receiver<bool>,
    pub(crate) batch: VecDeque<Item<M>>,
}

pub(crate) fn messages<M>(capacity: usize, when_full: WhenFull) -> (Outlet<M>, Messages<M>) {
    let (sender, receiver) = queue(capacity, when_full);
    let (close, closing) = watch::channel(false);
    let outlet = Outlet { sender, close: closing, batch: VecDeque::new() };
    (outlet, Messages { receiver, close })
}

impl<M> Messages<M> {
    /// The next item; none once the stream is over.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Item<M>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    /// The next item, if there is one already.
    pub fn ready(&mut self) -> Option<Item<M>> {
        match self.poll_item(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(item) => item,
            Poll::Pending => None,
        }
    }

    /// The next message, past everything else; none once the stream is over.
    ///
    /// # Cancel safety
    /// No message is lost if the future is dropped.
    pub async fn message(&mut self) -> Option<M> {
        loop {
            if let Item::Message(message) = self.next().await? {
                return Some(message);
            }
        }
    }

    /// Begins to close. What was decoded still comes, then the end.
    pub fn close(&self) {
        // Without a task it is closed already.
        let _ = self.close.send(true);
    }

    /// What closes this stream from elsewhere.
    #[must_use]
    pub fn closer(&self) -> Closer {
        Closer(self.close.clone())
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item<M>>> {
        self.receiver.poll(cx).map(|taken| {
            taken.map(|taken| match taken {
                Taken::Item(item) => item,
                Taken::Dropped(count) => Item::Dropped(count),
            })
        })
    }
}

impl<M> Stream for Messages<M> {
    type Item = Item<M>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item<M>>> {
        self.poll_item(cx)
    }
}

impl<M> Unpin for Messages<M> {}

/// Closes a stream.
#[derive(Debug, Clone)]
pub struct Closer(watch::Sender<bool>);

impl Closer {
    /// Begins to close. What was decoded still comes, then the end.
    ///
    /// # Errors
    /// [`super::ClientError::NotConnected`] if the stream is over already.
    pub fn close(&self) -> Result<(), super::ClientError> {
        self.0.send(true).map_err(|_| super::ClientError::NotConnected)
    }
}

impl<M> Outlet<M> {
    /// Hands over what has gathered, waiting for room if need be.
    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.sender.send(&mut self.batch).await
    }

    pub(crate) async fn give(&mut self, item: Item<M>) -> Result<(), Gone> {
        self.batch.push_back(item);
        self.flush().await
    }

    /// Until it is to be closed; also when nobody takes the messages any more.
    pub(crate) async fn closed(&mut self) {
        let Self { sender, close, .. } = self;
        tokio::select! {
            _ = close.wait_for(|close| *close) => {}
            () = sender.gone() => {}
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.close.borrow()
    }
}
