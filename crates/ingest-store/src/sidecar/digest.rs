//! What a sidecar has to know of a record. It can be had when the record is new and in memory, so
//! that its segment need not be read again when it is over.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ingest_entry::TagId;
use ingest_wal::{Lsn, Record, RecordHeader};

use super::bytes::Span;
use crate::address::Address;
use crate::stored::RawEntries;

/// Bytes of digests that are kept: of a few segments, unless their records are very small.
const KEPT: usize = 4 << 20;

/// What the entries of one record have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) entries: u32,
    pub(super) times: Span,
    /// Each once if they come together.
    pub(super) addresses: Vec<Address>,
    pub(super) tags: Vec<TagDigest>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TagDigest {
    pub(super) number: u16,
    pub(super) entries: u64,
    pub(super) times: Span,
}

impl Digest {
    const EMPTY: Self =
        Self { entries: 0, times: Span::EMPTY, addresses: Vec::new(), tags: Vec::new() };

    fn size(&self) -> usize {
        size_of::<(Lsn, (RecordHeader, Self))>()
            + size_of_val(self.addresses.as_slice())
            + size_of_val(self.tags.as_slice())
    }
}

/// Makes digests, one after the other in the same memory.
#[derive(Debug)]
pub(super) struct Digester {
    digest: Digest,
    /// Place in the tags plus one, by number.
    places: Vec<u32>,
}

impl Digester {
    pub(super) fn new() -> Self {
        Self { digest: Digest::EMPTY, places: vec![0; 1 << 16] }
    }

    /// Of the first `count` entries of a body.
    pub(super) fn digest(&mut self, body: &[u8], count: u16) -> &Digest {
        let Self { digest, places } = self;
        for tag in digest.tags.drain(..) {
            if let Some(place) = places.get_mut(usize::from(tag.number)) {
                *place = 0;
            }
        }
        (digest.entries, digest.times) = (0, Span::EMPTY);
        digest.addresses.clear();
        let mut last_address = None;
        for (raw, _) in RawEntries::new(body).zip(0..count) {
            let ts = raw.header.ts.normalized();
            digest.entries += 1;
            digest.times.add(ts);
            let address = Address::of(raw.header.src);
            if last_address != Some(address) {
                last_address = Some(address);
                digest.addresses.push(address);
            }
            let TagId(number) = raw.header.tag;
            let Some(place) = places.get_mut(usize::from(number)) else { continue };
            if *place == 0 {
                digest.tags.push(TagDigest { number, entries: 0, times: Span::EMPTY });
                *place = digest.tags.len() as u32;
            }
            if let Some(tag) = digest.tags.get_mut(*place as usize - 1) {
                tag.entries += 1;
                tag.times.add(ts);
            }
        }
        digest
    }
}

/// Digests of the newest records, for [`write_sidecar_with`](super::write_sidecar_with). At most
/// 4 MiB; a record of which there is none, or another one, is read from its file.
#[derive(Debug)]
pub struct Digests {
    of_first: Mutex<Known>,
    digester: Mutex<Digester>,
}

#[derive(Debug, Default)]
struct Known {
    /// By the first LSN.
    digests: BTreeMap<Lsn, (RecordHeader, Digest)>,
    size: usize,
}

impl Known {
    fn remove(&mut self, first: Lsn) -> Option<(RecordHeader, Digest)> {
        let removed = self.digests.remove(&first);
        self.size -= removed.as_ref().map_or(0, |(_, digest)| digest.size());
        removed
    }
}

impl Default for Digests {
    fn default() -> Self {
        Self { of_first: Mutex::default(), digester: Mutex::new(Digester::new()) }
    }
}

impl Digests {
    /// Takes note of a record of entries.
    pub fn add(&self, record: &Record) {
        let digest = {
            let mut digester = self.digester.lock().unwrap_or_else(PoisonError::into_inner);
            digester.digest(&record.body, record.header.count).clone()
        };
        let mut known = self.of_first.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(record.header.first);
        known.size += digest.size();
        known.digests.insert(record.header.first, (record.header, digest));
        while known.size > KEPT {
            let Some(oldest) = known.digests.keys().next().copied() else { break };
            known.remove(oldest);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.of_first.lock().unwrap_or_else(PoisonError::into_inner).digests.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The digest of the record with this header, which is not asked for again.
    pub(super) fn take(&self, header: &RecordHeader) -> Option<Digest> {
        let mut known = self.of_first.lock().unwrap_or_else(PoisonError::into_inner);
        // What was synced when it was written is not the same in what readers get.
        let same = |had: &RecordHeader| {
            (had.body_crc, had.body_len, had.count, had.epoch)
                == (header.body_crc, header.body_len, header.count, header.epoch)
        };
        let is_it = known.digests.get(&header.first).is_some_and(|(had, _)| same(had));
        is_it.then(|| known.remove(header.first)).flatten().map(|(_, digest)| digest)
    }
}
