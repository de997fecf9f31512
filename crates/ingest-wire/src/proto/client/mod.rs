//! The client's side: [`ClientMachine`].

mod config;
mod receive;
mod send;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ingest_entry::{Entry, TagId, TagName};

pub use self::config::{ClientConfig, Identity};
pub(crate) use self::receive::check_configuration;
use super::auth::{AuthResponse, Challenge, ResponseHash};
use super::buffer::Receiver;
use super::error::{Piece, ProtocolError};
use super::window::Window;

/// What a client hears of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server's challenge: answer with [`ClientMachine::respond`].
    Challenge(Challenge),
    /// Handshake and set-up are over: entries can be sent.
    Ready,
    /// The server does not take entries yet. It is asked again, without end.
    NotAllowed,
    /// Some entries were acknowledged.
    Acknowledged,
    /// A tag asked for with [`ClientMachine::ask_tag`] got its number, or was refused.
    Tag {
        /// The tag.
        name: TagName,
        /// Its number, `None` if refused.
        id: Option<TagId>,
    },
    /// A state message was taken.
    State,
    /// A ditto block was answered.
    Ditto {
        /// Whether it is stored for good.
        stored: bool,
    },
    /// The server asks for a pause of so long, 5 s at most, or until it speaks again.
    Throttle(Duration),
}

/// Numbers of a client since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCounts {
    /// Entries sent, those of ditto blocks included.
    pub sent: u64,
    /// Entries acknowledged, those of stored ditto blocks included.
    pub acknowledged: u64,
    /// Acknowledgements for ids that were not waiting for one.
    pub unknown_acks: u64,
    /// Entries whose values were left out, because the server is older than version 8.
    pub values_dropped: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Challenge,
    /// Waits for [`ClientMachine::respond`].
    Respond,
    Authenticated,
    Tags,
    Version,
    Identity,
    IngestOk,
    Configuration,
    Ready,
    Failed,
}

/// A reply that is waited for.
#[derive(Debug)]
struct Pending {
    what: Asked,
    deadline: Instant,
}

#[derive(Debug)]
enum Asked {
    Tag(TagName),
    State,
    Ditto(core::ops::Range<u64>),
}

/// One connection from the client's side: bytes in, events and bytes out.
///
/// Give it what arrives ([`ClientMachine::space`] and [`ClientMachine::filled`], or
/// [`ClientMachine::feed`]), take events with [`ClientMachine::poll`] until there is none, write
/// what [`ClientMachine::transmit`] has, and call [`ClientMachine::on_deadline`] when
/// [`ClientMachine::deadline`] has come.
#[derive(Debug)]
pub struct ClientMachine {
    config: ClientConfig,
    state: State,
    input: Receiver,
    window: Window,
    challenge: Option<Challenge>,
    tags: BTreeMap<TagName, TagId>,
    events: VecDeque<ClientEvent>,
    pending: VecDeque<Pending>,
    /// For the handshake, the reply of the set-up, or asking again.
    timer: Option<Instant>,
    /// The timer is that of asking again.
    asking_again: bool,
    throttled: Option<Instant>,
    /// Bytes came since the last poll.
    heard: bool,
    /// Since when the server owes something and says nothing.
    silent: Option<Instant>,
    acknowledged: bool,
    configuration_left: Option<u32>,
    counts: ClientCounts,
}

impl ClientMachine {
    /// A client at the start of its connection.
    #[must_use]
    pub fn new(config: ClientConfig, now: Instant) -> Self {
        Self {
            state: State::Challenge,
            input: Receiver::new(64 << 10),
            window: Window::new(),
            challenge: None,
            tags: BTreeMap::new(),
            events: VecDeque::new(),
            pending: VecDeque::new(),
            timer: now.checked_add(config.handshake_timeout),
            asking_again: false,
            throttled: None,
            heard: false,
            silent: None,
            acknowledged: false,
            configuration_left: None,
            counts: ClientCounts::default(),
            config,
        }
    }

