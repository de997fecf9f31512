//! Requests on their way into the log, and their account.

use std::sync::Arc;

use hydra_ws::{Ack, Failure};
use ingest_mux::{Grant, Level, SendError, Ticket};

use super::ingestors::Shared;
use crate::counters::Totals;
use crate::map::graphite;
use crate::map::hydra::Refusal;

/// Items that were received and are in no account yet. Dropping it counts them as refused: time
/// was up, or the gateway ended.
pub(super) struct Open {
    shared: Arc<Shared>,
    pub(super) totals: Totals,
}

impl Open {
    pub(super) fn new(shared: &Arc<Shared>, items: usize, bytes: usize) -> Self {
        let mut totals = Totals::new(shared.cx.counters.reasons.len());
        totals.received_bytes = bytes as u64;
        totals.received_items = items as u64;
        Self { shared: Arc::clone(shared), totals }
    }

    /// What it stands for was handed to a broker, which has answered.
    #[cfg(feature = "kafka")]
    pub(super) fn delivered(mut self, answer: &Result<(), Failure>) {
        match answer {
            Ok(()) => self.totals.accepted_items = self.totals.received_items,
            Err(failure) => {
                let source = &self.shared.cx.counters.name;
                tracing::warn!(%source, %failure, "A record did not get to its topic.");
                self.totals.refuse(Refusal::NotDelivered.index());
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let totals = &mut self.totals;
        let known = totals.accepted_items + totals.refused.iter().sum::<u64>();
        let rest = totals.received_items.saturating_sub(known);
        totals.refuse_many(Refusal::NoTime.index(), rest);
        self.shared.cx.counters.add(totals);
    }
}

/// The level that a batch needs, by what its requests ask for.
pub(super) const fn level(ack: Ack) -> Level {
    match ack {
        Ack::None => Level::Memory,
        Ack::Persisted | Ack::Replicated => Level::Disk,
    }
}

/// Waits until what `ack` asks for has happened to everything up to a ticket.
pub(super) async fn done(shared: &Shared, ticket: &Ticket, ack: Ack) -> Result<(), Failure> {
    if let Err(error) = shared.cx.source.done(ticket).await {
        return Err(Failure::unavailable(format!("The log did not store it: {error}")));
    }
    if ack == Ack::Replicated
        && let Some(lsns) = ticket.lsns()
    {
        shared.delivered.wait(lsns.end).await;
    }
    Ok(())
}

/// Room for this many bytes of entries, at once if there is any.
pub(super) async fn room(shared: &Shared, bytes: u64) -> Grant {
    match shared.cx.source.try_grant(bytes) {
        Some(grant) => grant,
        None => {
            shared.cx.counters.waits.add(1);
            shared.cx.source.grant(bytes).await
        }
    }
}

/// What a report says of an entry that the log did not take, and where it is counted.
pub(super) fn refusal(error: SendError) -> (usize, Failure) {
    let text = error.to_string();
    let continues = error.can_continue();
    let failure = if continues { Failure::invalid(text) } else { Failure::unavailable(text) };
    (graphite::Refusal::from(error).index(), failure)
}
