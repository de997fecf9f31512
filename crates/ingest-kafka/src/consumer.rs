//! Reading records as a member of a group.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, MessageStream, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::context::{Receiving, ReceivingContext};
use crate::error::{Error, ErrorKind};
use crate::options::{ConsumerOptions, StartFrom};
use crate::producer::{end, millis};
use crate::settings::Settings;

/// Milliseconds after which the client looks again whether what was read ahead has room for more. Its
/// own default is 1,000, in which whoever takes records has long had all of them.
const FETCH_AGAIN: &str = "10";

type Native = StreamConsumer<ReceivingContext>;

/// A member of a group.
///
/// Partitions are shared cooperatively: what stays with a member is read on while others move. What
/// [`store`](Self::store) was told of is committed every [`ConsumerOptions::commit_interval`], when a
/// partition is given up, and at the end; nothing else is ever committed.
pub struct Consumer {
    /// There until it is dropped, which blocks.
    native: Option<Native>,
    context: Arc<Receiving>,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("context", &self.context).finish_non_exhaustive()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if let Some(native) = self.native.take() {
            end(native);
        }
    }
}

/// How far partitions were read, by topic and number: the offset behind the last record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions(BTreeMap<(Arc<str>, i32), i64>);

impl Positions {
    /// This record was read, and all before it in its partition.
    pub fn read(&mut self, message: &Message<'_>) {
        let (topic, partition) = (message.topic(), message.partition());
        let next = message.offset().saturating_add(1);
        let mut range = self.0.iter_mut();
        // There are few, and mostly one.
        if let Some((_, have)) =
            range.find(|((name, number), _)| *number == partition && **name == *topic)
        {
            *have = next.max(*have);
            return;
        }
        self.0.insert((topic.into(), partition), next);
    }

    /// These records were read, in this order, and all before them in their partitions.
    pub fn read_all(&mut self, messages: &[Message<'_>]) {
        let mut rest = messages.iter().peekable();
        while let Some(message) = rest.next() {
            // Of those of a partition that come one behind the other the last says it for all.
            if !rest.peek().is_some_and(|next| next.is_behind(message)) {
                self.read(message);
            }
        }
    }

    /// What either of them has read.
    pub fn merge(&mut self, other: Self) {
        for (place, next) in other.0 {
            let have = self.0.entry(place).or_insert(next);
            *have = next.max(*have);
        }
    }

    /// Whether nothing was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Consumer {
    /// A member with these settings, which joins its group as soon as a broker answers. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`], also for an expression that is none.
    pub fn new(settings: &Settings, options: &ConsumerOptions) -> Result<Self, Error> {
        let context = ReceivingContext::default();
        let shared = Arc::clone(&context.0);
        let native: Native = config(settings, options)
            .create_with_context(context)
            .map_err(|error| Error::native(&error))?;
        let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
        native
            .subscribe(&topics)
            .map_err(|error| Error::new(ErrorKind::Settings, format!("the topics: {error}")))?;
        Ok(Self { native: Some(native), context: shared })
    }

    /// Whether a client can be made with these settings. Nothing is connected.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`].
    pub fn check(settings: &Settings, options: &ConsumerOptions) -> Result<(), Error> {
        let native: BaseConsumer<ReceivingContext> = config(settings, options)
            .create_with_context(ReceivingContext::default())
            .map_err(|error| Error::native(&error))?;
        end(native);
        Ok(())
    }

    /// What comes, from now on. To be polled all the time: a member that does not ask for five minutes
    /// is taken for dead.
    #[must_use]
    pub fn messages(&self) -> Messages<'_> {
        Messages { stream: self.native.as_ref().map(StreamConsumer::stream) }
    }

