//! The command stream from the server's side.

use bytes::Bytes;
use ingest_entry::{TagId, TagName};

use super::{ServerEvent, ServerMachine, State, Step, UnknownTags};
use crate::proto::error::{Piece, ProtocolError};
use crate::proto::frame::{self, Scan};
use crate::proto::limits::MAX_TAG;
use crate::proto::magic;

/// How far a run of entries goes.
#[derive(Default)]
struct Run {
    len: usize,
    count: usize,
    unknown: u64,
}

impl ServerMachine {
    pub(super) fn stream(&mut self) -> Result<Step, ProtocolError> {
        let Some(word) = self.word() else { return Ok(Step::More(4)) };
        match word {
            magic::NEW_ENTRY => return self.entries(),
            magic::FORCE_ACK => self.input.consume(4),
            magic::PING => {
                self.input.consume(4);
                self.replies.word(magic::PONG);
            }
            magic::TAG => return self.tag(),
            magic::INGESTER_STATE => return self.ingester_state(),
            magic::DITTO_BLOCK => return self.ditto(),
            magic::ID | magic::API_VER | magic::INGEST_OK => {
                return Err(ProtocolError::OutOfPlace { magic: word });
            }
            word if magic::is_servers(word) => {
                self.input.consume(4);
                self.counts.skipped += 1;
            }
            magic => return Err(ProtocolError::UnknownCommand { magic }),
        }
        Ok(Step::On)
    }

    /// Hands out the entries that are complete, as far as the limits allow.
    pub(super) fn entries(&mut self) -> Result<Step, ProtocolError> {
        let limits = self.config.limits;
        let room = u64::from(limits.unconfirmed).saturating_sub(self.acks.unconfirmed());
        if room == 0 {
            return Ok(Step::Wait);
        }
        let mut room = usize::try_from(room).unwrap_or(usize::MAX);
        let mut ditto_room = u64::MAX;
        let in_ditto = if let State::Ditto { left, bytes, .. } = self.state {
            room = room.min(usize::try_from(left).unwrap_or(usize::MAX));
            ditto_room = limits.ditto_bytes.saturating_sub(bytes);
            true
        } else {
            false
        };
        let mut run = Run::default();
        let end = self.scan(&mut run, room, in_ditto);
        if run.count == 0 {
            // Entries before trouble are handed out first; now the trouble is due.
            return end.map(|need| need.map_or(Step::Wait, Step::More));
        }
        if run.len as u64 > ditto_room {
            let (piece, max) = (Piece::DittoBlock, limits.ditto_bytes);
            let len = max - ditto_room + run.len as u64;
            return Err(ProtocolError::TooLong { piece, len, max });
        }
        self.counts.entries += run.count as u64;
        self.counts.unknown_tags += run.unknown;
        self.handed = Some((run.len, run.count, in_ditto));
        if let State::Ditto { left, bytes, failed } = &mut self.state {
            *left -= run.count as u64;
            *bytes += run.len as u64;
            if *left == 0 {
                self.acks.ditto_end(*failed);
                self.state = State::Stream;
            }
        }
        Ok(Step::Event(ServerEvent::Entries))
    }

    /// Goes over complete frames and notes them: how many bytes the next one needs, or `None` if
    /// something else comes next or there is no room.
    #[inline]
    fn scan(
        &mut self,
        run: &mut Run,
        room: usize,
        in_ditto: bool,
    ) -> Result<Option<usize>, ProtocolError> {
        let limits = self.config.limits.entry;
        let policy = self.config.unknown_tags;
        let mut rest = self.input.bytes();
        let mut last = TagId::DEFAULT;
        while run.count < room {
            let Some(word) = rest.first_chunk() else { return Ok(Some(4)) };
            let magic = u32::from_le_bytes(*word);
            if magic != magic::NEW_ENTRY {
                if in_ditto {
                    return Err(ProtocolError::OutOfPlace { magic });
                }
                return Ok(None);
            }
            let (entry, id, len) = match frame::scan(rest, &limits)? {
                Scan::Entry { entry, id, len } => (entry, id, len),
                Scan::More(need) => return Ok(Some(need)),
            };
            if entry.tag != last {
                if self.known.contains(entry.tag) {
                    last = entry.tag;
                } else if policy == UnknownTags::Refuse {
                    return Err(ProtocolError::UnknownTag { tag: entry.tag });
                } else {
                    run.unknown += 1;
                }
            }
            if in_ditto {
                self.acks.ditto_entry();
            } else {
                self.acks.entry(id);
            }
            run.count += 1;
            run.len += len;
            rest = rest.get(len..).unwrap_or_default();
        }
        Ok(None)
    }

