//! The targets `envelope`, `multipart`, `sse` and `json`: what Loggregator's servers send.

use std::borrow::Cow;
use std::fmt::Debug;

use bytes::Bytes;
use loggregator_consumer::convert::{to_v1, to_v2};
use loggregator_consumer::json::{Batch, ToJson, decode_answer, decode_batch, to_json};
use loggregator_consumer::multipart::{Parts, boundary};
use loggregator_consumer::sse::{SseDecoder, SseEvent};
use loggregator_consumer::wire::Message;
use loggregator_consumer::{dropsonde, legacy, v2};

use super::script::{Choices, split};

/// The longest line of an event stream, and the most data of an event.
const MAX_EVENT: usize = 256;

/// A message of any generation.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// Of the first.
    Legacy(legacy::LogMessage),
    /// Of the second.
    Dropsonde(dropsonde::Envelope),
    /// Of the third.
    V2(v2::Envelope),
}

/// Decodes a message, owned and borrowed: one is the other, a fault is inside of the bytes, and what
/// is decoded is encoded, and that decoded, without a loss.
fn decoded<'a, O, R>(bytes: &'a Bytes) -> Option<O>
where
    O: Message<Bytes> + ToJson + Debug,
    R: Message<&'a [u8]> + ToJson,
{
    let slice: &'a [u8] = bytes;
    let (owned, fault) = O::decode_partly(bytes);
    let (borrowed, other) = R::decode_partly(&slice);
    assert_eq!(fault, other);
    let encoded = Bytes::from(owned.encode());
    assert_eq!(encoded, borrowed.encode());
    assert_eq!(to_json(&owned, false), to_json(&borrowed, false));
    if let Some(fault) = fault {
        assert!(fault.at <= bytes.len(), "{fault:?}");
        return None;
    }
    let back = O::decode(&encoded).unwrap();
    assert_eq!(back.encode(), encoded);
    Some(owned)
}

/// Decodes the bytes as a message of the generation that the flags choose, and converts it to the
/// others.
pub fn envelope(input: &[u8]) -> Option<Decoded> {
    let (flags, _, input) = split(input)?;
    let bytes = Bytes::copy_from_slice(input);
    super::within(2048 * input.len() + 64 * 1024, || match flags[0] % 3 {
        0 => decoded::<legacy::LogMessage, legacy::LogMessage<&[u8]>>(&bytes).map(Decoded::Legacy),
        1 => {
            let older = decoded::<dropsonde::Envelope, dropsonde::Envelope<&[u8]>>(&bytes)?;
            let newer = to_v2(&older);
            let encoded = Bytes::from(newer.encode());
            assert_eq!(v2::Envelope::decode(&encoded).unwrap().encode(), encoded);
            Some(Decoded::Dropsonde(older))
        }
        _ => {
            let newer = decoded::<v2::Envelope, v2::Envelope<&[u8]>>(&bytes)?;
            let older = to_v1(&newer);
            let most = match &newer.message {
                Some(v2::EnvelopeMessage::Gauge(gauge)) => gauge.metrics.len(),
                _ => 1,
            };
            assert!(older.len() <= most, "{} of {most}", older.len());
            older.iter().for_each(|older| assert_eq!(to_v2(older).timestamp, newer.timestamp));
            Some(Decoded::V2(newer))
        }
    })
}

/// What the parts of a body are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The parts, or what none is.
    pub parts: Vec<Option<Bytes>>,
    /// Whether the end was there.
    pub complete: bool,
}

fn parts(body: &Bytes, boundary: &str) -> Found {
    let mut parts = Parts::new(body.clone(), boundary);
    let found: Vec<_> = parts.by_ref().map(Result::ok).collect();
    assert!(parts.next().is_none(), "a part behind the end");
    assert!(parts.started() || found.is_empty());
    Found { parts: found, complete: parts.complete() }
}

/// Reads the first line of the input as a content type, or as a boundary, and the rest as the body:
/// parts are no longer than the body in all, and of a body that is cut the beginning is the same.
pub fn multipart(input: &[u8]) -> Option<Found> {
    let (flags, mut choices, input) = split(input)?;
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let (line, body) = (String::from_utf8_lossy(&input[..end]), &input[end + 1..]);
    let body = Bytes::copy_from_slice(body);
    super::within(256 * input.len() + 64 * 1024, || {
        let named = boundary(&line);
        assert!(named.as_ref().is_none_or(|named| !named.is_empty() && named.len() <= line.len()));
        // Also those that no content type can name.
        let boundary = if flags[0] & 1 == 0 { named? } else { line.into_owned() };
        let found = parts(&body, &boundary);
        let bytes: usize = found.parts.iter().flatten().map(Bytes::len).sum();
        assert!(bytes <= body.len(), "{bytes} bytes in parts of {}", body.len());
        assert!(found.parts.len() <= body.len() / (boundary.len() + 2));
        let cut = parts(&body.slice(..choices.next(body.len() + 1)), &boundary);
        // What follows decides which line end a body has, and whether what looks like its end is.
        let same_lines = !body.windows(2).any(|two| two[1] == b'\n' && two[0] != b'\r');
        assert!(
            cut.complete || !same_lines || found.parts.starts_with(&cut.parts),
            "{cut:?} {found:?}"
        );
        Some(found)
    })
}

