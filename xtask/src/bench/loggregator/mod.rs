//! `bench loggregator`: messages of every generation, decoded from memory and read from a server.
//!
//! A line has 200 bytes; envelopes have five tags, and eight in JSON, as a platform gives them. The
//! server is a process of its own that writes prepared bytes and does nothing else; what a reader
//! spends is that of its whole process, from the first message on.

mod codec;
mod live;
mod peers;
mod samples;

use serde::{Deserialize, Serialize};

pub(crate) use self::codec::run as codec;
pub(crate) use self::live::{reader, server};
pub(crate) use self::peers::peers;
use super::case::{Bar, Case, Figure, Sample};
use super::process::Side;
use super::usage::Spent;

/// The sides.
pub(crate) const CODEC: &str = "loggregator-codec";
pub(crate) const SERVER: &str = "loggregator-server";
pub(crate) const READER: &str = "loggregator-reader";

/// What is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Decode {
    Legacy,
    LegacyBorrowed,
    Dropsonde,
    DropsondeBorrowed,
    V2,
    V2Borrowed,
    Json,
    JsonBorrowed,
}

/// What is read from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Read {
    Tail,
    Stream,
    Gateway,
}

/// The cases.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        decoding("loggregator/decode/legacy", Decode::Legacy, Some((6.5e6, 12e6))),
        decoding("loggregator/decode/legacy-borrowed", Decode::LegacyBorrowed, Some((6.5e6, 12e6))),
        decoding("loggregator/decode/dropsonde", Decode::Dropsonde, Some((1e6, 2.2e6))),
        decoding(
            "loggregator/decode/dropsonde-borrowed",
            Decode::DropsondeBorrowed,
            Some((1e6, 2.2e6)),
        ),
        decoding("loggregator/decode/v2", Decode::V2, Some((1e6, 2.2e6))),
        decoding("loggregator/decode/v2-borrowed", Decode::V2Borrowed, Some((1e6, 2.2e6))),
        decoding("loggregator/decode/json", Decode::Json, Some((1.1e6, 1.5e6))),
        decoding("loggregator/decode/json-borrowed", Decode::JsonBorrowed, Some((1.1e6, 1.5e6))),
        reading("loggregator/tail", Read::Tail, 0.6, 0.3),
        reading("loggregator/stream", Read::Stream, 1.4, 0.7),
        reading("loggregator/gateway", Read::Gateway, 1.5, 0.8),
    ]
}

fn decoding(name: &'static str, what: Decode, bar: Option<(f64, f64)>) -> Case {
    Case {
        name,
        unit: "messages/s",
        us: "codec",
        peer: None,
        beside: &[],
        bars: bar
            .map(|(floor, goal)| Bar::at_least(Figure::Value, floor, goal))
            .into_iter()
            .collect(),
        run: Box::new(move |context| {
            let job = (what, context.time.as_secs_f64());
            let spent: Spent = Side::start(CODEC, &job)?.finish()?;
            // One thread that never waits: what others take of the machine is not its own.
            let value = 1e6 / spent.cpu_per_million();
            Ok(sample(value, "codec", spent, None))
        }),
    }
}

fn reading(name: &'static str, what: Read, floor: f64, goal: f64) -> Case {
    Case {
        name,
        unit: "messages/s",
        us: "reader",
        peer: Some("server"),
        beside: &[],
        bars: vec![Bar::at_most(Figure::Cpu("reader"), floor, goal)],
        run: Box::new(move |context| {
            let mut server = Side::start(SERVER, &(what, context.time.as_secs_f64()))?;
            let address: String = server.hear()?;
            let read: Spent = Side::start(READER, &(what, address))?.finish()?;
            let sent: Spent = server.finish()?;
            anyhow::ensure!(read.count == sent.count, "{} sent, {} read", sent.count, read.count);
            Ok(sample(read.rate(), "reader", read, Some(sent)))
        }),
    }
}

fn sample(value: f64, us: &'static str, spent: Spent, peer: Option<Spent>) -> Sample {
    let peer = peer.map(|peer| ("server", peer.cpu_per_million()));
    Sample {
        value,
        cpu: [(us, spent.cpu_per_million())].into_iter().chain(peer).collect(),
        rss_mib: spent.rss_mib,
        ..Sample::default()
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::*;

    #[test]
    fn every_message_that_is_sent_is_read() -> Result<()> {
        for what in [Read::Tail, Read::Stream, Read::Gateway] {
            let (address, server) = live::start(what, 0.05)?;
            let read = live::read(what, &address)?;
            let sent = server.join().map_err(|_| anyhow::anyhow!("the server failed"))??;
            assert!(read.count > 0 && read.count == sent.count, "{what:?}: {read:?} {sent:?}");
        }
        Ok(())
    }
}
