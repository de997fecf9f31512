//! Points in whichever form a server wants them.

use std::io::Write as _;

use crate::MetricRef;
use crate::pickle::PickleEncoder;
use crate::protobuf::ProtobufEncoder;
use crate::sending::{EncodeError, Sendable};

/// What a server reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Wire {
    /// Plaintext lines, `path SP value SP timestamp LF` (`graphite.md` 2.6).
    Lines,
    /// Frames of pickles: what carbon's own relay sends.
    #[default]
    Pickle,
    /// Frames of protobuf messages.
    Protobuf,
}

/// Writes points as a server reads them: only such that every receiver accepts, and reads alike.
///
/// ```
/// use graphite_proto::{MetricRef, PointEncoder, Timestamp, Wire};
///
/// let mut encoder = PointEncoder::new(Wire::Lines, 500);
/// let mut stream = Vec::new();
/// encoder.push(&MetricRef::new("a.b", 2.5, Timestamp::from_seconds(7)), &mut stream)?;
/// encoder.flush(&mut stream);
/// assert_eq!(stream, b"a.b 2.5 7\n");
/// # Ok::<(), graphite_proto::EncodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PointEncoder {
    kind: Kind,
    infinite: bool,
}

#[derive(Debug, Clone)]
enum Kind {
    Lines,
    Pickle(Box<PickleEncoder>),
    Protobuf(Box<ProtobufEncoder>),
}

impl PointEncoder {
    /// An encoder whose frames have so many points each, 1 to 500, as carbon's
    /// `MAX_DATAPOINTS_PER_MESSAGE`; lines have none. Infinite values are refused.
    #[must_use]
    pub fn new(wire: Wire, max_points: usize) -> Self {
        let kind = match wire {
            Wire::Lines => Kind::Lines,
            Wire::Pickle => Kind::Pickle(Box::new(PickleEncoder::new(max_points))),
            Wire::Protobuf => Kind::Protobuf(Box::new(ProtobufEncoder::new(max_points))),
        };
        Self { kind, infinite: false }
    }

    /// The same encoder, which writes infinite values: carbon takes them.
    #[must_use]
    pub fn with_infinite(self) -> Self {
        let kind = match self.kind {
            Kind::Lines => Kind::Lines,
            Kind::Pickle(encoder) => Kind::Pickle(Box::new(encoder.with_infinite())),
            Kind::Protobuf(encoder) => Kind::Protobuf(Box::new(encoder.with_infinite())),
        };
        Self { kind, infinite: true }
    }

    /// Adds a point. What is complete by it, a line or a frame that is full, is appended to `out`.
    ///
    /// # Errors
    /// [`EncodeError`] for a point that receivers refuse, or misread. Nothing was added.
    pub fn push(&mut self, metric: &MetricRef<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match &mut self.kind {
            Kind::Lines => line(metric, self.infinite, out),
            Kind::Pickle(encoder) => encoder.push(metric, out),
            Kind::Protobuf(encoder) => encoder.push(metric, out),
        }
    }

    /// Appends the frame that is being filled to `out`, if it has a point.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        match &mut self.kind {
            Kind::Lines => {}
            Kind::Pickle(encoder) => encoder.flush(out),
            Kind::Protobuf(encoder) => encoder.flush(out),
        }
    }

    /// Points of the frame that is being filled.
    #[must_use]
    pub fn pending(&self) -> usize {
        match &self.kind {
            Kind::Lines => 0,
            Kind::Pickle(encoder) => encoder.pending(),
            Kind::Protobuf(encoder) => encoder.pending(),
        }
    }
}

/// A line: whole seconds, integers as they were, else the shortest decimal.
fn line(metric: &MetricRef<'_>, infinite: bool, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let point = Sendable::new(metric, infinite)?;
    if !metric.verbatim.is_empty() && metric.timestamp().nanos == 0 {
        out.extend_from_slice(metric.verbatim);
    } else {
        out.extend_from_slice(point.path.as_bytes());
        // Writing into a vector cannot fail.
        let _ = match metric.integer() {
            Some(text) => write!(out, " {text} {}", point.seconds),
            None => write!(out, " {} {}", point.value, point.seconds),
        };
    }
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Format, Metric, Options, StreamDecoder, Timestamp, decode_datagram};

    const NOW: Timestamp = Timestamp::from_seconds(1_650_000_000);

    fn lines(options: &Options, input: &[u8]) -> (String, Vec<EncodeError>) {
        let mut encoder = PointEncoder::new(Wire::Lines, 500);
        let (mut out, mut refused) = (Vec::new(), Vec::new());
        decode_datagram(options, input, NOW, &mut |event| {
            let Event::Metric(metric) = event else { panic!("{event:?}") };
            refused.extend(encoder.push(&metric, &mut out).err());
        });
        assert_eq!(encoder.pending(), 0);
        (String::from_utf8(out).unwrap(), refused)
    }

    #[test]
    fn lines_are_what_every_receiver_reads() {
        let options = Options { fraction: true, ..Options::default() };
        let input =
            b" a.b\t2.50 -1\nc;y=1;x=2 18446744073709551615 7.75\nd 1e-7 7\ne -0 7\nf 4 7\n";
        let expected = "a.b 2.5 1650000000\nc;x=2;y=1 18446744073709551615 7\n\
                        d 0.0000001 7\ne -0 7\nf 4 7\n";
        assert_eq!(lines(&options, input), (expected.to_owned(), vec![]));
        let input = "a inf 7\n\u{e9}\u{a0}x 1 7\nb 1 7\n".as_bytes();
        let (sent, refused) = lines(&Options::default(), input);
        assert_eq!(sent, "b 1 7\n");
        assert_eq!(refused, [EncodeError::Value, EncodeError::Character]);
    }

    #[test]
    fn each_wire_brings_the_same_points() {
        let metrics: Vec<Metric> = (0..1200_u32)
            .map(|n| Metric::new(&format!("a.{}", n % 7), f64::from(n) / 8.0, NOW))
            .collect();
        for (wire, format) in [
            (Wire::Lines, Format::Lines),
            (Wire::Pickle, Format::Pickle(crate::pickle::Limits::default())),
            (Wire::Protobuf, Format::Protobuf { max_frame: 1 << 20 }),
        ] {
            let mut encoder = PointEncoder::new(wire, 500).with_infinite();
            let (mut stream, mut found) = (Vec::new(), Vec::new());
            for metric in &metrics {
                encoder.push(&metric.as_ref(), &mut stream).unwrap();
            }
            let endless = Metric::new("inf", f64::INFINITY, NOW);
            encoder.push(&endless.as_ref(), &mut stream).unwrap();
            encoder.flush(&mut stream);
            let mut decoder = StreamDecoder::new(format, Options::default());
            decoder
                .push(&stream, NOW, &mut |event| match event {
                    Event::Metric(metric) => found.push(metric.path().to_owned()),
                    Event::Rejected(rejected) => panic!("{}", rejected.reason),
                })
                .unwrap();
            let mut expected: Vec<String> = metrics.iter().map(|m| m.path().to_owned()).collect();
            expected.push("inf".to_owned());
            // The points of a name stand together in protobuf.
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{wire:?}");
            assert_eq!(decoder.buffered(), 0);
        }
    }
}
