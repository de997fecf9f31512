//! What happens on an open web socket, until it ends.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::item::{Clock, Item};
use super::machine::{End, Payload};
use super::queue::Gone;
use super::socket::Socket;
use super::stream::Outlet;
use crate::wire::Message;

/// What the first generation's servers expect to read now and then.
const ALIVE: &str = "I'm alive!";

/// How an open web socket is treated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// How often a text is sent; the first at once.
    pub(crate) keep_alive: Option<Duration>,
    /// A connection on which nothing comes for so long is over.
    pub(crate) idle: Option<Duration>,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// When something last came.
    pub(crate) last: SystemTime,
    /// The timestamp of the last message.
    pub(crate) timestamp: Option<i64>,
}

/// A message with a timestamp, and one that the user may not want.
pub(crate) trait Timed {
    fn nanos(&self) -> Option<i64>;
}

/// Reads until the connection ends. `keep` says which messages are passed on.
pub(crate) async fn run<M: Message<Bytes> + Timed>(
    socket: &mut Socket,
    outlet: &mut Outlet<M>,
    habits: Habits,
    seen: &mut Seen,
    clock: &Clock,
    keep: impl Fn(&M) -> bool,
) -> Result<End, Gone> {
    let mut alive_at = habits.keep_alive.map(|_| Instant::now());
    let mut idle_at = habits.idle.map(|idle| Instant::now() + idle);
    loop {
        enum Turn {
            Read(Result<(), End>),
            Alive,
            Idle,
            Close,
        }
        let at = |at: Option<Instant>| async move {
            match at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let turn = tokio::select! {
            biased;
            () = at(alive_at) => Turn::Alive,
            read = socket.turn() => Turn::Read(read),
            () = outlet.closed() => Turn::Close,
            () = at(idle_at) => Turn::Idle,
        };
        match turn {
            Turn::Alive => {
                socket.machine.text(ALIVE);
                alive_at = habits.keep_alive.map(|every| Instant::now() + every);
            }
            Turn::Idle => {
                let millis = habits.idle.map_or(0, |idle| idle.as_millis());
                return Ok(End::Idle(u64::try_from(millis).unwrap_or(u64::MAX)));
            }
            Turn::Close => {
                socket.machine.close();
                let batch = &mut outlet.batch;
                socket.finish(|payload| take(payload, batch, seen, &keep)).await;
                outlet.flush().await?;
                return Ok(End::ClosedByUs);
            }
            Turn::Read(read) => {
                seen.last = clock.now();
                idle_at = habits.idle.map(|idle| Instant::now() + idle);
                while let Some(payload) = socket.machine.next() {
                    take(payload, &mut outlet.batch, seen, &keep);
                }
                outlet.flush().await?;
                if let Some(end) = socket.machine.end().cloned() {
                    socket.finish(|_| {}).await;
                    return Ok(end);
                }
                if let Err(end) = read {
                    return Ok(end);
                }
            }
        }
    }
}

fn take<M: Message<Bytes> + Timed>(
    payload: Payload<'_>,
    batch: &mut std::collections::VecDeque<Item<M>>,
    seen: &mut Seen,
    keep: &impl Fn(&M) -> bool,
) {
    match payload.decode::<M>() {
        Ok(message) => {
            seen.timestamp = message.nanos();
            if keep(&message) {
                batch.push_back(Item::Message(message));
            }
        }
        Err(error) => {
            let bytes = payload.bytes();
            batch.push_back(Item::Undecodable { bytes, error: error.to_string() });
        }
    }
}
