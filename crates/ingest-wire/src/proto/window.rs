//! What a client has sent and not heard of: the ring of unacknowledged entries, over the very
//! bytes that went out, so that keeping them for resending costs no copy.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use ingest_entry::{Entry, EntryRef, LimitError, Limits};

use super::error::ProtocolError;
use super::frame::{self, Scan};
use super::snappy::Compressor;

/// Sizes of the pieces of memory that frames are written into: small when idle, large under load.
const SMALL: usize = 8 << 10;
const LARGE: usize = 256 << 10;

/// Where an entry's frame is.
#[derive(Debug, Clone, Copy)]
struct Slot {
    piece: u64,
    offset: u32,
    len: u32,
    settled: bool,
    /// Confirmed with its block, not by itself.
    ditto: bool,
}

/// A piece of output with entries that are not acknowledged.
#[derive(Debug)]
struct Piece {
    number: u64,
    bytes: Bytes,
}

#[derive(Debug)]
pub(crate) struct Window {
    /// What is being written, and its number.
    tail: BytesMut,
    number: u64,
    tail_has_entries: bool,
    size: usize,
    /// Memory of a piece that is done with, to be written into again.
    spare: Option<BytesMut>,
    kept: VecDeque<Piece>,
    /// What is to be transmitted.
    ready: VecDeque<Bytes>,
    ready_len: usize,
    compressor: Option<Box<Compressor>>,
    slots: VecDeque<Slot>,
    /// The id of the first slot.
    first: u64,
    unsettled: usize,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            tail: BytesMut::new(),
            number: 0,
            tail_has_entries: false,
            size: SMALL,
            spare: None,
            kept: VecDeque::new(),
            ready: VecDeque::new(),
            ready_len: 0,
            compressor: None,
            slots: VecDeque::new(),
            first: 1,
            unsettled: 0,
        }
    }

    /// Entries that are not acknowledged.
    pub(crate) const fn outstanding(&self) -> usize {
        self.unsettled
    }

    /// Entries from the first unacknowledged one to the last one sent.
    #[inline]
    pub(crate) fn span(&self) -> usize {
        self.slots.len()
    }

    /// The id of the first unacknowledged entry, or else of the next one.
    pub(crate) const fn first(&self) -> u64 {
        self.first
    }

    /// The id of the next entry.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// Bytes that wait to be transmitted.
    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        self.ready_len + self.tail.len()
    }

    /// Room for one more frame or command, in one piece.
    #[inline]
    fn room(&mut self, len: usize) -> Result<(), ProtocolError> {
        if self.tail.capacity() - self.tail.len() < len {
            if !self.tail.is_empty() {
                self.size = (self.size * 2).min(LARGE);
            }
            self.seal()?;
            let size = self.size.max(len);
            self.tail = match self.spare.take() {
                Some(spare) if spare.capacity() >= size => spare,
                _ => BytesMut::with_capacity(size),
            };
        }
        Ok(())
    }

    /// Appends a command without an entry.
    pub(crate) fn command(&mut self, parts: &[&[u8]]) -> Result<(), ProtocolError> {
        self.room(parts.iter().map(|part| part.len()).sum())?;
        parts.iter().for_each(|part| self.tail.extend_from_slice(part));
        Ok(())
    }

    /// Appends an entry and returns its id.
    #[inline]
    pub(crate) fn entry(&mut self, entry: &EntryRef<'_>, ditto: bool) -> Result<u64, LimitError> {
        let len = frame::frame_len(entry);
        let id = self.next();
        // Compression does not fail; were it to, `transmit` would say so again.
        if self.room(len).is_err() {
            self.tail.reserve(len);
        }
        let offset = self.tail.len() as u32;
        frame::encode(id, entry, &mut self.tail)?;
        let (piece, len) = (self.number, len as u32);
        self.slots.push_back(Slot { piece, offset, len, settled: false, ditto });
        self.tail_has_entries = true;
        self.unsettled += 1;
        Ok(id)
    }

    /// From now on the stream is compressed.
    pub(crate) fn compress(&mut self) -> Result<(), ProtocolError> {
        self.seal()?;
        self.compressor = Some(Box::new(Compressor::new()));
        Ok(())
    }

    fn seal(&mut self) -> Result<(), ProtocolError> {
        if self.tail.is_empty() {
            return Ok(());
        }
        let bytes = self.tail.split().freeze();
        let wire = match &mut self.compressor {
            Some(compressor) => compressor.compress(&bytes)?.into(),
            None => bytes.clone(),
        };
        if self.tail_has_entries {
            self.kept.push_back(Piece { number: self.number, bytes });
        }
        self.number += 1;
        self.tail_has_entries = false;
        self.ready_len += wire.len();
        self.ready.push_back(wire);
        Ok(())
    }

    /// The next bytes to be written to the peer, all of them.
    pub(crate) fn transmit(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        if self.ready.is_empty() {
            self.seal()?;
        }
        let bytes = self.ready.pop_front();
        self.ready_len -= bytes.as_ref().map_or(0, Bytes::len);
        Ok(bytes)
    }

    /// Notes an acknowledgement: whether the id was waiting for one.
    #[inline]
    pub(crate) fn acknowledge(&mut self, id: u64) -> bool {
        let Some(slot) =
            id.checked_sub(self.first).and_then(|at| self.slots.get_mut(usize::try_from(at).ok()?))
        else {
            return false;
        };
        if slot.settled || slot.ditto {
            return false;
        }
        slot.settled = true;
        self.unsettled -= 1;
        if id == self.first {
            self.trim();
        }
        true
    }

    /// Settles a ditto block.
    pub(crate) fn settle_ditto(&mut self, ids: core::ops::Range<u64>) {
        for id in ids {
            if let Some(at) = id.checked_sub(self.first)
                && let Some(slot) = self.slots.get_mut(at as usize)
                && !slot.settled
            {
                slot.settled = true;
                self.unsettled -= 1;
            }
        }
        self.trim();
    }

    #[inline]
    fn trim(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.settled) {
            self.slots.pop_front();
            self.first += 1;
        }
        let needed = self.slots.front().map_or(self.number, |slot| slot.piece);
        while self.kept.front().is_some_and(|piece| piece.number < needed) {
            let done = self.kept.pop_front().map(|piece| piece.bytes.try_into_mut());
            if let Some(Ok(mut spare)) = done
                && spare.capacity() >= LARGE
            {
                spare.clear();
                self.spare = Some(spare);
            }
        }
    }

    /// Gives back memory when the connection is idle.
    pub(crate) fn relax(&mut self) {
        if self.slots.is_empty() && self.tail.is_empty() && self.size > SMALL {
            self.size = SMALL;
            self.spare = None;
            self.tail = BytesMut::new();
            self.slots.shrink_to(16);
        }
    }

    /// Takes what is not acknowledged, in the order in which it was sent.
    pub(crate) fn take(&mut self) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.unsettled);
        for slot in &self.slots {
            if slot.settled {
                continue;
            }
            let kept = self.kept.binary_search_by_key(&slot.piece, |piece| piece.number);
            let kept = kept.ok().and_then(|at| self.kept.get(at));
            let bytes: &[u8] = match kept {
                Some(piece) => &piece.bytes,
                None => &self.tail,
            };
            let frame = bytes.get(slot.offset as usize..).unwrap_or_default();
            if let Ok(Scan::Entry { entry, .. }) = frame::scan(frame, &Limits::FORMAT) {
                debug_assert_eq!(frame::frame_len(&entry), slot.len as usize);
                entries.push(entry.to_entry());
            }
        }
        self.first += self.slots.len() as u64;
        self.slots.clear();
        self.unsettled = 0;
        self.kept.clear();
        self.ready.clear();
        self.ready_len = 0;
        self.tail = BytesMut::new();
        entries
    }
}