    /// Waits until a broker has answered.
    ///
    /// # Errors
    /// As [`Producer::connected`](crate::Producer::connected).
    ///
    /// # Cancel safety
    /// It can be called again.
    pub async fn connected(&self, within: Duration) -> Result<(), Error> {
        let until = tokio::time::Instant::now() + within;
        loop {
            let known = self.native.as_ref().and_then(|native| {
                // What is known already, without waiting.
                native.client().fetch_cluster_id(Duration::ZERO)
            });
            if known.is_some() {
                return Ok(());
            }
            if tokio::time::Instant::now() >= until {
                return Err(self
                    .trouble()
                    .unwrap_or_else(|| Error::new(ErrorKind::Connection, "no broker answers")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What was read up to there may be committed.
    pub fn store(&self, positions: &Positions) {
        let (Some(native), false) = (&self.native, positions.is_empty()) else { return };
        let list = list(positions);
        if let Err(error) = native.store_offsets(&list) {
            // Partitions that are another member's now: it reads them again.
            tracing::debug!(%error, "Some partitions are not ours any more.");
        }
    }

    /// Commits what was stored, without waiting.
    pub fn commit(&self) {
        let Some(native) = &self.native else { return };
        if let Err(error) = native.commit_consumer_state(CommitMode::Async) {
            tracing::debug!(%error, "Nothing was committed.");
        }
    }

    /// Fetches no more of what is assigned now; what was fetched and not taken is fetched again later.
    ///
    /// # Errors
    /// [`Error`].
    pub fn pause(&self) -> Result<(), Error> {
        let Some(native) = &self.native else { return Ok(()) };
        let paused = native.assignment().and_then(|all| native.pause(&all));
        paused.map_err(|error| Error::native(&error))
    }

    /// Fetches again.
    ///
    /// # Errors
    /// [`Error`].
    pub fn resume(&self) -> Result<(), Error> {
        let Some(native) = &self.native else { return Ok(()) };
        let resumed = native.assignment().and_then(|all| native.resume(&all));
        resumed.map_err(|error| Error::native(&error))
    }

    /// Partitions that are this member's now.
    #[must_use]
    pub fn assigned(&self) -> usize {
        self.context.assigned.load(Ordering::Acquire)
    }

    /// Times that they changed.
    #[must_use]
    pub fn rebalances(&self) -> u64 {
        self.context.rebalances.load(Ordering::Acquire)
    }

    /// The newest trouble that it had with brokers, which may be over.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        self.context.troubles.last()
    }

    /// Commits what was stored, leaves the group, and waits for the end of both.
    ///
    /// # Cancel safety
    /// It ends all the same.
    pub async fn close(mut self) {
        if let Some(native) = self.native.take() {
            // An end that panics is an end.
            let _ = tokio::task::spawn_blocking(move || drop(native)).await;
        }
    }
}

fn config(settings: &Settings, options: &ConsumerOptions) -> ClientConfig {
    let mut config = settings.config();
    if config.get("partition.assignment.strategy").is_none() {
        config.set("partition.assignment.strategy", "cooperative-sticky");
    }
    if config.get("fetch.queue.backoff.ms").is_none() {
        config.set("fetch.queue.backoff.ms", FETCH_AGAIN);
    }
    config
        .set("group.id", &options.group)
        .set("enable.auto.commit", "true")
        .set("enable.auto.offset.store", "false")
        .set("auto.commit.interval.ms", millis(options.commit_interval))
        .set(
            "auto.offset.reset",
            match options.from {
                StartFrom::Oldest => "earliest",
                StartFrom::End => "latest",
            },
        )
        .set("queued.max.messages.kbytes", (options.read_ahead >> 10).max(1).to_string());
    if let Some(instance) = &options.instance {
        config.set("group.instance.id", instance);
    }
    config
}

fn list(positions: &Positions) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(positions.0.len());
    for ((topic, partition), next) in &positions.0 {
        // It fails for offsets that are none, and these came from the broker.
        let _ = list.add_partition_offset(topic, *partition, Offset::Offset(*next));
    }
    list
}

/// What comes to a consumer.
pub struct Messages<'a> {
    stream: Option<MessageStream<'a, ReceivingContext>>,
}

impl fmt::Debug for Messages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

impl<'a> Messages<'a> {
    /// The next record.
    ///
    /// # Errors
    /// What the consumer has to say instead. It goes on unless that is [`ErrorKind::Fatal`].
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Message<'a>, Error> {
        poll_fn(|context| self.poll(context)).await
    }

    /// A record that has come already.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn ready(&mut self) -> Result<Option<Message<'a>>, Error> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(message) => message.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Message<'a>, Error>> {
        let Some(stream) = &mut self.stream else { return Poll::Pending };
        match Pin::new(stream).poll_next(context) {
            Poll::Ready(Some(Ok(message))) => Poll::Ready(Ok(Message(message))),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(Error::native(&error))),
            // It does not end.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// A record that was read. It lies in the client's memory until it is dropped.
#[derive(Debug)]
pub struct Message<'a>(BorrowedMessage<'a>);

impl Message<'_> {
    /// Whether it is of the same partition, and not before that one.
    fn is_behind(&self, other: &Self) -> bool {
        self.partition() == other.partition()
            && self.offset() >= other.offset()
            && std::ptr::eq(self.0.topic_ptr(), other.0.topic_ptr())
    }

    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.0.topic()
    }

    /// Its partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.0.partition()
    }

    /// Its place there.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    /// Its value; `None` for a tombstone.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    /// Milliseconds since the Unix epoch: when it was made, or when the broker took it, as the topic
    /// is set up.
    #[must_use]
    pub fn timestamp(&self) -> Option<i64> {
        self.0.timestamp().to_millis()
    }

    /// Its headers. One without a value has an empty one here.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let headers = self.0.headers();
        let all = headers.map(|headers| headers.iter());
        all.into_iter().flatten().map(|header| (header.key, header.value.unwrap_or_default()))
    }
}
