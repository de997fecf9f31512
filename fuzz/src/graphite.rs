//! The targets `line`, `pickle`, `protobuf` and `proxy`: what comes from clients of Graphite.

use std::hash::{DefaultHasher, Hasher};

use graphite_proto::pickle::{Limits, PickleEncoder};
use graphite_proto::proxy::{self, ProxyHeader};
use graphite_proto::{
    Event, Format, Options, PathRule, Profile, RejectReason, StreamDecoder, Timestamp,
    decode_datagram,
};

use super::script::{Choices, split};

/// The longest frame that is taken.
const MAX_FRAME: usize = 4096;

const NOW: Timestamp = Timestamp::new(1_650_000_000, 250_000_000);

/// An event, in little memory: a metric's tags are counted, its line is hashed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen {
    /// A metric.
    Metric {
        /// How many tags it has.
        tags: usize,
        /// Its value.
        value: f64,
        /// Its time in seconds.
        seconds: i64,
        /// The hash of its canonical line and its path.
        hash: u64,
    },
    /// A refusal and where, with the hash of what it shows.
    Rejected(RejectReason, u64, u64),
}

fn hash(bytes: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.iter().for_each(|bytes| hasher.write(bytes));
    hasher.finish()
}

fn seen(event: Event<'_>, line: &mut Vec<u8>) -> Seen {
    match event {
        Event::Metric(metric) => {
            line.clear();
            metric.write_canonical(line);
            assert_eq!(metric.to_metric().as_ref(), metric);
            Seen::Metric {
                tags: metric.tags().count(),
                value: metric.value(),
                seconds: metric.timestamp().seconds,
                hash: hash(&[line, metric.path_bytes()]),
            }
        }
        Event::Rejected(rejected) => {
            assert!(rejected.line.len() <= graphite_proto::MAX_REJECTED_LINE);
            Seen::Rejected(rejected.reason, rejected.offset, hash(&[rejected.line]))
        }
        _ => unreachable!("there are two kinds"),
    }
}

/// NaN is not equal to itself, and its hash is.
fn same(ours: &[Seen], others: &[Seen]) -> bool {
    let alike = |pair: (&Seen, &Seen)| match pair {
        (Seen::Metric { hash: a, .. }, Seen::Metric { hash: b, .. }) => a == b,
        (a, b) => a == b,
    };
    ours.len() == others.len() && ours.iter().zip(others).all(alike)
}

fn options(flags: [u8; 2]) -> Options {
    let profile = match flags[0] & 7 {
        1 => Profile::Carbon,
        2 => Profile::GoCarbon,
        3 => Profile::RelayNg { strict: false },
        4 => Profile::RelayNg { strict: true },
        _ => Profile::Default,
    };
    let mut options = Options::new(profile);
    options.fraction |= flags[0] & 8 != 0;
    options.paths = match flags[0] >> 4 & 3 {
        0 => PathRule::Normalise,
        1 => PathRule::NormaliseOrReject,
        2 => PathRule::Raw,
        _ => PathRule::Sanitise,
    };
    if flags[0] & 0x40 != 0 {
        options.max_line = 48;
    }
    options
}

/// What a stream gives, cut into pieces by the choices, or whole.
fn stream(format: Format, options: &Options, input: &[u8], cut: Option<Choices>) -> Vec<Seen> {
    let mut decoder = StreamDecoder::new(format, options.clone());
    let (mut found, mut line, mut rest) = (Vec::new(), Vec::new(), input);
    let mut cut = cut;
    let longest = match format {
        Format::Pickle(limits) => limits.max_frame + 4,
        Format::Protobuf { max_frame } => max_frame + 4,
        _ => options.max_line,
    };
    let mut sink = |event: Event<'_>| found.push(seen(event, &mut line));
    while !rest.is_empty() {
        let length = cut.as_mut().map_or(rest.len(), |choices| choices.piece(rest.len()));
        let (piece, behind) = rest.split_at(length);
        if decoder.push(piece, NOW, &mut sink).is_err() {
            assert!(decoder.push(b"\0\0\0\0", NOW, &mut |_| panic!("behind the end")).is_err());
            return found;
        }
        assert!(decoder.buffered() <= longest);
        rest = behind;
    }
    decoder.finish(NOW, &mut sink);
    found
}

