//! From a protocol's message to an entry: one file for each protocol.

pub mod graphite;
pub mod hydra;
pub mod kafka;
pub mod loggregator;
