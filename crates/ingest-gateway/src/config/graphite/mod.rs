//! Graphite: the settings of sources and destinations, and how they are read.

mod destination;
mod model;
mod read;

pub(super) use destination::read_destination;
pub use destination::{
    GraphiteConfirm, GraphiteDestination, GraphitePolicy, GraphiteWire, HashDialect,
};
pub use model::{
    BadTags, GraphiteCompression, GraphiteFormat, GraphiteLines, GraphiteSource, GraphiteUdpSource,
    GraphiteUnixSource, Infinity, OverRate, Profile, Tagged, UnixSocket, Values,
};
pub(super) use read::{read_lines, read_tcp, read_udp, read_unix};
