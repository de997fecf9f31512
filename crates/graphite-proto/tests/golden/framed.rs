//! `pickle.jsonl`, `pickle_hostile.jsonl` and `protobuf.jsonl`: streams of frames, and the points that each program
//! read from them.

use std::collections::HashMap;
use std::sync::LazyLock;

use graphite_proto::pickle::{Limits, PickleDecoder};
use graphite_proto::protobuf::ProtobufDecoder;
use graphite_proto::{Event, FrameError, Metric, Options, Profile, RejectReason};
use serde_json::Value;

use crate::plaintext::{Kept, NOW, is_held, keep, metrics, reasons, same_point};
use crate::vectors::{Report, Row, bytes, hex, same};

const RELAY: Profile = Profile::RelayNg { strict: false };

/// The columns, whose rules they are, and the largest frame of that program (graphite.md 4.1).
const COLUMNS: [(&str, Profile, usize); 3] = [
    ("carbon", Profile::Carbon, 1 << 20),
    ("go_carbon", Profile::GoCarbon, 64 << 20),
    ("relay_ng", RELAY, 500_000_000),
];

/// A decoder of either format.
enum Decoder {
    Pickle(Box<PickleDecoder>),
    Protobuf(Box<ProtobufDecoder>),
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Pickle,
    Protobuf,
}
use Format::{Pickle, Protobuf};

impl Decoder {
    fn new(format: Format, profile: Profile, max_frame: usize) -> Self {
        let options = Options::new(profile);
        let mut limits = Limits::default();
        limits.max_frame = max_frame;
        match format {
            Pickle => Self::Pickle(Box::new(PickleDecoder::new(options, limits))),
            Protobuf => Self::Protobuf(Box::new(ProtobufDecoder::new(options, max_frame))),
        }
    }

