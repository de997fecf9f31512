//! The bytes of one entry, over and over, in memory that stays in the nearest cache.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use ingest_entry::{EntryRef, Limits, TagId};

use super::{Codec, data, entry};
use crate::bench::process::say;
use crate::bench::usage::{Meter, Spent};

/// Entries of one turn.
const TURN: usize = 64;
/// Turns between two looks at the clock.
const LOOK: usize = 64;

pub(crate) fn run((what, seconds): (Codec, f64)) -> Result<()> {
    say(&measure(what, Duration::from_secs_f64(seconds))?)
}

fn measure(what: Codec, time: Duration) -> Result<Spent> {
    let data = data();
    let entries: Vec<_> = (0..TURN as u64).map(|n| entry(&data, TagId(1), n)).collect();
    let mut bytes = Vec::new();
    for entry in &entries {
        entry.encode_stored(&mut bytes)?;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let (meter, start) = (Meter::start(), Instant::now());
    let mut count = 0;
    while start.elapsed() < time {
        for _ in 0..LOOK {
            turn(what, &entries, &bytes, &mut out)?;
            count += TURN as u64;
        }
    }
    meter.stop(count)
}

fn turn(what: Codec, entries: &[EntryRef<'_>], bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    match what {
        Codec::Encode => {
            out.clear();
            for entry in black_box(entries) {
                entry.encode_stored(out)?;
            }
            anyhow::ensure!(black_box(&*out).len() == bytes.len(), "the lengths differ");
            Ok(())
        }
        Codec::DecodeBorrowed => each(black_box(bytes), |entry| {
            black_box(entry);
        }),
        Codec::DecodeOwned => each(black_box(bytes), |entry| drop(black_box(entry.to_entry()))),
    }
}

fn each(mut bytes: &[u8], mut take: impl FnMut(EntryRef<'_>)) -> Result<()> {
    let mut count = 0;
    while !bytes.is_empty() {
        let (entry, used) = EntryRef::decode_stored(bytes, &Limits::default())?;
        take(entry);
        bytes = bytes.get(used..).unwrap_or_default();
        count += 1;
    }
    anyhow::ensure!(count == TURN, "{count} entries were read");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_turns_are_counted() {
        for what in [Codec::Encode, Codec::DecodeBorrowed, Codec::DecodeOwned] {
            let spent = measure(what, Duration::from_millis(1)).unwrap();
            assert!(spent.count > 0 && spent.count.is_multiple_of(TURN as u64));
        }
    }
}
