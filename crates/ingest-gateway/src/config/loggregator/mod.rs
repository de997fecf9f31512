//! Cloud Foundry's Loggregator: the settings of sources, and how they are read.

mod model;
mod read;

pub use model::{
    LoggregatorKind, LoggregatorPer, LoggregatorReads, LoggregatorSource, LoggregatorWhenFull,
};
pub(super) use read::read_source;
