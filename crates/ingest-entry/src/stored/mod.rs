//! What the body of a log record is, as pure bytes. The log itself is not this crate's business.
//!
//! All integers are little-endian.
//!
//! # Entries (record kind 1)
//!
//! Stored entries back to back, nothing between or behind them. Each is the 34-byte header, the
//! data, and the block of enumerated values if bit 30 of the header's first word is set:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | bits 0 to 29: data length *n*; bit 30: values follow the data; bit 31: source is IPv4 |
//! | 4 | 8 | seconds since 0001-01-01T00:00:00 UTC, i64 |
//! | 12 | 4 | nanoseconds, u32 |
//! | 16 | 2 | tag number of the log's own table, u16 |
//! | 18 | 16 | source address in network order; IPv4: the first 4 bytes, then zeros |
//! | 34 | *n* | data |
//! | 34 + *n* | *m* | values: u32 *m*, u16 count, u16 zero, then for each value u16 total length, u16 name length, u16 data length, u8 type, u8 zero, name, data |
//!
//! [`entries`] reads them, [`EntryRef::encode_stored`] writes one.
//!
//! # Definitions (record kind 2)
//!
//! Definitions back to back:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | what: 1 tag, 2 source |
//! | 1 | 1 | reserved: written as 0, not looked at |
//! | 2 | 2 | number, u16 |
//! | 4 | 2 | name length *n*, u16 |
//! | 6 | *n* | name: of a tag by the rules of [`TagName`], trimmed; of a source any UTF-8 |
//!
//! Readers step over a definition whose `what` they do not know. A number means the same name for
//! ever: [`Table::apply`] refuses a definition that says otherwise. [`definitions`] reads them,
//! [`Definition::encode`] writes one.
//!
//! # The tag table (preamble of a segment)
//!
//! u32 count, then so many definitions in the form above, which fill the rest exactly. It is
//! written with the tags first, then the sources, each in rising order of numbers.
//! [`TableRef`] reads it, [`Table`] keeps it in memory and writes it.
//!
//! # The summary (opaque part of a seal record)
//!
//! u32 count, then so many rows in strictly rising order of tags, which fill the rest exactly:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | tag number, u16 |
//! | 2 | 2 | reserved: written as 0, not looked at |
//! | 4 | 8 | entries of that tag, u64 |
//!
//! [`Summary`] reads and writes it.
//!
//! [`EntryRef::encode_stored`]: crate::EntryRef::encode_stored
//! [`TagName`]: crate::TagName

mod definition;
mod entries;
mod summary;
mod table;

pub use definition::{Definition, DefinitionError, DefinitionsIter, definitions};
pub use entries::{EntriesIter, entries};
pub use summary::Summary;
pub use table::{ConflictError, Table, TableError, TableRef};
