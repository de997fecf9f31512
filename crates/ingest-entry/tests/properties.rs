//! Properties: what is written is read back, what is cut short is an error, and no bytes panic.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use ingest_entry::stored::{self, Definition, Summary, Table, TableRef};
use ingest_entry::{
    BlockRef, Entry, EntryRef, EnumeratedValue, Header, LimitError, Limits, Mac, SliceRef, Source,
    TagId, TagName, Timestamp, Value, ValueRef, Values, ValuesRef, ValuesWriter, encode_block,
    encode_slice,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn timestamp() -> impl Strategy<Value = Timestamp> {
    let seconds = prop_oneof![any::<i64>(), 62_135_596_800i64..65_000_000_000];
    let nanos = prop_oneof![any::<u32>(), 0u32..1_000_000_000];
    (seconds, nanos).prop_map(|(seconds, nanos)| Timestamp::from_wire(seconds, nanos))
}

fn source() -> impl Strategy<Value = Source> {
    (any::<[u8; 16]>(), any::<bool>()).prop_map(|(bytes, v4)| Source::from_wire(bytes, v4))
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|v| IpAddr::V4(Ipv4Addr::from(v))),
        any::<u128>().prop_map(|v| IpAddr::V6(Ipv6Addr::from(v))),
        any::<u32>().prop_map(|v| IpAddr::V6(Ipv4Addr::from(v).to_ipv6_mapped())),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let bytes = || vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let mac = (0usize..=10).prop_flat_map(|pairs| vec(any::<u8>(), pairs * 2));
    prop_oneof![
        bytes().prop_map(Value::Bytes),
        any::<bool>().prop_map(Value::Bool),
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<i16>().prop_map(Value::I16),
        any::<u16>().prop_map(Value::U16),
        any::<i32>().prop_map(Value::I32),
        any::<u32>().prop_map(Value::U32),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        any::<f32>().prop_map(Value::F32),
        any::<f64>().prop_map(Value::F64),
        bytes().prop_map(Value::Text),
        mac.prop_map(|mac| Value::Mac(Mac::new(&mac).unwrap())),
        ip().prop_map(Value::Ip),
        timestamp().prop_map(Value::Timestamp),
        any::<i64>().prop_map(Value::Duration),
    ]
}

fn named() -> impl Strategy<Value = Vec<(Vec<u8>, Value)>> {
    // Few different names, so that some repeat.
    let name = prop_oneof![vec(b'a'..b'e', 1..2), vec(any::<u8>(), 1..30)];
    vec((name, value()), 0..8)
}

fn pushed(named: &[(Vec<u8>, Value)]) -> Values {
    let mut values = Values::new();
    for (name, value) in named {
        values.push(name, value).unwrap();
    }
    values
}

prop_compose! {
    fn entry()(
        ts in timestamp(),
        src in source(),
        tag in any::<u16>(),
        data in vec(any::<u8>(), 0..200),
        named in named(),
    ) -> Entry {
        Entry { ts, src, tag: TagId(tag), data: data.into(), values: pushed(&named) }
    }
}

/// Bytes that look like an entry often enough to get deep into the decoder.
fn nearly_an_entry() -> impl Strategy<Value = Vec<u8>> {
    (entry(), vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), any::<bool>()).prop_map(
        |(entry, changes, flag)| {
            let mut bytes = Vec::new();
            entry.encode_stored(&mut bytes).unwrap();
            if flag {
                bytes[3] |= 0x40;
            }
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes
        },
    )
}

/// Runs every decoder over the bytes.
fn decode_everything(bytes: &[u8]) {
    for limits in [Limits::FORMAT, Limits::default(), Limits { max_data: 3, max_values: 20 }] {
        if let Ok((entry, used)) = EntryRef::decode_stored(bytes, &limits) {
            assert!(used <= bytes.len());
            assert!(entry.data.len() <= limits.max_data as usize);
            assert!(entry.values.as_bytes().len() <= limits.max_values as usize);
            // What was accepted is written again, and the same.
            let mut again = Vec::new();
            entry.encode_stored(&mut again).unwrap();
            assert_eq!(EntryRef::decode_stored(&again, &limits).unwrap(), (entry, again.len()));
            for value in entry.values {
                let _ = format!("{:?}", value.to_owned_value());
            }
        }
        let _ = BlockRef::decode(bytes, &limits).map(|block| block.iter().count());
        let _ = SliceRef::decode(bytes, &limits).map(|(slice, _)| slice.iter().count());
        let _ = ValuesRef::decode(bytes, &limits).map(|(values, _)| values.iter().count());
        let _ = Entry::decode_stored(&Bytes::copy_from_slice(bytes), &limits);
    }
    // Every item takes at least one byte, so what an iterator yields is bounded by its input.
    assert!(stored::entries(bytes).count() <= bytes.len() / Header::LEN + 1);
    assert!(stored::definitions(bytes).count() <= bytes.len() / 6 + 1);
    if let Ok(table) = TableRef::decode(bytes) {
        assert!(table.len() <= bytes.len() / 6);
    }
    if let Ok(table) = Table::decode(bytes) {
        assert!(table.encoded_len() <= bytes.len());
    }
    if let Ok(summary) = Summary::decode(bytes) {
        assert_eq!(summary.encoded_len(), bytes.len());
    }
    let _ = TagName::from_bytes(bytes);
    if let Ok(name) = TagName::remap(bytes, '_') {
        assert_eq!(TagName::check(name.as_str()), Ok(()));
    }
    let _ = std::str::from_utf8(bytes).map(str::parse::<Timestamp>);
}

