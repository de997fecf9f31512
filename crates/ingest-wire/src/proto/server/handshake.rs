//! The handshake from the server's side.

use std::collections::BTreeMap;
use std::time::Instant;

use ingest_entry::{TagId, TagName};

use super::{ServerEvent, ServerMachine, State, Step};
use crate::proto::auth::AuthResponse;
use crate::proto::error::{Piece, ProtocolError};
use crate::proto::message::{
    STATE_AUTHENTICATED, STATE_HOT, STATE_NOT_AUTHENTICATED, StateResponse, TagRequest, TagResponse,
};

/// The longest response, in bytes.
const MAX_RESPONSE: usize = 68 + 512;

impl ServerMachine {
    pub(super) fn response(&mut self) -> Result<Step, ProtocolError> {
        match AuthResponse::decode(self.input.bytes())? {
            Some((response, used)) => {
                self.input.consume(used);
                self.state = State::Verdict;
                Ok(Step::Event(ServerEvent::Response(response)))
            }
            None => Ok(Step::More(MAX_RESPONSE)),
        }
    }

    /// Lets the client in, after its [`ServerEvent::Response`].
    ///
    /// # Errors
    /// [`ProtocolError::OutOfPlace`] if there was none.
    pub fn authenticated(&mut self) -> Result<(), ProtocolError> {
        self.expect(&State::Verdict)?;
        self.state = State::TagRequest;
        self.say(STATE_AUTHENTICATED, "")
    }

    /// Turns the client away, after its [`ServerEvent::Response`], with words for a person (which
    /// should not tell an attacker anything).
    ///
    /// # Errors
    /// [`ProtocolError::OutOfPlace`] if there was none, [`ProtocolError::TooLong`] for too many
    /// words.
    pub fn refuse(&mut self, info: &str) -> Result<(), ProtocolError> {
        self.expect(&State::Verdict)?;
        self.state = State::Refused;
        self.say(STATE_NOT_AUTHENTICATED, info)
    }

    fn say(&mut self, id: u64, info: &str) -> Result<(), ProtocolError> {
        let max = self.config.limits.state_response;
        StateResponse { id, info: info.to_owned() }.encode(max, self.replies.add())
    }

    fn expect(&self, state: &State) -> Result<(), ProtocolError> {
        if self.state == *state { Ok(()) } else { Err(ProtocolError::OutOfPlace { magic: 0 }) }
    }

    pub(super) fn tag_request(&mut self) -> Result<Step, ProtocolError> {
        let limits = self.config.limits;
        let (request, used) = match TagRequest::decode(self.input.bytes(), limits.tag_request)? {
            Ok(decoded) => decoded,
            Err(need) => return Ok(Step::More(need)),
        };
        self.input.consume(used);
        let asked = request.tags.unwrap_or_default();
        if asked.len() as u64 > u64::from(limits.tags) {
            let (len, max) = (asked.len() as u64, u64::from(limits.tags));
            return Err(ProtocolError::TooLong { piece: Piece::TagRequest, len, max });
        }
        let names: Result<Vec<_>, _> = asked.iter().map(|name| TagName::new(name)).collect();
        self.state = State::Numbers(asked);
        match names {
            Ok(names) if names.is_empty() => {
                self.assign_tags(&[])?;
                Ok(Step::On)
            }
            Ok(names) => Ok(Step::Event(ServerEvent::Tags(names))),
            Err(_) => {
                self.refuse_tags()?;
                Err(ProtocolError::TagNotGiven)
            }
        }
    }

    /// Gives the tags of [`ServerEvent::Tags`] their numbers, in the order of that list.
    ///
    /// # Errors
    /// [`ProtocolError::OutOfPlace`] if none are asked for, or not as many.
    pub fn assign_tags(&mut self, numbers: &[TagId]) -> Result<(), ProtocolError> {
        let asked = match &mut self.state {
            State::Numbers(asked) if asked.len() == numbers.len() => core::mem::take(asked),
            _ => return Err(ProtocolError::OutOfPlace { magic: 0 }),
        };
        numbers.iter().for_each(|&id| self.known(id));
        let tags: BTreeMap<_, _> = asked.into_iter().zip(numbers.iter().map(|id| id.0)).collect();
        self.state = State::Greeting;
        let response = TagResponse { count: tags.len() as u64, tags: Some(tags) };
        response.encode(32 << 20, self.replies.add())
    }

    /// Refuses the tags of [`ServerEvent::Tags`]; the connection is over then.
    ///
    /// # Errors
    /// [`ProtocolError::OutOfPlace`] if none are asked for.
    pub fn refuse_tags(&mut self) -> Result<(), ProtocolError> {
        let State::Numbers(_) = self.state else {
            return Err(ProtocolError::OutOfPlace { magic: 0 });
        };
        self.state = State::Refused;
        TagResponse::default().encode(4096, self.replies.add())
    }

    pub(super) fn hot_state(&mut self, now: Instant) -> Result<Step, ProtocolError> {
        let max = self.config.limits.state_response;
        let (state, used) = match StateResponse::decode(self.input.bytes(), max)? {
            Ok(decoded) => decoded,
            Err(need) => return Ok(Step::More(need)),
        };
        if state.id != STATE_HOT {
            return Err(ProtocolError::NotHot { id: state.id });
        }
        self.input.consume(used);
        self.state = State::Setup;
        self.handshake = None;
        self.last_reply = now;
        Ok(Step::Event(ServerEvent::Hot))
    }
}
