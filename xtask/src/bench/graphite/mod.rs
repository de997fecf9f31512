//! `bench graphite`: what the decoders of the Graphite protocols take from bytes in memory, on one
//! thread; and what the gateway takes from sockets into its log, and passes on (`live`).
//!
//! In memory: 10,000 lines of 59 bytes, of as many series, and the same points as frames of 500, handed
//! over in pieces of 256 KiB as a listener reads them. Beside them stands the copying of the same lines.
//! Rates are those of a second of CPU: what others take of the machine is not counted.

mod decode;
mod live;
mod peers;
mod points;

use serde::{Deserialize, Serialize};

pub(crate) use self::decode::run as decode;
pub(crate) use self::live::{SENDER, SINK, send, sink};
pub(crate) use self::peers::peers;
pub(super) use self::points::{POINTS, stream};
use super::case::{Bar, Case, Figure, Sample};
use super::process::Side;
use super::usage::Spent;

/// The side.
pub(crate) const DECODE: &str = "graphite-decode";

const COPY: &str = "graphite/lines/copied";

/// What is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    /// Lines, copied and not read.
    Copy,
    Lines,
    /// Lines with tags, which are sorted when they are written.
    Tagged,
    /// Frames as CPython writes them, with this protocol.
    Pickle(u8),
    /// Frames of one point as carbon-relay-ng writes them.
    PickleOfRelayNg,
    /// Frames of our own encoder.
    PickleOfOurs,
    /// Frames as CPython writes them, read by `serde-pickle`.
    PickleOfSerde,
    Protobuf,
}

/// The cases.
pub(crate) fn cases() -> Vec<Case> {
    let lines = vec![Bar::at_least(Figure::Value, 20e6, 40e6)];
    let pickle = |goal| vec![Bar::at_least(Figure::Value, 14e6, goal)];
    let decoders = vec![
        case(COPY, "lines/s", What::Copy, &[], Vec::new()),
        case("graphite/lines", "lines/s", What::Lines, &[COPY], lines),
        case("graphite/lines/tagged", "lines/s", What::Tagged, &[COPY], Vec::new()),
        case("graphite/pickle/2", "points/s", What::Pickle(2), &[], pickle(45e6)),
        case("graphite/pickle/4", "points/s", What::Pickle(4), &[], pickle(45e6)),
        case("graphite/pickle/ours", "points/s", What::PickleOfOurs, &[], pickle(45e6)),
        case("graphite/pickle/0", "points/s", What::Pickle(0), &[], Vec::new()),
        case("graphite/pickle/relay-ng", "points/s", What::PickleOfRelayNg, &[], Vec::new()),
        case("graphite/protobuf", "points/s", What::Protobuf, &[], Vec::new()),
    ];
    decoders.into_iter().chain(live::cases()).collect()
}

fn case(
    name: &'static str,
    unit: &'static str,
    what: What,
    beside: &'static [&'static str],
    bars: Vec<Bar>,
) -> Case {
    let run = move |context: &super::case::Context| {
        let job = (what, context.time.as_secs_f64());
        let spent: Spent = Side::start(DECODE, &job)?.finish()?;
        Ok(Sample {
            value: spent.count as f64 / spent.cpu,
            cpu: [("decoder", spent.cpu_per_million())].into(),
            rss_mib: spent.rss_mib,
            ..Sample::default()
        })
    };
    Case { name, unit, us: "decoder", peer: None, beside, bars, run: Box::new(run) }
}
