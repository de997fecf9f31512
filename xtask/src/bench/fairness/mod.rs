//! `bench fairness`: how long one entry's acknowledgement takes while another source is flooded.
//!
//! One gateway with two sources and its log on the disk that `TMPDIR` names. A quiet client sends an
//! entry, waits until it is acknowledged, which means synced, and sends the next: first alone, then
//! while eight connections send lines to the other source as fast as it takes them. A run is the two
//! together, so that what slows the machine down slows both, and its figures are the flooded times
//! divided by those of the client alone. The flood takes CPU of the same machine.

mod flood;
mod quiet;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

pub(crate) use self::flood::run as flood;
use self::quiet::Times;
pub(crate) use self::quiet::run as quiet;
use super::case::{Bar, Case, Context, Figure, Sample};
use super::gateway::Gateway;
use super::process::Side;
use super::usage::Spent;
use super::wire::SECRET;

/// The sides.
pub(crate) const FLOOD: &str = "fairness-flood";
pub(crate) const QUIET: &str = "fairness-quiet";

/// How much longer an acknowledgement takes under the flood: the median's and the slowest
/// hundredth's.
const MEDIAN: &str = "times the median alone";
const SLOW: &str = "times the 99th of 100 alone";
const FLOODED: &str = "lines/s of the flood";

/// How long the flood goes on beyond what is measured: for the start of the quiet side.
const MARGIN: f64 = 1.0;

/// Who sends one entry at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Client {
    /// By the Gravwell protocol, over one connection.
    Gravwell,
    /// A line of Graphite over a connection of its own, whose end is the acknowledgement.
    Graphite,
}

/// What the quiet side is told.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Job {
    to: SocketAddr,
    client: Client,
    seconds: f64,
}

/// The cases.
pub(crate) fn cases() -> Vec<Case> {
    let case = |name, client| Case {
        name,
        unit: "ms under the flood",
        us: "gateway",
        peer: Some("flood"),
        beside: &[],
        bars: vec![
            Bar::at_most(Figure::More(MEDIAN), 3.0, 2.0),
            Bar::at_most(Figure::More(SLOW), 3.0, 2.0),
            // Who holds the flood back altogether is not fair either.
            Bar::at_least(Figure::More(FLOODED), 0.5e6, 1e6),
        ],
        run: Box::new(move |context| beside_a_flood(client, context)),
    };
    vec![case("fairness/gravwell", Client::Gravwell), case("fairness/graphite", Client::Graphite)]
}

fn beside_a_flood(client: Client, context: &Context) -> Result<Sample> {
    let kind = match client {
        Client::Gravwell => "type = \"gravwell\"\nsecret = \"env:INGEST_SECRET\"",
        Client::Graphite => "type = \"graphite\"",
    };
    let config = format!(
        "[admin]\nenabled = false\n[sources.flooded]\ntype = \"graphite\"\n\
         listen = \"127.0.0.1:0\"\n[sources.quiet]\n{kind}\nlisten = \"127.0.0.1:0\"\n"
    );
    let gateway = Gateway::configured(&config, &[("INGEST_SECRET", SECRET)])?;
    let seconds = context.time.as_secs_f64();
    let job = Job { to: gateway.address("quiet")?, client, seconds };
    let alone: Times = Side::start(QUIET, &job)?.finish()?;
    let before = gateway.cpu()?;
    let mut flood = Side::start(FLOOD, &(gateway.address("flooded")?, seconds + MARGIN))?;
    // It says so when every connection has more to send than the gateway takes at once.
    let () = flood.hear()?;
    let flooded: Times = Side::start(QUIET, &job)?.finish()?;
    let early = flood.hear_within::<Spent>(Duration::ZERO)?;
    ensure!(early.is_none(), "the flood ended before the quiet client did");
    let sent: Spent = flood.finish()?;
    let cpu = (gateway.cpu()? - before) * 1e6 / sent.count as f64;
    let sample = Sample {
        value: flooded.median_ms,
        cpu: [("gateway", cpu), ("flood", sent.cpu_per_million())].into(),
        rss_mib: gateway.rss_mib()?,
        more: [
            (MEDIAN, flooded.median_ms / alone.median_ms),
            (SLOW, flooded.slow_ms / alone.slow_ms),
            (FLOODED, sent.rate()),
            ("ms alone", alone.median_ms),
            ("ms that one of 100 exceeds alone", alone.slow_ms),
            ("ms that one of 100 exceeds", flooded.slow_ms),
        ]
        .into(),
        ..Sample::default()
    };
    gateway.stop()?;
    Ok(sample)
}
