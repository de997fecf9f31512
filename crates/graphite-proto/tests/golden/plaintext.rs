//! `plaintext.jsonl`: streams and datagrams, and the points that each program read from them.

use std::collections::HashMap;
use std::sync::LazyLock;

use graphite_proto::{
    Event, LineDecoder, Metric, Options, Profile, RejectReason, Rejected, Timestamp,
    decode_datagram, sanitise,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::vectors::{Report, Row, bytes, hex, same};

/// What −1 stands for.
pub(crate) const NOW: Timestamp = Timestamp::new(1_650_000_000, 250_000_000);

#[derive(Clone, Copy, PartialEq)]
enum Transport {
    Stream,
    Datagram,
}
use Transport::{Datagram, Stream};

const COLUMNS: [(&str, Profile, &[Transport]); 6] = [
    ("carbon_tcp", Profile::Carbon, &[Stream]),
    ("carbon_udp", Profile::Carbon, &[Datagram]),
    ("go_carbon_tcp", Profile::GoCarbon, &[Stream]),
    ("go_carbon_udp", Profile::GoCarbon, &[Datagram]),
    ("relay_ng_medium", Profile::RelayNg { strict: false }, &[Stream, Datagram]),
    ("relay_ng_strict", Profile::RelayNg { strict: true }, &[Stream, Datagram]),
];

/// An event, kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kept {
    Metric(Metric),
    Rejected(RejectReason, Vec<u8>, u64),
}

pub(crate) fn keep(event: Event<'_>) -> Kept {
    match event {
        Event::Metric(metric) => Kept::Metric(metric.to_metric()),
        Event::Rejected(Rejected { reason, line, offset, .. }) => {
            Kept::Rejected(reason, line.to_vec(), offset)
        }
        _ => unreachable!("there are two kinds"),
    }
}

fn decode(profile: Profile, transport: Transport, input: &[u8]) -> Vec<Kept> {
    let mut kept = Vec::new();
    let mut sink = |event: Event<'_>| kept.push(keep(event));
    match transport {
        Stream => {
            let mut decoder = LineDecoder::new(Options::new(profile));
            decoder.push(input, NOW, &mut sink);
            decoder.finish(NOW, &mut sink);
        }
        Datagram => decode_datagram(&Options::new(profile), input, NOW, &mut sink),
    }
    kept
}

fn decode_bytes(profile: Profile, input: &[u8]) -> Vec<Kept> {
    let mut kept = Vec::new();
    let mut sink = |event: Event<'_>| kept.push(keep(event));
    let mut decoder = LineDecoder::new(Options::new(profile));
    for byte in input.chunks(1) {
        decoder.push(byte, NOW, &mut sink);
    }
    decoder.finish(NOW, &mut sink);
    kept
}

pub(crate) fn metrics(events: &[Kept]) -> Vec<&Metric> {
    events
        .iter()
        .filter_map(|event| if let Kept::Metric(m) = event { Some(m) } else { None })
        .collect()
}

pub(crate) fn reasons(events: &[Kept]) -> Vec<RejectReason> {
    let reason = |event: &Kept| if let Kept::Rejected(r, ..) = event { Some(*r) } else { None };
    events.iter().filter_map(reason).collect()
}

pub(crate) fn check(row: &Row, report: &mut Report) {
    let input = bytes(row, "input_hex").unwrap();
    for (column, profile, transports) in COLUMNS {
        match row.get(column) {
            Some(theirs) => {
                for &transport in transports {
                    report.check(row, column, peer(&input, profile, transport, theirs));
                }
            }
            None => report.count(column, "absent"),
        }
        report.check(row, "invariants", invariants(&input, profile));
    }
    report.check(row, "invariants", invariants(&input, Profile::Default));
    report.check(row, "default profile", default_profile(&input));
    match EXPECTATIONS.get(&input) {
        Some(expected) => report.check(row, "own expectations", own(&input, expected)),
        None => report.count("own expectations", "none for this input"),
    }
    match row.get("c_relay_3_9").or_else(|| row.get("c_relay")) {
        Some(theirs) => match c_relay(&input, theirs) {
            Some(result) => report.check(row, "c_relay", result),
            None => report.count("c_relay", "not one line of three plain fields"),
        },
        None => report.count("c_relay", "absent"),
    }
}

