//! What keeps a stream going over many connections.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::connection::{self, Event};
use super::{Gateway, Query};
use crate::client::ClientError;
use crate::client::backoff::{Waits, chance};
use crate::client::item::{Clock, Gap, GapCause, Item, Reason};
use crate::client::machine::End;
use crate::client::overlap::{Overlap, digest};
use crate::client::queue::Gone;
use crate::client::stream::Outlet;
use crate::json::Batch;
use crate::v2::Envelope;
use crate::wire::Message as _;

/// After a stream that lasted so long there is no wait.
const GOOD: Duration = Duration::from_secs(10);
/// How long two connections are held when the older one is not closed by the gateway.
const LONGEST_OVERLAP: Duration = Duration::from_secs(60);
/// How long after the end of one of two connections the other may still bring what that had.
const LINGER: Duration = Duration::from_secs(30);

pub(super) async fn run(gateway: Gateway, query: Query, outlet: Outlet<Envelope>) {
    let (events, inbox) = mpsc::channel(16);
    let supervisor = Supervisor {
        target: format!("/v2/read?{}", query.encode()),
        shared: query.shard_id.as_ref().is_some_and(|id| !id.is_empty()),
        waits: Waits::new(gateway.settings.backoff),
        gateway,
        outlet,
        events,
        inbox,
        tasks: JoinSet::new(),
        next_id: 0,
        open: Vec::new(),
        connecting: None,
        connect_at: None,
        overlap: None,
        lost: None,
        clock: Clock::new(),
        timestamp: None,
    };
    // Nobody is left to be told.
    let _ = supervisor.run().await;
}

/// An open connection.
#[derive(Debug)]
struct Open {
    id: u64,
    /// Its place among two, when envelopes are compared.
    slot: usize,
    since: Instant,
    /// When something last came.
    last: SystemTime,
    closing: bool,
    task: tokio::task::AbortHandle,
}

struct Supervisor {
    gateway: Gateway,
    target: String,
    /// Whether each envelope goes to one connection only.
    shared: bool,
    outlet: Outlet<Envelope>,
    events: mpsc::Sender<(u64, Event)>,
    inbox: mpsc::Receiver<(u64, Event)>,
    tasks: JoinSet<()>,
    next_id: u64,
    /// The oldest first; two at most.
    open: Vec<Open>,
    connecting: Option<(u64, tokio::task::AbortHandle)>,
    /// When to connect, while nothing is open or being opened.
    connect_at: Option<Instant>,
    overlap: Option<Overlap>,
    /// What ended the last connection, and when something last came on it, while there is none.
    lost: Option<(SystemTime, GapCause)>,
    waits: Waits,
    clock: Clock,
    timestamp: Option<i64>,
}

