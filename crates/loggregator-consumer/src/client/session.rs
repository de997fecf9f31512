//! What happens on an open web socket, until it ends.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::item::{Clock, Gap, GapCause, Item};
use super::machine::{End, Payload};
use super::notice::Notice;
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
    pub(crate) idle: Idle,
}

/// When a silent connection is over.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Idle {
    Never,
    /// After so long.
    After(Duration),
    /// After so long, if the server has sent a ping: then it would send more of them.
    OncePinged(Duration),
}

impl Idle {
    fn time(self, socket: &Socket) -> Option<Duration> {
        match self {
            Self::After(time) => Some(time),
            Self::OncePinged(time) if socket.machine.pinged() => Some(time),
            _ => None,
        }
    }
}

impl From<Option<Duration>> for Idle {
    fn from(time: Option<Duration>) -> Self {
        time.map_or(Self::Never, Self::After)
    }
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// When something last came.
    pub(crate) last: SystemTime,
    /// The timestamp of the last message.
    pub(crate) timestamp: Option<i64>,
    /// What a line said that was dropped: a counter that says the same is not for others.
    noticed: Option<u64>,
    /// What ended the connection, until the next is there.
    pub(crate) lost: Option<End>,
}

impl Seen {
    /// Nothing yet.
    pub(crate) const fn new(now: SystemTime) -> Self {
        Self { last: now, timestamp: None, noticed: None, lost: None }
    }

    /// The gap that a notice tells of.
    fn gap(&mut self, notice: Notice, since: SystemTime) -> Option<Gap> {
        let said = self.noticed.take();
        let count = match notice {
            Notice::Line(count) => {
                self.noticed = Some(count);
                count
            }
            Notice::Counter(count) if said == Some(count) => return None,
            Notice::Counter(count) => count,
        };
        let (until, after, cause) = (self.last, self.timestamp, GapCause::Dropped(count));
        Some(Gap { since, until, after, cause })
    }
}

/// What a message is to the stream that it comes on.
pub(crate) trait Timed {
    fn nanos(&self) -> Option<i64>;
    /// What it says of messages that the server did not send.
    fn notice(&self) -> Option<Notice>;
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
    let mut idle_at = habits.idle.time(socket).map(|idle| Instant::now() + idle);
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
                let millis = habits.idle.time(socket).map_or(0, |idle| idle.as_millis());
                return Ok(End::Idle(u64::try_from(millis).unwrap_or(u64::MAX)));
            }
            Turn::Close => {
                socket.machine.close();
                let batch = &mut outlet.batch;
                let since = seen.last;
                socket.finish(|payload| take(payload, batch, seen, since, &keep)).await;
                outlet.flush().await?;
                return Ok(End::ClosedByUs);
            }
            Turn::Read(read) => {
                let since = std::mem::replace(&mut seen.last, clock.now());
                while let Some(payload) = socket.machine.next() {
                    take(payload, &mut outlet.batch, seen, since, &keep);
                }
                idle_at = habits.idle.time(socket).map(|idle| Instant::now() + idle);
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
    since: SystemTime,
    keep: &impl Fn(&M) -> bool,
) {
    match payload.decode::<M>() {
        Ok(message) => {
            if let Some(notice) = message.notice() {
                batch.extend(seen.gap(notice, since).map(Item::Gap));
            }
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
