//! `hash_placement.jsonl`: where the relays put series.

use graphite_proto::hashing::{Dialect, Hash, Node, Ring};
use serde_json::Value;

use crate::vectors::{Report, Row, same};

/// The clusters that the first row names, for those behind it.
#[derive(Default)]
pub(crate) struct Clusters(Vec<Vec<Node>>);

impl Clusters {
    pub(crate) fn check(&mut self, row: &Row, report: &mut Report) {
        if let Some(clusters) = row.get("clusters").and_then(Value::as_array) {
            self.0 = clusters.iter().map(cluster).collect();
            return report.count("clusters", "read");
        }
        let text = |field: &str| row.get(field).and_then(Value::as_str);
        let peer = (text("peer").unwrap_or_default(), text("hash").unwrap_or_default());
        let (hash, dialect) = match peer {
            ("carbon", "carbon_ch") => (Hash::Carbon, Dialect::Carbon),
            ("carbon", "fnv1a_ch") => (Hash::Fnv1a, Dialect::Carbon),
            ("c-relay", "carbon_ch") => (Hash::Carbon, Dialect::CRelay),
            ("c-relay", "fnv1a_ch") => (Hash::Fnv1a, Dialect::CRelay),
            ("c-relay", "jump_fnv1a_ch") => (Hash::JumpFnv1a, Dialect::CRelay),
            ("relay-ng", "consistentHashing") => (Hash::Carbon, Dialect::RelayNg),
            ("relay-ng", "consistentHashing-v2") => (Hash::Carbon, Dialect::RelayNg2),
            _ => return report.count(&format!("{} {}", peer.0, peer.1), "is none of ours"),
        };
        let Some(key) = text("key") else {
            return report.count("ring samples", "seen through the placements");
        };
        let place =
            row.get("cluster").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        let Some(nodes) = place.and_then(|place| self.0.get(place)) else {
            return report.check(row, "cluster", Err("it is not known".into()));
        };
        let expected: Vec<usize> = serde_json::from_value(row["order"].clone()).unwrap();
        let ring = Ring::new(hash, dialect, nodes);
        let mut ours = Vec::new();
        ring.place(key.as_bytes(), expected.len(), false, &mut ours);
        let what = format!("{} {}", peer.0, peer.1);
        report.check(row, &what, same(key, &ours, &expected));
    }
}

fn cluster(nodes: &Value) -> Vec<Node> {
    let node = |node: &Value| {
        let port = u16::try_from(node["port"].as_u64().unwrap()).unwrap();
        Node::new(node["host"].as_str().unwrap(), port, node["instance"].as_str())
    };
    nodes.as_array().unwrap().iter().map(node).collect()
}