impl Supervisor {
    async fn run(mut self) -> Result<(), Gone> {
        self.connect();
        loop {
            let timer = self.timer();
            let wait = async {
                match timer {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                biased;
                () = self.outlet.closed() => {
                    self.told_of_loss();
                    return self.outlet.give(Item::Ended(Reason::End(End::ClosedByUs))).await;
                }
                event = self.inbox.recv() => event,
                () = wait => {
                    self.due().await?;
                    continue;
                }
            };
            // This end holds a sender too.
            let Some((id, event)) = event else { return Ok(()) };
            match event {
                Event::Open => self.opened(id).await?,
                Event::Batch(batch, text) => self.batch(id, batch, text).await?,
                Event::Alive => _ = self.came(id),
                Event::Closing => {
                    if let Some(open) = self.came(id) {
                        open.closing = true;
                    }
                    // The next connection need not wait for the end of this one.
                    if self.open.len() == 1 && self.connecting.is_none() {
                        self.connect();
                    }
                }
                Event::Over(reason) => {
                    if let Some(last) = self.over(id, reason).await? {
                        return self.outlet.give(Item::Ended(last)).await;
                    }
                }
            }
        }
    }

    /// Something came on a connection.
    fn came(&mut self, id: u64) -> Option<&mut Open> {
        let now = self.clock.now();
        let open = self.open.iter_mut().find(|open| open.id == id)?;
        open.last = now;
        Some(open)
    }

    fn connect(&mut self) {
        self.connect_at = None;
        // Those that have ended.
        while self.tasks.try_join_next().is_some() {}
        if !self.shared && !self.open.is_empty() {
            // From here on, for the server may give both the same before we are told of it.
            match &mut self.overlap {
                Some(overlap) => overlap.again(),
                none => *none = Some(Overlap::default()),
            }
        }
        self.next_id += 1;
        let id = self.next_id;
        let (gateway, target) = (self.gateway.clone(), self.target.clone());
        let task = self.tasks.spawn(connection::run(gateway, target, id, self.events.clone()));
        self.connecting = Some((id, task));
    }

    /// When something is to be done by itself.
    fn timer(&self) -> Option<Instant> {
        if let [_, second] = self.open.as_slice() {
            return Some(second.since + LONGEST_OVERLAP);
        }
        let renew = match (self.open.first(), self.gateway.settings.renew) {
            (Some(open), Some(age)) if self.connecting.is_none() && self.connect_at.is_none() => {
                Some(open.since + age)
            }
            _ => None,
        };
        self.connect_at.or(renew)
    }

    async fn due(&mut self) -> Result<(), Gone> {
        if self.open.len() > 1 {
            // The gateway does not close it: what is on its way to us may be lost with a shard.
            let old = self.open.remove(0);
            old.task.abort();
            self.one_of_two_ended(&old, true, GapCause::Reconnect);
            return self.outlet.flush().await;
        }
        self.connect();
        Ok(())
    }

    fn gap(&mut self, since: SystemTime, cause: GapCause) {
        let until = self.clock.now();
        let gap = Gap { since, until, after: self.timestamp, cause };
        self.outlet.batch.push_back(Item::Gap(gap));
    }

    /// What may be missing since the last connection.
    fn told_of_loss(&mut self) {
        if let Some((since, cause)) = self.lost.take() {
            self.gap(since, cause);
        }
    }

    async fn opened(&mut self, id: u64) -> Result<(), Gone> {
        let Some((_, task)) = self.connecting.take_if(|(connecting, _)| *connecting == id) else {
            return Ok(());
        };
        let slot = self.open.first().map_or(0, |open| 1 - open.slot);
        let (since, last) = (Instant::now(), self.clock.now());
        self.open.push(Open { id, slot, since, last, closing: false, task });
        self.told_of_loss();
        self.outlet.give(Item::Connected).await
    }

    async fn batch(&mut self, id: u64, batch: Batch, text: Bytes) -> Result<(), Gone> {
        let slot = self.came(id).map_or(0, |open| open.slot);
        self.overlap.take_if(|overlap| overlap.is_over(Instant::now()));
        let mut envelopes = batch.envelopes;
        if let Some(overlap) = &mut self.overlap {
            envelopes.retain(|envelope| overlap.is_new(slot, digest(&envelope.encode())));
        }
        if let Some(last) = envelopes.last() {
            self.timestamp = Some(last.timestamp);
        }
        let items = envelopes.into_iter().map(Item::Message);
        if self.outlet.batch.is_empty() {
            // They stay where they are: an item is no larger than an envelope.
            self.outlet.batch = items.collect::<Vec<_>>().into();
        } else {
            self.outlet.batch.extend(items);
        }
        if let Some(fault) = batch.fault {
            let error = format!("{} envelopes refused, first: {fault}", batch.rejected);
            self.outlet.batch.push_back(Item::Undecodable { bytes: text, error });
        }
        self.outlet.flush().await
    }

    fn linger(&mut self) {
        if let Some(overlap) = &mut self.overlap {
            overlap.end(Instant::now() + LINGER);
        }
    }

    /// One of two connections ended before all was read of it that the server had for it. With a
    /// shard that is lost. Without, the other connection has it too: what came before the other
    /// was made, and was still on its way, has only the older one.
    fn one_of_two_ended(&mut self, gone: &Open, older: bool, cause: GapCause) {
        let all_seen = match &self.overlap {
            Some(overlap) if !self.shared => !older || overlap.is_caught_up(),
            _ => false,
        };
        if !all_seen {
            self.gap(gone.last, cause);
        }
        self.linger();
    }

    /// A connection is over. What ends the stream, if that is over too.
    async fn over(&mut self, id: u64, reason: Reason) -> Result<Option<Reason>, Gone> {
        if self.connecting.take_if(|(connecting, _)| *connecting == id).is_some() {
            self.linger();
            return self.failed(reason).await;
        }
        let Some(at) = self.open.iter().position(|open| open.id == id) else { return Ok(None) };
        let gone = self.open.remove(at);
        let cause = match &reason {
            _ if gone.closing => None,
            Reason::End(end) => Some(GapCause::Ended(end.clone())),
            Reason::Error(error) => Some(GapCause::Ended(End::Io(error.to_string()))),
        };
        if !self.open.is_empty() {
            match cause {
                Some(cause) => self.one_of_two_ended(&gone, at == 0, cause),
                None => self.linger(),
            }
            self.outlet.flush().await?;
            return Ok(None);
        }
        self.overlap = None;
        self.lost = Some((gone.last, cause.unwrap_or(GapCause::Reconnect)));
        if gone.since.elapsed() >= GOOD || gone.closing {
            self.waits.reset();
            if self.connecting.is_none() {
                self.connect();
            }
            return Ok(None);
        }
        if self.connecting.is_some() {
            return Ok(None);
        }
        self.failed(reason).await
    }

    /// A try failed: the next comes after a wait, unless it was the last.
    async fn failed(&mut self, reason: Reason) -> Result<Option<Reason>, Gone> {
        if matches!(&reason, Reason::Error(error) if !error.can_retry()) && self.open.is_empty() {
            self.told_of_loss();
            return Ok(Some(reason));
        }
        let Some(wait) = self.waits.next(chance()) else {
            if !self.open.is_empty() {
                // The one that is open goes on; its end will be followed by another try.
                self.waits.reset();
                self.connect_at = Some(Instant::now() + self.gateway.settings.backoff.most);
                return Ok(None);
            }
            self.told_of_loss();
            let retrying = Item::Retrying { error: reason, wait: Duration::ZERO };
            self.outlet.give(retrying).await?;
            return Ok(Some(Reason::Error(ClientError::MaxRetries)));
        };
        self.connect_at = Some(Instant::now() + wait);
        self.outlet.give(Item::Retrying { error: reason, wait }).await?;
        Ok(None)
    }
}
