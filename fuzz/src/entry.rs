//! The target `entry`: one stored entry.

use bytes::Bytes;
use ingest_entry::{DecodeError, Entry, EntryRef, Header, Limits, Values, ValuesRef};

/// Decodes the bytes as a stored entry, under several limits.
///
/// Owned and borrowed decoding agree, what was decoded encodes and decodes to the same, a cut entry
/// is called cut and nothing else, limits are kept, and an error's offset lies in the input.
pub fn entry(input: &[u8]) -> Vec<Entry> {
    let bytes = Bytes::copy_from_slice(input);
    super::within(64 * input.len() + 4096, || {
        let small = Limits { max_data: 64, max_values: 128 };
        let mut seen = Vec::new();
        for limits in [Limits::FORMAT, Limits::default(), small] {
            let borrowed = EntryRef::decode_stored(input, &limits);
            let owned = Entry::decode_stored(&bytes, &limits);
            match (borrowed, owned) {
                (Ok((entry, used)), Ok((owned, used_owned))) => {
                    assert_eq!((entry, used), (owned.as_ref(), used_owned));
                    assert!(used <= input.len());
                    assert!(entry.data.len() <= limits.max_data as usize);
                    assert!(entry.values.as_bytes().len() <= limits.max_values as usize);
                    check(&entry);
                    cut(&input[..used], &limits);
                    seen.push(owned);
                }
                (Err(error), Err(owned)) => {
                    assert_eq!(error, owned);
                    refused(&error, input, &limits);
                }
                (borrowed, owned) => panic!("{borrowed:?} is not {owned:?}"),
            }
        }
        seen
    })
}

/// What holds for every decoded entry.
pub(crate) fn check(entry: &EntryRef<'_>) {
    let mut out = vec![7];
    entry.encode_stored(&mut out).unwrap();
    assert_eq!(out.len(), 1 + entry.stored_len());
    let (back, used) = EntryRef::decode_stored(&out[1..], &Limits::FORMAT).unwrap();
    assert_eq!((&back, used), (entry, out.len() - 1));
    let owned = entry.to_entry();
    assert_eq!(owned.as_ref(), *entry);
    let (shared, _) = Entry::decode_stored(&Bytes::from(out).slice(1..), &Limits::FORMAT).unwrap();
    assert_eq!(shared, owned);
    let header = entry.header().unwrap();
    assert_eq!(Header::decode(&header.encode()), header);
    let normal = entry.ts.normalized();
    assert_eq!(normal.normalized(), normal);
    assert!(entry.src.same_address(entry.src));
    values(entry.values);
}

/// Values are as many as they say, are what they say they are, and can be put together again.
fn values(values: ValuesRef<'_>) {
    assert_eq!(values.iter().count(), values.len());
    assert_eq!(values.is_empty(), values.as_bytes().is_empty());
    let (mut again, mut names) = (Values::new(), Vec::new());
    for value in values {
        let owned = value.to_owned_value();
        assert_eq!(owned.name(), value.name());
        assert_eq!(owned.value().as_ref().kind(), value.kind());
        let first = values.find(value.name()).unwrap();
        if !names.contains(&value.name()) {
            assert_eq!(first.kind(), value.kind());
            names.push(value.name());
        }
        again.add(value.name(), value.value()).unwrap();
    }
    assert_eq!(again.len(), names.len());
    let (back, _) = if again.is_empty() {
        (ValuesRef::EMPTY, 0)
    } else {
        ValuesRef::decode(again.as_ref().as_bytes(), &Limits::FORMAT).unwrap()
    };
    assert_eq!(back, again.as_ref());
    if names.len() == values.len() {
        // The same kinds and data under the same names; a bool is written as 0 or 1.
        assert_eq!(again.as_ref().as_bytes().len(), values.as_bytes().len());
    }
}

/// A part of a good entry is called truncated: the reader waits for the rest.
fn cut(good: &[u8], limits: &Limits) {
    let step = good.len() / 64 + 1;
    for len in (0..good.len()).step_by(step).chain([good.len() - 1]) {
        let error = EntryRef::decode_stored(&good[..len], limits).unwrap_err();
        assert!(error.is_truncated(), "{error} for {len} of {} bytes", good.len());
    }
}

/// What holds for every refusal.
pub(crate) fn refused(error: &DecodeError, input: &[u8], limits: &Limits) {
    assert!(error.offset() <= input.len(), "{error} beyond {} bytes", input.len());
    assert!(!error.to_string().is_empty());
    if let DecodeError::Truncated { need, have, .. } = *error {
        assert!(have < need && have <= input.len());
        let most = Header::LEN + limits.max_data as usize + limits.max_values as usize;
        assert!(need <= most, "{error} asks for more than the limits allow");
    }
}
