//! The task that owns a connection's stream: writes what is due, reads acknowledgements all the
//! time, keeps the deadlines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ingest_entry::TagName;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use super::connection::Counters;
use super::connector::Transport;
use super::error::ClientError;
use crate::net::{self, Turn};
use crate::proto::{ClientEvent, ClientMachine};

/// So many waiting bytes are written without lingering.
pub(crate) const FULL: usize = 64 << 10;

/// After so long without anything to send or to be acknowledged memory is given back.
const IDLE: Duration = Duration::from_secs(1);

/// What the handle and the task share.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    /// Wakes the task.
    pub(crate) wake: Notify,
    /// Wakes those who wait for the server.
    pub(crate) progress: Notify,
    pub(crate) linger: Duration,
    pub(crate) counters: Arc<Counters>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) machine: ClientMachine,
    /// Since when something waits to be written.
    pub(crate) waiting_since: Option<Instant>,
    /// Write at once.
    pub(crate) flush: bool,
    pub(crate) closing: bool,
    pub(crate) error: Option<ClientError>,
    pub(crate) refused: BTreeSet<TagName>,
    pub(crate) states: Tickets<()>,
    pub(crate) dittos: Tickets<bool>,
}

/// Requests of one kind, answered in their order.
#[derive(Debug)]
pub(crate) struct Tickets<T> {
    given: u64,
    answered: u64,
    answers: BTreeMap<u64, T>,
}

impl<T> Tickets<T> {
    pub(crate) const fn new() -> Self {
        Self { given: 0, answered: 0, answers: BTreeMap::new() }
    }

    pub(crate) const fn give(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    fn answer(&mut self, answer: T) {
        self.answered += 1;
        self.answers.insert(self.answered, answer);
        // Nobody waits for the older ones any more.
        while self.answers.len() > 1024 {
            self.answers.pop_first();
        }
    }

    pub(crate) fn take(&mut self, ticket: u64) -> Option<T> {
        self.answers.remove(&ticket)
    }
}

impl Shared {
    pub(crate) fn new(machine: ClientMachine, linger: Duration, counters: Arc<Counters>) -> Self {
        let inner = Inner {
            // The last word of the handshake may still wait.
            flush: machine.waiting() > 0,
            machine,
            waiting_since: None,
            closing: false,
            error: None,
            refused: BTreeSet::new(),
            states: Tickets::new(),
            dittos: Tickets::new(),
        };
        Self {
            inner: Mutex::new(inner),
            wake: Notify::new(),
            progress: Notify::new(),
            linger,
            counters,
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that holds it panics; were one to, the machine would still be whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Takes the machine's events: whether there were any.
    fn events(&mut self, now: Instant) -> Result<bool, ClientError> {
        let mut news = false;
        while let Some(event) = self.machine.poll(now)? {
            news = true;
            match event {
                ClientEvent::Tag { name, id: None } => drop(self.refused.insert(name)),
                ClientEvent::State => self.states.answer(()),
                ClientEvent::Ditto { stored } => self.dittos.answer(stored),
                ClientEvent::Throttle(pause) => tracing::debug!(?pause, "the server throttles"),
                _ => {}
            }
        }
        Ok(news)
    }

    /// Takes the machine's events; what to write now, if it is time to.
    fn advance(
        &mut self,
        now: Instant,
        linger: Duration,
    ) -> Result<(Option<Bytes>, bool), ClientError> {
        let news = self.events(now)?;
        let due = self.due(linger).is_some_and(|at| at <= now);
        if !(self.flush || self.closing || due || self.machine.waiting() >= FULL) {
            return Ok((None, news));
        }
        let bytes = self.machine.transmit(now)?;
        if bytes.is_none() || self.machine.waiting() == 0 {
            self.flush = false;
            self.waiting_since = None;
        }
        Ok((bytes, news))
    }

    /// When lingering is over.
    fn due(&self, linger: Duration) -> Option<Instant> {
        self.waiting_since.and_then(|since| since.checked_add(linger))
    }
}

pub(crate) async fn run(shared: Arc<Shared>, mut stream: Box<dyn Transport>) {
    let result = drive(&shared, &mut stream).await;
    if let Err(error) = result {
        let mut inner = shared.lock();
        if !inner.closing {
            tracing::debug!(%error, outstanding = inner.machine.outstanding(), "connection lost");
        }
        inner.error.get_or_insert(error);
    }
    shared.progress.notify_waiters();
}

async fn drive(shared: &Shared, stream: &mut Box<dyn Transport>) -> Result<(), ClientError> {
    let mut space = vec![0; 16 << 10];
    let mut output = Bytes::new();
    let mut dirty = false;
    let mut relax = None;
    loop {
        let (deadline, closing) = {
            let now = net::now();
            let mut inner = shared.lock();
            if output.is_empty() {
                let (bytes, news) = inner.advance(now, shared.linger)?;
                output = bytes.unwrap_or_default();
                if news || !output.is_empty() {
                    shared.progress.notify_waiters();
                }
                let idle = output.is_empty() && inner.machine.outstanding() == 0;
                relax = (idle && inner.machine.is_tense()).then(|| relax.unwrap_or(now + IDLE));
                if relax.is_some_and(|at| at <= now) {
                    inner.machine.relax();
                    relax = None;
                }
            }
            let due = inner.due(shared.linger).filter(|_| output.is_empty());
            let deadline = [inner.machine.deadline(), due, relax].into_iter().flatten().min();
            (deadline, inner.closing)
        };
        if closing && output.is_empty() {
            stream.shutdown().await?;
            return Ok(());
        }
        let wake = Some(&shared.wake);
        match net::turn(stream, &mut space, &output, &mut dirty, wake, deadline).await? {
            Turn::Wrote(len) => drop(output.split_to(len)),
            Turn::Read(0) => {
                shared.lock().machine.end()?;
                return Err(ClientError::Closed);
            }
            Turn::Read(len) => {
                let news = hear(&mut shared.lock(), space.get(..len).unwrap_or_default())?;
                if news {
                    shared.progress.notify_waiters();
                }
            }
            Turn::Due => shared.lock().machine.on_deadline(net::now())?,
            Turn::Woken => {}
        }
    }
}

/// Gives the machine what was read.
fn hear(inner: &mut Inner, mut bytes: &[u8]) -> Result<bool, ClientError> {
    let mut news = false;
    while !bytes.is_empty() {
        let taken = inner.machine.feed(bytes);
        bytes = bytes.get(taken..).unwrap_or_default();
        news |= inner.events(net::now())?;
    }
    Ok(news)
}
