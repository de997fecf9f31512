//! From entries to points: which of them a server gets, and what becomes of the others.

use graphite_proto::{
    EncodeError, Event, MetricRef, Options, PointEncoder, RejectReason, Timestamp, decode_datagram,
};
use ingest_mux::Lease;

use super::Share;
use crate::counters::Counter;

/// What became of entries. One that is sent again is counted again.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    counts: [Counter; NAMES.len()],
}

const NAMES: [&str; 7] =
    ["sent", "elsewhere", "not-a-point", "bad-path", "bad-value", "bad-time", "unsendable"];

/// A place in [`NAMES`].
#[derive(Clone, Copy)]
enum Fate {
    Sent,
    /// It belongs to other servers.
    Elsewhere,
    /// Its data is no Graphite line.
    NotAPoint,
    Path,
    Value,
    Time,
    Other,
}

impl From<EncodeError> for Fate {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Path | EncodeError::Character | EncodeError::Length => Self::Path,
            EncodeError::Value => Self::Value,
            EncodeError::Timestamp => Self::Time,
            _ => Self::Other,
        }
    }
}

impl From<RejectReason> for Fate {
    fn from(reason: RejectReason) -> Self {
        match reason {
            RejectReason::TimestampRange => Self::Time,
            RejectReason::Nan | RejectReason::ValueRange => Self::Value,
            RejectReason::ControlCharacter | RejectReason::PathTooLong => Self::Path,
            _ => Self::NotAPoint,
        }
    }
}

impl crate::destinations::Fates for Fates {
    fn counts(&self) -> Vec<(&'static str, u64)> {
        NAMES.into_iter().zip(self.counts.iter().map(Counter::get)).collect()
    }
}

impl Fates {
    fn add(&self, tally: &Tally) {
        for (counter, more) in self.counts.iter().zip(tally.0) {
            counter.add(more);
        }
    }
}

#[derive(Default)]
struct Tally([u64; NAMES.len()]);

impl Tally {
    fn note(&mut self, fate: Fate) {
        if let Some(count) = self.0.get_mut(fate as usize) {
            *count += 1;
        }
    }
}

/// Entries' data is what the map made of points: canonical, so that a time of −1 is one.
const LITERALLY: Timestamp = Timestamp::from_seconds(-1);

/// Writes the entries of a lease as points.
pub(crate) struct Writer<'a> {
    encoder: PointEncoder,
    options: Options,
    share: Option<&'a Share>,
    places: Vec<usize>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(encoder: PointEncoder, share: Option<&'a Share>) -> Self {
        let mut options = Options::default();
        options.max_timestamp = i64::MAX;
        Self { encoder, options, share, places: Vec::new() }
    }

    /// Appends what a lease holds for the server, whole frames.
    pub(crate) fn write(&mut self, lease: &Lease, fates: &Fates, out: &mut Vec<u8>) {
        let mut tally = Tally::default();
        for (_, entry) in lease.entries() {
            let mut fate = Fate::NotAPoint;
            // A second line in the data makes it none.
            if !entry.data.contains(&b'\n') {
                decode_datagram(&self.options, entry.data, LITERALLY, &mut |event| {
                    let (encoder, places) = (&mut self.encoder, &mut self.places);
                    fate = match event {
                        Event::Metric(metric) => point(encoder, self.share, places, &metric, out),
                        Event::Rejected(rejected) => rejected.reason.into(),
                        _ => Fate::NotAPoint,
                    };
                });
            }
            tally.note(fate);
        }
        self.encoder.flush(out);
        fates.add(&tally);
    }
}

fn point(
    encoder: &mut PointEncoder,
    share: Option<&Share>,
    places: &mut Vec<usize>,
    metric: &MetricRef<'_>,
    out: &mut Vec<u8>,
) -> Fate {
    if share.is_some_and(|share| !share.takes(&metric.canonical_path(), places)) {
        return Fate::Elsewhere;
    }
    match encoder.push(metric, out) {
        Ok(()) => Fate::Sent,
        Err(error) => error.into(),
    }
}
