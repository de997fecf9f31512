//! Decoding one message over and over, from memory that stays in the nearest cache.

use std::borrow::Cow;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use loggregator_consumer::json::decode_batch;
use loggregator_consumer::wire::Message;
use loggregator_consumer::{dropsonde, legacy, v2};

use super::{Decode, samples};
use crate::bench::process::say;
use crate::bench::usage::{Meter, Spent};

/// Messages between two looks at the clock.
const TURN: u64 = 4096;

pub(crate) fn run((what, seconds): (Decode, f64)) -> Result<()> {
    say(&measure(what, Duration::from_secs_f64(seconds))?)
}

fn measure(what: Decode, time: Duration) -> Result<Spent> {
    let bytes = Bytes::from(match what {
        Decode::Legacy | Decode::LegacyBorrowed => samples::legacy(),
        Decode::Dropsonde | Decode::DropsondeBorrowed => samples::dropsonde(),
        Decode::V2 | Decode::V2Borrowed => samples::v2(),
        Decode::Json | Decode::JsonBorrowed => samples::json(),
    });
    let (meter, start) = (Meter::start(), Instant::now());
    let mut count = 0;
    while start.elapsed() < time {
        match what {
            Decode::Legacy => owned::<legacy::LogMessage>(&bytes)?,
            Decode::LegacyBorrowed => borrowed::<legacy::LogMessage<&[u8]>>(&bytes)?,
            Decode::Dropsonde => owned::<dropsonde::Envelope>(&bytes)?,
            Decode::DropsondeBorrowed => borrowed::<dropsonde::Envelope<&[u8]>>(&bytes)?,
            Decode::V2 => owned::<v2::Envelope>(&bytes)?,
            Decode::V2Borrowed => borrowed::<v2::Envelope<&[u8]>>(&bytes)?,
            Decode::Json => {
                let batch = black_box(decode_batch(black_box(&bytes)));
                ensure!(batch.envelopes.len() == samples::BATCH, "{:?}", batch.fault);
                count += samples::BATCH as u64;
                continue;
            }
            Decode::JsonBorrowed => {
                let batch = black_box(decode_batch(black_box(&Cow::Borrowed(bytes.as_ref()))));
                ensure!(batch.envelopes.len() == samples::BATCH, "{:?}", batch.fault);
                count += samples::BATCH as u64;
                continue;
            }
        }
        count += TURN;
    }
    meter.stop(count)
}

fn owned<M: Message<Bytes>>(bytes: &Bytes) -> Result<()> {
    for _ in 0..TURN {
        black_box(M::decode(black_box(bytes))?);
    }
    Ok(())
}

fn borrowed<'a, M: Message<&'a [u8]>>(bytes: &'a Bytes) -> Result<()> {
    for _ in 0..TURN {
        let slice: &'a [u8] = black_box(bytes);
        black_box(M::decode(&slice)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_turns_are_counted() {
        for what in [Decode::Legacy, Decode::DropsondeBorrowed, Decode::V2, Decode::Json] {
            assert!(measure(what, Duration::from_millis(1)).unwrap().count > 0);
        }
    }
}
