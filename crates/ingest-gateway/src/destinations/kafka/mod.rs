//! Topics: an entry counts as delivered when all brokers in sync have confirmed its record.
//!
//! Leases are sent one behind the other without waiting, and confirmed in their order. When a record
//! fails for a reason that is not its own, the link ends: what was not confirmed goes back and is sent
//! again, with the same stable ids.

mod fates;
mod records;
mod texts;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ingest_kafka::{Deliveries, Error, ErrorKind, Producer, ProducerOptions, Settings};
use ingest_mux::{Destination, Lease, Leases, LinkError, LinkFuture, Output, Trouble};

use crate::config::KafkaDestination;
use crate::gateway::GatewayError;

use fates::Fates;
use records::Writer;

/// How long a broker has to answer at first.
const CONNECT: Duration = Duration::from_secs(10);
/// Leases that may be under way: each is 1 MiB or 4,096 entries at most.
const MAX_OUT: usize = 16;
/// Records of so many leases, and room for what is larger than it looks.
const QUEUE_RECORDS: u32 = 16 * 4096;
const QUEUE_BYTES: u64 = 64 << 20;

/// A cluster.
#[derive(Debug)]
struct Kafka {
    settings: Settings,
    options: ProducerOptions,
    config: KafkaDestination,
    fates: Arc<Fates>,
}

/// The output of a destination, and what it counts.
pub(crate) fn output(
    output: Output,
    name: &str,
    config: &KafkaDestination,
) -> Result<(Output, Arc<Fates>), GatewayError> {
    let settings = crate::kafka::settings(&config.brokers)
        .map_err(|error| GatewayError::DestinationSecret { name: name.to_owned(), error })?;
    let mut options = crate::kafka::sending(&config.sending);
    options.queue_records = QUEUE_RECORDS;
    options.queue_bytes = QUEUE_BYTES;
    // What cannot be set together shows here, and not when the first entry comes.
    Producer::new(&settings, &options)
        .map_err(|error| GatewayError::Kafka { name: name.to_owned(), error })?;
    let fates = Arc::new(Fates::default());
    let kafka = Kafka { settings, options, config: config.clone(), fates: Arc::clone(&fates) };
    Ok((output.link(Arc::new(kafka)), fates))
}

impl Destination for Kafka {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async move { self.link(leases).await.map_err(|error| link_error(&error)) })
    }
}

/// A lease under way.
struct Out {
    lease: Lease,
    deliveries: Deliveries,
    /// Records that went into the queue.
    sent: u64,
}

impl Kafka {
    async fn link(&self, leases: &Leases) -> Result<(), Error> {
        let producer = Producer::new(&self.settings, &self.options)?;
        let delivered = match producer.connected(CONNECT).await {
            Ok(()) => {
                leases.connected();
                self.deliver(leases, &producer).await
            }
            Err(error) => Err(error),
        };
        // What was given up is not sent behind the back of the next link.
        producer.close().await;
        delivered
    }

    async fn deliver(&self, leases: &Leases, producer: &Producer) -> Result<(), Error> {
        let mut out: VecDeque<Out> = VecDeque::new();
        let mut writer = Writer::new(&self.config, leases);
        let mut more = true;
        while more || !out.is_empty() {
            tokio::select! {
                biased;
                settled = settle(&mut out), if !out.is_empty() => self.count(settled?),
                lease = leases.next(), if more && out.len() < MAX_OUT => match lease {
                    Some(lease) => {
                        let mut deliveries = Deliveries::new();
                        let sent = writer.send(&lease, producer, &mut deliveries, &self.fates);
                        let sent = sent.await?;
                        out.push_back(Out { lease, deliveries, sent });
                    }
                    None => more = false,
                },
            }
        }
        Ok(())
    }

    fn count(&self, settled: Settled) {
        self.fates.sent.add(settled.confirmed);
        self.fates.refused.add(settled.refused);
        if let Some(error) = settled.refusal {
            tracing::error!(
                entries = settled.refused, %error,
                "The broker refused entries for what they are: they are not in the topic."
            );
        }
    }
}

/// What became of the oldest lease.
struct Settled {
    confirmed: u64,
    refused: u64,
    refusal: Option<Error>,
}

/// Waits for the answers to the oldest lease, and confirms it.
///
/// # Cancel safety
/// It can be called again.
async fn settle(out: &mut VecDeque<Out>) -> Result<Settled, Error> {
    let Some(oldest) = out.front_mut() else { return std::future::pending().await };
    let outcome = oldest.deliveries.done().await;
    if let Some(error) = outcome.failure {
        return Err(error);
    }
    let Some(Out { lease, sent, .. }) = out.pop_front() else {
        return std::future::pending().await;
    };
    debug_assert_eq!(sent, outcome.confirmed + outcome.refused);
    lease.confirm();
    let (confirmed, refused) = (outcome.confirmed, outcome.refused);
    Ok(Settled { confirmed, refused, refusal: outcome.refusal })
}

/// What an operator sees, and whether it passes by itself.
fn link_error(error: &Error) -> LinkError {
    let text = error.to_string();
    let kind = error.kind();
    let link = if kind.is_lasting() { LinkError::lasting(text) } else { LinkError::passing(text) };
    link.of(match kind {
        ErrorKind::Connection => Trouble::Connection,
        ErrorKind::Credentials | ErrorKind::Denied => Trouble::WrongSecret,
        ErrorKind::TimedOut => Trouble::Stalled,
        ErrorKind::NotStored => Trouble::NotStored,
        _ => Trouble::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_kafka::{ProducerOptions, Settings};

    #[tokio::test]
    async fn a_broker_that_is_away_is_trouble_that_passes() {
        // Nobody listens on a port that was bound and given back.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = Settings::new([format!("127.0.0.1:{port}")]);
        let producer = Producer::new(&settings, &ProducerOptions::default()).unwrap();
        let error = producer.connected(Duration::from_millis(300)).await.unwrap_err();
        let error = link_error(&error);
        assert_eq!((error.trouble, error.lasting), (Trouble::Connection, false), "{error}");
        producer.close().await;
    }
}
