//! What a client hears: handshake, set-up, stream.

use std::time::{Duration, Instant};

use super::{Asked, ClientEvent, ClientMachine, State};
use crate::proto::auth::Challenge;
use crate::proto::error::{Piece, ProtocolError};
use crate::proto::limits::{MAX_THROTTLE, VERSION};
use crate::proto::magic;
use crate::proto::message::{
    STATE_AUTHENTICATED, STATE_HOT, STATE_NOT_AUTHENTICATED, StateResponse, TagRequest, TagResponse,
};
use ingest_entry::TagId;

/// The first versions that know these.
const IDENTITY_VERSION: u16 = 3;
const API_VERSION: u16 = 4;
const CONFIGURATION_VERSION: u16 = 5;

const NONE: u8 = 0x00;
const SNAPPY: u8 = 0x10;

/// What became of the input.
enum Step {
    /// Something was used up.
    On,
    /// So many bytes are needed, as far as known.
    More(usize),
    /// Nothing can be done but by the user.
    Wait,
}

impl ClientMachine {
    pub(super) fn receive(&mut self, now: Instant) -> Result<Option<ClientEvent>, ProtocolError> {
        loop {
            if let Some(event) = self.next_event() {
                return Ok(Some(event));
            }
            let step = match self.state {
                State::Challenge => self.challenge(),
                State::Authenticated => self.authenticated()?,
                State::Tags => self.tag_response(now)?,
                State::Configuration => self.configuration(now)?,
                State::Respond | State::Failed => Step::Wait,
                _ => self.commands(now)?,
            };
            match step {
                Step::On => {}
                Step::More(need) => {
                    if !self.input.more(need)? {
                        return Ok(self.next_event());
                    }
                }
                Step::Wait => return Ok(self.next_event()),
            }
        }
    }

    fn next_event(&mut self) -> Option<ClientEvent> {
        if self.events.is_empty() {
            return None;
        }
        self.events.pop_front()
    }

    fn challenge(&mut self) -> Step {
        let Some(bytes) = self.input.bytes().first_chunk::<{ Challenge::LEN }>() else {
            return Step::More(Challenge::LEN);
        };
        let challenge = Challenge::decode(bytes);
        self.input.consume(Challenge::LEN);
        self.challenge = Some(challenge);
        self.state = State::Respond;
        self.events.push_back(ClientEvent::Challenge(challenge));
        Step::On
    }

    fn authenticated(&mut self) -> Result<Step, ProtocolError> {
        let max = self.config.limits.state_response;
        let (state, used) = match StateResponse::decode(self.input.bytes(), max)? {
            Ok(decoded) => decoded,
            Err(need) => return Ok(Step::More(need)),
        };
        self.input.consume(used);
        match state.id {
            STATE_AUTHENTICATED => {}
            STATE_NOT_AUTHENTICATED => return Err(ProtocolError::BadSecret),
            id => return Err(ProtocolError::Refused { id, info: state.info }),
        }
        let tags: Vec<_> = self.config.tags.iter().map(|tag| tag.as_str().to_owned()).collect();
        let request = TagRequest { count: tags.len() as u64, tags: Some(tags) };
        let mut bytes = Vec::new();
        request.encode(32 << 20, &mut bytes)?;
        self.window.command(&[&bytes])?;
        self.state = State::Tags;
        Ok(Step::On)
    }

    fn tag_response(&mut self, now: Instant) -> Result<Step, ProtocolError> {
        let max = self.config.limits.tag_response;
        let (response, used) = match TagResponse::decode(self.input.bytes(), max)? {
            Ok(decoded) => decoded,
            Err(need) => return Ok(Step::More(need)),
        };
        self.input.consume(used);
        if response.count == 0 {
            return Err(ProtocolError::TagsRefused);
        }
        let numbers = response.tags.unwrap_or_default();
        for name in &self.config.tags {
            let Some(&number) = numbers.get(name.as_str()) else {
                return Err(ProtocolError::TagMissing { name: name.clone() });
            };
            self.tags.insert(name.clone(), TagId(number));
        }
        let hot = StateResponse { id: STATE_HOT, info: String::new() };
        let mut bytes = Vec::new();
        hot.encode(4096, &mut bytes)?;
        self.window.command(&[&bytes])?;
        self.timer = None;
        self.set_up(State::Tags, now)?;
        Ok(Step::On)
    }

    fn version(&self) -> u16 {
        self.challenge.map_or(0, |challenge| challenge.version)
    }