proptest! {
    #[test]
    fn timestamps(ts in timestamp(), other in timestamp()) {
        prop_assert_eq!(Timestamp::from_wire(ts.wire_seconds(), ts.nanos()), ts);
        prop_assert_eq!(ts.cmp(&other), other.cmp(&ts).reverse());
        prop_assert_eq!(ts.cmp(&other).is_eq(), ts == other);
        if ts.unix_nanos() != other.unix_nanos() {
            prop_assert_eq!(ts.cmp(&other), ts.unix_nanos().cmp(&other.unix_nanos()));
        }
        let normal = ts.normalized();
        if normal.unix_nanos() == ts.unix_nanos() {
            prop_assert_eq!(ts.to_string(), normal.to_string());
            prop_assert_eq!(normal.to_string().parse(), Ok(normal));
        }
        if let Some(seconds) = normal.unix_seconds() {
            prop_assert_eq!(Timestamp::from_unix(seconds, normal.nanos()), Some(normal));
        }
        if let Some(time) = ts.to_system_time() {
            prop_assert_eq!(Timestamp::from_system_time(time), Some(normal));
        }
    }

    #[test]
    fn unix_nanoseconds(nanos in any::<i64>()) {
        prop_assert_eq!(Timestamp::from_unix_nanos(nanos).unix_nanos(), i128::from(nanos));
    }

    #[test]
    fn timestamp_texts_never_panic(text in "[-+@0-9TZz:. ]{0,40}") {
        let _ = text.parse::<Timestamp>();
    }

    #[test]
    fn sources(ip in ip(), bytes in any::<[u8; 16]>()) {
        let source = Source::from_ip(ip);
        prop_assert_eq!(source.to_ip(), Some(ip.to_canonical()).filter(|_| !source.is_none()));
        let text = source.to_string();
        prop_assert_eq!(text.parse().ok(), source.to_ip());
        let raw = Source::from_wire(bytes, false);
        prop_assert_eq!(raw.wire_bytes(), &bytes);
    }

    #[test]
    fn tag_names(text in any::<String>(), replacement in any::<char>()) {
        match TagName::new(&text) {
            Ok(name) => {
                prop_assert_eq!(name.as_str(), text.trim());
                prop_assert_eq!(TagName::remap(&text, '_'), Ok(name));
            }
            Err(_) => prop_assert!(TagName::check(&text).is_err()),
        }
        prop_assert_eq!(TagName::remap("a", replacement).is_ok(), TagName::allows(replacement));
    }

    #[test]
    fn lists_of_values(named in named()) {
        let pushed = pushed(&named);
        prop_assert_eq!(pushed.len(), named.len());
        for (found, (name, value)) in pushed.iter().zip(&named) {
            prop_assert_eq!(found.name(), name);
            prop_assert_eq!(found.data(), {
                let lone = EnumeratedValue::new(name.clone(), value.clone()).unwrap();
                let mut list = Values::new();
                list.push(lone.name(), lone.value()).unwrap();
                list.iter().next().unwrap().data().to_vec()
            });
        }
        // The writer, behind other bytes, gives the same block.
        let mut out = vec![1, 2, 3];
        let mut writer = ValuesWriter::new(&mut out);
        for (name, value) in &named {
            writer.push(name, value).unwrap();
        }
        prop_assert_eq!(writer.finish(), pushed.as_ref());
        prop_assert_eq!(&out[3..], pushed.as_ref().as_bytes());

        if !named.is_empty() {
            let block = pushed.as_ref().as_bytes();
            let shared = Bytes::copy_from_slice(block);
            prop_assert_eq!(&Values::decode(&shared, &Limits::FORMAT).unwrap().0, &pushed);
            for len in 0..block.len() {
                let cut = ValuesRef::decode(&block[..len], &Limits::FORMAT).unwrap_err();
                prop_assert!(cut.is_truncated());
            }
        }
    }

    #[test]
    fn adding_replaces(named in named(), shared in any::<bool>()) {
        let mut values = Values::new();
        let mut model: Vec<(Vec<u8>, Value)> = Vec::new();
        for (name, value) in &named {
            if shared && !values.is_empty() {
                // As if decoded from memory that is not ours to change.
                let block = Bytes::copy_from_slice(values.as_ref().as_bytes());
                values = Values::decode(&block, &Limits::FORMAT).unwrap().0;
            }
            values.add(name, value).unwrap();
            match model.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = value.clone(),
                None => model.push((name.clone(), value.clone())),
            }
        }
        prop_assert_eq!(&values, &pushed(&model));
        values.clear();
        prop_assert_eq!(values, Values::new());
    }

    #[test]
    fn stored_entries(entry in entry(), behind in vec(any::<u8>(), 0..10)) {
        let mut bytes = vec![9];
        entry.encode_stored(&mut bytes).unwrap();
        let bytes = bytes.split_off(1);
        prop_assert_eq!(bytes.len(), entry.as_ref().stored_len());
        for len in 0..bytes.len() {
            let cut = EntryRef::decode_stored(&bytes[..len], &Limits::FORMAT).unwrap_err();
            prop_assert!(cut.is_truncated() && cut.offset() <= len);
        }
        let all = [&bytes[..], &behind].concat();
        let (back, used) = EntryRef::decode_stored(&all, &Limits::FORMAT).unwrap();
        prop_assert_eq!((back, used), (entry.as_ref(), bytes.len()));
        prop_assert_eq!(&back.to_entry(), &entry);
        let (owned, used) = Entry::decode_stored(&Bytes::from(all), &Limits::FORMAT).unwrap();
        prop_assert_eq!((&owned, used), (&entry, bytes.len()));

        let header = entry.as_ref().header().unwrap();
        prop_assert_eq!(Header::decode(&header.encode()), header);
        prop_assert_eq!(&bytes[..Header::LEN], header.encode());
    }

    #[test]
    fn headers(bytes in any::<[u8; 34]>()) {
        let mut want = bytes;
        if bytes[3] & 0x80 != 0 {
            want[22..].fill(0);
        }
        prop_assert_eq!(Header::decode(&bytes).encode(), want);
    }

    #[test]
    fn bodies_blocks_and_slices(entries in vec(entry(), 0..6)) {
        let refs: Vec<_> = entries.iter().map(Entry::as_ref).collect();
        let mut body = Vec::new();
        for entry in &refs {
            entry.encode_stored(&mut body).unwrap();
        }
        let read: Result<Vec<_>, _> = stored::entries(&body).collect();
        prop_assert_eq!(read.as_ref(), Ok(&refs));

        let mut slice = Vec::new();
        encode_slice(refs.iter().copied(), &mut slice).unwrap();
        prop_assert_eq!(&slice[8..], &body);
        prop_assert!(SliceRef::decode(&slice, &Limits::FORMAT).unwrap().0.iter().eq(refs.iter().copied().map(Ok)));

        let mut block = Vec::new();
        let written = encode_block(refs.iter().copied(), &mut block);
        let key = refs.first().map_or(0, |entry| entry.ts.wire_seconds());
        prop_assert_eq!(written.is_ok(), key > 0);
        if written.is_ok() {
            prop_assert_eq!(&block[16..], &body);
            let found = BlockRef::decode(&block, &Limits::FORMAT).unwrap();
            prop_assert_eq!((found.key(), found.len()), (key, refs.len()));
            for len in 0..block.len() {
                prop_assert!(BlockRef::decode(&block[..len], &Limits::FORMAT).is_err());
            }
            for len in 0..slice.len() {
                prop_assert!(SliceRef::decode(&slice[..len], &Limits::FORMAT).is_err());
            }
        }
    }

    #[test]
    fn tables(items in vec((any::<bool>(), 0u16..8, "[a-f]{1,2}"), 0..20)) {
        let mut table = Table::new();
        for (is_tag, number, name) in &items {
            let (number, name) = (*number, name.as_str());
            let definition = if *is_tag {
                Definition::Tag { id: TagId(number), name }
            } else {
                Definition::Source { number, name }
            };
            let before = table.clone();
            match table.apply(&definition) {
                Ok(new) => prop_assert_eq!(new, before != table),
                Err(_) => prop_assert_eq!(before, table.clone()),
            }
        }
        let mut bytes = Vec::new();
        table.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), table.encoded_len());
        prop_assert_eq!(Table::decode(&bytes), Ok(table.clone()));
        prop_assert!(stored::definitions(&bytes[4..]).map(Result::unwrap).eq(table.definitions()));
        for len in 0..bytes.len() {
            prop_assert!(Table::decode(&bytes[..len]).is_err());
        }
    }

    #[test]
    fn summaries(counts in vec((any::<u16>(), any::<u64>()), 0..20)) {
        let mut summary = Summary::new();
        for &(tag, entries) in &counts {
            summary.add(TagId(tag), entries);
        }
        let mut bytes = Vec::new();
        summary.encode(&mut bytes);
        prop_assert_eq!(Summary::decode(&bytes).unwrap(), summary);
        for len in 0..bytes.len() {
            prop_assert!(Summary::decode(&bytes[..len]).unwrap_err().is_truncated());
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in vec(any::<u8>(), 0..120)) {
        decode_everything(&bytes);
    }

    #[test]
    fn nearly_right_bytes_never_panic(bytes in nearly_an_entry()) {
        decode_everything(&bytes);
        if bytes.len() > Header::LEN {
            decode_everything(&bytes[Header::LEN..]);
        }
    }
}

