//! The handle of a connection.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ingest_entry::{Entry, EntryRef, TagId, TagName};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::connector::{Connector, Transport};
use super::error::ClientError;
use super::task::{self, FULL, Inner, Shared};
use crate::net;
use crate::proto::{ClientCounts, ClientMachine, IngesterState, LeftOut, ProtocolError, SendError};

/// How long a sync waits before it asks for acknowledgements once more.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// Numbers of a connection that outlive it.
#[derive(Debug, Default)]
pub struct Counters {
    abandoned: AtomicU64,
}

impl Counters {
    /// Entries that were not acknowledged when the connection was dropped without being closed.
    #[must_use]
    pub fn abandoned(&self) -> u64 {
        self.abandoned.load(Ordering::Relaxed)
    }
}

/// An entry that was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// The name of its tag; the number in the entry was good for its connection only.
    pub tag: Option<TagName>,
    /// The entry.
    pub entry: Entry,
}

/// What is left of a connection that was closed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Closed {
    /// The entries that were not acknowledged, in the order in which they were sent: the server
    /// may have them or not.
    pub unacknowledged: Vec<Returned>,
    /// Why the connection ended before it was closed, if it did.
    pub error: Option<ClientError>,
}

/// A place in the order of what was sent over one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

/// Connects to a target with a secret and the tags to begin with: [`Connector`] with its defaults.
///
/// # Errors
/// [`ClientError`].
///
/// # Cancel safety
/// Dropping the future closes the connection; nothing was sent but the handshake.
pub async fn connect(
    target: &str,
    secret: impl AsRef<[u8]>,
    tags: &[&str],
) -> Result<Connection, ClientError> {
    let mut connector = Connector::new(target, secret)?;
    for tag in tags {
        connector = connector.tag(tag)?;
    }
    connector.connect().await
}

/// A connection to a server that takes entries.
///
/// A task of its own writes what was sent, after at most the linger time, and reads
/// acknowledgements all the time. All methods can be called from many tasks at once. Dropped
/// without [`Connection::close`], it logs and counts what was not acknowledged.
pub struct Connection {
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("outstanding", &self.outstanding())
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn start(
        machine: ClientMachine,
        stream: Box<dyn Transport>,
        linger: Duration,
    ) -> Self {
        let shared = Arc::new(Shared::new(machine, linger, Arc::default()));
        let task = tokio::spawn(task::run(shared.clone(), stream));
        Self { shared, task: Some(task) }
    }

