//! `kafka_ingestor` with a broker, and its part of the account.

use std::sync::Arc;

use hydra_ws::{Ack, Failure, FailureKind, Ingestor, Join, Outcome, Request};
use ingest_kafka::KafkaIngestor;

use super::ingestors::Shared;
use super::taken::Open;
use crate::map::hydra::Refusal;

/// `kafka_ingestor`: a payload is a record. It goes to the broker and not into the log.
pub(super) struct Brokers {
    ingestor: KafkaIngestor,
    shared: Arc<Shared>,
}

impl Brokers {
    pub(super) const fn new(ingestor: KafkaIngestor, shared: Arc<Shared>) -> Self {
        Self { ingestor, shared }
    }
}

impl Ingestor for Brokers {
    fn join(&self, request: &Request) -> Join {
        KafkaIngestor::join(request)
    }

    fn validate(&self, request: &Request) -> Result<(), Failure> {
        self.ingestor.check(request).inspect_err(|_| {
            let mut open = Open::new(&self.shared, 1, request.payload().len());
            open.totals.refuse(Refusal::NotARecord.index());
            self.shared.note(Refusal::NotARecord.index(), request);
        })
    }

    fn ingest(&self, request: Request) -> Outcome {
        let (ingestor, shared) = (self.ingestor.clone(), Arc::clone(&self.shared));
        Outcome::later(async move {
            let mut open = Open::new(&shared, 1, request.payload().len());
            let handed = match ingestor.hand_over(&request).await {
                Ok(handed) => handed,
                Err(failure) if failure.kind() == FailureKind::Invalid => {
                    // It does not fit its schema, which only the registry knows.
                    open.totals.refuse(Refusal::NotARecord.index());
                    shared.note(Refusal::NotARecord.index(), &request);
                    return Err(failure);
                }
                Err(failure) => {
                    open.totals.refuse(Refusal::NotDelivered.index());
                    return Err(failure);
                }
            };
            // The account waits for the broker, whoever else does.
            let answer = tokio::spawn(async move {
                let delivered = handed.delivered().await;
                open.delivered(&delivered);
                delivered
            });
            match request.ack() {
                Ack::None => Ok(()),
                Ack::Persisted | Ack::Replicated => {
                    answer.await.unwrap_or_else(|_| Err(Failure::unknown()))
                }
            }
        })
    }
}
