//! A client that has been let in.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ingest_entry::{TagId, TagName};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::acceptor::NumberTags;
use super::error::ServerError;
use super::gate::Place;
use crate::net::{self, Turn};
use crate::proto::{
    AuthResponse, Batch, Identity, Receipt, Secret, ServerCounts, ServerEvent, ServerMachine,
};

/// How long a client may take to read what is written last.
const LAST_BYTES: Duration = Duration::from_secs(10);

/// What a session hears of.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionEvent<'a> {
    /// Entries to be stored, and confirmed then.
    Entries(Batch<'a>),
    /// A state message, as the client wrote it:
    /// [`IngesterState::from_json`](crate::IngesterState::from_json) reads it.
    State(Bytes),
    /// The client has said who it is: see [`Session::identity`].
    Identified,
}

/// Confirms entries of a session from wherever they are stored.
///
/// The acknowledgements are written while the session waits in [`Session::next`] or
/// [`Session::next_batch`].
#[derive(Debug, Clone)]
pub struct Confirmer(Arc<Confirmed>);

#[derive(Debug, Default)]
struct Confirmed {
    through: AtomicU64,
    wake: Notify,
}

impl Confirmer {
    /// Confirms all entries up to this receipt.
    pub fn confirm(&self, receipt: Receipt) {
        self.0.through.fetch_max(receipt.count(), Ordering::AcqRel);
        self.0.wake.notify_one();
    }
}

/// What a step came to.
enum Step {
    Entries,
    State(Bytes),
    Identified,
    End,
}

/// A question that waits for its answer.
enum Asked {
    Tags(Vec<TagName>),
    Tag(TagName),
    Response(AuthResponse),
}

/// One client's connection, behind its authentication.
pub struct Session<T, N> {
    place: Place,
    machine: ServerMachine,
    stream: T,
    dirty: bool,
    tags: N,
    asked: Option<Asked>,
    confirmed: Confirmer,
    identity: Option<Identity>,
    tenant: Option<Vec<u8>>,
    state: Option<Bytes>,
}

impl<T, N> fmt::Debug for Session<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("identity", &self.identity)
            .field("unconfirmed", &self.machine.unconfirmed())
            .finish_non_exhaustive()
    }
}

