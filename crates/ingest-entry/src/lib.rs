//! The Gravwell entry and its bytes.
//!
//! An *entry* is what a log collector ships: a [`Timestamp`], a [`Source`] address, a tag, data,
//! and a list of named, typed *enumerated values*. This crate has the types, the rules of tag
//! names, and the byte codec. It does no I/O, reads no clock, keeps no live tag table and knows
//! no connection: those are the business of the crates that use it.
//!
//! * [`Entry`] owns, [`EntryRef`] borrows. Parsers and decoders borrow; the copy is made once,
//!   visibly, by [`EntryRef::to_entry`] or by encoding.
//! * [`Values`] (owned, and the builder) and [`ValuesRef`] hold the enumerated values in the form
//!   of the wire, so that attaching one allocates nothing for it and forwarding copies bytes.
//! * [`TagName`] is checked on construction; [`TagId`] is the number in an entry.
//! * [`EntryRef::encode_stored`] and [`EntryRef::decode_stored`] are the codec; [`Header`] is its
//!   fixed part, shared with the wire protocol's frames; [`Limits`] say what a decoder accepts.
//! * [`stored`] says what the bodies of log records are: entries, definitions, the tag table, the
//!   summary. [`encode_block`], [`BlockRef`], [`encode_slice`], [`SliceRef`] are the storage
//!   formats of the Go library.
//! * With the feature `serde`, entries are read and written as JSON, and `EntryJson` writes the
//!   line that users see.
//!
//! Facts about the format were found by running the Go library; where this crate differs on
//! purpose, the item says so.
//!
//! ```
//! use ingest_entry::{EntryRef, Limits, Source, TagId, Timestamp, Values};
//!
//! let mut values = Values::new();
//! values.add("host", "web1")?;
//!
//! let entry = EntryRef {
//!     ts: Timestamp::from_unix(1_700_000_000, 0).unwrap(),
//!     src: Source::from_ip("192.0.2.7".parse()?),
//!     tag: TagId(3),
//!     data: b"GET / 200",
//!     values: values.as_ref(),
//! };
//! let mut bytes = Vec::new();
//! entry.encode_stored(&mut bytes)?;
//!
//! let (back, used) = EntryRef::decode_stored(&bytes, &Limits::default())?;
//! assert_eq!((back, used), (entry, bytes.len()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod codec;
mod entry;
mod error;
mod generated;
mod rfc3339;
mod source;
pub mod stored;
mod tag;
mod tag_pattern;
mod timestamp;
mod value;
mod values;

#[cfg(feature = "serde")]
mod base64;
#[cfg(feature = "serde")]
mod json;
#[cfg(feature = "serde")]
mod serde;

pub use block::{BlockRef, SliceRef, encode_block, encode_slice};
pub use codec::{Header, Limits};
pub use entry::{Entry, EntryRef};
pub use error::{BlockError, DecodeError, LimitError, Part, ValueFault};
#[cfg(feature = "serde")]
pub use json::EntryJson;
pub use rfc3339::ParseTimestampError;
pub use source::Source;
pub use tag::{TagId, TagName, TagNameError};
pub use tag_pattern::{TagPattern, TagPatternError};
pub use timestamp::Timestamp;
pub use value::{Mac, Value, ValueKind, ValueRef};
pub use values::{
    EnumeratedValue, EnumeratedValueRef, Values, ValuesIter, ValuesRef, ValuesWriter,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
