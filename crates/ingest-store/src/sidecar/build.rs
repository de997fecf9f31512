//! Building a sidecar from the records of a segment.

use ingest_wal::{Lsn, RecordHeader};

use super::blocks::{Block, Tag};
use super::bloom;
use super::bytes::{Arrivals, Span};
use super::digest::{Digest, Digester};
use super::read::Binding;
use super::runs::RunsWriter;
use super::{FLAG_SEALED, HEADER_LEN, MAGIC, MAX_BLOCKS, MIN_BLOCK, VERSION};
use crate::address::Address;

/// Takes records in the order of the file. Memory: what the sidecar holds, and the addresses and
/// filter keys of one block.
#[derive(Debug)]
pub(super) struct Builder {
    target: u64,
    blocks: Vec<Block>,
    filters: Vec<u64>,
    tags: Vec<TagRow>,
    /// Place in `tags` plus one, by number.
    tag_places: Vec<u32>,
    addresses: Vec<Address>,
    records_end: u64,
    digester: Option<Digester>,
}

#[derive(Debug)]
struct TagRow {
    number: u16,
    entries: u64,
    times: Span,
    runs: RunsWriter,
}

impl Builder {
    pub(super) fn new(segment_len: u64) -> Self {
        Self {
            target: MIN_BLOCK.max(segment_len.div_ceil(MAX_BLOCKS)),
            blocks: Vec::new(),
            filters: Vec::new(),
            tags: Vec::new(),
            tag_places: vec![0; 1 << 16],
            addresses: Vec::new(),
            records_end: 0,
            digester: None,
        }
    }

    /// Takes a record that is not one of entries.
    pub(super) fn pass(&mut self, offset: u64, header: &RecordHeader) {
        self.records_end = offset + header.stride();
    }

    /// Takes a record of entries, as far as they are below `end`.
    pub(super) fn add(&mut self, offset: u64, header: &RecordHeader, body: &[u8], end: Lsn) {
        let count = header.count.min(u16::try_from(end - header.first).unwrap_or(u16::MAX));
        let mut digester = self.digester.take().unwrap_or_else(Digester::new);
        self.add_digest(offset, header, digester.digest(body, count));
        self.digester = Some(digester);
    }

    /// Takes a record of entries of which this is known.
    pub(super) fn add_digest(&mut self, offset: u64, header: &RecordHeader, digest: &Digest) {
        let full = self.blocks.last().is_none_or(|block| offset - block.offset >= self.target);
        if full {
            self.close_block();
            self.blocks.push(Block {
                offset,
                first: header.first,
                entries: 0,
                filter_words: 0,
                times: Span::EMPTY,
                arrivals: Arrivals::EMPTY,
            });
        }
        self.pass(offset, header);
        let number = self.blocks.len() as u32 - 1;
        let Some(block) = self.blocks.last_mut() else { return };
        block.arrivals.add(header.arrival);
        block.entries += digest.entries;
        block.times.merge(&digest.times);
        self.addresses.extend_from_slice(&digest.addresses);
        for tag in &digest.tags {
            let Some(place) = self.tag_places.get_mut(usize::from(tag.number)) else { continue };
            if *place == 0 {
                let (times, runs) = (Span::EMPTY, RunsWriter::default());
                self.tags.push(TagRow { number: tag.number, entries: 0, times, runs });
                *place = self.tags.len() as u32;
            }
            if let Some(row) = self.tags.get_mut(*place as usize - 1) {
                row.entries += tag.entries;
                row.times.merge(&tag.times);
                row.runs.add(number);
            }
        }
    }

    fn close_block(&mut self) {
        self.addresses.sort_unstable();
        self.addresses.dedup();
        let mut keys: Vec<u64> =
            self.addresses.drain(..).flat_map(|address| address.keys(128)).collect();
        keys.sort_unstable();
        keys.dedup();
        let words = bloom::put(&keys, &mut self.filters);
        if let Some(block) = self.blocks.last_mut() {
            block.filter_words = words;
        }
    }

    /// The sidecar's bytes.
    pub(super) fn finish(mut self, binding: &Binding) -> Vec<u8> {
        self.close_block();
        self.tags.sort_unstable_by_key(|row| row.number);
        let (mut rows, mut runs) = (Vec::new(), Vec::new());
        for row in self.tags {
            let list = row.runs.finish();
            let (number, entries, times) = (row.number, row.entries, row.times);
            Tag { number, runs_len: list.len() as u32, entries, times }.put(&mut rows);
            runs.extend_from_slice(&list);
        }
        let (mut times, mut arrivals, mut entries) = (Span::EMPTY, Arrivals::EMPTY, 0u64);
        for block in &self.blocks {
            times.merge(&block.times);
            arrivals.add(block.arrivals.min);
            arrivals.add(block.arrivals.max);
            entries += u64::from(block.entries);
        }
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let flags = if binding.account.is_some() { FLAG_SEALED } else { 0 };
        out.extend_from_slice(&flags.to_le_bytes());
        let tag_count = rows.len() / super::TAG_LEN;
        for n in [self.blocks.len(), tag_count, self.filters.len(), runs.len()] {
            out.extend_from_slice(&(n as u32).to_le_bytes());
        }
        out.extend_from_slice(&binding.account.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&binding.log_id.0);
        out.extend_from_slice(&binding.name.first.to_le_bytes());
        out.extend_from_slice(&binding.name.epoch.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for n in [binding.len, self.records_end, entries] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        times.put(&mut out);
        arrivals.put(&mut out);
        debug_assert_eq!(out.len(), HEADER_LEN);
        self.blocks.iter().for_each(|block| block.put(&mut out));
        self.filters.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        out.extend_from_slice(&rows);
        out.extend_from_slice(&runs);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }
}