/// The program's points are ours.
fn peer(
    input: &[u8],
    profile: Profile,
    transport: Transport,
    theirs: &Value,
) -> Result<(), String> {
    let events = decode(profile, transport, input);
    let ours = metrics(&events);
    let reasons = reasons(&events);
    let none = Vec::new();
    let points = theirs.get("points").and_then(Value::as_array).unwrap_or(&none);
    // On-purpose difference, graphite.md 2.5: what no timestamp holds is refused.
    let (points, unheld): (Vec<&Value>, Vec<&Value>) = points.iter().partition(|p| is_held(p));
    let refused = reasons.iter().filter(|r| **r == RejectReason::TimestampRange).count();
    if refused < unheld.len() {
        return Err(format!("{} timestamps fit nowhere, {refused} are refused", unheld.len()));
    }
    // On-purpose difference, graphite.md 2.3: where the program gives up, one line is refused.
    let gives_up = ["closed", "exception", "error"].iter().any(|key| theirs.get(key).is_some());
    let mut rest = ours.as_slice();
    for point in points {
        if let Some(count) = point.get("elided").and_then(Value::as_u64) {
            let count = usize::try_from(count).unwrap();
            rest = rest.get(count..).ok_or("fewer points than were elided")?;
            continue;
        }
        let (first, behind) = rest.split_first().ok_or_else(|| format!("{point} is missing"))?;
        same_point(first, point)?;
        rest = behind;
    }
    if gives_up {
        if reasons.is_empty() { Err("no line is refused".into()) } else { Ok(()) }
    } else if rest.is_empty() {
        counts(input, profile, transport, theirs, &reasons, unheld.len())
    } else {
        Err(format!("too many points: {rest:?}"))
    }
}

/// Whether a [`Timestamp`] holds the point's time.
pub(crate) fn is_held(point: &Value) -> bool {
    match point.get("ts") {
        Some(Value::Number(time)) => {
            time.as_i64().is_some() || time.as_f64().is_some_and(|time| time.abs() < 9.2e18)
        }
        _ => true,
    }
}

pub(crate) fn same_point(ours: &Metric, theirs: &Value) -> Result<(), String> {
    let path = ours.as_ref().path_bytes();
    if let Some(expected) = theirs.get("path_hex").and_then(Value::as_str) {
        same("path", &path, &hex(expected).as_slice())?;
    } else {
        same("path length", &Some(path.len() as u64), &theirs["path_len"].as_u64())?;
        let expected = hex(theirs["path_sha256"].as_str().unwrap());
        same("path digest", &Sha256::digest(path).as_slice(), &expected.as_slice())?;
    }
    let bits = u64::from_str_radix(theirs["bits"].as_str().unwrap(), 16).unwrap();
    if !(f64::from_bits(bits).is_nan() && ours.value().is_nan()) {
        same("value", &format!("{:016x}", ours.value().to_bits()), &format!("{bits:016x}"))?;
    }
    let time = ours.timestamp();
    match &theirs["ts"] {
        Value::Number(expected) => match (expected.as_i64(), expected.as_f64()) {
            (Some(seconds), _) => same("time", &time, &Timestamp::from_seconds(seconds)),
            (None, Some(seconds)) => {
                // Both are rounded, to a nanosecond and to a float.
                let apart = (time.to_f64() - seconds).abs();
                let close = apart <= seconds.abs() * f64::EPSILON + 1e-9;
                if close { Ok(()) } else { Err(format!("time: ours {time}, theirs {seconds}")) }
            }
            _ => Err(format!("a time of {expected}")),
        },
        Value::String(word) if word == "now" => same("time", &time, &NOW),
        other => Err(format!("a time of {other}")),
    }
}

