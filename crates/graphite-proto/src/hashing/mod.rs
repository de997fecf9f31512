//! Consistent hashing: which of several Carbon servers a series belongs to (`graphite.md` 7.4).
//!
//! A [`Ring`] places series as the program of its [`Dialect`] does, so that reading and writing
//! sides, and relays of different make, agree.
//!
//! ```
//! use graphite_proto::hashing::{Dialect, Hash, Node, Ring};
//! let nodes = ["a", "b", "c"].map(|instance| Node::new("127.0.0.1", 2004, Some(instance)));
//! let ring = Ring::new(Hash::Carbon, Dialect::Carbon, &nodes);
//! let mut places = Vec::new();
//! ring.place(b"servers.web01.cpu.load", 2, false, &mut places);
//! assert_eq!(places, [0, 2]);
//! ```

mod fnv;
mod jump;
mod node;
mod ring;

pub use node::NodeError;

pub use ring::Ring;

/// A server that series are given to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Its name or address, in the very characters of the configuration: they are hashed.
    pub host: String,
    /// Its port. Counts only for [`Hash::Fnv1a`] of carbon-c-relay, without an instance.
    pub port: u16,
    /// What tells servers of one host apart.
    pub instance: Option<String>,
}

impl Node {
    /// A node from its parts.
    #[must_use]
    pub fn new(host: &str, port: u16, instance: Option<&str>) -> Self {
        Self { host: host.to_owned(), port, instance: instance.map(str::to_owned) }
    }
}

/// How a name becomes a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hash {
    /// `carbon_ch`: a ring of the first two bytes of MD5.
    Carbon,
    /// `fnv1a_ch`: a ring of 32 bits of FNV-1a, folded to 16.
    Fnv1a,
    /// `jump_fnv1a_ch`: 64 bits of FNV-1a and a jump hash over the nodes in the order of their
    /// instances. Only carbon-c-relay has it, so that the dialect does not count.
    JumpFnv1a,
}

/// Whose placement is followed. The programs differ where places collide, and in what they hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// carbon's relay, and with it what Graphite's web application looks for.
    #[default]
    Carbon,
    /// carbon-c-relay. All series of one name go to one node, whatever their tags.
    CRelay,
    /// carbon-relay-ng, `consistentHashing`.
    RelayNg,
    /// carbon-relay-ng, `consistentHashing-v2`.
    RelayNg2,
}

impl Dialect {
    /// The part of a path that is hashed.
    ///
    /// ```
    /// use graphite_proto::hashing::Dialect;
    /// assert_eq!(Dialect::CRelay.key(b"cpu;host=a"), b"cpu");
    /// assert_eq!(Dialect::Carbon.key(b"cpu;host=a"), b"cpu;host=a");
    /// ```
    #[must_use]
    pub fn key(self, path: &[u8]) -> &[u8] {
        match self {
            Self::CRelay => path.split(|byte| *byte == b';').next().unwrap_or(path),
            Self::Carbon | Self::RelayNg | Self::RelayNg2 => path,
        }
    }
}
