//! Entries at the edges of the format.

use std::net::IpAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use ingest_entry::{Entry, Mac, Source, TagId, Timestamp, ValueRef, Values};

/// Every edge once: times, sources, data, each kind of value with its extremes.
pub(crate) fn corpus() -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let plain = Timestamp::from_unix(1_700_000_000, 1).context("a plain time")?;
    let address = Source::from_ip("192.0.2.7".parse()?);
    let mut add = |ts, src, data: &[u8], values: Values| {
        let (tag, data) = (TagId::DEFAULT, Bytes::copy_from_slice(data));
        entries.push(Entry { ts, src, tag, data, values });
    };
    for (seconds, nanos) in [
        (Timestamp::EPOCH_OFFSET - 1, 999_999_999),
        (Timestamp::EPOCH_OFFSET, 0),
        (0, 0),
        (-62_135_596_800, 5),
        (253_402_300_799 + Timestamp::EPOCH_OFFSET, 999_999_999),
        (i64::MAX, 999_999_999),
        (i64::MIN, 0),
    ] {
        add(Timestamp::from_wire(seconds, nanos), address, b"time", Values::new());
    }
    for text in ["0.0.0.0", "255.255.255.255", "2001:db8::7", "fe80::1", "::ffff:10.1.2.3", "::1"] {
        add(plain, Source::from_ip(text.parse()?), text.as_bytes(), Values::new());
    }
    add(plain, Source::NONE, b"no source", Values::new());
    let every: Vec<u8> = (0..=255).collect();
    for data in [&b""[..], b"\0", &every, &every.repeat(4096)] {
        add(plain, address, data, Values::new());
    }
    for (n, value) in values()?.into_iter().enumerate() {
        let mut one = Values::new();
        one.push(format!("value-{n}"), value.as_ref())?;
        add(plain, address, b"one value", one);
    }
    let mut all = Values::new();
    for (n, value) in values()?.iter().enumerate().filter(|(_, value)| !is_large(value)) {
        all.push(format!("v{n}"), value.as_ref())?;
    }
    add(plain, Source::NONE, b"", all.clone());
    add(plain, address, &every.repeat(4096), all);
    let mut names = Values::new();
    names.push("n".repeat(1024), true)?;
    names.push([0xFF, 0xFE], "a name that is not UTF-8")?;
    add(plain, address, b"names", names);
    let mut many = Values::new();
    for n in 0..2_000u32 {
        many.push(format!("value {n}"), n)?;
    }
    add(plain, address, b"many values", many);
    Ok(entries)
}

fn is_large(value: &ingest_entry::Value) -> bool {
    matches!(value.as_ref(), ValueRef::Bytes(bytes) | ValueRef::Text(bytes) if bytes.len() > 1024)
}

fn values() -> Result<Vec<ingest_entry::Value>> {
    use ingest_entry::Value as V;

    let large = Bytes::from(vec![b'x'; ValueRef::MAX_LEN]);
    let mut values = vec![
        V::Bytes(Bytes::new()),
        V::Bytes(Bytes::from_static(b"\x00\xff\r\n")),
        V::Bytes(large.clone()),
        V::Bool(true),
        V::Bool(false),
        V::Text(Bytes::new()),
        V::Text(Bytes::from_static("Grüße ☃".as_bytes())),
        V::Text(Bytes::from_static(b"\xc3\x28 not UTF-8")),
        V::Text(large),
        V::Duration(0),
        V::Duration(i64::MIN),
        V::Duration(i64::MAX),
        V::Timestamp(Timestamp::MIN),
        V::Timestamp(Timestamp::MAX),
        V::Timestamp(Timestamp::UNIX_EPOCH),
    ];
    values.extend([u8::MIN, u8::MAX].map(V::U8));
    values.extend([i8::MIN, -1, i8::MAX].map(V::I8));
    values.extend([i16::MIN, -1, i16::MAX].map(V::I16));
    values.extend([u16::MIN, u16::MAX].map(V::U16));
    values.extend([i32::MIN, -1, i32::MAX].map(V::I32));
    values.extend([u32::MIN, u32::MAX].map(V::U32));
    values.extend([i64::MIN, -1, i64::MAX].map(V::I64));
    values.extend([u64::MIN, u64::MAX].map(V::U64));
    values.extend([0.0, -0.0, 1.5, f32::MIN, f32::INFINITY].map(V::F32));
    values.extend([0.0, -0.0, 1.5, f64::MAX, f64::NEG_INFINITY, f64::EPSILON].map(V::F64));
    for address in ["0.0.0.0", "192.0.2.7", "::", "::1", "2001:db8::7", "::ffff:10.1.2.3"] {
        values.push(V::Ip(address.parse::<IpAddr>()?));
    }
    for len in [2, 6, 8, 20] {
        values.push(V::Mac(Mac::new(&vec![0xA5; len])?));
    }
    Ok(values)
}
