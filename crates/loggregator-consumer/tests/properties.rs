//! What holds for any input: nothing panics, the pieces in which bytes come change nothing, what is
//! written is read again as the same, owned and borrowed are one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::borrow::Cow;

use bytes::Bytes;
use loggregator_consumer::convert::{to_v1, to_v2};
use loggregator_consumer::json::{ToJson, decode_batch, to_json};
use loggregator_consumer::multipart::{Parts, boundary};
use loggregator_consumer::sse::{SseDecoder, SseEvent};
use loggregator_consumer::v2::{
    Counter, Envelope, EnvelopeBatch, EnvelopeMessage, Event, Gauge, GaugeValue, Log, LogType,
    Timer, Value, ValueData,
};
use loggregator_consumer::wire::{Message, Text};
use loggregator_consumer::{dropsonde, legacy};
use proptest::prelude::*;

/// Any bytes as a message: twice the same, and what is kept is kept again.
fn decodes<'a, O, R>(bytes: &'a Bytes) -> Result<(), TestCaseError>
where
    O: Message<Bytes> + ToJson + PartialEq + std::fmt::Debug,
    R: Message<&'a [u8]> + ToJson,
{
    let slice: &'a [u8] = bytes;
    let (owned, fault) = O::decode_partly(bytes);
    let (borrowed, other) = R::decode_partly(&slice);
    prop_assert_eq!(fault, other);
    prop_assert_eq!(owned.encode(), borrowed.encode());
    prop_assert_eq!(to_json(&owned, false), to_json(&borrowed, false));
    if let Some(fault) = fault {
        prop_assert!(fault.at <= bytes.len());
        return Ok(());
    }
    let again = Bytes::from(owned.encode());
    let back = O::decode(&again);
    prop_assert!(back.is_ok(), "{:?}", back);
    prop_assert_eq!(Bytes::from(back.unwrap().encode()), again);
    Ok(())
}

fn text() -> impl Strategy<Value = Text> {
    "[a-z\"\\\\\u{0}-\u{1f}é✓😀]{0,12}".prop_map(Text::from)
}

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("one NaN is enough", |value| !value.is_nan()),
        Just(f64::INFINITY),
        Just(-0.0),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(ValueData::Text),
        any::<i64>().prop_map(ValueData::Integer),
        double().prop_map(ValueData::Decimal),
    ]
    .prop_map(|data| Value { data: Some(data), unknown: Vec::new() })
}

