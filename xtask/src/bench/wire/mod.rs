//! `bench wire`: the Gravwell protocol from client to server, and the bytes of an entry.
//!
//! Client and server are two processes, each with a runtime of one thread, and talk over loopback.
//! Entries have 256 bytes of data. Beside them stands the same stream of frames one way: written by
//! a thread into a plain socket, read and thrown away, nothing acknowledged.
//! Then the real program in the server's place, with its log on the disk that `TMPDIR` names:
//! many entries, and one alone at a time.

pub(crate) mod attack;
mod client;
mod codec;
mod into;
mod lone;
mod oneway;
mod server;

use std::net::SocketAddr;

use anyhow::Result;
use ingest_entry::{EntryRef, Source, TagId, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use self::client::run as client;
pub(crate) use self::codec::run as codec;
pub(crate) use self::lone::{Lone, run as lone};
pub(crate) use self::oneway::{sender, sink};
pub(crate) use self::server::run as server;
use super::case::{Bar, Case, Context, Figure, Sample};
use super::process::Side;
use super::usage::Spent;

/// The sides.
pub(crate) const CLIENT: &str = "wire-client";
pub(crate) const SERVER: &str = "wire-server";
pub(crate) const SENDER: &str = "wire-sender";
pub(crate) const LONE: &str = "wire-lone";
pub(crate) const SINK: &str = "wire-sink";
pub(crate) const CODEC: &str = "wire-codec";

const ONE_WAY: &str = "wire/256B/one-way";

/// The secret of both sides.
pub(crate) const SECRET: &str = "bench";
/// The tag of all entries.
pub(crate) const TAG: &str = "bench";

/// What a client or a one-way sender has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    to: SocketAddr,
    seconds: f64,
    how: How,
}

/// How a client hands its entries over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum How {
    /// `Connection::send`, each awaited.
    OneByOne,
    /// `Connection::send_all`, this many at a time.
    Batches(usize),
}

/// What a codec's side does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Codec {
    Encode,
    DecodeBorrowed,
    DecodeOwned,
}

/// The cases.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        transfer("wire/256B", How::Batches(512)),
        transfer("wire/256B/one-by-one", How::OneByOne),
        Case {
            name: ONE_WAY,
            unit: "entries/s",
            us: "sender",
            peer: Some("sink"),
            beside: &[],
            bars: Vec::new(),
            run: Box::new(|context| {
                pair(context, ("sender", SENDER), ("sink", SINK), How::OneByOne)
            }),
        },
        into::many(),
        into::alone(),
        coding("wire/codec/encode", Codec::Encode, 12.0, 8.0),
        coding("wire/codec/decode-borrowed", Codec::DecodeBorrowed, 9.0, 6.0),
        coding("wire/codec/decode-owned", Codec::DecodeOwned, 80.0, 40.0),
    ]
}

/// Entries acknowledged by a server in memory, the final sync included.
fn transfer(name: &'static str, how: How) -> Case {
    Case {
        name,
        unit: "entries/s",
        us: "client",
        peer: Some("server"),
        beside: &[ONE_WAY],
        bars: vec![
            Bar::at_least(Figure::Value, 3e6, 6e6),
            Bar::at_least(Figure::Share(ONE_WAY), 0.4, 0.6),
            Bar::at_most(Figure::Cpu("client"), 0.25, 0.18),
            Bar::at_most(Figure::Cpu("server"), 0.12, 0.08),
            Bar::at_most(Figure::Rss, 16.0, 16.0),
        ],
        run: Box::new(move |context| pair(context, ("client", CLIENT), ("server", SERVER), how)),
    }
}

/// One process sends to another: what each was called and is.
fn pair(
    context: &Context,
    (us, from): (&'static str, &'static str),
    (peer, to): (&'static str, &'static str),
    how: How,
) -> Result<Sample> {
    let mut receiver = Side::start(to, &())?;
    let address = receiver.hear()?;
    let job = Job { to: address, seconds: context.time.as_secs_f64(), how };
    let sent: Spent = Side::start(from, &job)?.finish()?;
    let received: Spent = receiver.finish()?;
    anyhow::ensure!(
        sent.count == received.count,
        "{} were sent and {} received",
        sent.count,
        received.count
    );
    Ok(Sample {
        value: sent.rate(),
        cpu: [(us, sent.cpu_per_million()), (peer, received.cpu_per_million())].into(),
        rss_mib: sent.rss_mib.max(received.rss_mib),
        ..Sample::default()
    })
}

fn coding(name: &'static str, what: Codec, floor: f64, goal: f64) -> Case {
    Case {
        name,
        unit: "ns of CPU",
        us: "codec",
        peer: None,
        beside: &[],
        bars: vec![Bar::at_most(Figure::Value, floor, goal)],
        run: Box::new(move |context| {
            let job = (what, context.time.as_secs_f64());
            let spent: Spent = Side::start(CODEC, &job)?.finish()?;
            Ok(Sample {
                // One thread that never waits: what others take of the machine is not its own.
                value: spent.cpu_per_million() * 1e3,
                cpu: [("codec", spent.cpu_per_million())].into(),
                rss_mib: spent.rss_mib,
                ..Sample::default()
            })
        }),
    }
}

/// 256 bytes of what logs look like.
pub(crate) fn data() -> Vec<u8> {
    let line = "2026-11-21T10:11:12.131415Z host-17 app[4711]: GET /api/v1/items/42 200 17ms ";
    line.bytes().cycle().take(256).collect()
}

/// The entry of this number: all differ.
pub(crate) fn entry(data: &[u8], tag: TagId, number: u64) -> EntryRef<'_> {
    let seconds = 1_700_000_000 + (number >> 20) as i64;
    let ts = Timestamp::from_unix(seconds, number as u32 & 0xF_FFFF);
    let src = Source::from(std::net::Ipv4Addr::new(192, 0, 2, 7));
    EntryRef::new(ts.unwrap_or(Timestamp::UNIX_EPOCH), src, tag, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_differ_and_have_256_bytes() {
        let data = data();
        assert_eq!(data.len(), 256);
        assert_ne!(entry(&data, TagId(1), 1), entry(&data, TagId(1), 2));
        assert_ne!(entry(&data, TagId(1), 1), entry(&data, TagId(1), 1 << 20));
    }
}
