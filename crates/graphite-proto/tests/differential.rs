//! The pickle decoder against `serde-pickle`: 100,000 pickles from a seed, of which at least 30 % are
//! damaged and at least 1,000 hold each opcode.
//!
//! `INGESTRY_SEED` sets the seed; it is printed with what was done. `INGESTRY_DUMP` names a file that
//! gets every pickle with what became of it, for `cargo xtask interop cpython`.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "differential/generate.rs"]
mod generate;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use generate::{Random, Writer, damage, opcodes, stores_twice};
use graphite_proto::pickle::{Limits, PickleReader};
use graphite_proto::{Event, MetricRef, Options, RejectReason, Timestamp, decode_datagram};
use serde_pickle::{DeOptions, Deserializer, Error, ErrorCode, Value};

const CASES: usize = 100_000;
const NOW: Timestamp = Timestamp::from_seconds(1_650_000_000);

/// Opcodes that the decoder reads.
const OPCODES: &[u8] =
    b"(.012BCFGIJKLMNSTUVX]aeghjlpqrt)\x80\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x94\x95";

#[test]
fn agrees_with_serde_pickle() {
    let seed = std::env::var("INGESTRY_SEED").ok().map_or(20_261_121, |seed| seed.parse().unwrap());
    let mut random = Random::new(seed);
    let mut reader = PickleReader::new(Options::default(), Limits::default());
    let mut histogram = [0_usize; 256];
    let mut dump = std::env::var_os("INGESTRY_DUMP")
        .map(|path| std::io::BufWriter::new(std::fs::File::create(path).unwrap()));
    let (mut damaged, mut outcomes) = (0, BTreeMap::<String, usize>::new());
    for case in 0..CASES {
        let mut writer = Writer::new(&mut random);
        writer.pickle();
        let mut pickle = writer.out;
        if case % 5 < 2 {
            damage(&mut pickle, &mut random);
            damaged += 1;
        }
        let mut ours = Vec::new();
        let read = reader.read(&pickle, NOW, &mut |event| ours.push(text_of(event)));
        if let Some(dump) = &mut dump {
            let refused = read.as_ref().err().map(|error| error.reason.as_str());
            let hex: String = pickle.iter().map(|byte| format!("{byte:02x}")).collect();
            let row = serde_json::json!({ "pickle": hex, "refused": refused, "events": ours });
            writeln!(dump, "{row}").unwrap();
        }
        let theirs = Deserializer::new(pickle.as_slice(), DeOptions::new()).deserialize_value();
        let outcome = match (&read, &theirs) {
            (Ok(()), _) if stores_twice(&pickle) => "not compared".into(),
            (Ok(()), Ok(value)) => {
                assert_eq!(ours, points(value), "seed {seed}, case {case}: {pickle:?}");
                if ours.iter().any(|event| event.starts_with('!')) { "some" } else { "all" }.into()
            }
            (Err(error), theirs) => {
                assert!(ours.is_empty(), "seed {seed}, case {case}: points of a refused pickle");
                let by = if theirs.is_ok() { "us alone" } else { "both" };
                assert!(
                    theirs.is_err() || ours_alone(error.reason, error.opcode),
                    "seed {seed}, case {case}: {error} against {theirs:?}: {pickle:?}"
                );
                format!("refused by {by}: {}", error.reason.as_str())
            }
            (Ok(()), Err(error)) => {
                assert!(theirs_alone(error), "seed {seed}, case {case}: {error}: {pickle:?}");
                let recursive = error.to_string().contains("recursive");
                let why = if recursive { "recursion" } else { "literal" };
                format!("refused by them alone: {why}")
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
        let met: BTreeSet<u8> = opcodes(&pickle).into_iter().map(|(opcode, _)| opcode).collect();
        met.into_iter().for_each(|opcode| histogram[usize::from(opcode)] += 1);
    }
    println!("seed {seed}: {CASES} pickles, {damaged} of them damaged");
    for (outcome, count) in &outcomes {
        println!("  {outcome}: {count}");
    }
    for opcode in OPCODES {
        println!("  opcode 0x{opcode:02x}: {}", histogram[usize::from(*opcode)]);
    }
    assert!(damaged * 10 >= CASES * 3);
    for opcode in OPCODES {
        assert!(histogram[usize::from(*opcode)] >= 1000, "too few of opcode 0x{opcode:02x}");
    }
    let many = |outcome: &str| outcomes.get(outcome).is_some_and(|count| *count >= CASES / 10);
    assert!(many("all") && many("some"), "too few pickles were read");
    assert!(outcomes.get("not compared").is_none_or(|count| *count < CASES / 20));
}

/// What we refuse on purpose (graphite.md 4.3, 4.5) and serde-pickle does not.
fn ours_alone(reason: RejectReason, opcode: Option<u8>) -> bool {
    match reason {
        // Objects, sets and dictionaries; what is behind the STOP that it takes.
        RejectReason::PickleOpcode => opcode.is_some_and(|opcode| !OPCODES.contains(&opcode)),
        RejectReason::PickleStack => opcode == Some(b'.'),
        RejectReason::PickleProtocol => opcode == Some(0x80),
        // It ignores frames.
        RejectReason::PickleFraming => true,
        // A list that is met again may not grow, whether it would come to hold itself or not.
        RejectReason::PickleCycle => matches!(opcode, Some(b'a' | b'e')),
        // Integers of more than 40 digits or 16 bytes, and indexes beyond 2^20.
        RejectReason::PickleNumber => matches!(opcode, Some(b'L' | b'I' | 0x8a | 0x8b)),
        RejectReason::PickleMemo => matches!(opcode, Some(b'r' | b'p')),
        // It takes the first and last byte for quotes, whatever they are.
        RejectReason::PickleString => opcode == Some(b'S'),
        // What is no list of points.
        RejectReason::BadShape => opcode.is_none(),
        RejectReason::PickleDepth => true,
        _ => false,
    }
}

/// What serde-pickle refuses though Python reads it: escapes, numbers with blanks, bytes behind an
/// escaped backslash, and any float that is a word or has underscores. It also takes a memo entry
/// within one that is met twice for a recursion.
fn theirs_alone(error: &Error) -> bool {
    let (Error::Eval(code, _) | Error::Syntax(code)) = error else { return false };
    matches!(code, ErrorCode::InvalidLiteral(_) | ErrorCode::Recursive)
}

/// The canonical line of a metric, or `!` and the reason of a refusal.
fn text_of(event: Event<'_>) -> String {
    match event {
        Event::Metric(metric) => {
            let mut line = Vec::new();
            metric.write_canonical(&mut line);
            String::from_utf8(line).unwrap()
        }
        Event::Rejected(rejected) => format!("!{}", rejected.reason.as_str()),
        _ => unreachable!("there are two kinds"),
    }
}

/// The same for a value, by way of the text protocol.
fn points(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for element in sequence(value).unwrap() {
        let parts = sequence(element).unwrap_or_default();
        let pairs: Vec<&[Value]> =
            parts.iter().skip(1).filter_map(sequence).filter(|pair| pair.len() == 2).collect();
        match parts {
            [path, rest @ ..] if !rest.is_empty() && pairs.len() == rest.len() => {
                found.extend(pairs.iter().map(|pair| point(path, &pair[0], &pair[1])));
            }
            _ => found.push("!bad_shape".into()),
        }
    }
    found
}

fn sequence(value: &Value) -> Option<&[Value]> {
    match value {
        Value::List(values) | Value::Tuple(values) => Some(values),
        _ => None,
    }
}

fn point(path: &Value, time: &Value, value: &Value) -> String {
    let path = match path {
        Value::String(text) => text.clone(),
        Value::Bytes(bytes) => match String::from_utf8(bytes.clone()) {
            Ok(text) => text,
            Err(_) => return "!not_utf8".into(),
        },
        _ => return "!bad_path".into(),
    };
    if path.is_empty() {
        return "!bad_path".into();
    }
    if path.contains(|c: char| c.is_ascii_control()) {
        return "!control_character".into();
    }
    let Some(value) = number(value) else { return "!bad_value".into() };
    // The value is looked at first, so that it is the reason where neither is a number.
    let time = number(time).unwrap_or_else(|| "none".into());
    // The path may hold blanks, which a line may not.
    let plain = !path.contains(' ') && path.len() <= 8192;
    let shown = if plain { path.as_str() } else { "x" };
    let line = format!("{shown} {value} {time}");
    let mut found = Vec::new();
    let options = {
        let mut options = Options::default();
        options.max_line = 1 << 20;
        options
    };
    decode_datagram(&options, line.as_bytes(), NOW, &mut |event| found.push(text_of(event)));
    assert_eq!(found.len(), 1, "{line}");
    let found = found.remove(0);
    if plain || found.starts_with('!') {
        return found;
    }
    let path = MetricRef::new(&path, 0.0, NOW).canonical_path().into_owned();
    format!("{path}{}", &found[1..])
}

/// A number as a field of a line; `None` for what is none.
fn number(value: &Value) -> Option<String> {
    let text = match value {
        Value::Bool(value) => u8::from(*value).to_string(),
        Value::I64(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::String(text) => text.trim_ascii().to_owned(),
        Value::Bytes(bytes) => str::from_utf8(bytes.trim_ascii()).ok()?.to_owned(),
        _ => return None,
    };
    let blank = text.is_empty() || text.contains(|c: char| c.is_ascii_whitespace());
    (!blank).then_some(text)
}
