//! `[destinations.NAME]`.

use super::amqp;
use super::choice::one_of;
use super::graphite;
use super::gravwell;
use super::kafka;
use super::model::{DestinationConfig, DestinationKind};
use super::sources::check_name;
use super::walk::{Node, Table};

const KINDS: &[&str] = &["store", "gravwell", "graphite", "amqp", "kafka"];

/// A destination that the file names; its settings are missing when its type is wrong.
#[derive(Debug)]
pub(super) struct Destination<'a> {
    pub(super) name: String,
    pub(super) node: Node<'a>,
    pub(super) config: Option<DestinationConfig>,
}

pub(super) fn read<'a>(table: &Table<'a>) -> Vec<Destination<'a>> {
    let mut destinations: Vec<Destination<'a>> = Vec::new();
    let mut store: Option<String> = None;
    for (name, node) in table.entries() {
        let name = name.to_owned();
        let mut destination = Destination { name: name.clone(), node: node.clone(), config: None };
        if let Some(mut table) = node.table() {
            check_name(&table.node, &name, &[]);
            let kind_node = table.required("type", &one_of(KINDS.iter().copied()));
            let kind = kind_node.as_ref().and_then(|node| node.kind(KINDS));
            if kind == Some("gravwell") {
                let read = gravwell::read_destination(&mut table);
                let kind = read.map(|read| DestinationKind::Gravwell(Box::new(read)));
                destination.config = kind.map(|kind| DestinationConfig { name, kind });
                table.finish(super::load::HOMES);
            } else if kind == Some("amqp") {
                let read = amqp::read_destination(&mut table);
                let kind = read.map(|read| DestinationKind::Amqp(Box::new(read)));
                destination.config = kind.map(|kind| DestinationConfig { name, kind });
                table.finish(super::load::HOMES);
            } else if kind == Some("kafka") {
                let read = kafka::read_destination(&mut table);
                let kind = read.map(|read| DestinationKind::Kafka(Box::new(read)));
                destination.config = kind.map(|kind| DestinationConfig { name, kind });
                table.finish(super::load::HOMES);
            } else if kind == Some("graphite") {
                let read = graphite::read_destination(&mut table);
                let kind = read.map(|read| DestinationKind::Graphite(Box::new(read)));
                destination.config = kind.map(|kind| DestinationConfig { name, kind });
                table.finish(super::load::HOMES);
            } else if let (Some(node), Some("store")) = (&kind_node, kind) {
                match &store {
                    Some(first) => node.wrong(
                        "a second \"store\"",
                        format!("one: {first} is it already, and there is only one log"),
                        None,
                    ),
                    None => store = Some(destination.node.path.clone()),
                }
                let kind = DestinationKind::Store;
                destination.config = Some(DestinationConfig { name, kind });
                table.finish(super::load::HOMES);
            } else {
                table.finish_without("type");
            }
        }
        destinations.push(destination);
    }
    destinations
}
