//! The sidecar of a sealed segment: what its blocks hold, so that a search reads few of them.
//!
//! A sidecar is `seg-….idx` beside `seg-….log`. It is derived data: it is written to
//! `seg-….idx.tmp` and renamed, without a sync, and one that is missing, torn, damaged, of another
//! version or of another segment is ignored. Answers are the same without it, only slower.
//!
//! # Blocks
//!
//! A block is a run of consecutive records, from the offset of its first one to that of the next
//! block's first one (of the last block: to the end of the last record). One ends at the first
//! record of entries at which it has 64 KiB, or 1/1024 of the file if that is more. Only records
//! of entries open a block; definitions and the log's own records are not indexed.
//!
//! # Layout
//!
//! Little-endian. A *time* is 12 bytes, seconds since 0001-01-01T00:00:00 UTC as i64 and
//! nanoseconds below 10^9 as u32; an *arrival* is nanoseconds since the Unix epoch as i64. Ranges
//! of blocks and tags in which no entry could be decoded have a minimum above their maximum.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `INGSIDX\n` |
//! | 8 | 2 | version, u16: 1 |
//! | 10 | 2 | flags, u16: bit 0: the segment has a seal, and its account is bound below |
//! | 12 | 4 | number of blocks *b*, u32 |
//! | 16 | 4 | number of tags *t*, u32 |
//! | 20 | 4 | 8-byte words of all filters *f*, u32 |
//! | 24 | 4 | bytes of all runs *r*, u32 |
//! | 28 | 4 | CRC-32C of the account's entries, bytes, start, end and arrivals, 8 bytes each; 0 without a seal |
//! | 32 | 16 | log id |
//! | 48 | 8 | the segment's first LSN, u64 |
//! | 56 | 4 | the segment's epoch, u32 |
//! | 60 | 4 | reserved, 0 |
//! | 64 | 8 | length of the segment's file, u64 |
//! | 72 | 8 | where its last record of entries or definitions ends, u64 |
//! | 80 | 8 | entries, u64 |
//! | 88 | 24 | lowest and highest time |
//! | 112 | 16 | lowest and highest arrival |
//! | 128 | 64 *b* | blocks, in the order of the file |
//! | | 8 *f* | filters, one after the other in the order of the blocks |
//! | | 40 *t* | tags, in rising order of numbers |
//! | | *r* | runs, one list after the other in the order of the tags |
//! | | 4 | CRC-32C of everything before |
//!
//! A block:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | offset of its first record, u64 |
//! | 8 | 8 | LSN of its first entry, u64 |
//! | 16 | 4 | entries, u32 |
//! | 20 | 4 | 8-byte words of its filter, u32: 0 or a power of two |
//! | 24 | 24 | lowest and highest time |
//! | 48 | 16 | lowest and highest arrival |
//!
//! A tag:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | number, u16 |
//! | 2 | 2 | reserved, 0 |
//! | 4 | 4 | bytes of its list of runs, u32 |
//! | 8 | 8 | entries, u64 |
//! | 16 | 24 | lowest and highest time |
//!
//! A **list of runs** says which blocks hold the tag: pairs of LEB128 numbers, the blocks to leave
//! out since the previous run (at first: since block 0) and the length of the run.
//!
//! A **filter** is a Bloom filter of the sources of a block: about 10 bits for each key, rounded
//! up to a power of two from 64 to 16,384 bits; no words if there are no keys. The keys of an
//! address are its prefixes: of IPv4 (also written as `::ffff:a.b.c.d`) 8, 16, 24 and 32 bits, of
//! IPv6 16, 32, 48, 64 and 128 bits; the missing source has none. A key is
//! `mix(mix(mix(family << 8 | prefix) ^ high) ^ low)` with family 4 or 6, high and low the halves
//! of the address as a 128-bit number with the bits behind the prefix cleared, and `mix` the
//! SplitMix64 step (add 0x9e3779b97f4a7c15, then the finaliser). The bits of a key are
//! `(key + i * (key >> 32 | 1)) mod 2^32 mod bits` for i from 0 to 3; bit n is bit n mod 64 of
//! word n / 64. A search for a network asks for all its prefixes of these lengths.

mod blocks;
mod bloom;
mod build;
mod bytes;
mod check;
mod digest;
mod file;
mod read;
mod runs;

pub use check::{SidecarCheck, SidecarState};
pub use digest::Digests;
pub use file::{
    SidecarError, missing_sidecars, missing_sidecars_but, write_sidecar, write_sidecar_with,
};
pub(crate) use read::Sidecar;

/// First bytes of a sidecar.
const MAGIC: [u8; 8] = *b"INGSIDX\n";
/// The version that is written and read.
const VERSION: u16 = 1;
/// Flag: the segment has a seal.
const FLAG_SEALED: u16 = 1;
const HEADER_LEN: usize = 128;
const BLOCK_LEN: usize = 64;
const TAG_LEN: usize = 40;
/// The ending of its name, and of that under which it is written.
const ENDING: &str = "idx";
const TEMPORARY: &str = "idx.tmp";
/// The least bytes of a block, and the most blocks of a segment of the usual kind.
const MIN_BLOCK: u64 = 64 * 1024;
const MAX_BLOCKS: u64 = 1024;
