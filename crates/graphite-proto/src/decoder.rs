//! Lines found in streams and datagrams.

use memchr::memchr;

use crate::line::{self, Cuts, Outcome};
use crate::{Event, MAX_REJECTED_LINE, Options, Profile, RejectReason, Rejected, Timestamp};

/// A carry buffer that grew beyond this is given back after use.
const KEPT_CAPACITY: usize = 64 * 1024;

/// Decodes the plaintext protocol from a stream of bytes that arrives in any pieces.
///
/// Any split of the same bytes gives the same events. Whole lines are read straight out of the
/// input; only a line that crosses two pieces is copied, so no more than
/// [`Options::max_line`] bytes are ever held. A bad line never harms its neighbours, and nothing a
/// peer sends ends the stream.
///
/// ```
/// use graphite_proto::{Event, LineDecoder, Options, Timestamp};
/// let mut decoder = LineDecoder::new(Options::default());
/// let now = Timestamp::from_seconds(1_700_000_000);
/// let mut found = Vec::new();
/// let mut sink = |event: Event<'_>| match event {
///     Event::Metric(metric) => found.push(format!("{} {}", metric.path(), metric.value())),
///     Event::Rejected(rejected) => found.push(rejected.reason.as_str().to_owned()),
///     _ => {}
/// };
/// decoder.push(b"a.b 1 1700000000\nc.d 2 17000", now, &mut sink);
/// decoder.push(b"00000\nbad line\ntail", now, &mut sink);
/// decoder.finish(now, &mut sink);
/// assert_eq!(found, ["a.b 1", "c.d 2", "field_count", "unterminated"]);
/// ```
#[derive(Debug, Clone)]
pub struct LineDecoder {
    options: Options,
    /// The beginning of a line whose LF has not come yet.
    carry: Vec<u8>,
    /// Inside a line that was refused for its length.
    skipping: bool,
    /// Stream bytes before the carry.
    offset: u64,
    scratch: String,
}

impl LineDecoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, carry: Vec::new(), skipping: false, offset: 0, scratch: String::new() }
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Takes the next bytes of the stream and gives out what they complete. `now` is what a
    /// timestamp of −1 stands for.
    ///
    /// Everything is taken: a caller that wants to stop part of the way pushes smaller pieces.
    pub fn push(&mut self, input: &[u8], now: Timestamp, sink: &mut impl FnMut(Event<'_>)) {
        let mut input = input;
        if self.skipping || !self.carry.is_empty() {
            let Some(rest) = self.complete(input, now, sink) else { return };
            input = rest;
        }
        let done = each_line(input, self.offset, &self.options, now, &mut self.scratch, sink);
        self.offset = self.offset.wrapping_add(done as u64);
        self.keep(input.get(done..).unwrap_or_default(), sink);
    }

    /// The stream has ended. What it left unfinished is refused as
    /// [`RejectReason::Unterminated`], except by [`Profile::RelayNg`], which accepts it. The
    /// decoder is then at the start of a new stream.
    pub fn finish(&mut self, now: Timestamp, sink: &mut impl FnMut(Event<'_>)) {
        let line = std::mem::take(&mut self.carry);
        if matches!(self.options.profile, Profile::RelayNg { .. }) {
            report(&line, self.offset, &self.options, now, &mut self.scratch, sink);
        } else if !line::is_blank(&line, &self.options) {
            sink(rejected(RejectReason::Unterminated, &line, self.offset));
        }
        self.offset = 0;
        self.skipping = false;
    }

    /// Bytes held of a line whose end has not come: at most [`Options::max_line`].
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.carry.len()
    }

    /// Ends the line that earlier input began; `None` when its LF is not in this one either.
    fn complete<'i>(
        &mut self,
        input: &'i [u8],
        now: Timestamp,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Option<&'i [u8]> {
        let Some((line, rest)) = split_line(input) else {
            if self.skipping {
                self.offset = self.offset.wrapping_add(input.len() as u64);
            } else {
                self.keep(input, sink);
            }
            return None;
        };
        if self.skipping {
            self.skipping = false;
            self.offset = self.offset.wrapping_add(line.len() as u64 + 1);
            return Some(rest);
        }
        let length = self.carry.len() + line.len();
        // A line that is too long needs no more bytes than are shown of it.
        let room = self.options.max_line.saturating_sub(self.carry.len()).saturating_add(1);
        self.carry.extend_from_slice(line.get(..room).unwrap_or(line));
        report(&self.carry, self.offset, &self.options, now, &mut self.scratch, sink);
        self.offset = self.offset.wrapping_add(length as u64 + 1);
        self.carry.clear();
        self.carry.shrink_to(KEPT_CAPACITY);
        Some(rest)
    }

    /// Keeps bytes without LF for later, or refuses the line they belong to.
    fn keep(&mut self, input: &[u8], sink: &mut impl FnMut(Event<'_>)) {
        let length = self.carry.len() + input.len();
        if length <= self.options.max_line {
            self.carry.extend_from_slice(input);
            return;
        }
        let room = self.options.max_line.saturating_sub(self.carry.len()).saturating_add(1);
        self.carry.extend_from_slice(input.get(..room).unwrap_or(input));
        sink(too_long(&self.carry, self.offset, self.options.max_line));
        self.carry.clear();
        self.carry.shrink_to(KEPT_CAPACITY);
        self.skipping = true;
        self.offset = self.offset.wrapping_add(length as u64);
    }
}

