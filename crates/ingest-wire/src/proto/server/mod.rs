//! The server's side: [`ServerMachine`].

mod config;
mod handshake;
mod setup;
mod stream;

use std::time::Instant;

use bytes::Bytes;
use ingest_entry::{TagId, TagName};

pub use self::config::{ServerConfig, UnknownTags};
use super::acks::{Acks, Receipt};
use super::auth::{AuthResponse, Challenge};
use super::batch::Batch;
use super::buffer::Receiver;
use super::client::Identity;
use super::error::{Piece, ProtocolError};
use super::reply::Replies;
use super::tags::KnownTags;

/// What a server hears of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The client's answer to the challenge: check it with [`AuthResponse::proves`], then call
    /// [`ServerMachine::authenticated`] or [`ServerMachine::refuse`].
    Response(AuthResponse),
    /// The tags that the client begins with: call [`ServerMachine::assign_tags`] or
    /// [`ServerMachine::refuse_tags`].
    Tags(Vec<TagName>),
    /// The handshake is over.
    Hot,
    /// The client says who it is.
    Identified(Identity),
    /// Entries: see [`ServerMachine::batch`], before polling again.
    Entries,
    /// A tag asked for in the stream: call [`ServerMachine::assign_tag`] or
    /// [`ServerMachine::refuse_tag`].
    Tag(TagName),
    /// A state message, as JSON or not; it has been confirmed.
    State(Bytes),
}

/// Numbers of a server's connection since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerCounts {
    /// Entries handed out.
    pub entries: u64,
    /// Entries confirmed.
    pub confirmed: u64,
    /// Entries whose tag number was not given out, and that were taken.
    pub unknown_tags: u64,
    /// Words skipped that only servers send.
    pub skipped: u64,
}

/// Whether the batch that was handed out last stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    No,
    /// Until it is asked for again.
    Held,
    /// It is to be handed out once more.
    Again,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Response,
    /// Waits for the user's verdict.
    Verdict,
    TagRequest,
    /// Waits for the user's numbers; the names are as the client wrote them.
    Numbers(Vec<String>),
    Greeting,
    Setup,
    IngestOk,
    Configuration,
    /// So many bytes of the configuration block are left.
    ConfigurationRest(u32, u8),
    Stream,
    /// Waits for the user's number of a tag.
    Number,
    /// In a ditto block.
    Ditto {
        left: u64,
        bytes: u64,
        failed: bool,
    },
    Refused,
    Failed,
}

/// One connection from the server's side: bytes in, events and bytes out.
///
/// Give it what arrives ([`ServerMachine::space`] and [`ServerMachine::filled`], or
/// [`ServerMachine::feed`]), take events with [`ServerMachine::poll`] until there is none, write
/// [`ServerMachine::output`] and say so with [`ServerMachine::written`], and call
/// [`ServerMachine::on_deadline`] when [`ServerMachine::deadline`] has come. Entries are
/// acknowledged by [`ServerMachine::confirm`] and by nothing else.
#[derive(Debug)]
pub struct ServerMachine {
    config: ServerConfig,
    challenge: Challenge,
    state: State,
    input: Receiver,
    replies: Replies,
    acks: Acks,
    known: KnownTags,
    client_version: u16,
    accepting: bool,
    /// The batch handed out last: bytes and entries of it, still in the input.
    handed: Option<(usize, usize, bool)>,
    /// What was handed out stays, and nothing follows.
    hold: Hold,
    /// When the handshake has to be over.
    handshake: Option<Instant>,
    last_command: Instant,
    last_reply: Instant,
    counts: ServerCounts,
}

impl ServerMachine {
    /// A server at the start of a connection, with a challenge of these random bytes to be
    /// written. Go servers let it be iterated 10,000 to 19,999 times.
    #[must_use]
    pub fn new(config: ServerConfig, rand: [u8; 32], iterate: u16, now: Instant) -> Self {
        let challenge = Challenge { iterate, rand, version: config.version };
        let mut replies = Replies::default();
        replies.add().extend_from_slice(&challenge.encode());
        Self {
            challenge,
            state: State::Response,
            input: Receiver::new(config.limits.buffer),
            replies,
            acks: Acks::default(),
            known: KnownTags::default(),
            client_version: 3,
            accepting: config.accepting,
            handed: None,
            hold: Hold::No,
            handshake: now.checked_add(config.handshake_timeout),
            last_command: now,
            last_reply: now,
            counts: ServerCounts::default(),
            config,
        }
    }

    /// The challenge that was sent.
    #[must_use]
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Room for bytes from the client. Empty if there is none: the events have to be taken first,
    /// or a question answered.
    pub fn space(&mut self) -> &mut [u8] {
        self.release();
        if self.hold == Hold::No { self.input.space() } else { &mut [] }
    }

