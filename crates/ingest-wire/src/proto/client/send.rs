//! What a client sends once it is ready.

use std::time::Instant;

use ingest_entry::{EntryRef, TagName, ValuesRef};

use super::{Asked, ClientEvent, ClientMachine, Pending, State};
use crate::proto::error::{Piece, SendError};
use crate::proto::magic;
use crate::proto::state::IngesterState;

/// The first versions that know these.
const TAG_VERSION: u16 = 2;
const STATE_VERSION: u16 = 6;
const VALUES_VERSION: u16 = 8;
const DITTO_VERSION: u16 = 9;
/// The most entries that one ditto block of ours has.
const MAX_DITTO: usize = 65_535;

impl ClientMachine {
    /// Sends an entry and returns its id. One without a source gets
    /// [`ClientConfig::source`](super::ClientConfig::source). Entries for a server older than version 8 lose their
    /// values, which is counted.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent then.
    #[inline]
    pub fn send(&mut self, mut entry: EntryRef<'_>) -> Result<u64, SendError> {
        self.writable()?;
        if self.window.span() >= usize::from(self.config.window) {
            return Err(SendError::WindowFull);
        }
        if self.window.waiting() >= self.config.buffer {
            return Err(SendError::BufferFull);
        }
        if entry.src.is_none() {
            entry.src = self.config.source;
        }
        let id = self.entry(entry, false)?;
        self.counts.sent += 1;
        Ok(id)
    }

    #[inline]
    fn entry(&mut self, mut entry: EntryRef<'_>, ditto: bool) -> Result<u64, SendError> {
        if !entry.values.is_empty() && self.knows(VALUES_VERSION, Piece::Entry).is_err() {
            entry.values = ValuesRef::EMPTY;
            self.counts.values_dropped += 1;
        }
        Ok(self.window.entry(&entry, ditto)?)
    }

    /// Asks the server for all acknowledgements that it holds back. It has no reply of its own.
    ///
    /// # Errors
    /// [`SendError::NotReady`].
    pub fn force_ack(&mut self) -> Result<(), SendError> {
        self.ready()?;
        self.command(&[&magic::FORCE_ACK.to_le_bytes()])
    }

    /// Asks for a tag's number: the answer is a [`ClientEvent::Tag`].
    ///
    /// # Errors
    /// [`SendError::NotReady`], or [`SendError::Unsupported`] before version 2.
    pub fn ask_tag(&mut self, name: TagName, now: Instant) -> Result<(), SendError> {
        self.ready()?;
        self.knows(TAG_VERSION, Piece::Tag)?;
        if let Some(id) = self.tag(&name) {
            self.events.push_back(ClientEvent::Tag { name, id: Some(id) });
            return Ok(());
        }
        if self.outstanding() > 0 {
            self.force_ack()?;
        }
        let text = name.as_str().as_bytes();
        let len = (text.len() as u32).to_le_bytes();
        self.command(&[&magic::TAG.to_le_bytes(), &len, text])?;
        self.wait_for(Asked::Tag(name), now);
        Ok(())
    }

    /// Sends a state message, as [`IngesterState::to_json_within`] makes it: the answer is [`ClientEvent::State`]. To a server older than version 6 nothing is sent,
    /// and the answer comes at once.
    ///
    /// # Errors
    /// [`SendError::NotReady`], or [`SendError::TooLong`] over 1 MiB.
    pub fn send_state(&mut self, json: &str, now: Instant) -> Result<(), SendError> {
        self.ready()?;
        if json.len() > IngesterState::MAX_LEN {
            let (len, max) = (json.len() as u64, IngesterState::MAX_LEN as u64);
            return Err(SendError::TooLong { piece: Piece::StateMessage, len, max });
        }
        if self.knows(STATE_VERSION, Piece::StateMessage).is_err() {
            self.events.push_back(ClientEvent::State);
            return Ok(());
        }
        let len = (json.len() as u32).to_le_bytes();
        self.command(&[&magic::INGESTER_STATE.to_le_bytes(), &len, json.as_bytes()])?;
        self.wait_for(Asked::State, now);
        Ok(())
    }

    /// Sends entries as a ditto block, which is confirmed as a whole when it is stored for good:
    /// the answer is a [`ClientEvent::Ditto`]. A block without entries is stored at once; servers
    /// do not answer it. Until the answer the entries count as unacknowledged; after it they are
    /// settled either way.
    ///
    /// # Errors
    /// [`SendError::NotReady`], [`SendError::Throttled`], [`SendError::Unsupported`] before
    /// version 9, [`SendError::TooLong`] for more than 65,535 entries, [`SendError::Entry`].
    /// Nothing was sent then.
    pub fn send_ditto(&mut self, entries: &[EntryRef<'_>], now: Instant) -> Result<(), SendError> {
        self.writable()?;
        self.knows(DITTO_VERSION, Piece::DittoBlock)?;
        if entries.len() > MAX_DITTO {
            let (len, max) = (entries.len() as u64, MAX_DITTO as u64);
            return Err(SendError::TooLong { piece: Piece::DittoBlock, len, max });
        }
        if entries.is_empty() {
            self.events.push_back(ClientEvent::Ditto { stored: true });
            return Ok(());
        }
        for entry in entries {
            entry.header()?;
        }
        let count = (entries.len() as u64).to_le_bytes();
        self.command(&[&magic::DITTO_BLOCK.to_le_bytes(), &count])?;
        let first = self.window.next();
        for entry in entries {
            self.entry(*entry, true)?;
            self.counts.sent += 1;
        }
        self.wait_for(Asked::Ditto(first..self.window.next()), now);
        Ok(())
    }

    fn ready(&self) -> Result<(), SendError> {
        if self.state == State::Ready { Ok(()) } else { Err(SendError::NotReady) }
    }

    #[inline]
    fn writable(&self) -> Result<(), SendError> {
        self.ready()?;
        if self.throttled.is_some() { Err(SendError::Throttled) } else { Ok(()) }
    }

    #[inline]
    fn knows(&self, needs: u16, piece: Piece) -> Result<(), SendError> {
        let server = self.challenge.map_or(0, |challenge| challenge.version);
        if server < needs {
            return Err(SendError::Unsupported { piece, needs, server });
        }
        Ok(())
    }

    fn command(&mut self, parts: &[&[u8]]) -> Result<(), SendError> {
        self.window.command(parts).map_err(|_| SendError::NotReady)
    }

    fn wait_for(&mut self, what: Asked, now: Instant) {
        let wait = match what {
            Asked::Ditto(_) => self.config.ditto_timeout,
            _ => self.config.reply_timeout,
        };
        let deadline = now.checked_add(wait).unwrap_or(now);
        self.pending.push_back(Pending { what, deadline });
    }
}
