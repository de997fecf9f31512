//! What keeps a stream over web sockets going, connection after connection.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::time::{Duration, sleep};

use super::backoff::{Backoff, Waits, chance};
use super::dial::Dialer;
use super::error::ClientError;
use super::item::{Clock, Gap, GapCause, Item, Reason};
use super::machine::End;
use super::queue::Gone;
use super::session::{self, Habits, Seen, Timed};
use super::socket::{Socket, Target};
use super::stream::Outlet;
use super::token::Tokens;
use crate::wire::Message;

pub(crate) type Callback = Arc<dyn Fn() + Send + Sync>;

/// The task behind a stream.
pub(crate) struct Task<M> {
    pub(crate) dialer: Dialer,
    pub(crate) tokens: Tokens,
    pub(crate) target: Target,
    pub(crate) habits: Habits,
    pub(crate) backoff: Backoff,
    pub(crate) reconnect: bool,
    pub(crate) on_connect: Option<Callback>,
    pub(crate) outlet: Outlet<M>,
}

impl<M: Message<Bytes> + Timed> Task<M> {
    pub(crate) async fn run(mut self, keep: impl Fn(&M) -> bool) -> Result<(), Gone> {
        let clock = Clock::new();
        let mut waits = Waits::new(self.backoff);
        let mut seen = Seen::new(clock.now());
        loop {
            let connected = tokio::select! {
                connected = connect(&self.dialer, &self.tokens, &self.target) => connected,
                () = self.outlet.closed() => Err(ClientError::NotConnected),
            };
            if self.outlet.is_closed() && connected.is_err() {
                self.gap(&mut seen, clock.now());
                return self.ended(Reason::End(End::ClosedByUs)).await;
            }
            let reason = match connected {
                Err(error) => Reason::Error(error),
                Ok(mut socket) => {
                    waits.reset();
                    if let Some(callback) = &self.on_connect {
                        callback();
                    }
                    self.gap(&mut seen, clock.now());
                    self.outlet.give(Item::Connected).await?;
                    seen.last = clock.now();
                    let (outlet, habits) = (&mut self.outlet, self.habits);
                    let end = session::run(&mut socket, outlet, habits, &mut seen, &clock, &keep);
                    let end = end.await?;
                    if end != End::ClosedByUs {
                        seen.lost = Some(end.clone());
                    }
                    Reason::End(end)
                }
            };
            let over = reason == Reason::End(End::ClosedByUs) || !self.reconnect;
            if over || matches!(&reason, Reason::Error(error) if !error.can_retry()) {
                if self.reconnect {
                    self.gap(&mut seen, clock.now());
                }
                return self.ended(reason).await;
            }
            let Some(wait) = waits.next(chance()) else {
                self.gap(&mut seen, clock.now());
                self.outlet.batch.push_back(Item::Retrying { error: reason, wait: Duration::ZERO });
                return self.ended(Reason::Error(ClientError::MaxRetries)).await;
            };
            self.outlet.give(Item::Retrying { error: reason, wait }).await?;
            tokio::select! {
                () = sleep(wait) => {}
                () = self.outlet.closed() => {}
            }
        }
    }

    /// Tells what may be missing since the last connection, if that did not end by our will.
    fn gap(&mut self, seen: &mut Seen, until: SystemTime) {
        if let Some(end) = seen.lost.take() {
            let (since, after) = (seen.last, seen.timestamp);
            let cause = if end.may_be_slow_consumer() {
                GapCause::SlowConsumer(end)
            } else {
                GapCause::Ended(end)
            };
            self.outlet.batch.push_back(Item::Gap(Gap { since, until, after, cause }));
        }
    }

    async fn ended(&mut self, reason: Reason) -> Result<(), Gone> {
        self.outlet.give(Item::Ended(reason)).await
    }
}

/// Connects; after a 401 once more with a new token.
async fn connect(dialer: &Dialer, tokens: &Tokens, target: &Target) -> Result<Socket, ClientError> {
    let connect = |token: String| async move { target.connect(dialer, &token).await };
    tokens.ask(ClientError::is_unauthorized, connect).await
}