    fn ditto(&mut self) -> Result<Step, ProtocolError> {
        let Some([_, _, _, _, count @ ..]) = self.input.bytes().first_chunk::<12>() else {
            return Ok(Step::More(12));
        };
        let count = u64::from_le_bytes(*count);
        let max = self.config.limits.ditto_entries;
        if count > max {
            return Err(ProtocolError::TooLong { piece: Piece::DittoBlock, len: count, max });
        }
        self.input.consume(12);
        if count == 0 {
            self.replies.value(magic::CONFIRM_DITTO_BLOCK, 0);
        } else {
            self.state = State::Ditto { left: count, bytes: 0, failed: false };
        }
        Ok(Step::On)
    }

    /// The length and body of a command, or how many bytes are needed.
    fn body(&self, piece: Piece, max: u32) -> Result<Result<&[u8], usize>, ProtocolError> {
        let rest = self.input.bytes().get(4..).unwrap_or_default();
        let Some((len, rest)) = rest.split_first_chunk::<4>() else { return Ok(Err(8)) };
        let len = u32::from_le_bytes(*len);
        if len > max {
            let (len, max) = (u64::from(len), u64::from(max));
            return Err(ProtocolError::TooLong { piece, len, max });
        }
        Ok(rest.get(..len as usize).ok_or(8 + len as usize))
    }

    fn tag(&mut self) -> Result<Step, ProtocolError> {
        let (name, used) = match self.body(Piece::Tag, MAX_TAG)? {
            Ok(name) => (TagName::from_bytes(name), 8 + name.len()),
            Err(need) => return Ok(Step::More(need)),
        };
        self.input.consume(used);
        match name {
            Ok(name) if self.known.len() < self.config.limits.tags as usize => {
                self.state = State::Number;
                Ok(Step::Event(ServerEvent::Tag(name)))
            }
            _ => {
                self.replies.word(magic::ERROR_TAG);
                Ok(Step::On)
            }
        }
    }

    /// Gives the tag of [`ServerEvent::Tag`] its number.
    ///
    /// # Errors
    /// [`ProtocolError::OutOfPlace`] if none is asked for.
    pub fn assign_tag(&mut self, id: TagId) -> Result<(), ProtocolError> {
        self.numbered()?;
        self.known(id);
        self.replies.value(magic::CONFIRM_TAG, u64::from(id.0));
        Ok(())
    }

    /// Refuses the tag of [`ServerEvent::Tag`]; the connection goes on.
    ///
    /// # Errors
    /// [`ProtocolError::OutOfPlace`] if none is asked for.
    pub fn refuse_tag(&mut self) -> Result<(), ProtocolError> {
        self.numbered()?;
        self.replies.word(magic::ERROR_TAG);
        Ok(())
    }

    fn numbered(&mut self) -> Result<(), ProtocolError> {
        if self.state != State::Number {
            return Err(ProtocolError::OutOfPlace { magic: 0 });
        }
        self.state = State::Stream;
        Ok(())
    }

    fn ingester_state(&mut self) -> Result<Step, ProtocolError> {
        let max = self.config.limits.state_message;
        let json = match self.body(Piece::StateMessage, max)? {
            Ok(json) => Bytes::copy_from_slice(json),
            Err(need) => return Ok(Step::More(need)),
        };
        self.input.consume(8 + json.len());
        self.replies.word(magic::CONFIRM_INGESTER_STATE);
        Ok(Step::Event(ServerEvent::State(json)))
    }

    /// Asks the client for a pause; it is free to obey.
    pub fn throttle(&mut self, pause: std::time::Duration) {
        if matches!(self.state, State::Stream | State::Number | State::Ditto { .. }) {
            let nanos = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
            self.replies.value(magic::THROTTLE, nanos);
        }
    }
}
