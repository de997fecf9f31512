//! Points to pickle frames, as carbon's clients write them.

use super::opcode as op;
use crate::MetricRef;
use crate::sending::{EncodeError, Sendable};

/// Writes points into frames, each with its length before it: protocol 2, at most 500 points and
/// less than 1 MiB, in the opcodes that carbon, go-carbon and carbon-relay-ng all read
/// (`graphite.md` 10, item 6).
///
/// A value is an integer where its text was one that 64 bits hold, else a float; a timestamp is
/// whole seconds.
///
/// ```
/// use graphite_proto::pickle::PickleEncoder;
/// use graphite_proto::{MetricRef, Timestamp};
///
/// let mut encoder = PickleEncoder::default();
/// let mut stream = Vec::new();
/// for value in [1.0, 2.5] {
///     encoder.push(&MetricRef::new("a.b", value, Timestamp::from_seconds(7)), &mut stream)?;
/// }
/// assert!(stream.is_empty(), "the frame is not full yet");
/// encoder.flush(&mut stream);
/// assert!(stream.starts_with(b"\0\0\0"));
/// # Ok::<(), graphite_proto::EncodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PickleEncoder {
    max_points: usize,
    infinite: bool,
    points: usize,
    /// The points of the frame that is being filled.
    frame: Vec<u8>,
}

/// Points of a frame, as carbon's `MAX_DATAPOINTS_PER_MESSAGE` has it.
const MAX_POINTS: usize = 500;

/// Bytes of a frame, with its length: one less than the least limit that any receiver has.
const MAX_FRAME: usize = (1 << 20) - 1;

/// PROTO 2, EMPTY_LIST, MARK.
const HEAD: [u8; 4] = [op::PROTO, 2, op::EMPTY_LIST, op::MARK];

/// APPENDS, STOP.
const TAIL: [u8; 2] = [op::APPENDS, op::STOP];

impl PickleEncoder {
    /// An encoder of frames with so many points each: at least 1, and at most 500. Infinite values
    /// are refused, as go-carbon drops them.
    #[must_use]
    pub fn new(max_points: usize) -> Self {
        let max_points = max_points.clamp(1, MAX_POINTS);
        Self { max_points, infinite: false, points: 0, frame: Vec::new() }
    }

    /// The same encoder, which writes infinite values.
    #[must_use]
    pub fn with_infinite(mut self) -> Self {
        self.infinite = true;
        self
    }

    /// Adds a point. A frame that is full is appended to `out`, with its length.
    ///
    /// # Errors
    /// [`EncodeError`] for a point that receivers refuse, or misread. Nothing was added.
    pub fn push(&mut self, metric: &MetricRef<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let point = Sendable::new(metric, self.infinite)?;
        let path = point.path.as_bytes();
        // Opcodes and operands around the path are less than 40 bytes.
        if HEAD.len() + self.frame.len() + path.len() + 40 + TAIL.len() + 4 > MAX_FRAME {
            self.flush(out);
        }
        let frame = &mut self.frame;
        // A path has 64 KiB at most.
        frame.push(op::BINUNICODE);
        frame.extend_from_slice(&(path.len() as u32).to_le_bytes());
        frame.extend_from_slice(path);
        integer(point.seconds, frame);
        match point.integer {
            Some(value) => integer(value, frame),
            None => {
                frame.push(op::BINFLOAT);
                frame.extend_from_slice(&point.value.to_be_bytes());
            }
        }
        frame.extend_from_slice(&[op::TUPLE2, op::TUPLE2]);
        self.points += 1;
        if self.points >= self.max_points {
            self.flush(out);
        }
        Ok(())
    }

    /// Appends the frame that is being filled to `out`, if it has a point.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        if self.points == 0 {
            return;
        }
        let length = HEAD.len() + self.frame.len() + TAIL.len();
        out.extend_from_slice(&(length as u32).to_be_bytes());
        out.extend_from_slice(&HEAD);
        out.extend_from_slice(&self.frame);
        out.extend_from_slice(&TAIL);
        self.frame.clear();
        self.points = 0;
    }

    /// Points of the frame that is being filled.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.points
    }
}

impl Default for PickleEncoder {
    /// 500 points a frame.
    fn default() -> Self {
        Self::new(MAX_POINTS)
    }
}