#[cfg(feature = "serde")]
proptest! {
    #[test]
    fn json_out_and_back(entry in entry()) {
        let text = serde_json::to_string(&entry).unwrap();
        let back: Entry = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(back.ts.unix_nanos(), entry.ts.unix_nanos().min(Timestamp::MAX.unix_nanos()));
        prop_assert!(back.src.same_address(entry.src));
        prop_assert_eq!((back.tag, &back.data, back.values.len()), (entry.tag, &entry.data, entry.values.len()));
        // Reading gives the kinds that JSON has; from then on nothing changes.
        let second = serde_json::to_string(&back).unwrap();
        let third: Entry = serde_json::from_str(&second).unwrap();
        prop_assert_eq!(third, back);
    }

    #[test]
    fn json_never_panics(text in any::<String>()) {
        let _ = serde_json::from_str::<Entry>(&text);
        let _ = serde_json::from_str::<Values>(&text);
    }
}

#[test]
fn lengths_on_the_edge() {
    let mut values = Values::new();
    let (name, data) = ("n".repeat(1024), vec![0; ValueRef::MAX_LEN]);
    values.push(&name, &data[..]).unwrap();
    assert_eq!(values.as_ref().as_bytes().len(), 8 + 65_535);
    let (back, _) = ValuesRef::decode(values.as_ref().as_bytes(), &Limits::FORMAT).unwrap();
    assert_eq!(back, values.as_ref());

    let before = values.clone();
    let long = vec![0; ValueRef::MAX_LEN + 1];
    assert_eq!(values.push("k", &long[..]), Err(LimitError::ValueTooLong { len: long.len() }));
    assert_eq!(values.add(&name, &long[..]), Err(LimitError::ValueTooLong { len: long.len() }));
    assert_eq!(values.push("", 1u8), Err(LimitError::NameLength { len: 0 }));
    assert_eq!(values.push("n".repeat(1025), 1u8), Err(LimitError::NameLength { len: 1025 }));
    assert_eq!(values, before);
}