    /// Room for bytes from the server. Empty if there is none: poll first.
    pub fn space(&mut self) -> &mut [u8] {
        self.input.space()
    }

    /// Says how many bytes were put into the room.
    pub fn filled(&mut self, len: usize) {
        self.heard |= len > 0;
        self.input.filled(len);
    }

    /// Copies bytes from the server in: how many there was room for.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let taken = self.input.feed(bytes);
        self.heard |= taken > 0;
        taken
    }

    /// The next event, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// What the server did wrong, or refused; the connection is over then.
    pub fn poll(&mut self, now: Instant) -> Result<Option<ClientEvent>, ProtocolError> {
        if self.heard {
            self.heard = false;
            self.throttled = None;
            self.silent = (self.window.outstanding() > 0).then_some(now);
        }
        let polled = self.receive(now);
        if polled.is_err() {
            self.state = State::Failed;
        }
        polled
    }

    /// Answers the challenge with [`Secret::respond`](super::Secret::respond).
    ///
    /// # Errors
    /// [`ProtocolError::TenantUnsupported`] or [`ProtocolError::TooLong`] for a tenant that cannot
    /// be sent; [`ProtocolError::OutOfPlace`] if there was no challenge. Nothing is sent then.
    pub fn respond(&mut self, hash: ResponseHash) -> Result<(), ProtocolError> {
        let (State::Respond, Some(challenge)) = (self.state, self.challenge) else {
            return Err(ProtocolError::OutOfPlace { magic: 0 });
        };
        let response = AuthResponse { hash, tenant: self.config.tenant.clone() };
        let mut bytes = Vec::new();
        if let Err(error) = response.encode(challenge.version, &mut bytes) {
            self.state = State::Failed;
            return Err(error);
        }
        self.state = State::Authenticated;
        self.window.command(&[&bytes])
    }

    /// The next bytes to write, all of them, before asking again.
    ///
    /// # Errors
    /// [`ProtocolError::Snappy`] if they cannot be compressed.
    pub fn transmit(&mut self, now: Instant) -> Result<Option<Bytes>, ProtocolError> {
        let bytes = self.window.transmit()?;
        if bytes.is_some() && self.silent.is_none() && self.window.outstanding() > 0 {
            self.silent = Some(now);
        }
        Ok(bytes)
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.window.waiting()
    }

    /// When [`ClientMachine::on_deadline`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let silence = self.silent.and_then(|at| at.checked_add(self.config.silence_timeout));
        let pending = self.pending.iter().map(|pending| pending.deadline).min();
        [self.timer, self.throttled, silence, pending].into_iter().flatten().min()
    }

    /// Does what is due.
    ///
    /// # Errors
    /// [`ProtocolError::Timeout`] if the server took too long; the connection is over then.
    pub fn on_deadline(&mut self, now: Instant) -> Result<(), ProtocolError> {
        if self.throttled.is_some_and(|at| at <= now) {
            self.throttled = None;
        }
        if self.timer.is_some_and(|at| at <= now) {
            if self.asking_again {
                return self.ask_ingest_ok(now);
            }
            return self.fail(ProtocolError::Timeout { piece: self.state.piece() });
        }
        if let Some(late) = self.pending.iter().find(|pending| pending.deadline <= now) {
            let piece = late.what.piece();
            return self.fail(ProtocolError::Timeout { piece });
        }
        let silence = self.silent.and_then(|at| at.checked_add(self.config.silence_timeout));
        if silence.is_some_and(|at| at <= now) {
            return self.fail(ProtocolError::Timeout { piece: Piece::Entry });
        }
        Ok(())
    }

    fn fail(&mut self, error: ProtocolError) -> Result<(), ProtocolError> {
        self.state = State::Failed;
        Err(error)
    }

    /// Notes that the stream has ended.
    ///
    /// # Errors
    /// [`ProtocolError::UnexpectedEnd`] if that was in the middle of something, or before the
    /// client was ready.
    pub fn end(&mut self) -> Result<(), ProtocolError> {
        let ready = self.state == State::Ready;
        let piece = if ready { self.input.cut() } else { Some(self.state.piece()) };
        self.state = State::Failed;
        match piece {
            Some(piece) => Err(ProtocolError::UnexpectedEnd { piece }),
            None => Ok(()),
        }
    }

    /// Whether entries can be sent.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Whether the handshake is over, and what follows it is not.
    #[must_use]
    pub const fn is_setting_up(&self) -> bool {
        matches!(
            self.state,
            State::Version | State::Identity | State::IngestOk | State::Configuration
        )
    }

    /// For the moment behind the set-up: whether what has come since can be the beginning of the
    /// stream that was agreed on; `None` when nothing has come.
    #[cfg(feature = "tokio")]
    pub(crate) fn begins_well(&self) -> Option<bool> {
        self.input.begins_well()
    }

    /// The server's version, once its challenge has come.
    #[must_use]
    pub fn server_version(&self) -> Option<u16> {
        self.challenge.map(|challenge| challenge.version)
    }

    /// The tags that have numbers. `default` and `gravwell` have theirs without being asked for.
    pub fn tags(&self) -> impl Iterator<Item = (&TagName, TagId)> {
        self.tags.iter().map(|(name, &id)| (name, id))
    }

    /// The number of a tag.
    #[must_use]
    pub fn tag(&self, name: &TagName) -> Option<TagId> {
        self.tags.get(name).copied().or(match name.as_str() {
            "default" => Some(TagId::DEFAULT),
            "gravwell" => Some(TagId::GRAVWELL),
            _ => None,
        })
    }

    /// The name of a number.
    #[must_use]
    pub fn tag_name(&self, id: TagId) -> Option<TagName> {
        let found = self.tags.iter().find(|&(_, &known)| known == id);
        found.map(|(name, _)| name.clone()).or_else(|| match id {
            TagId::DEFAULT => TagName::new("default").ok(),
            TagId::GRAVWELL => TagName::new("gravwell").ok(),
            _ => None,
        })
    }

    /// Entries that were sent and are not acknowledged.
    #[must_use]
    pub const fn outstanding(&self) -> usize {
        self.window.outstanding()
    }

    /// The id of the first entry that is not acknowledged, or else of the next one to be sent.
    #[must_use]
    pub const fn first_outstanding(&self) -> u64 {
        self.window.first()
    }

    /// The id that the next entry will get.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.window.next()
    }

    /// Takes what is not acknowledged, in the order in which it was sent, with this connection's
    /// tag numbers, and throws away what was to be written. Values that were left out for an old
    /// server stay left out.
    pub fn take_unacknowledged(&mut self) -> Vec<Entry> {
        self.silent = None;
        self.window.take()
    }

    /// Numbers since the connection began.
    #[must_use]
    pub const fn counts(&self) -> ClientCounts {
        self.counts
    }

    /// Whether [`ClientMachine::relax`] gives anything back once all is acknowledged.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_tense(&self) -> bool {
        self.window.is_tense()
    }

    /// Gives back memory that only a busy connection needs.
    pub fn relax(&mut self) {
        self.input.relax();
        self.window.relax();
    }
}

impl State {
    const fn piece(self) -> Piece {
        match self {
            Self::Challenge | Self::Respond | Self::Authenticated => Piece::Authentication,
            Self::Tags => Piece::TagResponse,
            Self::Version => Piece::Version,
            Self::Identity => Piece::Identity,
            Self::IngestOk => Piece::IngestOk,
            Self::Configuration => Piece::StreamConfiguration,
            Self::Ready | Self::Failed => Piece::Command,
        }
    }
}

impl Asked {
    const fn piece(&self) -> Piece {
        match self {
            Self::Tag(_) => Piece::Tag,
            Self::State => Piece::StateMessage,
            Self::Ditto(_) => Piece::DittoBlock,
        }
    }
}
