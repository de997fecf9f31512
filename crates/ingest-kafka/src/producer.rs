//! Sending records, and knowing that they are there.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer as _, ThreadedProducer};
use tokio::time::timeout;

use crate::context::{Sending, SendingContext};
use crate::delivery::Deliveries;
use crate::error::{Error, ErrorKind};
use crate::options::ProducerOptions;
use crate::record::{Headers, Record};
use crate::settings::Settings;

/// How long room that nobody told of stays unused.
const AGAIN: Duration = Duration::from_millis(5);

type Native = ThreadedProducer<SendingContext, NoCustomPartitioner>;

/// A producer. Clones share it.
///
/// It connects when it likes, and again whenever a connection breaks; what is in its queue is kept
/// meanwhile, in its order, for as long as [`ProducerOptions::delivery_timeout`] says. When the last
/// clone goes, what has no answer is given up: it may arrive all the same.
#[derive(Clone)]
pub struct Producer(Arc<Inner>);

struct Inner {
    /// There until it is dropped, which blocks.
    native: Option<Native>,
    context: Arc<Sending>,
}

/// Somebody who waits for room, for as long as this is there.
struct Waiting<'a>(&'a Sending);

impl<'a> Waiting<'a> {
    fn new(context: &'a Sending) -> Self {
        context.waiting.fetch_add(1, Ordering::AcqRel);
        Self(context)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("context", &self.0.context).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(native) = self.native.take() {
            end(native);
        }
    }
}

/// Ends a client on a thread of its own.
pub(crate) fn end<T: Send + 'static>(client: T) {
    let ended = std::thread::Builder::new().name("kafka-end".to_owned()).spawn(|| drop(client));
    // Without a thread it has ended here: the closure was dropped.
    drop(ended);
}

impl Producer {
    /// A producer with these settings. It waits for no broker.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`].
    pub fn new(settings: &Settings, options: &ProducerOptions) -> Result<Self, Error> {
        let context = SendingContext::default();
        let mut config = settings.config();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", options.compression.name())
            .set("linger.ms", millis(options.linger))
            .set("delivery.timeout.ms", millis(options.delivery_timeout))
            .set("queue.buffering.max.messages", options.queue_records.to_string())
            .set("queue.buffering.max.kbytes", (options.queue_bytes >> 10).max(1).to_string());
        let shared = Arc::clone(&context.0);
        let native = config.create_with_context(context).map_err(|error| Error::native(&error))?;
        Ok(Self(Arc::new(Inner { native: Some(native), context: shared })))
    }

    /// Waits until a broker has answered.
    ///
    /// # Errors
    /// Why none has within this time; [`ErrorKind::Connection`] unless more is known.
    ///
    /// # Cancel safety
    /// Nothing is left behind but a thread that ends within this time.
    pub async fn connected(&self, within: Duration) -> Result<(), Error> {
        let asking = self.clone();
        let asked = tokio::task::spawn_blocking(move || asking.answered(within));
        asked.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Fatal, "the client has ended")))
    }

    /// As [`connected`](Self::connected), on this thread.
    ///
    /// # Errors
    /// As there.
    pub fn answered(&self, within: Duration) -> Result<(), Error> {
        let native = self.0.native.as_ref();
        match native.and_then(|native| native.client().fetch_cluster_id(within)) {
            Some(_) => Ok(()),
            None => Err(self
                .trouble()
                .unwrap_or_else(|| Error::new(ErrorKind::Connection, "no broker answers"))),
        }
    }

    /// Puts a record into the queue, and waits for room there. What becomes of it is said under
    /// `deliveries`. Records of one key, sent one after the other, arrive in that order.
    ///
    /// # Errors
    /// It is not in the queue: [`ErrorKind::TooLarge`], [`ErrorKind::Topic`], [`ErrorKind::Fatal`].
    ///
    /// # Cancel safety
    /// A record whose future is dropped was not sent.
    pub async fn send(&self, mut record: Record<'_>, deliveries: &Deliveries) -> Result<(), Error> {
        match self.try_send(&mut record, deliveries) {
            Err(error) if error.kind() == ErrorKind::Full => {}
            sent => return sent,
        }
        let _waiting = Waiting::new(&self.0.context);
        loop {
            let mut room = pin!(self.0.context.room.notified());
            room.as_mut().enable();
            match self.try_send(&mut record, deliveries) {
                Err(error) if error.kind() == ErrorKind::Full => {}
                sent => return sent,
            }
            // The client makes room behind its answers, so that the last of these may come before
            // there is any, and no other after it.
            let _ = timeout(AGAIN, room).await;
        }
    }

    /// As [`send`](Self::send), without waiting. Takes the headers of a record that it puts into the
    /// queue.
    ///
    /// # Errors
    /// As there, and [`ErrorKind::Full`]; the record is as it was then.
    pub fn try_send(&self, record: &mut Record<'_>, deliveries: &Deliveries) -> Result<(), Error> {
        let Some(native) = &self.0.native else {
            return Err(Error::new(ErrorKind::Fatal, "the producer has ended"));
        };
        let native_record = BaseRecord {
            topic: record.topic,
            partition: None,
            payload: record.value,
            key: record.key,
            timestamp: record.timestamp.filter(|at| *at > 0),
            headers: record.headers.take().and_then(Headers::into_native),
            delivery_opaque: Arc::clone(&deliveries.pending),
        };
        match native.send(native_record) {
            Ok(()) => {
                deliveries.one_more();
                Ok(())
            }
            Err((error, back)) => {
                record.headers = back.headers.map(Headers::from_native);
                Err(self.fatal().unwrap_or_else(|| Error::native(&error)))
            }
        }
    }

    /// Why it cannot go on, if so: another has to take its place.
    #[must_use]
    pub fn fatal(&self) -> Option<Error> {
        self.0.context.fatal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest trouble that it had with brokers, which may be over.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        self.fatal().or_else(|| self.0.context.troubles.last())
    }

    /// Ends it and waits until it has ended, if this is the last clone: what has no answer is given up,
    /// and none of it is sent later.
    ///
    /// # Cancel safety
    /// It ends all the same.
    pub async fn close(self) {
        let Some(mut inner) = Arc::into_inner(self.0) else { return };
        if let Some(native) = inner.native.take() {
            // An end that panics is an end.
            let _ = tokio::task::spawn_blocking(move || drop(native)).await;
        }
    }
}

pub(crate) fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}
