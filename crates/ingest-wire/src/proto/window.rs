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

/// How many pieces of memory that are done with are kept, to be written into again.
const SPARE: usize = 8;

/// Where an entry's frame is. Small: there is one for each entry in flight.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The low bits of its number.
    piece: u32,
    offset: u32,
    settled: bool,
    /// Confirmed with its block, not by itself.
    ditto: bool,
}

/// A piece of output with entries that are not acknowledged.
#[derive(Debug)]
struct Piece {
    number: u32,
    bytes: Bytes,
}

#[derive(Debug)]
pub(crate) struct Window {
    /// What is being written, and its number.
    tail: BytesMut,
    number: u32,
    tail_has_entries: bool,
    size: usize,
    spare: Vec<BytesMut>,
    kept: VecDeque<Piece>,
    /// What is to be transmitted.
    ready: VecDeque<Bytes>,
    ready_len: usize,
    compressor: Option<Box<Compressor>>,
    slots: VecDeque<Slot>,
    /// The id of the first slot.
    first: u64,
    unsettled: usize,
    /// Slots that are settled already, or belong to a ditto block.
    odd: usize,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            tail: BytesMut::new(),
            number: 0,
            tail_has_entries: false,
            size: SMALL,
            spare: Vec::new(),
            kept: VecDeque::new(),
            ready: VecDeque::new(),
            ready_len: 0,
            compressor: None,
            slots: VecDeque::new(),
            first: 1,
            unsettled: 0,
            odd: 0,
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
            self.renew(self.size.max(len));
        }
        Ok(())
    }

    /// Finds memory of this size for the tail, which is empty.
    #[cold]
    fn renew(&mut self, size: usize) {
        // All that was written into its memory may be acknowledged by now.
        if !self.tail.try_reclaim(size) {
            self.tail = match self.spare.pop() {
                Some(spare) if spare.capacity() >= size => spare,
                _ => BytesMut::with_capacity(size),
            };
        }
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
        self.slots.push_back(Slot { piece: self.number, offset, settled: false, ditto });
        self.odd += usize::from(ditto);
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
        self.number = self.number.wrapping_add(1);
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

    /// Notes acknowledgements of so many ids from this one on: how many were waiting for one.
    #[inline]
    pub(crate) fn acknowledge_run(&mut self, id: u64, count: usize) -> usize {
        if id == self.first && self.odd == 0 {
            let known = count.min(self.slots.len());
            self.slots.drain(..known);
            self.first += known as u64;
            self.unsettled -= known;
            self.recycle();
            return known;
        }
        (0..count as u64).filter(|n| self.acknowledge(id.wrapping_add(*n))).count()
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
        self.odd += 1;
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
            // What is settled is odd, be it of a ditto block or not.
            self.odd -= 1;
        }
        self.recycle();
    }

    /// Lets go of the pieces in front of the first slot, and keeps their memory.
    #[inline]
    fn recycle(&mut self) {
        let needed = self.slots.front().map_or(self.number, |slot| slot.piece);
        while self.kept.front().is_some_and(|piece| piece.number != needed) {
            let done = self.kept.pop_front().map(|piece| piece.bytes.try_into_mut());
            // Of several pieces in the same memory the last one frees it.
            if let Some(Ok(mut spare)) = done
                && self.spare.len() < SPARE
            {
                spare.clear();
                if spare.try_reclaim(LARGE) {
                    self.spare.push(spare);
                }
            }
        }
    }

    /// Whether [`Window::relax`] would give anything back.
    #[cfg(any(test, feature = "tokio"))]
    pub(crate) fn is_tense(&self) -> bool {
        self.size > SMALL || self.tail.capacity() > SMALL || !self.spare.is_empty()
    }

    /// Gives back memory when the connection is idle.
    pub(crate) fn relax(&mut self) {
        if self.slots.is_empty() && self.tail.is_empty() {
            self.size = SMALL;
            self.spare = Vec::new();
            self.tail = BytesMut::new();
            self.slots.shrink_to(16);
        }
    }

    /// Takes what is not acknowledged, in the order in which it was sent.
    pub(crate) fn take(&mut self) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.unsettled);
        let mut kept = self.kept.iter().peekable();
        for slot in &self.slots {
            if slot.settled {
                continue;
            }
            // Both are in the order of the stream.
            while kept.peek().is_some_and(|piece| piece.number != slot.piece) {
                kept.next();
            }
            let bytes: &[u8] = match kept.peek() {
                Some(piece) => &piece.bytes,
                None => &self.tail,
            };
            let frame = bytes.get(slot.offset as usize..).unwrap_or_default();
            if let Ok(Scan::Entry { entry, .. }) = frame::scan(frame, &Limits::FORMAT) {
                entries.push(entry.to_entry());
            }
        }
        self.first += self.slots.len() as u64;
        self.slots.clear();
        (self.unsettled, self.odd) = (0, 0);
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
    fn runs_of_acknowledgements() {
        let mut window = Window::new();
        for _ in 0..10 {
            send(&mut window, b"x");
        }
        assert_eq!(window.acknowledge_run(1, 3), 3);
        // Known ones in the middle, then some that overlap, then some that nobody sent.
        assert_eq!(window.acknowledge_run(6, 2), 2);
        assert_eq!((window.outstanding(), window.span(), window.first()), (5, 7, 4));
        assert_eq!(window.acknowledge_run(4, 5), 3);
        assert_eq!((window.outstanding(), window.span(), window.first()), (2, 2, 9));
        assert_eq!(window.acknowledge_run(9, 100), 2);
        assert_eq!(window.acknowledge_run(u64::MAX, 3), 0);
        assert_eq!((window.outstanding(), window.first(), window.odd), (0, 11, 0));
    }

    #[test]
    fn runs_leave_ditto_blocks_alone() {
        let mut window = Window::new();
        send(&mut window, b"x");
        let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Source::NONE, TagId(1), b"ditto");
        window.entry(&entry, true).unwrap();
        send(&mut window, b"x");
        assert_eq!(window.acknowledge_run(1, 3), 2);
        assert_eq!((window.outstanding(), window.first()), (1, 2));
        window.settle_ditto(2..3);
        assert_eq!((window.outstanding(), window.first(), window.odd), (0, 4, 0));
    }

    #[test]
    fn memory_is_used_again() {
        let mut window = Window::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..2_000 {
            let first = window.next();
            for _ in 0..100 {
                send(&mut window, &[0; 300]);
            }
            // As on a socket that takes all of it, in two goes.
            while let Some(mut bytes) = window.transmit().unwrap() {
                seen.insert(bytes.as_ptr() as usize / LARGE);
                drop(bytes.split_to(bytes.len() / 2));
            }
            // Acknowledged a little late.
            if let Some(late) = first.checked_sub(300) {
                assert_eq!(window.acknowledge_run(late, 100), 100);
            }
        }
        assert!(seen.len() < 16, "{} places in memory", seen.len());
        assert!(window.is_tense());
        assert_eq!(window.acknowledge_run(window.first(), window.span()), 400 - 100);
        window.relax();
        assert!(!window.is_tense());
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