/// Decodes the bytes as a stream of lines, whole and in pieces, and as a datagram.
///
/// Pieces change nothing; each line gives one event at most; of what is refused, the places rise.
pub fn line(input: &[u8]) -> Vec<Seen> {
    let Some((flags, choices, input)) = split(input) else { return Vec::new() };
    super::within(512 * input.len() + 64 * 1024, || {
        let options = options(flags);
        let whole = stream(Format::Lines, &options, input, None);
        let pieces = stream(Format::Lines, &options, input, Some(choices));
        assert!(same(&whole, &pieces), "{whole:?} {pieces:?}");
        let lines = input.split(|byte| *byte == b'\n').count();
        assert!(whole.len() <= lines, "{} events of {lines} lines", whole.len());
        rising(&whole);
        let (mut found, mut line) = (Vec::new(), Vec::new());
        decode_datagram(&options, input, NOW, &mut |event| found.push(seen(event, &mut line)));
        rising(&found);
        whole
    })
}

fn rising(seen: &[Seen]) {
    let places = seen.iter().filter_map(|seen| match seen {
        Seen::Rejected(_, place, _) => Some(*place),
        Seen::Metric { .. } => None,
    });
    assert!(places.is_sorted());
}

/// As a stream of frames if the flag says so, else as the content of one, with another behind it.
fn framed(flags: [u8; 2], input: &[u8], good: &[u8]) -> Vec<u8> {
    if flags[1] & 1 != 0 || input.len() > MAX_FRAME {
        return input.to_vec();
    }
    let length = u32::try_from(input.len()).unwrap().to_be_bytes();
    [&length, input, &u32::try_from(good.len()).unwrap().to_be_bytes(), good].concat()
}

fn frames(format: Format, flags: [u8; 2], choices: Choices, input: &[u8], good: bool) -> Vec<Seen> {
    let options = options(flags);
    let whole = stream(format, &options, input, None);
    let pieces = stream(format, &options, input, Some(choices));
    assert!(same(&whole, &pieces), "{whole:?} {pieces:?}");
    if good {
        let last = whole.last();
        assert!(
            matches!(last, Some(Seen::Metric { .. })),
            "the frame behind is not read: {last:?}"
        );
    }
    whole
}

/// Decodes the bytes as pickles.
///
/// Pieces change nothing, a bad frame leaves the next one alone, and what comes out of a frame,
/// encoded again, comes out of that again.
pub fn pickle(input: &[u8]) -> Vec<Seen> {
    let Some((flags, choices, input)) = split(input) else { return Vec::new() };
    super::within(1024 * input.len() + 256 * 1024, || {
        let mut limits = Limits::default();
        if flags[1] & 2 != 0 {
            (limits.max_points, limits.max_stack) = (8, 24);
            (limits.max_items, limits.max_memo) = (64, 16);
        }
        limits.max_frame = MAX_FRAME;
        let good = b"]U\x0egood.neighbourK\x01K\x02\x86\x86a.";
        let whole = framed(flags, input, good);
        again(&options(flags), limits, &whole);
        let added = whole.len() != input.len();
        frames(Format::Pickle(limits), flags, choices, &whole, added)
    })
}

/// Encodes what a stream gives.
fn again(options: &Options, limits: Limits, input: &[u8]) {
    let mut encoder = PickleEncoder::new(3);
    let (mut out, mut sent) = (Vec::new(), 0);
    let mut decoder = StreamDecoder::new(Format::Pickle(limits), options.clone());
    let _ = decoder.push(input, NOW, &mut |event| {
        if let Event::Metric(metric) = event {
            sent += usize::from(encoder.push(&metric, &mut out).is_ok());
        }
    });
    encoder.flush(&mut out);
    let format = Format::Pickle(Limits::default());
    let found = stream(format, &Options::default(), &out, None);
    assert_eq!(found.len(), sent);
    assert!(found.iter().all(|seen| matches!(seen, Seen::Metric { .. })), "{found:?}");
}

/// Decodes the bytes as protobuf messages: pieces change nothing, and a bad frame leaves the next one
/// alone.
pub fn protobuf(input: &[u8]) -> Vec<Seen> {
    let Some((flags, choices, input)) = split(input) else { return Vec::new() };
    super::within(512 * input.len() + 64 * 1024, || {
        let good = b"\x0a\x1d\x0a\x0egood.neighbour\x12\x0b\x08\x01\x11\0\0\0\0\0\0\0\x40";
        let whole = framed(flags, input, good);
        let added = whole.len() != input.len();
        frames(Format::Protobuf { max_frame: MAX_FRAME }, flags, choices, &whole, added)
    })
}

/// Reads the bytes as the header of a proxy. Whatever has been told of a beginning stays true, and
/// no memory is needed.
pub fn proxy(input: &[u8]) -> Option<ProxyHeader> {
    super::within(0, || {
        let whole = proxy::read(input);
        for end in 0..input.len().min(256) {
            let part = proxy::read(&input[..end]);
            assert!(part == Ok(None) || part == whole, "{part:?} at {end}, then {whole:?}");
        }
        let (header, length) = whole.ok()??;
        assert!(length <= input.len() && length <= proxy::MAX_HEADER);
        Some(header)
    })
}