    /// Says how many bytes were put into the room.
    pub fn filled(&mut self, len: usize) {
        self.input.filled(len);
    }

    /// Copies bytes from the client in: how many there was room for.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        self.release();
        if self.hold == Hold::No { self.input.feed(bytes) } else { 0 }
    }

    /// Gives up the batch handed out last.
    fn release(&mut self) {
        if self.hold != Hold::No {
            return;
        }
        if let Some((len, ..)) = self.handed.take() {
            self.input.consume(len);
        }
    }

    /// The next event, or `None` if there is nothing to do but to read, to write, to confirm or to
    /// answer.
    ///
    /// # Errors
    /// What the client did wrong; the connection is over then, except for writing
    /// [`ServerMachine::output`].
    pub fn poll(&mut self, now: Instant) -> Result<Option<ServerEvent>, ProtocolError> {
        self.release();
        let before = self.replies.len();
        let polled = self.advance(now);
        if self.replies.len() > before {
            self.last_reply = now;
        }
        if polled.is_err() {
            self.state = State::Failed;
        }
        polled
    }

    fn advance(&mut self, now: Instant) -> Result<Option<ServerEvent>, ProtocolError> {
        match self.hold {
            Hold::No => {}
            Hold::Held => return Ok(None),
            Hold::Again => {
                self.hold = Hold::No;
                return Ok(Some(ServerEvent::Entries));
            }
        }
        loop {
            let step = match self.state {
                State::Response => self.response()?,
                State::TagRequest => self.tag_request()?,
                State::Greeting => self.hot_state(now)?,
                State::Setup => self.setup()?,
                State::IngestOk => self.ingest_ok()?,
                State::Configuration => self.configuration()?,
                State::ConfigurationRest(left, code) => self.configuration_rest(left, code),
                State::Stream => self.stream()?,
                State::Ditto { .. } => self.entries()?,
                State::Verdict
                | State::Numbers(_)
                | State::Number
                | State::Refused
                | State::Failed => Step::Wait,
            };
            match step {
                Step::On => self.last_command = now,
                Step::Event(event) => {
                    self.last_command = now;
                    return Ok(Some(event));
                }
                Step::More(need) => {
                    if !self.input.more(need)? {
                        return Ok(None);
                    }
                }
                Step::Wait => return Ok(None),
            }
        }
    }

    /// The entries of the [`ServerEvent::Entries`] polled last; `None` if anything else was done
    /// since.
    #[must_use]
    pub fn batch(&self) -> Option<Batch<'_>> {
        let (len, count, ditto) = self.handed?;
        let frames = self.input.bytes().get(..len)?;
        let as_default = self.config.unknown_tags == UnknownTags::AsDefault;
        let known = as_default.then_some(&self.known);
        Some(Batch { frames, count, receipt: self.acks.received(), ditto, known })
    }

    /// Keeps the batch of the [`ServerEvent::Entries`] polled last, for a server that has no room
    /// for it now. Until [`ServerMachine::resume`] nothing is handed out and there is no room for
    /// bytes, so that the client's writes wait, while PONGs and acknowledgements go on.
    pub const fn hold(&mut self) {
        if self.handed.is_some() {
            self.hold = Hold::Held;
        }
    }

    /// Hands the batch that was held out again, with the next [`ServerMachine::poll`].
    pub fn resume(&mut self) {
        if self.hold == Hold::Held {
            self.hold = Hold::Again;
        }
    }

    /// Acknowledges all entries up to this receipt, because they are stored.
    pub fn confirm(&mut self, through: Receipt, now: Instant) {
        let before = self.acks.unconfirmed();
        if self.acks.confirm(through, self.replies.add()) {
            self.last_reply = now;
        }
        self.counts.confirmed += before - self.acks.unconfirmed();
    }

    /// Says that the ditto block with this receipt was not stored: its answer will be the failure.
    /// Its entries are to be confirmed all the same, for the answer to go out.
    pub fn fail_ditto(&mut self, receipt: Receipt) {
        if !self.acks.fail_ditto(receipt)
            && let State::Ditto { failed, .. } = &mut self.state
        {
            *failed = true;
        }
    }

    /// Bytes to be written to the client; say how many were with [`ServerMachine::written`].
    ///
    /// # Errors
    /// [`ProtocolError::Snappy`] if they cannot be compressed.
    pub fn output(&mut self) -> Result<&[u8], ProtocolError> {
        self.replies.flush()?;
        Ok(self.replies.bytes())
    }

    /// Room for bytes from the client and bytes to be written to it, both at once:
    /// [`ServerMachine::space`] and [`ServerMachine::output`].
    ///
    /// # Errors
    /// As [`ServerMachine::output`].
    pub fn space_and_output(&mut self) -> Result<(&mut [u8], &[u8]), ProtocolError> {
        self.release();
        self.replies.flush()?;
        let space = if self.hold == Hold::No { self.input.space() } else { &mut [] };
        Ok((space, self.replies.bytes()))
    }

    /// Says how many bytes of the output were written.
    pub fn written(&mut self, len: usize) {
        self.replies.written(len);
    }

    /// Whether the connection is to be closed once the output has been written: something was
    /// refused.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Refused | State::Failed)
    }

    /// Whether the handshake is over.
    #[must_use]
    pub const fn is_hot(&self) -> bool {
        self.handshake.is_none()
    }

    /// Whether a PONG may be sent: not in the handshake, not between the permission to ingest and
    /// the reply to the stream configuration, where Go clients mistake it.
    const fn may_pong(&self) -> bool {
        matches!(
            self.state,
            State::Setup | State::IngestOk | State::Stream | State::Number | State::Ditto { .. }
        )
    }

    /// When [`ServerMachine::on_deadline`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        if self.handshake.is_some() {
            return self.handshake;
        }
        let idle = self.idle_at();
        let pong = self.last_reply.checked_add(self.config.pong_interval);
        [idle, pong.filter(|_| self.may_pong())].into_iter().flatten().min()
    }

    /// When the client has been silent for too long: never while it is us who do not listen.
    fn idle_at(&self) -> Option<Instant> {
        let at = self.last_command.checked_add(self.config.idle_timeout);
        at.filter(|_| self.hold == Hold::No)
    }

    /// Does what is due.
    ///
    /// # Errors
    /// [`ProtocolError::Timeout`] if the client took too long; the connection is over then.
    pub fn on_deadline(&mut self, now: Instant) -> Result<(), ProtocolError> {
        if self.is_over() {
            return Ok(());
        }
        let idle = self.idle_at();
        let late = self.handshake.or(idle).is_some_and(|at| at <= now);
        if late {
            let piece = self.state.piece();
            self.state = State::Failed;
            return Err(ProtocolError::Timeout { piece });
        }
        let pong = self.last_reply.checked_add(self.config.pong_interval);
        if self.may_pong() && pong.is_some_and(|at| at <= now) {
            if self.replies.len() == 0 {
                self.replies.word(super::magic::PONG);
            }
            self.last_reply = now;
        }
        Ok(())
    }

    /// Notes that the stream has ended.
    ///
    /// # Errors
    /// [`ProtocolError::UnexpectedEnd`] if that was in the middle of something.
    pub fn end(&mut self) -> Result<(), ProtocolError> {
        self.hold = Hold::No;
        self.release();
        let between = matches!(self.state, State::Setup | State::Stream | State::Refused);
        let piece = if between { self.input.cut() } else { Some(self.state.piece()) };
        self.state = State::Failed;
        match piece {
            Some(piece) => Err(ProtocolError::UnexpectedEnd { piece }),
            None => Ok(()),
        }
    }

    /// Whether entries are taken. While they are not, a client that asks is told to ask again
    /// later; one that does not ask, or has asked, is not held up.
    pub const fn set_accepting(&mut self, accepting: bool) {
        self.accepting = accepting;
    }

    /// The client's version: 3 until it says otherwise.
    #[must_use]
    pub const fn client_version(&self) -> u16 {
        self.client_version
    }

    /// Entries handed out and not confirmed.
    #[must_use]
    pub const fn unconfirmed(&self) -> u64 {
        self.acks.unconfirmed()
    }

    /// Numbers since the connection began.
    #[must_use]
    pub const fn counts(&self) -> ServerCounts {
        self.counts
    }

    /// Gives back memory that only a busy connection needs.
    pub fn relax(&mut self) {
        self.release();
        self.input.relax();
        self.replies.relax();
        self.acks.relax();
    }

    fn known(&mut self, id: TagId) {
        self.known.insert(id);
    }
}

/// What became of the input.
enum Step {
    /// Something was used up.
    On,
    Event(ServerEvent),
    /// So many bytes are needed, as far as known.
    More(usize),
    /// Nothing can be done but by the user.
    Wait,
}

impl State {
    const fn piece(&self) -> Piece {
        match self {
            Self::Response | Self::Verdict => Piece::Authentication,
            Self::TagRequest | Self::Numbers(_) => Piece::TagRequest,
            Self::Greeting => Piece::StateResponse,
            Self::IngestOk => Piece::IngestOk,
            Self::Configuration | Self::ConfigurationRest(..) => Piece::StreamConfiguration,
            Self::Number => Piece::Tag,
            Self::Ditto { .. } => Piece::DittoBlock,
            Self::Setup | Self::Stream | Self::Refused | Self::Failed => Piece::Command,
        }
    }
}
