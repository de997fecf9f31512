#![doc = include_str!("../README.md")]

#[cfg(feature = "client")]
pub mod client;
pub mod convert;
pub mod json;
pub mod multipart;
pub mod sse;
pub mod wire;

/// The first generation: `/tail/`, `/dump/` and `/recent`.
#[path = "generated/logmessage.rs"]
pub mod legacy;

/// The second generation, dropsonde: streams of an application and the firehose.
#[path = "generated/events.rs"]
pub mod dropsonde;

/// The third generation: the RLP's gateway and Log Cache.
#[path = "generated/loggregator_v2.rs"]
pub mod v2;

pub use wire::Message;

mod order;
mod signature;

pub use order::{sort_by_instance, sort_recent};
