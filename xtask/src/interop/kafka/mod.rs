//! A real broker of Kafka: Hydra's document ends in a topic, the broker dies under load, and gateways
//! hand entries to each other while gateways, the broker and the group fall apart.

mod avro;
pub(crate) mod broker;
mod chain;
mod codecs;
mod console;
mod document;
mod outage;
mod raw;
#[path = "../../../../testdata/support/registry.rs"]
mod registry;

use anyhow::Result;

use self::broker::Broker;
use crate::crash::{Profile, build_with};

/// Partitions of a topic: more than there are members of a group.
const PARTITIONS: u32 = 4;

pub(crate) fn run() -> Result<()> {
    let binary = build_with(Profile::Dev, &["full"])?;
    let dir = tempfile::tempdir()?;
    let mut broker = Broker::start(&dir.path().join("broker"), PARTITIONS)?;
    document::run(&binary, dir.path(), &broker)?;
    avro::run(&binary, dir.path(), &broker)?;
    codecs::run(&binary, dir.path(), &broker)?;
    raw::run(&binary, dir.path(), &broker)?;
    outage::run(&binary, dir.path(), &mut broker)?;
    chain::run(&binary, dir.path(), &mut broker)
}
