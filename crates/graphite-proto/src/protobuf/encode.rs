//! Points to protobuf frames, as carbon's client writes them.

use std::collections::HashMap;

use crate::MetricRef;
use crate::sending::{EncodeError, Sendable};

/// Points of a frame, as carbon's `MAX_DATAPOINTS_PER_MESSAGE` has it.
const MAX_POINTS: usize = 500;

/// Bytes of a frame, its length not counted: less than the limit that carbon has.
const MAX_FRAME: usize = (1 << 20) - 64;

/// Writes points into frames, each with its length before it: at most 500 points and less than
/// 1 MiB. The points of one name stand together, in the order in which the names first came.
///
/// Values are doubles, timestamps whole seconds up to the year 2106, which is what the format has.
///
/// ```
/// use graphite_proto::protobuf::ProtobufEncoder;
/// use graphite_proto::{MetricRef, Timestamp};
///
/// let mut encoder = ProtobufEncoder::default();
/// let mut stream = Vec::new();
/// encoder.push(&MetricRef::new("a.b", 1.5, Timestamp::from_seconds(7)), &mut stream)?;
/// encoder.flush(&mut stream);
/// assert_eq!(stream, b"\0\0\0\x14\x0a\x12\x0a\x03a.b\x12\x0b\x08\x07\x11\0\0\0\0\0\0\xf8?");
/// # Ok::<(), graphite_proto::EncodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ProtobufEncoder {
    max_points: usize,
    infinite: bool,
    points: usize,
    bytes: usize,
    /// Metrics of the frame that is being filled: what their messages hold.
    metrics: Vec<Vec<u8>>,
    places: HashMap<String, usize>,
}

impl ProtobufEncoder {
    /// An encoder of frames with so many points each: at least 1, and at most 500. Infinite values
    /// are refused.
    #[must_use]
    pub fn new(max_points: usize) -> Self {
        Self {
            max_points: max_points.clamp(1, MAX_POINTS),
            infinite: false,
            points: 0,
            bytes: 0,
            metrics: Vec::new(),
            places: HashMap::new(),
        }
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
    /// [`EncodeError`] for a point that receivers refuse, or that the format has no room for. Nothing
    /// was added.
    pub fn push(&mut self, metric: &MetricRef<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let point = Sendable::new(metric, self.infinite)?;
        let seconds = u32::try_from(point.seconds).map_err(|_| EncodeError::Timestamp)?;
        // Keys, lengths and the point itself take less than 40 bytes.
        let most = point.path.len() + 40;
        if self.bytes + most > MAX_FRAME {
            self.flush(out);
        }
        let place = match self.places.get(point.path.as_ref()) {
            Some(place) => *place,
            None => {
                let mut message = vec![0x0a];
                varint(point.path.len() as u64, &mut message);
                message.extend_from_slice(point.path.as_bytes());
                self.metrics.push(message);
                self.places.insert(point.path.into_owned(), self.metrics.len() - 1);
                self.metrics.len() - 1
            }
        };
        if let Some(message) = self.metrics.get_mut(place) {
            let mut fields = vec![0x08];
            varint(u64::from(seconds), &mut fields);
            fields.push(0x11);
            fields.extend_from_slice(&point.value.to_le_bytes());
            message.push(0x12);
            varint(fields.len() as u64, message);
            message.extend_from_slice(&fields);
        }
        self.bytes += most;
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
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        for metric in self.metrics.drain(..) {
            out.push(0x0a);
            varint(metric.len() as u64, out);
            out.extend_from_slice(&metric);
        }
        let length = (out.len() - start - 4) as u32;
        if let Some(head) = out.get_mut(start..start + 4) {
            head.copy_from_slice(&length.to_be_bytes());
        }
        self.places.clear();
        (self.points, self.bytes) = (0, 0);
    }

    /// Points of the frame that is being filled.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.points
    }
}

impl Default for ProtobufEncoder {
    /// 500 points a frame.
    fn default() -> Self {
        Self::new(MAX_POINTS)
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::{MAX_FRAME as LIMIT, ProtobufDecoder};
    use crate::{Event, Metric, Options, Timestamp};

    fn decoded(stream: &[u8]) -> Vec<Metric> {
        let mut decoder = ProtobufDecoder::new(Options::default(), LIMIT);
        let mut metrics = Vec::new();
        let mut sink = |event: Event<'_>| match event {
            Event::Metric(metric) => metrics.push(metric.to_metric()),
            Event::Rejected(rejected) => panic!("{}", rejected.reason),
        };
        decoder.push(stream, &mut sink).unwrap();
        assert_eq!(decoder.buffered(), 0);
        metrics
    }

    #[test]
    fn points_of_a_name_stand_together() {
        let metric = |path, value| Metric::new(path, value, Timestamp::from_seconds(1_700_000_000));
        let mut encoder = ProtobufEncoder::default();
        let mut stream = Vec::new();
        for point in [metric("x.a", 1.0), metric("x.b", 2.0), metric("x.a", 3.5)] {
            encoder.push(&point.as_ref(), &mut stream).unwrap();
        }
        encoder.flush(&mut stream);
        encoder.flush(&mut stream);
        let expected = [metric("x.a", 1.0), metric("x.a", 3.5), metric("x.b", 2.0)];
        assert_eq!(decoded(&stream), expected);
    }

    #[test]
    fn frames_are_bounded() {
        let path = "x".repeat(8192);
        let mut encoder = ProtobufEncoder::default();
        let mut stream = Vec::new();
        for n in 0..1200 {
            let path = if n < 1000 { &format!("{n}.{path}")[..8192] } else { "a" };
            let metric = MetricRef::new(path, 1.0, Timestamp::from_seconds(i64::from(u32::MAX)));
            encoder.push(&metric, &mut stream).unwrap();
        }
        encoder.flush(&mut stream);
        assert_eq!(decoded(&stream).len(), 1200);
        let late = MetricRef::new("a", 1.0, Timestamp::from_seconds(1 << 32));
        assert_eq!(encoder.push(&late, &mut stream), Err(EncodeError::Timestamp));
        assert_eq!(encoder.pending(), 0);
    }
}