impl<T, N> Session<T, N>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
    N: NumberTags,
{
    pub(super) fn new(machine: ServerMachine, stream: T, tags: N, place: Place) -> Self {
        Self {
            place,
            machine,
            stream,
            dirty: false,
            tags,
            asked: None,
            confirmed: Confirmer(Arc::default()),
            identity: None,
            tenant: None,
            state: None,
        }
    }

    /// Everything up to the client's last word of the handshake.
    pub(super) async fn handshake(&mut self, secrets: &Arc<[Secret]>) -> Result<(), ServerError> {
        let give_way = self.place.give_way();
        let mut silent = true;
        while !self.machine.is_hot() {
            if let Some(Asked::Response(response)) = &self.asked {
                let response = response.clone();
                silent = false;
                self.check(response, secrets.clone()).await?;
            }
            match self.advance().await? {
                Some(Step::End) => {
                    return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
                }
                _ if self.asked.is_some() || self.machine.is_hot() => {}
                _ if silent => tokio::select! {
                    turned = self.turn() => turned?,
                    () = give_way.notified() => return Err(ServerError::Crowded),
                },
                _ => self.turn().await?,
            }
        }
        Ok(())
    }

    /// Checks a response when its turn has come, and lets the client in or tells it that it is not.
    async fn check(
        &mut self,
        response: AuthResponse,
        secrets: Arc<[Secret]>,
    ) -> Result<(), ServerError> {
        let patience = self.machine.deadline().map_or(Duration::ZERO, |at| at - net::now());
        let turn = match tokio::time::timeout(patience, self.place.turn(patience)).await {
            Ok(turn) => turn?,
            Err(_) => {
                self.machine.on_deadline(net::now())?;
                return Err(ServerError::Crowded);
            }
        };
        let challenge = *self.machine.challenge();
        let check = move || {
            let began = net::now();
            let proves = |secret: &Secret| response.proves(secret, &challenge);
            let tenant = secrets.iter().any(proves).then_some(response.tenant);
            if tenant.is_none() {
                turn.rest(net::now().duration_since(began));
            }
            drop(turn);
            tenant
        };
        let checked = tokio::task::spawn_blocking(check).await;
        self.asked = None;
        match checked.map_err(std::io::Error::other)? {
            Some(tenant) => {
                self.place.admit()?;
                self.tenant = tenant;
                Ok(self.machine.authenticated()?)
            }
            None => {
                self.place.fail();
                self.machine.refuse("authentication failed")?;
                self.write_out().await?;
                Err(ServerError::Unauthenticated)
            }
        }
    }

    /// The next event, or `None` when the client has closed the connection. What was confirmed is
    /// written while it waits.
    ///
    /// # Errors
    /// [`ServerError`]; what was handed out before stays good, and cannot be acknowledged any more.
    ///
    /// # Cancel safety
    /// It can be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Result<Option<SessionEvent<'_>>, ServerError> {
        match self.step().await? {
            Step::Entries => Ok(self.machine.batch().map(SessionEvent::Entries)),
            Step::State(json) => Ok(Some(SessionEvent::State(json))),
            Step::Identified => Ok(Some(SessionEvent::Identified)),
            Step::End => Ok(None),
        }
    }

    /// The next entries, or `None` when the client has closed the connection. A state message on
    /// the way is kept for [`Session::state`].
    ///
    /// # Errors
    /// As [`Session::next`].
    ///
    /// # Cancel safety
    /// It can be dropped and called again: nothing is lost.
    pub async fn next_batch(&mut self) -> Result<Option<Batch<'_>>, ServerError> {
        loop {
            match self.step().await? {
                Step::Entries => return Ok(self.machine.batch()),
                Step::State(_) | Step::Identified => {}
                Step::End => return Ok(None),
            }
        }
    }

    /// Keeps the batch that was handed out last, for a server that has no room for it now: the
    /// next calls of [`Session::next`] only write acknowledgements and keep the connection alive,
    /// until [`Session::resume`].
    pub const fn hold(&mut self) {
        self.machine.hold();
    }

    /// Has the batch that was held handed out once more.
    pub fn resume(&mut self) {
        self.machine.resume();
    }

    /// Confirms all entries up to this receipt. The acknowledgements are written by the next call
    /// of [`Session::next`] or [`Session::next_batch`].
    pub fn confirm(&mut self, receipt: Receipt) {
        self.machine.confirm(receipt, net::now());
    }

    /// Says that the ditto block with this receipt was not stored; confirm its entries all the
    /// same, for the answer to go out.
    pub fn fail_ditto(&mut self, receipt: Receipt) {
        self.machine.fail_ditto(receipt);
    }

    /// A handle to confirm from elsewhere.
    #[must_use]
    pub fn confirmer(&self) -> Confirmer {
        self.confirmed.clone()
    }

    /// Whether a client that asks may send entries; see [`ServerMachine::set_accepting`].
    pub const fn set_accepting(&mut self, accepting: bool) {
        self.machine.set_accepting(accepting);
    }

    /// Asks the client for a pause; it is free to obey.
    pub fn throttle(&mut self, pause: Duration) {
        self.machine.throttle(pause);
    }

    /// Who the client says it is, if it has.
    #[must_use]
    pub const fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The tenant that the client named, if any.
    #[must_use]
    pub fn tenant(&self) -> Option<&[u8]> {
        self.tenant.as_deref()
    }

    /// The last state message, as the client wrote it.
    #[must_use]
    pub const fn state(&self) -> Option<&Bytes> {
        self.state.as_ref()
    }

    /// The client's version: 3 until it says otherwise.
    #[must_use]
    pub const fn client_version(&self) -> u16 {
        self.machine.client_version()
    }

    /// Numbers since the connection began.
    #[must_use]
    pub const fn counts(&self) -> ServerCounts {
        self.machine.counts()
    }

    /// Writes the acknowledgements of all that is confirmed, and closes the connection.
    ///
    /// # Errors
    /// [`ServerError`] if they cannot be written.
    ///
    /// # Cancel safety
    /// If dropped, the connection is closed, and some acknowledgements may not have been written.
    pub async fn close(mut self) -> Result<(), ServerError> {
        self.take_confirmed();
        self.write_out().await?;
        Ok(self.stream.shutdown().await?)
    }

    fn take_confirmed(&mut self) {
        let through = self.confirmed.0.through.load(Ordering::Acquire);
        self.machine.confirm(Receipt::from_count(through), net::now());
    }

    /// Writes all that waits, within the time that a client has to take its last bytes.
    async fn write_out(&mut self) -> Result<(), ServerError> {
        let written = tokio::time::timeout(LAST_BYTES, self.write_all()).await;
        written.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
    }

    async fn write_all(&mut self) -> Result<(), ServerError> {
        loop {
            let output = self.machine.output()?;
            if output.is_empty() {
                return Ok(self.stream.flush().await?);
            }
            let len = self.stream.write(output).await?;
            if len == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into());
            }
            self.machine.written(len);
        }
    }

    async fn step(&mut self) -> Result<Step, ServerError> {
        loop {
            self.take_confirmed();
            if let Some(step) = self.advance().await? {
                return Ok(step);
            }
            if let Some(step) = self.turn_or_end().await? {
                return Ok(step);
            }
        }
    }

    /// Takes the machine's events up to one for the user.
    async fn advance(&mut self) -> Result<Option<Step>, ServerError> {
        loop {
            self.answer().await?;
            let event = match self.machine.poll(net::now()) {
                Ok(Some(event)) => event,
                Ok(None) if self.machine.is_over() => {
                    self.write_out().await?;
                    return Ok(Some(Step::End));
                }
                Ok(None) => return Ok(None),
                Err(error) => {
                    // What was confirmed before stays so, if the client still listens.
                    let _ = self.write_out().await;
                    return Err(error.into());
                }
            };
            match event {
                ServerEvent::Response(response) => {
                    self.asked = Some(Asked::Response(response));
                    return Ok(None);
                }
                ServerEvent::Tags(names) => self.asked = Some(Asked::Tags(names)),
                ServerEvent::Tag(name) => self.asked = Some(Asked::Tag(name)),
                ServerEvent::Identified(identity) => {
                    self.identity = Some(identity);
                    return Ok(Some(Step::Identified));
                }
                ServerEvent::Hot => return Ok(None),
                ServerEvent::Entries => return Ok(Some(Step::Entries)),
                ServerEvent::State(json) => {
                    self.state = Some(json.clone());
                    return Ok(Some(Step::State(json)));
                }
            }
        }
    }

    /// Answers the question that waits, if any. If this is dropped, it is asked again.
    async fn answer(&mut self) -> Result<(), ServerError> {
        match &self.asked {
            None | Some(Asked::Response(_)) => return Ok(()),
            Some(Asked::Tag(name)) => match self.tags.number(name).await {
                Some(id) => self.machine.assign_tag(id)?,
                None => self.machine.refuse_tag()?,
            },
            Some(Asked::Tags(names)) => {
                let mut numbers: Vec<TagId> = Vec::with_capacity(names.len());
                for name in names {
                    numbers.extend(self.tags.number(name).await);
                }
                if numbers.len() == names.len() {
                    self.machine.assign_tags(&numbers)?;
                } else {
                    self.machine.refuse_tags()?;
                }
            }
        }
        self.asked = None;
        Ok(())
    }

    async fn turn(&mut self) -> Result<(), ServerError> {
        match self.turn_or_end().await? {
            Some(_) => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            None => Ok(()),
        }
    }

    /// Reads, writes or waits once; [`Step::End`] at the end of the stream.
    async fn turn_or_end(&mut self) -> Result<Option<Step>, ServerError> {
        let deadline = self.machine.deadline();
        let (space, output) = self.machine.space_and_output()?;
        let wake = Some(&self.confirmed.0.wake);
        let turn =
            net::turn(&mut self.stream, space, output, &mut self.dirty, wake, deadline).await?;
        match turn {
            Turn::Wrote(len) => self.machine.written(len),
            Turn::Read(0) => {
                self.machine.end()?;
                return Ok(Some(Step::End));
            }
            Turn::Read(len) => self.machine.filled(len),
            Turn::Due => {
                self.machine.on_deadline(net::now())?;
                self.machine.relax();
            }
            Turn::Woken => {}
        }
        Ok(None)
    }
}
