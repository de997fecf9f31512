//! What the client library calls back.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::TopicPartitionList;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use tokio::sync::Notify;

use crate::delivery::Pending;
use crate::error::{Error, ErrorKind};

/// The newest trouble of a client that is nobody's answer: brokers that are away, say.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<Option<Error>>);

impl Troubles {
    pub(crate) fn last(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, error: &KafkaError, reason: &str) {
        let kind = Error::native(error).kind();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That all are down says less than why one of them is.
        let says_less = matches!(error, KafkaError::Global(code)
            if *code == rdkafka::error::RDKafkaErrorCode::AllBrokersDown);
        if !(says_less && last.is_some()) {
            *last = Some(Error::new(kind, reason));
        }
    }
}

fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => {
            tracing::warn!(facility, message, "The Kafka client has something to say.");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(facility, message, "The Kafka client has something to say.");
        }
        RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, message, "The Kafka client has something to say.");
        }
    }
}

/// Of a producer.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    pub(crate) troubles: Troubles,
    /// There is room in the queue again.
    pub(crate) room: Notify,
    /// Those who wait for it.
    pub(crate) waiting: AtomicUsize,
    pub(crate) fatal: Mutex<Option<Error>>,
}

impl ClientContext for Sending {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "A Kafka producer is in trouble.");
        if Error::native(&error).kind() == ErrorKind::Fatal {
            let fatal = Error::new(ErrorKind::Fatal, reason);
            self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fatal);
        }
        self.troubles.note(&error, reason);
    }
}

/// The producer and whoever waits share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SendingContext(pub(crate) Arc<Sending>);

impl ClientContext for SendingContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for SendingContext {
    type DeliveryOpaque = Arc<Pending>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Arc<Pending>) {
        match result {
            Ok(_) => pending.confirm(),
            Err((error, _)) => pending.fail(Error::native(error)),
        }
        if self.0.waiting.load(Ordering::Acquire) > 0 {
            self.0.room.notify_waiters();
        }
    }
}

/// Of a consumer.
#[derive(Debug, Default)]
pub(crate) struct Receiving {
    pub(crate) troubles: Troubles,
    /// Partitions that are this member's now.
    pub(crate) assigned: AtomicUsize,
    /// Times that they changed.
    pub(crate) rebalances: AtomicU64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ReceivingContext(pub(crate) Arc<Receiving>);

impl ClientContext for ReceivingContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "A Kafka consumer is in trouble.");
        self.0.troubles.note(&error, reason);
    }
}

impl ConsumerContext for ReceivingContext {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        use rdkafka::consumer::Consumer as _;
        let count = consumer.assignment().map(|list| list.count()).unwrap_or_default();
        self.0.assigned.store(count, Ordering::Release);
        self.0.rebalances.fetch_add(1, Ordering::AcqRel);
        match rebalance {
            Rebalance::Assign(list) => {
                tracing::info!(partitions = %names(list), count, "Got partitions.");
            }
            Rebalance::Revoke(list) => {
                tracing::info!(partitions = %names(list), count, "Gave partitions up.");
            }
            Rebalance::Error(error) => {
                tracing::warn!(%error, "The group could not share its partitions.");
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            let error = Error::native(&error);
            // What was not committed is read again.
            tracing::debug!(%error, "Offsets were not committed.");
        }
    }
}

/// A few of them, for the log.
fn names(list: &TopicPartitionList) -> String {
    const SHOWN: usize = 16;
    let all = list.elements();
    let mut text = String::new();
    for one in all.iter().take(SHOWN) {
        text.push_str(&format!("{}[{}] ", one.topic(), one.partition()));
    }
    if all.len() > SHOWN {
        text.push_str(&format!("and {} more", all.len() - SHOWN));
    }
    text.trim_end().to_owned()
}