    /// Sends an entry: it is written after at most the linger time. Waits while the window is
    /// full, the output buffer is full, or the server throttles.
    ///
    /// # Errors
    /// [`ClientError`]; the entry was not sent then.
    ///
    /// # Cancel safety
    /// If dropped before it is ready, the entry was not sent.
    pub fn send<'e>(
        &self,
        entry: impl Into<EntryRef<'e>>,
    ) -> impl Future<Output = Result<(), ClientError>> + Send {
        // Not an async function: that would move the entry about, which is half of the work.
        let entry = entry.into();
        async move {
            match self.push(&entry) {
                Ok(()) => Ok(()),
                Err(None) => self.send_later(&entry).await,
                Err(Some(error)) => Err(*error),
            }
        }
    }

    /// Sends an entry once there is room.
    async fn send_later(&self, entry: &EntryRef<'_>) -> Result<(), ClientError> {
        loop {
            let mut progress = pin!(self.shared.progress.notified());
            progress.as_mut().enable();
            match self.push(entry) {
                Ok(()) => return Ok(()),
                Err(None) => {}
                Err(Some(error)) => return Err(*error),
            }
            self.flush();
            // A pause that the server asked for ends without a word from it.
            let _ = tokio::time::timeout(Duration::from_millis(100), progress).await;
        }
    }

    /// Sends an entry if there is room now.
    ///
    /// # Errors
    /// [`ClientError::Send`] with an error that is
    /// [temporary](crate::SendError::is_temporary) if there is no room now. The entry was not sent then.
    pub fn try_send<'e>(&self, entry: impl Into<EntryRef<'e>>) -> Result<(), ClientError> {
        let mut inner = self.open()?;
        inner.machine.send(entry.into())?;
        self.lingering(&mut inner);
        Ok(())
    }

    /// Sends an entry; with an error, why not, and nothing if there is no room now. What it
    /// returns is small, since this is done for each entry.
    #[inline]
    fn push(&self, entry: &EntryRef<'_>) -> Result<(), Option<Box<ClientError>>> {
        let mut inner = self.shared.lock();
        if let Some(error) = &inner.error {
            return Err(Some(Box::new(error.clone())));
        }
        if let Err(error) = inner.machine.send(*entry) {
            return Err((!error.is_temporary()).then(|| Box::new(error.into())));
        }
        self.lingering(&mut inner);
        Ok(())
    }

    /// Sends entries in order: how many have been sent before an error is in
    /// [`ClientCounts::sent`].
    ///
    /// # Errors
    /// [`ClientError`] of the first entry that could not be sent.
    ///
    /// # Cancel safety
    /// If dropped before it is ready, some of the first entries were sent.
    pub async fn send_all<'e, I>(&self, entries: I) -> Result<(), ClientError>
    where
        I: IntoIterator,
        I::Item: Into<EntryRef<'e>>,
    {
        let mut entries = entries.into_iter().map(Into::into);
        loop {
            let stuck = {
                let mut inner = self.open()?;
                let mut stuck = None;
                for entry in entries.by_ref() {
                    match inner.machine.send(entry) {
                        Ok(_) => {}
                        Err(error) if error.is_temporary() => {
                            stuck = Some(entry);
                            break;
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                self.lingering(&mut inner);
                stuck
            };
            match stuck {
                Some(entry) => self.send(entry).await?,
                None => return Ok(()),
            }
        }
    }

    /// Sees to it that what was just sent is written in time.
    #[inline]
    fn lingering(&self, inner: &mut Inner) {
        let first = inner.waiting_since.is_none();
        if first || (inner.machine.waiting() >= FULL && !inner.flush) {
            self.hurry(inner, first);
        }
    }

    #[cold]
    fn hurry(&self, inner: &mut Inner, first: bool) {
        if inner.machine.waiting() == 0 {
            return;
        }
        if first {
            inner.waiting_since = Some(net::now());
        } else {
            inner.flush = true;
        }
        self.shared.wake.notify_one();
    }

    /// Writes what was sent without lingering. It does not wait for that.
    pub fn flush(&self) {
        let mut inner = self.shared.lock();
        if !inner.flush {
            inner.flush = true;
            self.shared.wake.notify_one();
        }
    }

    fn open(&self) -> Result<std::sync::MutexGuard<'_, Inner>, ClientError> {
        let inner = self.shared.lock();
        match &inner.error {
            Some(error) => Err(error.clone()),
            None => Ok(inner),
        }
    }

    /// Waits until something is there, or the connection is lost.
    async fn wait_for<T>(
        &self,
        mut found: impl FnMut(&mut Inner) -> Option<Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        loop {
            let mut progress = pin!(self.shared.progress.notified());
            progress.as_mut().enable();
            {
                let mut inner = self.shared.lock();
                if let Some(found) = found(&mut inner) {
                    return found;
                }
                if let Some(error) = &inner.error {
                    return Err(error.clone());
                }
            }
            progress.await;
        }
    }

    /// The number of a tag on this connection; asks the server if it is not known yet.
    ///
    /// # Errors
    /// [`ClientError::TagName`], [`ClientError::TagRefused`], or that the connection is lost.
    ///
    /// # Cancel safety
    /// If dropped, the question may have been asked; its answer is kept.
    pub async fn tag(&self, name: &str) -> Result<TagId, ClientError> {
        let name = TagName::new(name)?;
        {
            let mut inner = self.open()?;
            if let Some(id) = inner.machine.tag(&name) {
                return Ok(id);
            }
            inner.refused.remove(&name);
            inner.machine.ask_tag(name.clone(), net::now())?;
        }
        self.flush();
        self.wait_for(|inner| match inner.machine.tag(&name) {
            Some(id) => Some(Ok(id)),
            None if inner.refused.remove(&name) => {
                Some(Err(ClientError::TagRefused { name: name.clone() }))
            }
            None => None,
        })
        .await
    }

    /// Tells the server how this ingester is, and waits for its confirmation. A state that is too
    /// long for the protocol is shortened, which is logged: [`IngesterState::to_json_within`].
    ///
    /// # Errors
    /// [`ClientError`].
    ///
    /// # Cancel safety
    /// If dropped, the message may have been sent.
    pub async fn send_state(&self, state: &IngesterState) -> Result<(), ClientError> {
        let (json, left_out) = match state.to_json_within(IngesterState::MAX_LEN) {
            // Nothing was sent: the connection goes on.
            Err(ProtocolError::TooLong { piece, len, max }) => {
                return Err(SendError::TooLong { piece, len, max }.into());
            }
            json => json?,
        };
        if left_out != LeftOut::default() {
            let LeftOut { details, children } = left_out;
            tracing::warn!(details, children, "state message shortened");
        }
        let ticket = {
            let mut inner = self.open()?;
            inner.machine.send_state(&json, net::now())?;
            inner.states.give()
        };
        self.flush();
        self.wait_for(|inner| inner.states.take(ticket).map(Ok)).await
    }

    /// Sends entries as a ditto block and waits until the server has stored all of them for good.
    ///
    /// # Errors
    /// [`ClientError::DittoFailed`] if the server could not, [`ClientError`].
    ///
    /// # Cancel safety
    /// If dropped, the block may have been sent.
    pub async fn send_ditto(&self, entries: &[EntryRef<'_>]) -> Result<(), ClientError> {
        let ticket = {
            let mut inner = self.open()?;
            inner.machine.send_ditto(entries, net::now())?;
            inner.dittos.give()
        };
        self.flush();
        let stored = self.wait_for(|inner| inner.dittos.take(ticket).map(Ok)).await?;
        if stored { Ok(()) } else { Err(ClientError::DittoFailed) }
    }

    /// Waits until all entries sent so far are acknowledged, for so long at most.
    ///
    /// # Errors
    /// [`ClientError::SyncTimeout`], after which the connection goes on, or that it is lost.
    ///
    /// # Cancel safety
    /// It can be dropped and called again.
    pub async fn sync(&self, within: Duration) -> Result<(), ClientError> {
        let deadline = Instant::now().checked_add(within);
        let target = {
            let inner = self.open()?;
            let outstanding = inner.machine.outstanding();
            if outstanding == 0 {
                return Ok(());
            }
            inner.machine.next_id()
        };
        loop {
            self.open()?.machine.force_ack()?;
            self.flush();
            let done = self
                .wait_for(|inner| (inner.machine.first_outstanding() >= target).then_some(Ok(())));
            let again = Instant::now() + ASK_AGAIN;
            let until = deadline.map_or(again, |deadline| deadline.min(again));
            if let Ok(done) = tokio::time::timeout_at(until, done).await {
                return done;
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(ClientError::SyncTimeout { outstanding: self.outstanding() });
            }
        }
    }

    /// Waits for acknowledgements, for so long at most, closes the connection, and hands back
    /// what was not acknowledged. If the connection was lost before, it does so at once.
    ///
    /// # Cancel safety
    /// If dropped, the connection is dropped with it, and what was not acknowledged is counted.
    pub async fn close(mut self, within: Duration) -> Closed {
        let deadline = Instant::now().checked_add(within);
        let synced = self.sync(within).await;
        if synced.is_ok() {
            self.shared.lock().closing = true;
            self.shared.wake.notify_one();
            if let (Some(task), Some(deadline)) = (&mut self.task, deadline) {
                let _ = tokio::time::timeout_at(deadline, task).await;
            }
        }
        let error = synced.err().filter(|error| !error.can_continue());
        Closed { unacknowledged: self.take(), error }
    }

    /// Stops the task and takes what is not acknowledged.
    fn take(&mut self) -> Vec<Returned> {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        let mut inner = self.shared.lock();
        inner.error.get_or_insert(ClientError::Closed);
        let entries = inner.machine.take_unacknowledged();
        let machine = &inner.machine;
        let named = |entry: Entry| Returned { tag: machine.tag_name(entry.tag), entry };
        entries.into_iter().map(named).collect()
    }

    /// Where the connection stands: all that was sent so far lies before it.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.shared.lock().machine.next_id())
    }

    /// Whether all that was sent before a position of this connection is acknowledged.
    #[must_use]
    pub fn is_acknowledged(&self, position: Position) -> bool {
        self.shared.lock().machine.first_outstanding() >= position.0
    }

    /// How many entries that were sent at or behind a position of this connection are acknowledged,
    /// counted from there up to the first one that is not.
    #[must_use]
    pub fn acknowledged_since(&self, position: Position) -> u64 {
        self.shared.lock().machine.first_outstanding().saturating_sub(position.0)
    }

    /// Waits until all that was sent before a position of this connection is acknowledged, however
    /// long that takes.
    ///
    /// # Errors
    /// That the connection is lost.
    ///
    /// # Cancel safety
    /// It can be dropped and called again.
    pub async fn acknowledged(&self, position: Position) -> Result<(), ClientError> {
        let done = |inner: &mut Inner| inner.machine.first_outstanding() >= position.0;
        self.wait_for(|inner| done(inner).then_some(Ok(()))).await
    }

    /// Writes what was sent without lingering, and asks the server not to hold acknowledgements
    /// back, as Go servers do with a lone one for up to a second. It does not wait for them.
    ///
    /// # Errors
    /// That the connection is lost.
    pub fn request_acks(&self) -> Result<(), ClientError> {
        self.open()?.machine.force_ack()?;
        self.flush();
        Ok(())
    }

    /// Entries that were sent and are not acknowledged.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.shared.lock().machine.outstanding()
    }

    /// How many of the entries that were sent, counted from the first one, are acknowledged
    /// without a gap; it never falls, and stays when the connection is lost.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.shared.lock().machine.first_outstanding().saturating_sub(1)
    }

    /// Numbers since the connection began.
    #[must_use]
    pub fn counts(&self) -> ClientCounts {
        self.shared.lock().machine.counts()
    }

    /// Numbers that outlive the connection.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.shared.counters.clone()
    }

    /// The server's version.
    #[must_use]
    pub fn server_version(&self) -> u16 {
        self.shared.lock().machine.server_version().unwrap_or_default()
    }

    /// Why the connection was lost, if it was.
    #[must_use]
    pub fn error(&self) -> Option<ClientError> {
        self.shared.lock().error.clone()
    }

    /// Waits until the connection is lost, and says why.
    ///
    /// # Cancel safety
    /// It can be dropped and called again.
    pub async fn lost(&self) -> ClientError {
        let lost = self.wait_for::<()>(|_| None).await;
        lost.err().unwrap_or(ClientError::Closed)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let outstanding = self.outstanding();
            if outstanding > 0 {
                self.shared.counters.abandoned.fetch_add(outstanding as u64, Ordering::Relaxed);
                tracing::error!(entries = outstanding, "connection dropped, not closed");
            }
        }
    }
}
