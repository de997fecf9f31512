//! Telling an indexer how we are: at once, when something has changed, and from time to time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use ingest_wire::{ClientError, Connection, IngesterState, SendError};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::lease::Leases;

/// Between two pushes at least: changes that come together go together.
const LEAST: Duration = Duration::from_secs(2);
/// Counts that have changed are told after so long.
const COUNTS: Duration = Duration::from_secs(30);
/// With nothing new it is told all the same after so long.
const ALWAYS: Duration = Duration::from_secs(5 * 60);

type Push<'a> = Pin<Box<dyn Future<Output = Result<(), ClientError>> + Send + 'a>>;

/// Pushes the state over one connection.
pub(super) struct Pusher<'a> {
    leases: &'a Leases,
    connection: &'a Connection,
    told: watch::Receiver<u64>,
    last: Option<Last>,
    /// Something has changed that need not wait for the next look.
    hurry: bool,
    under_way: Option<Push<'a>>,
    /// The server is too old for it.
    off: bool,
}

/// What was pushed last, when that was, and when it was last compared with what is.
struct Last {
    state: IngesterState,
    pushed: Instant,
    looked: Instant,
}

impl<'a> Pusher<'a> {
    pub(super) fn new(leases: &'a Leases, connection: &'a Connection) -> Self {
        let told = leases.told();
        Self { leases, connection, told, last: None, hurry: false, under_way: None, off: false }
    }

    /// Something has changed.
    pub(super) fn hurry(&mut self) {
        self.hurry = true;
    }

    /// Waits for the next thing to do, and does it.
    ///
    /// # Cancel safety
    /// It can be dropped and called again: what is under way goes on then.
    pub(super) async fn step(&mut self) -> Result<(), ClientError> {
        if let Some(push) = &mut self.under_way {
            let result = push.as_mut().await;
            self.under_way = None;
            return self.pushed(result);
        }
        if self.off {
            return std::future::pending().await;
        }
        if let Some(last) = &self.last {
            let (pushed, looked) = (last.pushed, last.looked);
            if !self.hurry {
                tokio::select! {
                    _ = self.told.changed() => {}
                    () = tokio::time::sleep_until(looked + COUNTS) => {}
                }
                self.hurry = true;
            }
            tokio::time::sleep_until(pushed + LEAST).await;
        }
        self.hurry = false;
        let (state, now) = (self.leases.state(), Instant::now());
        if let Some(last) = &mut self.last {
            last.looked = now;
            if now < last.pushed + ALWAYS && says_the_same(&last.state, &state) {
                return Ok(());
            }
        }
        self.last = Some(Last { state: state.clone(), pushed: now, looked: now });
        let connection = self.connection;
        self.under_way = Some(Box::pin(async move { connection.send_state(&state).await }));
        Ok(())
    }

    fn pushed(&mut self, result: Result<(), ClientError>) -> Result<(), ClientError> {
        match result {
            Err(ClientError::Send(SendError::Unsupported { .. })) => {
                self.off = true;
                Ok(())
            }
            Err(error) if error.can_continue() => {
                tracing::warn!(output = self.leases.output(), %error, "No state was pushed.");
                Ok(())
            }
            result => result,
        }
    }
}

/// Whether nothing but the clock is different.
fn says_the_same(one: &IngesterState, other: &IngesterState) -> bool {
    let timeless =
        IngesterState { uptime: one.uptime, last_seen: one.last_seen.clone(), ..other.clone() };
    *one == timeless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_alone_is_no_news() {
        let one = IngesterState { entries: 5, uptime: 1, ..IngesterState::default() };
        let later = IngesterState { uptime: 2, last_seen: "later".into(), ..one.clone() };
        assert!(says_the_same(&one, &later));
        assert!(!says_the_same(&one, &IngesterState { entries: 6, ..later }));
    }
}