    fn push(
        &mut self,
        input: &[u8],
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<usize, FrameError> {
        match self {
            Self::Pickle(decoder) => decoder.push(input, NOW, sink).map(|()| decoder.buffered()),
            Self::Protobuf(decoder) => decoder.push(input, sink).map(|()| decoder.buffered()),
        }
    }

    fn finish(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        match self {
            Self::Pickle(decoder) => decoder.finish(sink),
            Self::Protobuf(decoder) => decoder.finish(sink),
        }
    }
}

/// All that a stream gives. Nothing comes behind what ends it.
fn decode(format: Format, profile: Profile, max_frame: usize, pieces: &[&[u8]]) -> Vec<Kept> {
    let mut decoder = Decoder::new(format, profile, max_frame);
    let mut kept = Vec::new();
    let mut sink = |event: Event<'_>| kept.push(keep(event));
    for piece in pieces {
        match decoder.push(piece, &mut sink) {
            Ok(buffered) => assert!(buffered <= max_frame + 4),
            Err(error) => {
                assert!(!error.can_continue());
                return kept;
            }
        }
    }
    decoder.finish(&mut sink);
    kept
}

fn stream_of(row: &Row) -> Vec<u8> {
    let mut stream = bytes(row, "stream_hex").unwrap();
    let zeros = row.get("append_zero_bytes").and_then(Value::as_u64).unwrap_or(0);
    stream.resize(stream.len() + usize::try_from(zeros).unwrap(), 0);
    stream
}

pub(crate) fn pickle(row: &Row, report: &mut Report) {
    let stream = stream_of(row);
    for (column, profile, max_frame) in COLUMNS {
        report.check(row, "invariants", invariants(Pickle, &stream, profile, max_frame));
        match row.get(column) {
            Some(theirs) => {
                let events = decode(Pickle, profile, max_frame, &[&stream]);
                report.check(row, column, peer(&events, profile, theirs, &stream));
            }
            None => report.count(column, "absent"),
        }
    }
    report.check(row, "invariants", invariants(Pickle, &stream, Profile::Default, 1 << 20));
    match EXPECTATIONS.get(&stream) {
        Some(expected) => {
            let ours = texts(&decode(Pickle, Profile::Default, 1 << 20, &[&stream]));
            report.check(row, "own expectations", same("events", &ours, expected));
        }
        None => report.count("own expectations", "none for this input"),
    }
}

pub(crate) fn protobuf(row: &Row, report: &mut Report) {
    let stream = stream_of(row);
    for (column, profile, max_frame) in COLUMNS {
        report.check(row, "invariants", invariants(Protobuf, &stream, profile, max_frame));
        let Some(theirs) = row.get(column) else {
            // carbon-relay-ng does not speak it.
            if profile != RELAY {
                report.count(column, "absent");
            }
            continue;
        };
        let events = decode(Protobuf, profile, max_frame, &[&stream]);
        report.check(row, column, peer(&events, profile, theirs, &stream));
    }
    report.check(row, "invariants", invariants(Protobuf, &stream, Profile::Default, 1 << 20));
    report.check(row, "default profile", default_protobuf(row, &stream));
}

/// The default profile reads what carbon reads, but for paths that it refuses (graphite.md 3.6).
fn default_protobuf(row: &Row, stream: &[u8]) -> Result<(), String> {
    let ours = decode(Protobuf, Profile::Default, 1 << 20, &[stream]);
    let carbon = decode(Protobuf, Profile::Carbon, 1 << 20, &[stream]);
    let bad = |reason: &RejectReason| {
        matches!(
            reason,
            RejectReason::BadPath | RejectReason::ControlCharacter | RejectReason::PathTooLong
        )
    };
    let refused = reasons(&ours).iter().filter(|reason| bad(reason)).count();
    let note = row.get("note").map(ToString::to_string).unwrap_or_default();
    same(&note, &(metrics(&ours).len() + refused), &metrics(&carbon).len())
}

/// The program's points are ours.
fn peer(events: &[Kept], profile: Profile, theirs: &Value, stream: &[u8]) -> Result<(), String> {
    let ours = metrics(events);
    let refused = reasons(events);
    let none = Vec::new();
    let points = theirs.get("points").and_then(Value::as_array).unwrap_or(&none);
    let points: Vec<&Value> = points.iter().filter(|point| is_held(point)).collect();
    // On-purpose difference, graphite.md 10, item 3: where the program gives up on a frame or
    // connection, a frame or an element is refused, and good neighbours are kept.
    let gives_up =
        ["closed", "exception", "error", "conn"].iter().any(|key| theirs.get(key).is_some());
    // On-purpose difference, graphite.md 4.1: carbon-relay-ng peeks at the frame, and refuses what
    // other programs write, and its own frames with it.
    if profile == RELAY && theirs.get("error").is_some() {
        return Ok(());
    }
    if gives_up && refused.is_empty() {
        // On-purpose difference, graphite.md 4.2, 4.3: what go-carbon's unpickler does not know.
        let unknown = theirs.get("error").and_then(Value::as_str);
        if profile == Profile::GoCarbon && unknown.is_some_and(|text| text.contains("opcode")) {
            return Ok(());
        }
        return Err(format!("nothing is refused: {theirs}"));
    }
    if gives_up {
        return Ok(());
    }
    same_points(&ours, &points, profile, stream)?;
    let bad = theirs.get("logged_invalid").or_else(|| theirs.get("invalid_items"));
    match bad.and_then(Value::as_u64) {
        Some(1..) if refused.is_empty() => Err("bad items were met, and none is refused".into()),
        _ => Ok(()),
    }
}

fn same_points(
    ours: &[&Metric],
    theirs: &[&Value],
    profile: Profile,
    stream: &[u8],
) -> Result<(), String> {
    let mut rest = ours;
    for point in theirs {
        if let Some(count) = point.get("elided").and_then(Value::as_u64) {
            let count = usize::try_from(count).unwrap();
            rest = rest.get(count..).ok_or("fewer points than were elided")?;
            continue;
        }
        if profile == Profile::GoCarbon && rest.first().is_none_or(|m| is_unsigned(m, point)) {
            // On-purpose difference, graphite.md 4.2: BININT is read as if it had no sign.
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let (first, behind) = rest.split_first().ok_or_else(|| format!("{point} is missing"))?;
        if !(profile == Profile::GoCarbon && is_raw_text(point, stream)) {
            same_point(first, point)?;
        }
        rest = behind;
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("too many points: {rest:?}")) }
}

/// Whether their number is ours and 2^32, as go-carbon reads a negative BININT.
fn is_unsigned(ours: &Metric, theirs: &Value) -> bool {
    let wrapped = |ours: f64, theirs: Option<f64>| {
        ours < 0.0 && theirs.is_some_and(|theirs| theirs == ours + 4_294_967_296.0)
    };
    // It also cuts integers to 64 bits, which 4.3 has become floats.
    let large = ours.value().abs() >= 9_223_372_036_854_775_808.0;
    let cut = theirs["value"]
        .as_f64()
        .is_some_and(|theirs| theirs.fract() == 0.0 && theirs.abs() <= 9_223_372_036_854_775_808.0);
    wrapped(ours.value(), theirs["value"].as_f64()) || (large && cut)
}

/// Whether the path is one of protocol 0 whose escapes go-carbon does not undo, or whose Latin-1 it
/// does not read (graphite.md 4.2).
fn is_raw_text(theirs: &Value, stream: &[u8]) -> bool {
    let Some(path) = theirs.get("path_hex").and_then(Value::as_str) else { return false };
    let path = hex(path);
    let quoted = stream.windows(2).any(|two| matches!(two, b"S'" | b"S\""));
    let unicode = stream.contains(&b'V') && !stream.starts_with(b"\x80");
    (quoted && path.contains(&b'\\')) || (unicode && !path.is_ascii())
}

/// Events as text: canonical lines, or `!` and a reason.
fn texts(events: &[Kept]) -> Vec<String> {
    let text = |event: &Kept| match event {
        Kept::Metric(metric) => {
            let mut line = Vec::new();
            metric.write_canonical(&mut line);
            String::from_utf8(line).unwrap()
        }
        Kept::Rejected(reason, ..) => format!("!{}", reason.as_str()),
    };
    events.iter().map(text).collect()
}

/// What holds for every profile and any stream.
fn invariants(
    format: Format,
    stream: &[u8],
    profile: Profile,
    max_frame: usize,
) -> Result<(), String> {
    let whole = decode(format, profile, max_frame, &[stream]);
    let step = if stream.len() > 64 << 10 { 4096 } else { 1 };
    let pieces: Vec<&[u8]> = stream.chunks(step).collect();
    same("in small pieces", &decode(format, profile, max_frame, &pieces), &whole)?;
    let (head, tail) = stream.split_at(stream.len() / 2);
    same("in halves", &decode(format, profile, max_frame, &[head, tail]), &whole)?;

    let frame: &[u8] = match format {
        Pickle => b"]U\x0egood.neighbourK\x01K\x02\x86\x86a.",
        Protobuf => b"\x0a\x1d\x0a\x0egood.neighbour\x12\x0b\x08\x01\x11\0\0\0\0\0\0\0\x40",
    };
    let neighbour = [&[0, 0, 0, u8::try_from(frame.len()).unwrap()], frame].concat();
    let good = decode(format, profile, max_frame, &[&neighbour]);
    same("good neighbours", &metrics(&good).len(), &1)?;
    let ends = whole.iter().any(|event| match event {
        Kept::Rejected(reason, ..) => {
            !reason.can_continue() || *reason == RejectReason::Unterminated
        }
        Kept::Metric(_) => false,
    });
    let moved = whole.into_iter().map(|event| match event {
        Kept::Rejected(reason, line, offset) => {
            Kept::Rejected(reason, line, offset + neighbour.len() as u64)
        }
        Kept::Metric(_) => event,
    });
    let mut expected: Vec<Kept> = good.iter().cloned().chain(moved).collect();
    let mut between = [&neighbour, stream].concat();
    if !ends {
        between.extend_from_slice(&neighbour);
        expected.extend(good);
    }
    same("between good neighbours", &decode(format, profile, max_frame, &[&between]), &expected)
}

/// What this crate's reasons are called in the vectors.
const REASONS: &[(RejectReason, &[&str])] = &[
    (
        RejectReason::PickleOpcode,
        &[
            "GLOBAL",
            "STACK_GLOBAL",
            "INST",
            "OBJ",
            "NEWOBJ",
            "NEWOBJ_EX",
            "BUILD",
            "GLOBAL/REDUCE/BUILD",
            "PERSID",
            "BINPERSID",
            "EXT1",
            "EXT2",
            "EXT4",
            "opcode",
            "odd",
            "unhashable",
            "out-of-band",
            "sets",
            "size",
            "depth",
            "cycle",
        ],
    ),
    (RejectReason::PickleTruncated, &["EOF", "size", "string"]),
    (RejectReason::PickleStack, &["stack underflow", "no mark", "type", "mark"]),
    (RejectReason::PickleMemo, &["memo", "memo size"]),
    (RejectReason::PickleProtocol, &["protocol"]),
    (RejectReason::PickleNumber, &["size", "number"]),
    (RejectReason::PickleDepth, &["depth", "expansion"]),
    (RejectReason::PickleExpansion, &["expansion"]),
    (RejectReason::PickleSize, &["size", "marks", "stack size", "expansion", "memo size", "depth"]),
    (RejectReason::PickleCycle, &["cycle"]),
    (RejectReason::PickleFraming, &["frame", "size"]),
    (RejectReason::PickleString, &["string"]),
    (RejectReason::NotUtf8, &["utf8"]),
];

/// A hostile frame is refused, by every profile and whatever the limit for frames, costs no more
/// memory than it is worth, and leaves the next frame alone.
pub(crate) fn hostile(row: &Row, report: &mut Report) {
    let stream = stream_of(row);
    for profile in [Profile::Default, Profile::Carbon, Profile::GoCarbon, RELAY] {
        report.check(row, "invariants", invariants(Pickle, &stream, profile, 64 << 20));
        for max_frame in [1 << 20, 64 << 20] {
            let result = refused(row, &stream, profile, max_frame);
            report.check(row, &format!("refused below {max_frame}"), result);
        }
    }
}

fn refused(row: &Row, stream: &[u8], profile: Profile, max_frame: usize) -> Result<(), String> {
    let mut limits = Limits::default();
    limits.max_frame = max_frame;
    crate::PEAK.reset_peak_usage();
    let before = crate::PEAK.current_usage();
    let start = std::time::Instant::now();
    let mut found = Vec::new();
    let mut decoder = PickleDecoder::new(Options::new(profile), limits);
    // Whether the stream can go on, the reason says as well.
    let _ = decoder.push(stream, NOW, &mut |event| {
        found.push(match event {
            Event::Rejected(rejected) => Ok(rejected.reason),
            _ => Err(()),
        });
    });
    let slowest = &crate::SLOWEST_MICROSECONDS;
    let took = u64::try_from(start.elapsed().as_micros()).unwrap();
    slowest.fetch_max(took, std::sync::atomic::Ordering::Relaxed);
    let held = crate::PEAK.peak_usage().saturating_sub(before);
    crate::MOST_BYTES.fetch_max(held as u64, std::sync::atomic::Ordering::Relaxed);
    if held > 16 << 20 {
        return Err(format!("{held} bytes were held"));
    }
    let [Ok(reason)] = found.as_slice() else { return Err(format!("not one refusal: {found:?}")) };
    let expected = row.get("reason").and_then(Value::as_str).unwrap_or_default();
    let length = stream.len().saturating_sub(4);
    if *reason == RejectReason::FrameTooLong && length > max_frame {
        return Ok(());
    }
    let known = REASONS.iter().any(|(_, names)| names.contains(&expected));
    let named = REASONS.iter().any(|(own, names)| own == reason && names.contains(&expected));
    if named || !known {
        Ok(())
    } else {
        Err(format!("refused as {}, expected {expected}", reason.as_str()))
    }
}

/// Expectations of our own for the default profile (graphite.md 4.2 to 4.5), by stream: canonical
/// lines, or `!` and a reason.
static EXPECTATIONS: LazyLock<HashMap<Vec<u8>, Vec<String>>> = LazyLock::new(|| {
    let row = |line: &str| {
        let row: Row = serde_json::from_str(line).unwrap();
        let events = serde_json::from_value(row.get("events").unwrap().clone()).unwrap();
        (bytes(&row, "stream_hex").unwrap(), events)
    };
    include_str!("default_pickle.jsonl").lines().map(row).collect()
});