/// What carbon logs and carbon-relay-ng rejects, we refuse, but for blank lines, which they count
/// and we skip (graphite.md 2.1).
fn counts(
    input: &[u8],
    profile: Profile,
    transport: Transport,
    theirs: &Value,
    reasons: &[RejectReason],
    unheld: usize,
) -> Result<(), String> {
    let carbon = profile == Profile::Carbon;
    let is_blank = |line: &&[u8]| {
        str::from_utf8(line).is_ok_and(|text| {
            text.chars().all(|c| c.is_whitespace() || carbon && matches!(c, '\x1c'..='\x1f'))
        })
    };
    let mut lines: Vec<&[u8]> = input.split(|b| *b == b'\n').collect();
    let tail = lines.pop().unwrap_or_default();
    match (profile, transport) {
        (Profile::Carbon, Stream) => {
            // NaN goes without a word, and so does an unterminated tail.
            let silent = [RejectReason::Nan, RejectReason::Unterminated];
            let refused = reasons.iter().filter(|reason| !silent.contains(reason)).count();
            let logged = theirs.get("logged_invalid").and_then(Value::as_u64).unwrap_or(0);
            let blank = lines.iter().filter(|line| is_blank(line)).count();
            let ours = (refused + blank - unheld) as u64;
            // A line with NaN is logged if its timestamp is no number.
            let nan = reasons.iter().filter(|reason| **reason == RejectReason::Nan).count() as u64;
            if (ours..=ours + nan).contains(&logged) {
                Ok(())
            } else {
                Err(format!("refused lines: ours {ours}, logged {logged}"))
            }
        }
        (Profile::RelayNg { .. }, _) => {
            if !tail.is_empty() {
                lines.push(tail);
            }
            let blank = lines.iter().filter(|line| is_blank(line)).count();
            let rejects = theirs.get("rejects").and_then(Value::as_array).map_or(0, Vec::len);
            same("refused lines", &(reasons.len() + blank), &rejects)
        }
        _ => Ok(()),
    }
}

/// What holds for every profile and any input.
fn invariants(input: &[u8], profile: Profile) -> Result<(), String> {
    let whole = decode(profile, Stream, input);
    same("byte by byte", &decode_bytes(profile, input), &whole)?;
    let half = input.len() / 2;
    let mut kept = Vec::new();
    let mut decoder = LineDecoder::new(Options::new(profile));
    decoder.push(&input[..half], NOW, &mut |event| kept.push(keep(event)));
    decoder.push(&input[half..], NOW, &mut |event| kept.push(keep(event)));
    decoder.finish(NOW, &mut |event| kept.push(keep(event)));
    same("in halves", &kept, &whole)?;

    // Good neighbours are found, and what is between them reads as it does alone.
    let good = b"good.neighbour 1 1700000000\n";
    let alone = decode(profile, Stream, &[input, b"\n"].concat());
    let between = decode(profile, Stream, &[good, input, b"\n", good].concat());
    let moved = alone.into_iter().map(|event| match event {
        Kept::Rejected(reason, line, offset) => {
            Kept::Rejected(reason, line, offset + good.len() as u64)
        }
        Kept::Metric(_) => event,
    });
    let good = || decode(profile, Stream, good);
    let expected: Vec<Kept> = good().into_iter().chain(moved).chain(good()).collect();
    same("between good neighbours", &between, &expected)?;

    // Without the refused lines the same metrics come, and nothing else.
    let mut cut = input.to_vec();
    for event in whole.iter().rev() {
        if let Kept::Rejected(_, _, offset) = event {
            let start = usize::try_from(*offset).unwrap();
            let length = cut[start..].iter().position(|b| *b == b'\n').map(|at| at + 1);
            cut.drain(start..start + length.unwrap_or(cut.len() - start));
        }
    }
    let left: Vec<Kept> =
        whole.into_iter().filter(|event| matches!(event, Kept::Metric(_))).collect();
    same("without refused lines", &decode(profile, Stream, &cut), &left)
}

