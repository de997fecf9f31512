//! One decoder for a stream, of whichever format.

use crate::pickle::{Limits, PickleDecoder};
use crate::protobuf::ProtobufDecoder;
use crate::{Event, FrameError, LineDecoder, Options, Timestamp};

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// Plaintext lines.
    #[default]
    Lines,
    /// Frames of pickles.
    Pickle(Limits),
    /// Frames of protobuf messages.
    Protobuf {
        /// The largest frame, in bytes without its length;
        /// [`protobuf::MAX_FRAME`](crate::protobuf::MAX_FRAME) is carbon's limit.
        max_frame: usize,
    },
}

/// Decodes a stream of any [`Format`], for code that serves all of them alike.
#[derive(Debug, Clone)]
pub struct StreamDecoder(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Lines(LineDecoder),
    Pickle(Box<PickleDecoder>),
    Protobuf(Box<ProtobufDecoder>),
}

impl StreamDecoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new(format: Format, options: Options) -> Self {
        Self(match format {
            Format::Lines => Kind::Lines(LineDecoder::new(options)),
            Format::Pickle(limits) => Kind::Pickle(Box::new(PickleDecoder::new(options, limits))),
            Format::Protobuf { max_frame } => {
                Kind::Protobuf(Box::new(ProtobufDecoder::new(options, max_frame)))
            }
        })
    }

    /// Takes the next bytes of the stream and gives out what they complete. `now` is what a
    /// timestamp of −1 stands for.
    ///
    /// # Errors
    /// [`FrameError`] once a frame is too long, after a [`Rejected`](crate::Rejected) that says the
    /// same; then always. Lines never fail.
    pub fn push(
        &mut self,
        input: &[u8],
        now: Timestamp,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), FrameError> {
        match &mut self.0 {
            Kind::Lines(decoder) => {
                decoder.push(input, now, sink);
                Ok(())
            }
            Kind::Pickle(decoder) => decoder.push(input, now, sink),
            Kind::Protobuf(decoder) => decoder.push(input, sink),
        }
    }

    /// The stream has ended: what it left unfinished becomes events. The decoder is then at the
    /// start of a new stream.
    pub fn finish(&mut self, now: Timestamp, sink: &mut impl FnMut(Event<'_>)) {
        match &mut self.0 {
            Kind::Lines(decoder) => decoder.finish(now, sink),
            Kind::Pickle(decoder) => decoder.finish(sink),
            Kind::Protobuf(decoder) => decoder.finish(sink),
        }
    }

    /// Bytes held of what has not ended yet: at most a line or a frame with its length.
    #[must_use]
    pub fn buffered(&self) -> usize {
        match &self.0 {
            Kind::Lines(decoder) => decoder.buffered(),
            Kind::Pickle(decoder) => decoder.buffered(),
            Kind::Protobuf(decoder) => decoder.buffered(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_gives_the_same_point() {
        let pickle = b"\0\0\0\x14\x80\x02]U\x03a.bK\x07G\x3f\xf8\0\0\0\0\0\0\x86\x86a.";
        let pickle = [&[0, 0, 0, (pickle.len() - 4) as u8], &pickle[4..]].concat();
        let message = b"\0\0\0\x14\x0a\x12\x0a\x03a.b\x12\x0b\x08\x07\x11\0\0\0\0\0\0\xf8?";
        for (format, stream) in [
            (Format::Lines, &b"a.b 1.5 7\n"[..]),
            (Format::Pickle(Limits::default()), &pickle),
            (Format::Protobuf { max_frame: 64 }, message),
        ] {
            let mut found = Vec::new();
            let mut decoder = StreamDecoder::new(format, Options::default());
            let mut sink = |event: Event<'_>| {
                let mut line = Vec::new();
                match event {
                    Event::Metric(metric) => metric.write_canonical(&mut line),
                    Event::Rejected(rejected) => line.extend(rejected.reason.as_str().bytes()),
                }
                found.push(String::from_utf8(line).unwrap());
            };
            let now = Timestamp::default();
            decoder.push(stream, now, &mut sink).unwrap();
            decoder.push(&stream[..3], now, &mut sink).unwrap();
            assert_eq!(decoder.buffered(), 3);
            decoder.finish(now, &mut sink);
            assert_eq!(found, ["a.b 1.5 7", "unterminated"], "{format:?}");
        }
    }
}
