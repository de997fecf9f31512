//! Planted faults, to be found by fuzzing and by nothing else: none of the seeds meets one.

use ingest_entry::{Entry, ValueKind};
use ingest_wire::ClientEvent;

use super::server::Heard;

/// A value of kind 17, a duration, that is negative and has a name of five bytes.
pub fn entry(seen: &[Entry]) {
    let bad = |entry: &Entry| {
        entry.values.iter().any(|value| {
            value.kind() == ValueKind::Duration
                && value.name().len() == 5
                && value.data().last().is_some_and(|byte| byte & 0x80 != 0)
        })
    };
    assert!(!seen.iter().any(bad), "planted: a negative duration with a name of five bytes");
}

/// A block whose second entry has the tag 300 and values.
pub fn block(seen: &[Entry]) {
    let bad = seen.get(1).is_some_and(|entry| entry.tag.0 == 300 && !entry.values.is_empty());
    assert!(!bad, "planted: a second entry with tag 300 and values");
}

/// Stored bodies with two things of which the second has three times the length of the first.
pub fn stored(seen: &[usize]) {
    let bad = matches!(seen, [first, second, ..] if *first > 2 && *second == 3 * first);
    assert!(!bad, "planted: a second definition three times as long");
}

/// A tag with a number over 1,000, after an acknowledgement.
pub fn client(seen: &[ClientEvent]) {
    let acknowledged = seen.iter().position(|event| *event == ClientEvent::Acknowledged);
    let bad = |event: &ClientEvent| matches!(event, ClientEvent::Tag { id: Some(id), .. } if id.0 > 1000 && id.0 < 0xFFFF);
    let found = acknowledged.is_some_and(|at| seen[at..].iter().any(bad));
    assert!(!found, "planted: a tag with a high number behind an acknowledgement");
}

/// A state message of 17 bytes behind a tag asked for in the stream.
pub fn server(seen: &[Heard]) {
    let tag = seen.iter().position(|heard| matches!(heard, Heard::Tag(_)));
    let bad = |heard: &Heard| matches!(heard, Heard::State(json) if json.len() == 17);
    let found = tag.is_some_and(|at| seen[at..].iter().any(bad));
    assert!(!found, "planted: a state message of 17 bytes behind a tag");
}
