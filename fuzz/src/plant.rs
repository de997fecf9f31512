//! Planted faults, to be found by fuzzing and by nothing else: none of the seeds meets one.
//!
//! Each is a few steps away, as faults in decoders are, and every step is a branch of its own.

use std::hint::black_box;

use graphite_proto::RejectReason;
use graphite_proto::proxy::ProxyHeader;
use ingest_entry::{Entry, ValueKind};
use ingest_wire::ClientEvent;
use loggregator_consumer::json::Batch;
use loggregator_consumer::sse::SseEvent;
use loggregator_consumer::v2::EnvelopeMessage;

use super::graphite::Seen;
use super::gzip::Undone;
use super::hydra::{Frames, Said};
use super::loggregator::{Decoded, Found};
use super::server::Heard;

/// A value of kind 17, a duration, that is negative, in an entry whose tag is over 255.
pub fn entry(seen: &[Entry]) {
    for entry in seen {
        for value in &entry.values {
            if black_box(value.kind()) == ValueKind::Duration
                && black_box(value.data().last()).is_some_and(|last| last & 0x80 != 0)
                && black_box(entry.tag.0) > 0xFF
            {
                panic!("planted: a negative duration and a high tag");
            }
        }
    }
}

/// A block whose second entry has a tag over 255 and an impossible number of nanoseconds.
pub fn block(seen: &[Entry]) {
    if let Some(second) = black_box(seen.get(1))
        && black_box(second.tag.0) > 0xFF
        && black_box(second.ts.nanos()) >= 1_000_000_000
    {
        panic!("planted: a second entry with a high tag and too many nanoseconds");
    }
}

/// Two definitions of which the second is three times as long as the first.
pub fn stored(seen: &[usize]) {
    if let [first, second, ..] = *black_box(seen)
        && black_box(first) > 2
        && black_box(second) == 3 * first
    {
        panic!("planted: a second definition three times as long");
    }
}

/// A tag with a number over 4,095, and an acknowledgement.
pub fn client(seen: &[ClientEvent]) {
    for event in seen {
        if let ClientEvent::Tag { id: Some(id), .. } = black_box(event)
            && black_box(id.0) >= 0x1000
            && black_box(seen).contains(&ClientEvent::Acknowledged)
        {
            panic!("planted: a tag with a high number, and an acknowledgement");
        }
    }
}

/// A state message that begins with a control character and ends beyond ASCII.
pub fn server(seen: &[Heard]) {
    for heard in seen {
        if let Heard::State(json) = black_box(heard)
            && black_box(json.first()).is_some_and(|first| *first < b' ')
            && black_box(json.last()).is_some_and(|last| *last >= 0x80)
        {
            panic!("planted: a state message from a control character to one beyond ASCII");
        }
    }
}

/// A metric with two tags and a negative value.
pub fn line(seen: &[Seen]) {
    if tagged_and_negative(seen, 2, 0.0) {
        panic!("planted: two tags with a negative value");
    }
}

/// A metric with two tags and a value below -1,000.
pub fn pickle(seen: &[Seen]) {
    if tagged_and_negative(seen, 2, -1000.0) {
        panic!("planted: two tags with a value far below zero");
    }
}

/// A metric with a tag and a negative value, and a refused NaN.
pub fn protobuf(seen: &[Seen]) {
    let nan = |seen: &Seen| matches!(seen, Seen::Rejected(RejectReason::Nan, ..));
    if black_box(seen).iter().any(nan) && tagged_and_negative(seen, 1, 0.0) {
        panic!("planted: a tag with a negative value, and NaN");
    }
}

fn tagged_and_negative(seen: &[Seen], least: usize, below: f64) -> bool {
    seen.iter().any(|seen| match black_box(seen) {
        Seen::Metric { tags, value, .. } => {
            black_box(*tags) >= least && black_box(*value) < below && black_box(*value) > -1e9
        }
        Seen::Rejected(..) => false,
    })
}

/// A connection from a port over 60,000 to one below 100, over IPv6.
pub fn proxy(seen: &Option<ProxyHeader>) {
    if let Some(ProxyHeader::Inet { source, destination }) = black_box(seen)
        && black_box(source.is_ipv6())
        && black_box(source.port()) > 60_000
        && black_box(destination.port()) < 100
    {
        panic!("planted: from a high port to a low one");
    }
}

/// A stream that is refused after text from a control character to one beyond ASCII.
pub fn gzip(seen: &Option<Undone>) {
    if let Some(Undone { text, end }) = black_box(seen)
        && black_box(end.is_err())
        && black_box(text.first()).is_some_and(|first| *first < b' ')
        && black_box(text.last()).is_some_and(|last| *last >= 0x80)
    {
        panic!("planted: from a control character to one beyond ASCII, and refused");
    }
}

/// A key of more than 20 bytes with an empty value, and an empty id.
pub fn command(seen: &[Said]) {
    let long = |said: &Said| matches!(said, Said::Set(key, 0) if *key > 20);
    if black_box(seen).iter().any(long)
        && black_box(seen).iter().any(|said| matches!(said, Said::Payload(Some(0), _)))
    {
        panic!("planted: a long key without a value, and an empty id");
    }
}

/// Three messages, one of them empty, before text that is not UTF-8.
pub fn frames(seen: &Frames) {
    if black_box(seen.messages.len()) >= 3
        && black_box(seen.messages.contains(&0))
        && black_box(seen.close) == Some(1007)
    {
        panic!("planted: an empty message among three, and no UTF-8");
    }
}

/// Something that is not there, and behind it something that is.
pub fn http(seen: &[u16]) {
    if black_box(seen.first()) == Some(&404) && black_box(seen).contains(&200) {
        panic!("planted: 404 and then 200");
    }
}

/// A line of the first generation from long ago, with two drains.
pub fn envelope(seen: &Option<Decoded>) {
    if let Some(Decoded::Legacy(line)) = black_box(seen)
        && black_box(line.timestamp()) < -1
        && black_box(line.drain_urls.len()) >= 2
    {
        panic!("planted: a line from long ago with two drains");
    }
}

/// An empty part, another one behind it that is not, and the end.
pub fn multipart(seen: &Option<Found>) {
    if let Some(Found { parts, complete: true }) = black_box(seen)
        && let [Some(empty), Some(second), ..] = black_box(parts.as_slice())
        && black_box(empty.is_empty())
        && !black_box(second.is_empty())
    {
        panic!("planted: an empty part before another");
    }
}

/// An event of another kind whose data has three lines, of which the last is empty.
pub fn sse(seen: &[SseEvent]) {
    for event in seen {
        if black_box(event.name.len()) > 3
            && black_box(event.data.iter().filter(|byte| **byte == b'\n').count()) == 2
            && black_box(event.data.last()) == Some(&b'\n')
        {
            panic!("planted: three lines of data, the last of them empty");
        }
    }
}

/// A time span that ends before it begins, and a member that came again.
pub fn json(seen: &Batch) {
    for envelope in &seen.envelopes {
        if let Some(EnvelopeMessage::Timer(timer)) = black_box(&envelope.message)
            && black_box(timer.stop) < black_box(timer.start)
            && black_box(seen.repeated) > 0
        {
            panic!("planted: a time span that ends before it begins, and a member again");
        }
    }
}