/// What a stream of events gives, cut into pieces by the choices, or whole; and whether it broke.
fn events(limit: usize, input: &[u8], cut: Option<Choices>) -> (Vec<SseEvent>, bool) {
    let mut decoder = SseDecoder::new(limit);
    let (mut found, mut rest, mut cut) = (Vec::new(), input, cut);
    while !rest.is_empty() {
        let length = cut.as_mut().map_or(rest.len(), |choices| choices.piece(rest.len()));
        let (piece, behind) = rest.split_at(length);
        let sink = |event| found.push(event);
        // A piece of odd length is one that can be shared.
        let pushed = if length % 2 == 0 {
            decoder.push(piece, sink)
        } else {
            decoder.push_shared(Bytes::copy_from_slice(piece), sink)
        };
        if let Err(long) = pushed {
            assert_eq!(long.limit, limit);
            return (found, true);
        }
        rest = behind;
    }
    (found, false)
}

/// Reads the bytes as a stream of events: pieces change nothing, data is no longer than the stream
/// and the limit, and what the events are written as is read as the same.
pub fn sse(input: &[u8]) -> Vec<SseEvent> {
    let Some((flags, choices, input)) = split(input) else { return Vec::new() };
    super::within(64 * input.len() + 64 * 1024, || {
        let limit = if flags[0] & 1 == 0 { MAX_EVENT } else { SseDecoder::DEFAULT_LIMIT };
        let (whole, broke) = events(limit, input, None);
        let pieces = events(limit, input, Some(choices));
        assert_eq!((&whole, broke), (&pieces.0, pieces.1));
        let bytes: usize = whole.iter().map(|event| event.data.len()).sum();
        assert!(bytes <= input.len());
        assert!(whole.iter().all(|event| event.data.len() <= limit));
        let mut written = Vec::new();
        for event in &whole {
            written.extend_from_slice(format!("event: {}\n", event.name).as_bytes());
            for line in event.data.split(|byte| *byte == b'\n') {
                written.extend_from_slice(&[b"data: ", line, b"\n"].concat());
            }
            written.push(b'\n');
        }
        assert_eq!(events(SseDecoder::DEFAULT_LIMIT, &written, None), (whole.clone(), false));
        whole
    })
}

/// Reads the bytes as a batch of the gateway's, or as an answer of Log Cache: owned and borrowed are
/// one, and what is read, written again, is read as the same.
pub fn json(input: &[u8]) -> Batch {
    let Some((flags, _, input)) = split(input) else { return Batch::default() };
    let bytes = Bytes::copy_from_slice(input);
    super::within(2048 * input.len() + 64 * 1024, || {
        let (owned, borrowed) = if flags[0] & 1 == 0 {
            (decode_batch(&bytes), decode_batch(&Cow::Borrowed(input)))
        } else {
            (decode_answer(&bytes), decode_answer(&Cow::Borrowed(input)))
        };
        assert_eq!((&owned.fault, owned.rejected), (&borrowed.fault, borrowed.rejected));
        assert_eq!((owned.repeated, owned.unknown), (borrowed.repeated, borrowed.unknown));
        assert!(owned.rejected == 0 || owned.fault.is_some());
        let count = owned.envelopes.len();
        let batch = v2::EnvelopeBatch { batch: owned.envelopes.clone(), unknown: Vec::new() };
        let encoded = Bytes::from(batch.encode());
        let other = v2::EnvelopeBatch { batch: borrowed.envelopes, unknown: Vec::new() };
        assert_eq!(encoded, other.encode());
        let back = v2::EnvelopeBatch::decode(&encoded).unwrap();
        assert_eq!(back.batch.len(), count);
        let again = decode_batch(&Bytes::from(to_json(&batch, flags[1] & 1 == 0)));
        assert_eq!(again.fault, None);
        let again = v2::EnvelopeBatch { batch: again.envelopes, unknown: Vec::new() };
        assert_eq!(encoded, again.encode());
        owned
    })
}
