//! The first generation without async: the channels that the Go library has.

use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded, unbounded};
use tokio::runtime::Runtime;

use super::item::{Item, Reason};
use super::{ClientError, Closer, Consumer, Recent};
use crate::legacy::LogMessage;

/// How many messages wait in the channel, beside those of the stream behind it.
const WAITING: usize = 1024;

/// A [`Consumer`] with a runtime of its own.
#[derive(Debug, Clone)]
pub struct BlockingConsumer {
    consumer: Consumer,
    runtime: Arc<Runtime>,
}

/// A stream as channels.
#[derive(Debug)]
pub struct Tail {
    /// The messages; the channel ends with the stream.
    pub messages: Receiver<LogMessage>,
    /// Why the stream ended, once it has.
    pub errors: Receiver<Reason>,
    /// Closes the stream.
    pub closer: Closer,
    runtime: Arc<Runtime>,
}

impl Tail {
    /// Closes the stream; messages that were decoded still come.
    ///
    /// # Errors
    /// [`ClientError::NotConnected`] if it is over already.
    pub fn close(&self) -> Result<(), ClientError> {
        // The runtime has to outlive the stream.
        let _runtime = &self.runtime;
        self.closer.close()
    }
}

impl BlockingConsumer {
    /// Around a consumer. Must not be used, nor dropped, inside of an async task.
    ///
    /// # Errors
    /// [`ClientError::NotConnected`] if the system gives no thread.
    pub fn new(consumer: Consumer) -> Result<Self, ClientError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|_| ClientError::NotConnected)?;
        Ok(Self { consumer, runtime: Arc::new(runtime) })
    }

    /// Messages as they come: [`Consumer::tail`]. A receiver that is not read stops the reading of
    /// the socket; one that is dropped closes it.
    ///
    /// # Errors
    /// [`ClientError`] if there is no connection.
    pub fn tail(&self, app: &str, token: &str) -> Result<Tail, ClientError> {
        let mut stream = self.runtime.block_on(self.consumer.tail(app, token))?;
        let closer = stream.closer();
        let (messages_in, messages) = bounded(WAITING);
        let (errors_in, errors) = unbounded();
        let runtime = Arc::clone(&self.runtime);
        let handle = self.runtime.handle().clone();
        std::thread::spawn(move || {
            while let Some(item) = handle.block_on(stream.next()) {
                let sent = match item {
                    Item::Message(message) => messages_in.send(message).is_ok(),
                    Item::Ended(reason) => {
                        // Nobody may want to know.
                        let _ = errors_in.send(reason);
                        true
                    }
                    _ => true,
                };
                if !sent {
                    break;
                }
            }
        });
        Ok(Tail { messages, errors, closer, runtime })
    }

    /// The messages that the server has kept: [`Consumer::recent`].
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer, or another than messages.
    pub fn recent(&self, app: &str, token: &str) -> Result<Recent, ClientError> {
        self.runtime.block_on(self.consumer.recent(app, token))
    }
}
