//! Points as protobuf messages, as carbon and go-carbon read and write them (`graphite.md` 5.1).
//!
//! | to do this | use |
//! | --- | --- |
//! | decode a stream of frames (port 2005 by custom) | [`ProtobufDecoder`] |
//! | decode one message without a length before it (an HTTP body) | [`ProtobufReader`] |
//! | write frames | [`ProtobufEncoder`] |
//!
//! A message is a list of metrics, each a name (field 1) and points (field 2); a point is a timestamp
//! of 32 bits without sign (field 1) and a double (field 2). Unknown fields are skipped.
//!
//! A message that is cut off or malformed is refused whole and costs itself only; a metric whose
//! name is bad, or a point whose value is, costs itself. Nothing is copied or allocated for reading.

mod encode;
mod wire;

pub use encode::ProtobufEncoder;

use crate::frames::{FrameDecoder, FrameError};
use crate::metric::{MetricRef, Text};
use crate::typed::{self, Path, Scalar, Scratch};
use crate::{Event, Options, Profile, RejectReason, Rejected, Timestamp, line};
use wire::{Field, Fields, Wire};

/// Longer names are refused by go-carbon.
const GO_MAX_NAME: usize = 16_384;

/// The largest frame by default, in bytes without its length: carbon's limit.
pub const MAX_FRAME: usize = 1 << 20;

/// Reads messages one by one, without lengths before them.
#[derive(Debug, Clone)]
pub struct ProtobufReader {
    options: Options,
    scratch: Scratch,
}

/// One metric of a message.
#[derive(Debug, Clone, Copy, Default)]
struct Named<'m> {
    name: &'m [u8],
    points: usize,
}

impl ProtobufReader {
    /// A reader with these rules.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, scratch: Scratch::default() }
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Reads a message and gives out its points.
    ///
    /// A bad point is an [`Event::Rejected`] that shows its metric. Its offset counts from the start
    /// of the message.
    ///
    /// # Errors
    /// The reason why the whole message is refused. Then nothing was given out.
    pub fn read(
        &mut self,
        message: &[u8],
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), RejectReason> {
        self.read_at(message, 0, sink)
    }

    fn read_at(
        &mut self,
        message: &[u8],
        offset: u64,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), RejectReason> {
        let strict = matches!(self.options.profile, Profile::GoCarbon);
        if strict && message.is_empty() {
            return Err(RejectReason::BadProtobuf);
        }
        for field in metrics(message, strict) {
            let (_, metric) = field?;
            let named = named(metric, strict)?;
            if strict && (named.points == 0 || named.name.is_empty()) {
                return Err(RejectReason::BadShape);
            }
        }
        for (at, metric) in metrics(message, strict).flatten() {
            let Ok(named) = named(metric, strict) else { continue };
            for point in points(metric, strict).flatten() {
                let Ok((seconds, value)) = time_and_value(point, strict) else { continue };
                let accept = |metric: MetricRef<'_>| sink(Event::Metric(metric));
                let Self { options, scratch } = self;
                let read = give(named.name, seconds, value, options, scratch, accept);
                if let Err(reason) = read {
                    let offset = offset.wrapping_add(at as u64);
                    sink(Event::Rejected(Rejected::new(reason, metric, offset)));
                }
            }
        }
        Ok(())
    }
}

/// The metrics of a message, with where each starts.
fn metrics(
    message: &[u8],
    strict: bool,
) -> impl Iterator<Item = Result<(usize, &[u8]), RejectReason>> {
    Fields::new(message).filter_map(move |field| match field {
        Ok(Field { number: 1, wire: Wire::Bytes(metric), at }) => Some(Ok((at, metric))),
        Ok(Field { number: 1, .. }) if strict => Some(Err(RejectReason::BadProtobuf)),
        Ok(_) => None,
        Err(reason) => Some(Err(reason)),
    })
}

fn points(metric: &[u8], strict: bool) -> impl Iterator<Item = Result<&[u8], RejectReason>> {
    Fields::new(metric).filter_map(move |field| match field {
        Ok(Field { number: 2, wire: Wire::Bytes(point), .. }) => Some(Ok(point)),
        Ok(Field { number: 2, .. }) if strict => Some(Err(RejectReason::BadProtobuf)),
        Ok(_) => None,
        Err(reason) => Some(Err(reason)),
    })
}

