//! Rings of positions.

use std::collections::BTreeSet;

use md5::{Digest, Md5};

use super::fnv::{fnv1a_64, fnv1a_position};
use super::{Dialect, Hash, Node, jump};

/// Places of each node on a ring.
const REPLICAS: usize = 100;

/// Nodes, arranged for lookups.
#[derive(Debug, Clone)]
pub struct Ring {
    hash: Hash,
    dialect: Dialect,
    /// Positions in rising order, with the nodes that have them.
    entries: Vec<(u32, usize)>,
    /// For jump hashes: the nodes in their order.
    order: Vec<usize>,
    hosts: Vec<String>,
}

impl Ring {
    /// Arranges nodes, given in the order of the configuration, which counts where positions
    /// collide. Without nodes, nothing has a place.
    #[must_use]
    pub fn new(hash: Hash, dialect: Dialect, nodes: &[Node]) -> Self {
        let entries = match (hash, dialect) {
            (Hash::JumpFnv1a, _) => Vec::new(),
            (_, Dialect::Carbon) => moved(hash, nodes, true),
            (_, Dialect::RelayNg2) => moved(hash, nodes, false),
            (_, Dialect::CRelay | Dialect::RelayNg) => shared(hash, dialect, nodes),
        };
        let order = if hash == Hash::JumpFnv1a { jump::order(nodes) } else { Vec::new() };
        let hosts = nodes.iter().map(|node| node.host.clone()).collect();
        Self { hash, dialect, entries, order, hosts }
    }

    /// Appends the nodes that a series belongs to, the first choice first: `replication` of them, or
    /// as many as there are. With `diverse`, carbon's `DIVERSE_REPLICAS`, no two are of one host; jump
    /// hashes know no such thing.
    ///
    /// `key` is what [`Dialect::key`] makes of a path.
    pub fn place(&self, key: &[u8], replication: usize, diverse: bool, places: &mut Vec<usize>) {
        let crelay = self.dialect == Dialect::CRelay || self.hash == Hash::JumpFnv1a;
        if self.hash == Hash::JumpFnv1a {
            return jump::place(&self.order, fnv1a_64(key, true), replication, places);
        }
        let position = position(self.hash, key, crelay);
        let first = self.entries.partition_point(|(at, _)| *at < position);
        let (before, behind) = self.entries.split_at_checked(first).unwrap_or_default();
        let start = places.len();
        let mut walk = behind.iter().chain(before).map(|(_, node)| *node);
        // carbon never looks at the last entry, which only the most unusual rings would show.
        let looked_at = match self.dialect {
            Dialect::Carbon => self.entries.len().saturating_sub(1),
            _ => self.entries.len(),
        };
        for node in walk.by_ref().take(looked_at) {
            let chosen = places.get(start..).unwrap_or_default();
            if chosen.len() >= replication {
                return;
            }
            let host = |node: usize| self.hosts.get(node);
            let taken = chosen
                .iter()
                .any(|other| *other == node || (diverse && host(*other) == host(node)));
            if !taken {
                places.push(node);
            }
        }
    }
}

/// Where a text stands on a ring.
fn position(hash: Hash, text: &[u8], signed: bool) -> u32 {
    match hash {
        Hash::Fnv1a => fnv1a_position(text, signed),
        _ => {
            let digest = Md5::digest(text);
            let [high, low] = digest.first_chunk().copied().unwrap_or_default();
            u32::from(u16::from_be_bytes([high, low]))
        }
    }
}

/// The text whose position is that of a node's replica.
fn replica(hash: Hash, dialect: Dialect, node: &Node, number: usize) -> String {
    let Node { host, port, instance } = node;
    match (hash, instance) {
        (Hash::Fnv1a, Some(instance)) => format!("{number}-{instance}"),
        (Hash::Fnv1a, None) if dialect == Dialect::CRelay => format!("{number}-{host}:{port}"),
        // Every node without instance has the same texts in carbon.
        (Hash::Fnv1a, None) => format!("{number}-None"),
        (_, Some(instance)) => format!("('{host}', '{instance}'):{number}"),
        (_, None) => format!("('{host}', None):{number}"),
    }
}

/// A ring on which a position that is taken moves on by one until it is free. `own` also takes those
/// of the same node for taken.
fn moved(hash: Hash, nodes: &[Node], own: bool) -> Vec<(u32, usize)> {
    let mut taken = BTreeSet::new();
    let mut entries = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        let start = entries.len();
        for number in 0..REPLICAS {
            let text = replica(hash, Dialect::Carbon, node, number);
            let mut position = position(hash, text.as_bytes(), false);
            while taken.contains(&position) {
                position += 1;
            }
            entries.push((position, place));
            if own {
                taken.insert(position);
            }
        }
        taken.extend(entries.iter().skip(start).map(|(position, _)| *position));
    }
    entries.sort_unstable();
    entries
}

/// A ring on which nodes share positions: the first of them, by host and instance, has them.
fn shared(hash: Hash, dialect: Dialect, nodes: &[Node]) -> Vec<(u32, usize)> {
    let mut entries: Vec<(u32, usize)> = nodes
        .iter()
        .enumerate()
        .flat_map(|(place, node)| (0..REPLICAS).map(move |number| (place, node, number)))
        .map(|(place, node, number)| {
            let text = replica(hash, dialect, node, number);
            (position(hash, text.as_bytes(), dialect == Dialect::CRelay), place)
        })
        .collect();
    let key = |place: usize| nodes.get(place).map(|node| (&node.host, &node.instance));
    entries.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| key(*one).cmp(&key(*other))));
    entries.dedup_by_key(|(position, _)| *position);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_positions() {
        for (text, expected) in [
            ("a", 3265),
            ("foo.bar", 1273),
            ("servers.web01.cpu.load", 21_005),
            ("('127.0.0.1', 'a'):0", 24_043),
            ("('10.0.0.1', None):0", 46_982),
        ] {
            assert_eq!(position(Hash::Carbon, text.as_bytes(), false), expected, "{text}");
        }
    }

    #[test]
    fn replicas_may_have_to_be_of_different_hosts() {
        let nodes = [("h1", "x"), ("h1", "y"), ("h2", "x"), ("h2", "y")]
            .map(|(host, instance)| Node::new(host, 2003, Some(instance)));
        let ring = Ring::new(Hash::Carbon, Dialect::Carbon, &nodes);
        for name in ["a", "b", "c", "d.e", "f.g.h"] {
            let (mut any, mut diverse) = (Vec::new(), Vec::new());
            ring.place(name.as_bytes(), 4, false, &mut any);
            ring.place(name.as_bytes(), 4, true, &mut diverse);
            assert_eq!((any.len(), diverse.len()), (4, 2), "{name}");
            assert_eq!(any[0], diverse[0]);
            assert_ne!(nodes[diverse[0]].host, nodes[diverse[1]].host);
        }
    }

    #[test]
    fn no_node_is_no_place() {
        for hash in [Hash::Carbon, Hash::Fnv1a, Hash::JumpFnv1a] {
            let mut places = Vec::new();
            Ring::new(hash, Dialect::Carbon, &[]).place(b"a", 1, true, &mut places);
            assert_eq!(places, [0_usize; 0]);
        }
    }
}
