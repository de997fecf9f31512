//! Graphite: the settings of sources and destinations, and how they are read.

mod destination;
mod model;
mod read;

pub(super) use destination::read_destination;
pub use destination::{
    GraphiteConfirm, GraphiteDestination, GraphitePolicy, GraphiteWire, HashDialect,
};
pub use model::{
    BadTags, GraphiteFormat, GraphiteLines, GraphiteSource, GraphiteUdpSource, Infinity, Profile,
    Tagged, Values,
};
pub(super) use read::{read_tcp, read_udp};
