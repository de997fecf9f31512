//! The JSON form of messages, as the RLP gateway and Log Cache write it (`loggregator.md` 3.2).
//!
//! Reads both spellings of a name, numbers with and without quotes, both alphabets of base64, and
//! passes over members that it does not know. A bad envelope costs itself, not its batch.

mod base64;
mod batch;
mod error;
mod number;
mod read;
mod scan;
mod write;

pub use batch::{Batch, decode_answer, decode_batch};
pub use error::{JsonError, JsonFault};
pub use read::{FromJson, JsonReader, Parsed};
pub use write::{JsonWriter, ToJson, to_json};

#[cfg(feature = "client")]
pub(crate) use base64::encode_into as base64_into;