/// What holds for the default profile besides.
fn default_profile(input: &[u8]) -> Result<(), String> {
    let blank = |line: &&[u8]| {
        let space = |b: &u8| matches!(b, b' ' | 9 | 0x0b | 0x0c | b'\r');
        line.len() <= Options::default().max_line && line.iter().all(space)
    };
    let lines = input.split(|b| *b == b'\n').filter(|line| !blank(line)).count();
    for transport in [Stream, Datagram] {
        let events = decode(Profile::Default, transport, input);
        same("one event for each line", &events.len(), &lines)?;
        for metric in metrics(&events) {
            let mut line = Vec::new();
            metric.write_canonical(&mut line);
            let again = decode(Profile::Default, Datagram, &line);
            let [Kept::Metric(again)] = again.as_slice() else {
                return Err(format!("the canonical form gives {again:?}"));
            };
            same("value read back", &again.value().to_bits(), &metric.value().to_bits())?;
            same("time read back", &again.timestamp(), &metric.timestamp())?;
            same("path read back", &again.path(), &&*metric.as_ref().canonical_path())?;
            let mut twice = Vec::new();
            again.write_canonical(&mut twice);
            // Sorting can leave a name that reads as OpenMetrics (graphite.md 3.1, rule 8).
            if !again.path().ends_with("\"}") {
                same("canonical form of the canonical form", &twice, &line)?;
            }
        }
    }
    Ok(())
}

/// Expectations of our own for the default profile (graphite.md 2.1 to 2.5, right-hand columns),
/// by input: what a stream gives, and a datagram; canonical lines, or `!` and a reason.
static EXPECTATIONS: LazyLock<HashMap<Vec<u8>, [Vec<String>; 2]>> = LazyLock::new(|| {
    let text = include_str!("default_profile.jsonl");
    let row = |line: &str| {
        let row: Row = serde_json::from_str(line).unwrap();
        let list = |field: &str| -> Vec<String> {
            serde_json::from_value(row.get(field).unwrap().clone()).unwrap()
        };
        let stream = list("stream");
        let datagram = if row.contains_key("datagram") { list("datagram") } else { stream.clone() };
        (bytes(&row, "input_hex").unwrap(), [stream, datagram])
    };
    text.lines().map(row).collect()
});

fn own(input: &[u8], expected: &[Vec<String>; 2]) -> Result<(), String> {
    for (transport, expected) in [Stream, Datagram].into_iter().zip(expected) {
        let events = decode(Profile::Default, transport, input);
        let ours: Vec<String> = events
            .iter()
            .map(|event| match event {
                Kept::Metric(metric) => {
                    let mut line = Vec::new();
                    metric.write_canonical(&mut line);
                    String::from_utf8(line).unwrap()
                }
                Kept::Rejected(reason, ..) => format!("!{}", reason.as_str()),
            })
            .collect();
        same("events", &ours, expected)?;
    }
    Ok(())
}

/// The path that carbon-c-relay forwards is the sanitised one. `None` for rows that say nothing
/// about that: not a single line of three fields with single spaces, or shortened in the file.
fn c_relay(input: &[u8], theirs: &Value) -> Option<Result<(), String>> {
    let line = str::from_utf8(input.strip_suffix(b"\n")?).ok()?;
    let path = line.split(' ').next()?;
    let plain = line.split(' ').count() == 3
        && line.split(' ').all(|field| !field.is_empty())
        && !line.contains(['\n', '\r', '\t'])
        && line.len() <= 1024;
    let clean = sanitise(path);
    if !plain || clean.is_empty() {
        return None;
    }
    let [forwarded] = theirs.get("lines_hex")?.as_array()?.as_slice() else {
        return Some(Err("not one line was forwarded".into()));
    };
    let forwarded = hex(forwarded.as_str()?);
    let forwarded = forwarded.split(|b| *b == b' ').next()?;
    Some(same("sanitised path", &clean.as_bytes(), &forwarded))
}