/// Decodes one datagram. Its end ends its last line too; offsets count from its start.
///
/// [`Profile::Carbon`] knows no line limit here, and ends lines at LF, CR, VT, FF, FS, GS, RS,
/// U+0085, U+2028 and U+2029.
pub fn decode_datagram(
    options: &Options,
    datagram: &[u8],
    now: Timestamp,
    sink: &mut impl FnMut(Event<'_>),
) {
    let mut scratch = String::new();
    if matches!(options.profile, Profile::Carbon) {
        let options = Options { max_line: usize::MAX, ..options.clone() };
        let (mut offset, mut input) = (0, datagram);
        while let Some((line, skipped, rest)) = split_python_line(input) {
            report(line, offset, &options, now, &mut scratch, sink);
            offset += skipped as u64;
            input = rest;
        }
        return report(input, offset, &options, now, &mut scratch, sink);
    }
    let done = each_line(datagram, 0, options, now, &mut scratch, sink);
    let tail = datagram.get(done..).unwrap_or_default();
    report(tail, done as u64, options, now, &mut scratch, sink);
}

/// Reads the lines that have their LF, and says how many bytes those are. `offset` is that of the
/// input.
#[inline]
fn each_line(
    input: &[u8],
    offset: u64,
    options: &Options,
    now: Timestamp,
    scratch: &mut String,
    sink: &mut impl FnMut(Event<'_>),
) -> usize {
    let common = line::common_applies(options);
    line::lines(input, |start, end, cuts| {
        let read = |cuts: Cuts| {
            let fits = common && end - start <= options.max_line;
            if fits { line::read_common(input, cuts, options) } else { None }
        };
        match cuts.and_then(read) {
            Some(metric) => sink(Event::Metric(metric)),
            None => {
                let line = input.get(start..end).unwrap_or_default();
                report(line, offset.wrapping_add(start as u64), options, now, scratch, sink);
            }
        }
    })
}

/// The first line without its LF, and what is behind that.
#[inline]
fn split_line(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr(b'\n', input)?;
    Some((input.get(..at)?, input.get(at + 1..)?))
}

/// The first line as `str.splitlines` of Python has it, how many bytes it takes with its end, and
/// what is behind that.
fn split_python_line(input: &[u8]) -> Option<(&[u8], usize, &[u8])> {
    let (at, width) = (0..input.len()).find_map(|at| {
        let width = match input.get(at..)? {
            [b'\r', b'\n', ..] => 2,
            [b'\n' | b'\r' | 0x0b | 0x0c | 0x1c..=0x1e, ..] => 1,
            [0xc2, 0x85, ..] => 2,
            [0xe2, 0x80, 0xa8 | 0xa9, ..] => 3,
            _ => return None,
        };
        Some((at, width))
    })?;
    Some((input.get(..at)?, at + width, input.get(at + width..)?))
}

/// Reads a whole line the general way and gives out what it is.
fn report(
    line: &[u8],
    offset: u64,
    options: &Options,
    now: Timestamp,
    scratch: &mut String,
    sink: &mut impl FnMut(Event<'_>),
) {
    if line.len() > options.max_line {
        return sink(too_long(line, offset, options.max_line));
    }
    match line::general(line, options, now, scratch) {
        Outcome::Metric(metric) => sink(Event::Metric(metric)),
        Outcome::Blank => {}
        Outcome::Rejected(reason) => sink(rejected(reason, line, offset)),
    }
}

/// Shows as much of a long line as is known of it however the input was cut.
fn too_long(line: &[u8], offset: u64, max_line: usize) -> Event<'_> {
    rejected(RejectReason::LineTooLong, line.get(..max_line).unwrap_or(line), offset)
}

fn rejected(reason: RejectReason, line: &[u8], offset: u64) -> Event<'_> {
    let line = line.get(..MAX_REJECTED_LINE).unwrap_or(line);
    Event::Rejected(Rejected { reason, line, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    /// Events as text: `path` or `reason@offset:length`.
    fn text(event: Event<'_>) -> String {
        match event {
            Event::Metric(metric) => metric.path().to_owned(),
            Event::Rejected(Rejected { reason, line, offset }) => {
                format!("{}@{offset}:{}", reason.as_str(), line.len())
            }
        }
    }

    fn stream(options: &Options, pieces: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut sink = |event: Event<'_>| found.push(text(event));
        let mut decoder = LineDecoder::new(options.clone());
        for piece in pieces {
            decoder.push(piece, NOW, &mut sink);
            assert!(decoder.buffered() <= options.max_line);
        }
        decoder.finish(NOW, &mut sink);
        found
    }

    fn small() -> Options {
        Options { max_line: 10, ..Options::default() }
    }

    #[test]
    fn long_lines_are_refused_once_and_skipped() {
        let input = b"a 1 1\n0123456789x\nb 1 1\nccccccc 1 1\nd 1 1\n";
        let whole = stream(&small(), &[input]);
        assert_eq!(whole, ["a", "line_too_long@6:10", "b", "line_too_long@24:10", "d"]);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(stream(&small(), &bytes), whole);
        for at in 0..input.len() {
            assert_eq!(stream(&small(), &[&input[..at], &input[at..]]), whole, "{at}");
        }
    }

    #[test]
    fn a_line_at_the_limit_is_taken() {
        assert_eq!(stream(&small(), &[b"abcdef 1 1\n"]), ["abcdef"]);
        assert_eq!(stream(&small(), &[b"abcdef 1 1\r\n"]), ["line_too_long@0:10"]);
        assert_eq!(stream(&small(), &[b"abcdef 1 1"]), ["unterminated@0:10"]);
        assert_eq!(stream(&small(), &[b"abcdef 1 1x"]), ["line_too_long@0:10"]);
    }

    #[test]
    fn ends_of_streams_and_datagrams() {
        let tail = b"a 1 1\nb 1 1";
        assert_eq!(stream(&Options::default(), &[tail]), ["a", "unterminated@6:5"]);
        assert_eq!(stream(&Options::default(), &[b"a 1 1\n \r"]), ["a"]);
        let relay = Options::new(Profile::RelayNg { strict: false });
        assert_eq!(stream(&relay, &[tail]), ["a", "b"]);
        let mut found = Vec::new();
        decode_datagram(&Options::default(), tail, NOW, &mut |event| found.push(text(event)));
        assert_eq!(found, ["a", "b"]);
    }

    #[test]
    fn a_finished_decoder_starts_again() {
        let mut decoder = LineDecoder::new(small());
        let mut found = Vec::new();
        for _ in 0..2 {
            let mut sink = |event: Event<'_>| found.push(text(event));
            decoder.push(b"x\n0123456789xyz", NOW, &mut sink);
            decoder.finish(NOW, &mut sink);
        }
        assert_eq!(found, ["field_count@0:1", "line_too_long@2:10"].repeat(2));
    }

    #[test]
    fn carbon_datagrams_end_lines_where_python_does() {
        let datagram = "a 1 1\rb 1 1\r\nc 1 1\x0bd 1 1\x1ce 1 1\u{85}f 1 1\u{2028}x\u{2029}g 1 1";
        let mut found = Vec::new();
        let options = Options::new(Profile::Carbon);
        decode_datagram(&options, datagram.as_bytes(), NOW, &mut |event| found.push(text(event)));
        assert_eq!(found, ["a", "b", "c", "d", "e", "f", "field_count@40:1", "g"]);
    }

    #[test]
    fn lines_shown_are_bounded() {
        let line = [b'x'; 2000];
        let mut found = Vec::new();
        decode_datagram(&Options::default(), &line, NOW, &mut |event| found.push(text(event)));
        assert_eq!(found, ["field_count@0:512"]);
    }
}
