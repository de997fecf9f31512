//! Batches of envelopes.

use super::read::{JsonReader, Parsed};
use super::{JsonError, JsonFault};
use crate::v2::Envelope;
use crate::wire::Slice;

/// What a batch holds, and what was wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch<B: Slice = bytes::Bytes> {
    /// The envelopes that could be read, in order.
    pub envelopes: Vec<Envelope<B>>,
    /// How many could not.
    pub rejected: u64,
    /// The first fault. With [`JsonError::can_continue`] it cost an envelope; without, everything
    /// behind it.
    pub fault: Option<JsonError>,
    /// Members and keys that came again: the last one counts.
    pub repeated: u64,
    /// Members that are not known.
    pub unknown: u64,
}

impl<B: Slice> Default for Batch<B> {
    fn default() -> Self {
        Self { envelopes: Vec::new(), rejected: 0, fault: None, repeated: 0, unknown: 0 }
    }
}

/// Reads `{"batch":[…]}`, as the RLP gateway sends it. What is good in it is kept.
pub fn decode_batch<B: Parsed>(json: &B) -> Batch<B> {
    read(json, batch)
}

/// Reads `{"envelopes":{"batch":[…]}}`, as Log Cache answers. What is good in it is kept.
pub fn decode_answer<B: Parsed>(json: &B) -> Batch<B> {
    read(json, |reader, out| {
        reader.members(|reader, key| match key {
            b"envelopes" if !reader.null()? => batch(reader, out),
            b"envelopes" => Ok(()),
            _ => {
                reader.unknown += 1;
                reader.skip()
            }
        })
    })
}

fn read<B: Parsed>(
    json: &B,
    take: impl Fn(&mut JsonReader<'_, B>, &mut Batch<B>) -> Result<(), JsonError>,
) -> Batch<B> {
    let mut out = Batch::<B>::default();
    let mut reader = match JsonReader::new(json) {
        Ok(reader) => reader,
        Err(error) => {
            out.fault = Some(error);
            return out;
        }
    };
    let outcome = take(&mut reader, &mut out).and_then(|()| reader.end());
    if let Err(error) = outcome {
        out.fault.get_or_insert(error);
    }
    out.repeated += reader.repeated;
    out.unknown += reader.unknown;
    out
}

/// Room for so many more envelopes is made at most when the first is there: the gateway sends no more
/// than 100 in an event.
const AT_ONCE: usize = 128;

fn batch<B: Parsed>(reader: &mut JsonReader<'_, B>, out: &mut Batch<B>) -> Result<(), JsonError> {
    let mut seen = 0;
    reader.members(|reader, key| {
        if key != b"batch" {
            reader.unknown += 1;
            return reader.skip();
        }
        reader.once(&mut seen, 0);
        if reader.null()? {
            return Ok(());
        }
        let begin = reader.at;
        reader.elements(|reader| {
            if out.envelopes.len() == 1 {
                // As long as the first, most are.
                let more = reader.left() / (reader.at - begin).max(1);
                out.envelopes.reserve(more.min(AT_ONCE));
            }
            if reader.peek() == Some(b'n') {
                let error = reader.error(JsonFault::Type("an envelope"));
                reader.skip()?;
                out.rejected += 1;
                out.fault.get_or_insert(error);
                return Ok(());
            }
            out.envelopes.push(Envelope::default());
            let Some(envelope) = out.envelopes.last_mut() else { return Ok(()) };
            let outcome = reader.or_skip(|reader| reader.fill(envelope));
            if !matches!(outcome, Ok(Ok(()))) {
                out.envelopes.pop();
            }
            if let Err(error) = outcome? {
                out.rejected += 1;
                out.fault.get_or_insert(error);
            }
            Ok(())
        })
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_bad_envelope_costs_itself() {
        let json =
            r#"{"batch":[{"timestamp":"1"},{"timestamp":"x"},null,{"log":5},{"timestamp":2}]}"#;
        let batch = decode_batch(&Bytes::from_static(json.as_bytes()));
        let times: Vec<_> = batch.envelopes.iter().map(|envelope| envelope.timestamp).collect();
        assert_eq!(times, [1, 2]);
        assert_eq!(batch.rejected, 3);
        assert!(batch.fault.is_some_and(|fault| fault.can_continue()));
    }

    #[test]
    fn what_is_cut_off_leaves_what_was_before() {
        let json = br#"{"batch":[{"timestamp":"1"},{"timestamp":"2"},{"timest"#;
        let batch = decode_batch(&Bytes::from_static(json));
        assert_eq!(batch.envelopes.len(), 2);
        assert!(batch.fault.is_some_and(|fault| !fault.can_continue()));
    }

    #[test]
    fn members_that_come_again_are_counted_and_the_last_counts() {
        let json = br#"{"batch":[{"source_id":"a","sourceId":"b","tags":{"x":"1","x":"2"}}]}"#;
        let batch = decode_batch(&Bytes::from_static(json));
        assert_eq!(batch.repeated, 2);
        let envelope = &batch.envelopes[0];
        assert_eq!(envelope.source_id, "b");
        assert_eq!(envelope.tags.len(), 1);
        assert_eq!(envelope.tags[0].1, "2");
    }

    #[test]
    fn log_cache_wraps_its_batch() {
        let json = br#"{"envelopes":{"batch":[{"timestamp":"7"}]}}"#;
        let batch = decode_answer(&Bytes::from_static(json));
        assert_eq!(batch.envelopes.first().map(|envelope| envelope.timestamp), Some(7));
        assert_eq!(batch.fault, None);
    }

    #[test]
    fn depth_has_a_limit() {
        let json = format!("{{\"x\":{}", "[".repeat(100_000));
        let batch = decode_batch(&Bytes::from(json));
        assert_eq!(batch.fault.map(|fault| fault.fault), Some(JsonFault::TooDeep));
    }
}