fn message() -> impl Strategy<Value = EnvelopeMessage> {
    let unknown = Vec::new;
    prop_oneof![
        (proptest::collection::vec(any::<u8>(), 0..40), any::<i32>()).prop_map(
            move |(payload, kind)| {
                let payload = Bytes::from(payload);
                EnvelopeMessage::Log(Log { payload, r#type: LogType(kind), unknown: unknown() })
            }
        ),
        (text(), any::<u64>(), any::<u64>()).prop_map(move |(name, delta, total)| {
            EnvelopeMessage::Counter(Counter { name, delta, total, unknown: unknown() })
        }),
        proptest::collection::btree_map("[a-c]{0,2}", (text(), double()), 0..4).prop_map(
            move |map| {
                let value = |(unit, value)| GaugeValue { unit, value, unknown: unknown() };
                let metrics =
                    map.into_iter().map(|(key, pair)| (key.into(), value(pair))).collect();
                EnvelopeMessage::Gauge(Gauge { metrics, unknown: unknown() })
            }
        ),
        (text(), any::<i64>(), any::<i64>()).prop_map(move |(name, start, stop)| {
            EnvelopeMessage::Timer(Timer { name, start, stop, unknown: unknown() })
        }),
        (text(), text()).prop_map(move |(title, body)| {
            EnvelopeMessage::Event(Event { title, body, unknown: unknown() })
        }),
    ]
}

prop_compose! {
    fn envelope()(
        timestamp in any::<i64>(),
        source_id in text(),
        instance_id in text(),
        tags in proptest::collection::btree_map("[a-e]{0,2}", text(), 0..4),
        deprecated in proptest::collection::btree_map("[a-e]{0,2}", value(), 0..3),
        message in proptest::option::of(message()),
    ) -> Envelope {
        Envelope {
            timestamp,
            source_id,
            instance_id,
            tags: tags.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            deprecated_tags: deprecated.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            message,
            unknown: Vec::new(),
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        decodes::<legacy::LogMessage, legacy::LogMessage<&[u8]>>(&bytes)?;
        decodes::<dropsonde::Envelope, dropsonde::Envelope<&[u8]>>(&bytes)?;
        decodes::<Envelope, Envelope<&[u8]>>(&bytes)?;
    }

    #[test]
    fn messages_that_are_cut_or_changed_are_errors_at_worst(
        envelope in envelope(),
        cut in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut encoded = envelope.encode();
        decodes::<Envelope, Envelope<&[u8]>>(&Bytes::from(encoded.clone()))?;
        if !encoded.is_empty() {
            let at = cut.index(encoded.len());
            decodes::<Envelope, Envelope<&[u8]>>(&Bytes::from(encoded[..at].to_vec()))?;
            encoded[at] = byte;
            let changed = Bytes::from(encoded);
            decodes::<Envelope, Envelope<&[u8]>>(&changed)?;
            decodes::<dropsonde::Envelope, dropsonde::Envelope<&[u8]>>(&changed)?;
        }
    }

    #[test]
    fn json_is_read_as_it_was_written(
        batch in proptest::collection::vec(envelope(), 0..4),
        defaults in any::<bool>(),
    ) {
        let batch = EnvelopeBatch { batch, unknown: Vec::new() };
        let json = to_json(&batch, defaults);
        let owned = decode_batch(&Bytes::from(json.clone()));
        prop_assert_eq!(owned.fault, None, "{}", json);
        let again = EnvelopeBatch { batch: owned.envelopes, unknown: Vec::new() };
        prop_assert_eq!(again.encode(), batch.encode());
        let borrowed = decode_batch(&Cow::Borrowed(json.as_bytes()));
        let again = EnvelopeBatch { batch: borrowed.envelopes, unknown: Vec::new() };
        prop_assert_eq!(again.encode(), batch.encode());
    }

    #[test]
    fn json_that_is_cut_or_changed_never_panics(
        batch in proptest::collection::vec(envelope(), 1..3),
        cut in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let count = batch.len();
        let mut json = to_json(&EnvelopeBatch { batch, unknown: Vec::new() }, true).into_bytes();
        let at = cut.index(json.len());
        let cut = decode_batch(&Bytes::from(json[..at].to_vec()));
        prop_assert!(cut.fault.is_some());
        prop_assert!(cut.envelopes.len() <= count);
        json[at] = byte;
        let changed = decode_batch(&Bytes::from(json));
        prop_assert!(changed.fault.is_some() || changed.rejected == 0);
    }

    #[test]
    fn an_event_stream_may_be_cut_anywhere(
        stream in "(data: ?[a-c]{0,4}|event:[a-c]{0,2}|:x|id: 1|[a-c]{0,3}|\u{feff}){0,8}(\r\n|\n|\r|\n\n|\r\r){0,3}",
        pieces in proptest::collection::vec(1_usize..9, 1..40),
    ) {
        let run = |pieces: &mut dyn Iterator<Item = usize>| {
            let mut decoder = SseDecoder::default();
            let (mut events, mut rest) = (Vec::new(), stream.as_bytes());
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(pieces.next().unwrap_or(1).min(rest.len()));
                let sink = |event: SseEvent| events.push((event.name, event.data));
                if piece.len() % 2 == 0 {
                    decoder.push(piece, sink).unwrap();
                } else {
                    decoder.push_shared(Bytes::copy_from_slice(piece), sink).unwrap();
                }
                rest = behind;
            }
            events
        };
        prop_assert_eq!(run(&mut pieces.into_iter()), run(&mut std::iter::once(usize::MAX)));
    }

    #[test]
    fn parts_come_back_as_they_went(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut body = Vec::new();
        for part in &parts {
            body.extend_from_slice(b"\r\n--boundary\r\n\r\n");
            body.extend_from_slice(part);
        }
        body.extend_from_slice(b"\r\n--boundary--\r\n");
        let mut found = Parts::new(Bytes::from(body.clone()), "boundary");
        let bytes: Vec<_> = found.by_ref().map(|part| part.unwrap().to_vec()).collect();
        prop_assert_eq!(&bytes, &parts);
        prop_assert!(found.complete());
        let at = cut.index(body.len() - 3);
        let mut cut = Parts::new(Bytes::from(body[..at].to_vec()), "boundary");
        let bytes: Vec<_> = cut.by_ref().map(|part| part.unwrap().to_vec()).collect();
        prop_assert!(parts.starts_with(&bytes));
    }

    #[test]
    fn hostile_bodies_and_boundaries_never_panic(
        body in proptest::collection::vec(prop_oneof![
            Just(b"--".to_vec()), Just(b"\r\n".to_vec()), Just(b"\n".to_vec()), Just(b"a".to_vec()),
            Just(b": ".to_vec()), Just(b"=".to_vec()), Just(b"--a--".to_vec()),
        ], 0..40),
        name in "[a\\-\r\n]{0,3}",
        header in ".{0,40}",
    ) {
        let body = Bytes::from(body.concat());
        let all: usize = Parts::new(body.clone(), &name).flatten().map(|part| part.len()).sum();
        prop_assert!(all <= body.len());
        let _ = boundary(&header);
    }

    #[test]
    fn conversions_take_anything(envelope in envelope()) {
        for older in to_v1(&envelope) {
            let newer = to_v2(&older);
            prop_assert_eq!(newer.timestamp, envelope.timestamp);
        }
    }
}
