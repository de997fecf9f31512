//! Sources of Graphite lines: their settings, and how they are read.

mod model;
mod read;

pub use model::{
    BadTags, GraphiteFormat, GraphiteLines, GraphiteSource, GraphiteUdpSource, Infinity, Profile,
    Tagged, Values,
};
pub(super) use read::{read_tcp, read_udp};