    /// Goes to the step of the set-up behind `done` that the server's version knows.
    fn set_up(&mut self, done: State, now: Instant) -> Result<(), ProtocolError> {
        let version = if self.config.plain { 0 } else { self.version() };
        self.timer = now.checked_add(self.config.reply_timeout);
        if done == State::Tags && version >= API_VERSION {
            self.state = State::Version;
            let ours = VERSION.to_le_bytes();
            return self.window.command(&[&magic::API_VER.to_le_bytes(), &ours]);
        }
        if matches!(done, State::Tags | State::Version) && version >= IDENTITY_VERSION {
            self.state = State::Identity;
            return self.identify();
        }
        if done == State::Identity && version >= API_VERSION {
            return self.ask_ingest_ok(now);
        }
        if done == State::IngestOk && version >= CONFIGURATION_VERSION {
            self.state = State::Configuration;
            let code = if self.config.compression { SNAPPY } else { NONE };
            return self.window.command(&[&1u32.to_le_bytes(), &[code]]);
        }
        self.timer = None;
        self.state = State::Ready;
        self.events.push_back(ClientEvent::Ready);
        Ok(())
    }

    fn identify(&mut self) -> Result<(), ProtocolError> {
        let mut bytes = magic::ID.to_le_bytes().to_vec();
        let identity = &self.config.identity;
        for text in [&identity.name, &identity.version, &identity.uuid] {
            bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        self.window.command(&[&bytes])
    }

    pub(super) fn ask_ingest_ok(&mut self, now: Instant) -> Result<(), ProtocolError> {
        self.state = State::IngestOk;
        self.asking_again = false;
        self.timer = now.checked_add(self.config.reply_timeout);
        self.window.command(&[&magic::INGEST_OK.to_le_bytes()])
    }

    /// The reply to the stream configuration; a PONG can be before it.
    fn configuration(&mut self, now: Instant) -> Result<Step, ProtocolError> {
        let input = self.input.bytes();
        if let Some(left) = self.configuration_left {
            // Of a longer block all but the first byte is thrown away as it comes.
            if left > 0 {
                let used = input.len().min(left as usize);
                self.configuration_left = Some(left - used as u32);
                self.input.consume(used);
                return Ok(if used == 0 { Step::More(1) } else { Step::On });
            }
            self.configuration_left = None;
            if self.config.compression {
                self.window.compress()?;
                self.input.decompress();
            }
            self.set_up(State::Configuration, now)?;
            return Ok(Step::On);
        }
        let Some((word, rest)) = input.split_first_chunk::<4>() else { return Ok(Step::More(4)) };
        let len = u32::from_le_bytes(*word);
        if len == magic::PONG {
            self.input.consume(4);
            return Ok(Step::On);
        }
        let max = self.config.limits.stream_configuration;
        check_configuration(len, max)?;
        let Some(&code) = rest.first() else { return Ok(Step::More(5)) };
        let wanted = if self.config.compression { SNAPPY } else { NONE };
        if code != wanted {
            return Err(ProtocolError::Compression { code });
        }
        self.input.consume(5);
        self.configuration_left = Some(len - 1);
        Ok(Step::On)
    }

    /// Commands as long as they come, up to the next event.
    fn commands(&mut self, now: Instant) -> Result<Step, ProtocolError> {
        loop {
            let input = self.input.bytes();
            let Some((word, rest)) = input.split_first_chunk::<4>() else {
                return Ok(self.out_of_commands(4));
            };
            let word = u32::from_le_bytes(*word);
            let with_value = matches!(
                word,
                magic::CONFIRM_ENTRY
                    | magic::THROTTLE
                    | magic::CONFIRM_TAG
                    | magic::CONFIRM_INGEST_OK
                    | magic::CONFIRM_DITTO_BLOCK
            );
            let (mut value, mut used) = (0, 4);
            if with_value {
                let Some(bytes) = rest.first_chunk::<8>() else {
                    return Ok(self.out_of_commands(12));
                };
                (value, used) = (u64::from_le_bytes(*bytes), 12);
            }
            if word == magic::CONFIRM_ENTRY {
                self.confirmed(value);
                continue;
            }
            self.input.consume(used);
            self.command_received(word, value, now)?;
            if !self.events.is_empty() || self.state == State::Configuration {
                self.note_acknowledged();
                return Ok(Step::On);
            }
        }
    }

    /// Acknowledgements from this id on, which the input starts with: most come in long runs.
    fn confirmed(&mut self, first: u64) {
        let (acks, _) = self.input.bytes().as_chunks::<12>();
        let follow = |(ack, n): (&[u8; 12], u64)| {
            let [w0, w1, w2, w3, id @ ..] = *ack;
            u32::from_le_bytes([w0, w1, w2, w3]) == magic::CONFIRM_ENTRY
                && u64::from_le_bytes(id) == first.wrapping_add(n)
        };
        let count = acks.iter().zip(0..).take_while(|&pair| follow(pair)).count();
        self.input.consume(12 * count);
        let known = self.window.acknowledge_run(first, count);
        self.counts.acknowledged += known as u64;
        self.counts.unknown_acks += (count - known) as u64;
        self.acknowledged |= known > 0;
    }

    fn out_of_commands(&mut self, need: usize) -> Step {
        self.note_acknowledged();
        Step::More(need)
    }

    fn note_acknowledged(&mut self) {
        if core::mem::take(&mut self.acknowledged) {
            if self.window.outstanding() == 0 {
                self.silent = None;
            }
            self.events.push_front(ClientEvent::Acknowledged);
        }
    }

    fn command_received(
        &mut self,
        word: u32,
        value: u64,
        now: Instant,
    ) -> Result<(), ProtocolError> {
        match (word, self.state) {
            (magic::PONG | magic::FORCE_ACK, _) => {}
            (magic::THROTTLE, _) => {
                let pause = Duration::from_nanos(value).min(MAX_THROTTLE);
                self.throttled = now.checked_add(pause);
                self.events.push_back(ClientEvent::Throttle(pause));
            }
            (magic::CONFIRM_API_VER, State::Version) => self.set_up(State::Version, now)?,
            (magic::CONFIRM_ID, State::Identity) => self.set_up(State::Identity, now)?,
            (magic::CONFIRM_INGEST_OK, State::IngestOk) if !self.asking_again => {
                if value == 0 {
                    self.asking_again = true;
                    self.timer = now.checked_add(self.config.ask_again);
                    self.events.push_back(ClientEvent::NotAllowed);
                } else {
                    self.set_up(State::IngestOk, now)?;
                }
            }
            (magic::CONFIRM_TAG | magic::ERROR_TAG, State::Ready) => {
                let Asked::Tag(name) = self.reply(|asked| matches!(asked, Asked::Tag(_)), word)?
                else {
                    return Ok(());
                };
                let id = (word == magic::CONFIRM_TAG).then_some(TagId(value as u16));
                if let Some(id) = id {
                    self.tags.insert(name.clone(), id);
                }
                self.events.push_back(ClientEvent::Tag { name, id });
            }
            (magic::CONFIRM_INGESTER_STATE, State::Ready) => {
                self.reply(|asked| matches!(asked, Asked::State), word)?;
                self.events.push_back(ClientEvent::State);
            }
            (magic::CONFIRM_DITTO_BLOCK, State::Ready) => {
                let Asked::Ditto(ids) =
                    self.reply(|asked| matches!(asked, Asked::Ditto(_)), word)?
                else {
                    return Ok(());
                };
                let stored = value == 0;
                if stored {
                    self.counts.acknowledged += ids.end - ids.start;
                }
                self.window.settle_ditto(ids);
                self.events.push_back(ClientEvent::Ditto { stored });
            }
            (word, _) if magic::is_servers(word) => {
                return Err(ProtocolError::OutOfPlace { magic: word });
            }
            (word, _) => return Err(ProtocolError::UnknownCommand { magic: word }),
        }
        Ok(())
    }

    /// The first request of a kind that waits for its reply.
    fn reply(&mut self, kind: impl Fn(&Asked) -> bool, word: u32) -> Result<Asked, ProtocolError> {
        let found = self.pending.iter().position(|pending| kind(&pending.what));
        let pending = found.and_then(|at| self.pending.remove(at));
        match pending {
            Some(pending) => Ok(pending.what),
            None => Err(ProtocolError::Unasked {
                piece: match word {
                    magic::CONFIRM_INGESTER_STATE => Piece::StateMessage,
                    magic::CONFIRM_DITTO_BLOCK => Piece::DittoBlock,
                    _ => Piece::Tag,
                },
            }),
        }
    }
}

/// Checks the length of a stream configuration block.
pub(crate) fn check_configuration(len: u32, max: u32) -> Result<(), ProtocolError> {
    if len == 0 {
        return Err(ProtocolError::EmptyConfiguration);
    }
    if len > max {
        return Err(ProtocolError::TooLong {
            piece: Piece::StreamConfiguration,
            len: u64::from(len),
            max: u64::from(max),
        });
    }
    Ok(())
}