#[cfg(test)]
mod tests {
    use ingest_entry::{Source, TagId, Timestamp};

    use super::*;

    fn send(window: &mut Window, data: &[u8]) -> u64 {
        let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Source::NONE, TagId(1), data);
        window.entry(&entry, false).unwrap()
    }

    #[test]
    fn acknowledgements_in_any_order() {
        let mut window = Window::new();
        for n in 1..=4 {
            assert_eq!(send(&mut window, b"x"), n);
        }
        assert!(window.acknowledge(2) && window.acknowledge(3));
        assert!(!window.acknowledge(3) && !window.acknowledge(5) && !window.acknowledge(0));
        assert_eq!((window.outstanding(), window.span(), window.first()), (2, 4, 1));
        assert!(window.acknowledge(1));
        assert_eq!((window.outstanding(), window.span(), window.first()), (1, 1, 4));
        assert!(!window.acknowledge(1));
    }

    #[test]
    fn what_is_not_acknowledged_comes_back() {
        let mut window = Window::new();
        let mut sent = Vec::new();
        for n in 0..5_000u32 {
            sent.extend_from_slice(&n.to_le_bytes());
            let id = send(&mut window, &n.to_le_bytes().repeat(20));
            if n % 700 == 0 {
                while window.transmit().unwrap().is_some() {}
            }
            if n > 100 && n % 2 == 0 {
                assert!(window.acknowledge(id - 3 * u64::from(n % 3 == 0)) || n % 3 == 0);
            }
        }
        let outstanding = window.outstanding();
        let back = window.take();
        assert_eq!(back.len(), outstanding);
        let numbers: Vec<_> = back.iter().map(|e| e.data[..4].to_vec()).collect();
        assert!(numbers.is_sorted_by_key(|n| u32::from_le_bytes(n[..].try_into().unwrap())));
        assert_eq!((window.outstanding(), window.next()), (0, 5_001));
    }
}