/// Checks a metric through, and finds its name: the last one, wherever it stands.
fn named(metric: &[u8], strict: bool) -> Result<Named<'_>, RejectReason> {
    let mut named = Named::default();
    for field in Fields::new(metric) {
        match field? {
            Field { number: 1, wire: Wire::Bytes(name), .. } => named.name = name,
            Field { number: 1, .. } if strict => return Err(RejectReason::BadProtobuf),
            _ => {}
        }
    }
    for point in points(metric, strict) {
        time_and_value(point?, strict)?;
        named.points += 1;
    }
    Ok(named)
}

/// What is left out is zero, what is given twice counts the last time, and a timestamp has its low
/// 32 bits only.
fn time_and_value(point: &[u8], strict: bool) -> Result<(u32, f64), RejectReason> {
    let (mut seconds, mut value) = (0, 0.0);
    for field in Fields::new(point) {
        match field? {
            Field { number: 1, wire: Wire::Varint(number), .. } => seconds = number as u32,
            Field { number: 2, wire: Wire::Fixed64(bits), .. } => value = f64::from_bits(bits),
            Field { number: 1 | 2, .. } if strict => return Err(RejectReason::BadProtobuf),
            _ => {}
        }
    }
    Ok((seconds, value))
}

fn give<R>(
    name: &[u8],
    seconds: u32,
    value: f64,
    options: &Options,
    scratch: &mut Scratch,
    accept: impl FnOnce(MetricRef<'_>) -> R,
) -> Result<R, RejectReason> {
    let seconds = i64::from(seconds);
    if !matches!(options.profile, Profile::GoCarbon) {
        // No time of 32 bits without sign is -1, so that what that stands for is not asked for.
        let (time, value) = (Scalar::Int(seconds), Scalar::Float(value));
        let now = Timestamp::default();
        return typed::point(Path::Text(name), time, value, options, now, scratch, accept);
    }
    // go-carbon stores what it refuses in other protocols, NaN and infinities.
    if name.len() > GO_MAX_NAME {
        return Err(RejectReason::BadPath);
    }
    let tagged = typed::check_path(name, options)?;
    if seconds > options.max_timestamp {
        return Err(RejectReason::TimestampRange);
    }
    Ok(accept(MetricRef {
        path: name,
        lossy: line::lossy(name, options, scratch.lossy()),
        value,
        text: &[],
        form: Text::Other,
        timestamp: Timestamp::from_seconds(seconds),
        verbatim: &[],
        tagged,
        rule: options.paths,
    }))
}

/// Decodes a stream of protobuf frames that arrives in any pieces: each is a length of four bytes,
/// big-endian, and a message.
///
/// Any split of the same bytes gives the same events.
///
/// ```
/// use graphite_proto::protobuf::{MAX_FRAME, ProtobufDecoder};
/// use graphite_proto::{Event, Options};
///
/// let stream = b"\0\0\0\x12\x0a\x10\x0a\x03a.b\x12\x09\x11\0\0\0\0\0\0\xf8?";
/// let mut decoder = ProtobufDecoder::new(Options::default(), MAX_FRAME);
/// let mut found = Vec::new();
/// decoder.push(stream, &mut |event| match event {
///     Event::Metric(metric) => found.push((metric.path().to_owned(), metric.value())),
///     Event::Rejected(rejected) => panic!("{}", rejected.reason),
///     _ => {}
/// })?;
/// assert_eq!(found, [("a.b".to_owned(), 1.5)]);
/// # Ok::<(), graphite_proto::FrameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ProtobufDecoder {
    frames: FrameDecoder,
    reader: ProtobufReader,
}

impl ProtobufDecoder {
    /// A decoder at the start of a stream whose frames have at most `max_frame` bytes.
    #[must_use]
    pub fn new(options: Options, max_frame: usize) -> Self {
        Self { frames: FrameDecoder::new(max_frame), reader: ProtobufReader::new(options) }
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        self.reader.options()
    }

    /// Takes the next bytes of the stream and gives out what they complete.
    ///
    /// # Errors
    /// [`FrameError`] once a frame is too long, after a [`Rejected`] that says the same; then
    /// always, and nothing more is taken. The connection is to be closed.
    pub fn push(
        &mut self,
        input: &[u8],
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), FrameError> {
        let Self { frames, reader } = self;
        frames.push_events(input, sink, |frame, offset, sink| {
            reader.read_at(frame, offset.wrapping_add(4), sink)
        })
    }

    /// The stream has ended. A frame that it cut off is refused as
    /// [`RejectReason::Unterminated`]. The decoder is then at the start of a new stream.
    pub fn finish(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        self.frames.finish_events(sink);
    }

    /// Bytes held of a frame whose end has not come: at most the limit and four.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.frames.buffered()
    }
}
