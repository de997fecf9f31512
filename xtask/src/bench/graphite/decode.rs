//! Streams decoded over and over.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use graphite_proto::pickle::{Limits, PickleDecoder};
use graphite_proto::protobuf::{MAX_FRAME, ProtobufDecoder};
use graphite_proto::{Event, LineDecoder, Options, Timestamp};

use super::What;
use super::points::{POINTS, stream};
use crate::bench::process::say;
use crate::bench::usage::{Meter, Spent};

/// As much as a listener reads at a time.
const PIECE: usize = 256 * 1024;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

pub(crate) fn run((what, seconds): (What, f64)) -> Result<()> {
    say(&measure(what, Duration::from_secs_f64(seconds))?)
}

fn measure(what: What, time: Duration) -> Result<Spent> {
    let stream = stream(what)?;
    if what == What::PickleOfSerde {
        return by_serde(&stream, time);
    }
    let (mut metrics, mut refused, mut turns) = (0_u64, 0_u64, 0_u64);
    let mut sink = |event: Event<'_>| match black_box(event) {
        Event::Metric(_) => metrics += 1,
        _ => refused += 1,
    };
    let mut lines = LineDecoder::new(Options::default());
    let mut pickles = PickleDecoder::new(Options::default(), Limits::default());
    let mut messages = ProtobufDecoder::new(Options::default(), MAX_FRAME);
    let mut copy = vec![0; PIECE];
    let (meter, start) = (Meter::start(), Instant::now());
    while start.elapsed() < time {
        for piece in black_box(&stream).chunks(PIECE) {
            match what {
                What::Copy => {
                    if let Some(room) = copy.get_mut(..piece.len()) {
                        room.copy_from_slice(piece);
                        black_box(room);
                    }
                }
                What::Lines | What::Tagged => lines.push(piece, NOW, &mut sink),
                What::Pickle(_)
                | What::PickleOfRelayNg
                | What::PickleOfOurs
                | What::PickleOfSerde => {
                    pickles.push(piece, NOW, &mut sink)?;
                }
                What::Protobuf => messages.push(piece, &mut sink)?,
            }
        }
        turns += 1;
    }
    let spent = meter.stop(turns * POINTS as u64)?;
    anyhow::ensure!(refused == 0, "{refused} points were refused");
    let expected = if what == What::Copy { 0 } else { spent.count };
    anyhow::ensure!(metrics == expected, "{metrics} of {expected} points came");
    Ok(spent)
}

/// The frames as values of `serde-pickle`.
fn by_serde(stream: &[u8], time: Duration) -> Result<Spent> {
    let mut frames = Vec::new();
    let mut rest = stream;
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        let (frame, behind) = behind.split_at_checked(length).context("a frame is cut off")?;
        frames.push(frame);
        rest = behind;
    }
    let (meter, start, mut count) = (Meter::start(), Instant::now(), 0);
    while start.elapsed() < time {
        for frame in &frames {
            let value = serde_pickle::value_from_slice(frame, serde_pickle::DeOptions::new())?;
            if let serde_pickle::Value::List(points) = black_box(value) {
                count += points.len() as u64;
            }
        }
    }
    meter.stop(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_points_are_read_in_every_form() {
        for what in [
            What::Copy,
            What::Lines,
            What::Tagged,
            What::Pickle(0),
            What::Pickle(2),
            What::Pickle(4),
            What::PickleOfRelayNg,
            What::PickleOfOurs,
            What::PickleOfSerde,
            What::Protobuf,
        ] {
            let spent = measure(what, Duration::from_millis(1)).unwrap();
            assert!(spent.count > 0 && spent.count.is_multiple_of(POINTS as u64));
        }
    }
}