/// BININT only for what has no sign: go-carbon reads it as if it had none. Else two's complement.
fn integer(value: i64, out: &mut Vec<u8>) {
    match u32::try_from(value) {
        Ok(small) if small <= i32::MAX as u32 => {
            out.push(op::BININT);
            out.extend_from_slice(&small.to_le_bytes());
        }
        _ => {
            let bytes = value.to_le_bytes();
            // As few bytes as still show the sign.
            let fill = if value < 0 { 0xff } else { 0 };
            let sign = |byte: &u8| (byte & 0x80 != 0) == (value < 0);
            let mut length = bytes.len();
            while let Some([.., below, last]) = bytes.get(..length)
                && *last == fill
                && sign(below)
            {
                length -= 1;
            }
            out.extend_from_slice(&[op::LONG1, length as u8]);
            out.extend_from_slice(bytes.get(..length).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::pickle::{Limits, PickleDecoder};
    use crate::{Event, Metric, Options};

    fn decoded(stream: &[u8]) -> (Vec<Metric>, usize) {
        let mut decoder = PickleDecoder::new(Options::default(), Limits::default());
        let mut metrics = Vec::new();
        let mut sink = |event: Event<'_>| match event {
            Event::Metric(metric) => metrics.push(metric.to_metric()),
            Event::Rejected(rejected) => panic!("{}", rejected.reason),
        };
        decoder.push(stream, Timestamp::default(), &mut sink).unwrap();
        (metrics, decoder.buffered())
    }

    fn lengths(mut stream: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        while let Some((length, rest)) = stream.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            lengths.push(length);
            stream = &rest[length..];
        }
        lengths
    }

    #[test]
    fn integers_are_as_short_as_may_be() {
        let written = |value| {
            let mut out = Vec::new();
            integer(value, &mut out);
            out
        };
        assert_eq!(written(0), b"J\0\0\0\0");
        assert_eq!(written(0x7fff_ffff), b"J\xff\xff\xff\x7f");
        assert_eq!(written(0x8000_0000), b"\x8a\x05\0\0\0\x80\0");
        assert_eq!(written(-1), b"\x8a\x01\xff");
        assert_eq!(written(-128), b"\x8a\x01\x80");
        assert_eq!(written(-129), b"\x8a\x02\x7f\xff");
        assert_eq!(written(i64::MAX), b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f");
        assert_eq!(written(i64::MIN), b"\x8a\x08\0\0\0\0\0\0\0\x80");
    }

    #[test]
    fn frames_are_bounded_in_points() {
        let mut encoder = PickleEncoder::default();
        let mut stream = Vec::new();
        let metrics: Vec<Metric> = (0..1001_u32)
            .map(|n| Metric::new(&format!("a.{n}"), f64::from(n) / 4.0, Timestamp::from_seconds(5)))
            .collect();
        for metric in &metrics {
            encoder.push(&metric.as_ref(), &mut stream).unwrap();
        }
        assert_eq!((lengths(&stream).len(), encoder.pending()), (2, 1));
        encoder.flush(&mut stream);
        encoder.flush(&mut stream);
        assert_eq!((lengths(&stream).len(), encoder.pending()), (3, 0));
        assert_eq!(decoded(&stream), (metrics, 0));
    }

    #[test]
    fn frames_are_bounded_in_bytes() {
        let mut encoder = PickleEncoder::default();
        let mut stream = Vec::new();
        let path = "x".repeat(8192);
        for _ in 0..300 {
            let metric = MetricRef::new(&path, 1.0, Timestamp::from_seconds(5));
            encoder.push(&metric, &mut stream).unwrap();
        }
        encoder.flush(&mut stream);
        let lengths = lengths(&stream);
        assert!(lengths.len() == 3 && lengths.iter().all(|length| length + 4 < 1 << 20));
        assert_eq!(decoded(&stream).0.len(), 300);
    }

    #[test]
    fn integers_stay_exact() {
        let line = b"a.b 9007199254740993 1700000000\nc -0 -1\nd 18446744073709551615 9\n";
        let mut encoder = PickleEncoder::new(0);
        let (mut stream, mut texts) = (Vec::new(), Vec::new());
        crate::decode_datagram(
            &Options::default(),
            line,
            Timestamp::from_seconds(3),
            &mut |event| {
                let Event::Metric(metric) = event else { panic!("refused") };
                encoder.push(&metric, &mut stream).unwrap();
                let mut text = Vec::new();
                metric.write_canonical(&mut text);
                texts.push(String::from_utf8(text).unwrap());
            },
        );
        assert_eq!(lengths(&stream).len(), 3);
        let again: Vec<String> = decoded(&stream)
            .0
            .iter()
            .map(|metric| {
                let mut text = Vec::new();
                metric.write_canonical(&mut text);
                String::from_utf8(text).unwrap()
            })
            .collect();
        assert_eq!(again[..2], texts[..2]);
        // Beyond 64 bits it is a float.
        assert_eq!(again[2], "d 18446744073709552000 9");
    }
}