#[test]
fn as_many_values_as_there_can_be() {
    let mut values = Values::new();
    for number in 0..u16::MAX {
        values.push(number.to_le_bytes(), number).unwrap();
    }
    assert_eq!(values.push("one more", 1u8), Err(LimitError::TooManyValues));
    assert_eq!(values.len(), 65_535);
    let (back, _) = ValuesRef::decode(values.as_ref().as_bytes(), &Limits::FORMAT).unwrap();
    assert_eq!(back, values.as_ref());
    let strict = Limits { max_values: 1000, ..Limits::default() };
    assert!(ValuesRef::decode(values.as_ref().as_bytes(), &strict).unwrap_err().can_continue());
}

#[test]
fn the_largest_block() {
    let (mut values, data) = (Values::new(), vec![0; ValueRef::MAX_LEN]);
    while values.as_ref().as_bytes().len() + 9 + data.len() <= ValuesRef::MAX_LEN {
        values.push("k", &data[..]).unwrap();
    }
    let before = values.len();
    assert!(matches!(values.push("k", &data[..]), Err(LimitError::ValuesTooLong { .. })));
    assert_eq!(values.len(), before);
    let room = ValuesRef::MAX_LEN - values.as_ref().as_bytes().len() - 9;
    values.push("k", &data[..room]).unwrap();
    assert_eq!(values.as_ref().as_bytes().len(), ValuesRef::MAX_LEN);
    ValuesRef::decode(values.as_ref().as_bytes(), &Limits::FORMAT).unwrap();
    assert!(matches!(values.add("k", &data[..]), Err(LimitError::ValuesTooLong { .. }) | Ok(())));
}

#[test]
fn an_unfinished_writer_leaves_no_trace() {
    let mut out = b"before".to_vec();
    let mut writer = ValuesWriter::new(&mut out);
    writer.push("k", "v").unwrap();
    drop(writer);
    assert_eq!(out, b"before");
    assert!(ValuesWriter::new(&mut out).finish().is_empty());
    assert_eq!(out, b"before");
}
