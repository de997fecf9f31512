//! Vectors made by the real Go library: its bytes are our bytes, its verdicts our verdicts.
//!
//! Reads the folder `gravwell` below the directory named by `INGESTRY_VECTORS`, if set, else the
//! project's copy. What a folder or a row lacks is printed as absent.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../../testdata/support/folder.rs"]
mod folder;
#[path = "../../../testdata/support/rows.rs"]
mod rows;

use bytes::Bytes;
use ingest_entry::{
    BlockRef, DecodeError, Entry, EntryRef, Limits, Part, SliceRef, Source, TagId, TagName,
    TagNameError, Timestamp, ValueKind, ValueRef, Values, ValuesRef, encode_block, encode_slice,
};
use rows::{Row, Tally, each_row};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const FORMATS: [&str; 5] = [
    "entry_encode.jsonl",
    "entry_decode.jsonl",
    "entry_block.jsonl",
    "tag_names.jsonl",
    "tag_codepoints.json",
];

// Where we differ on purpose: a rule on the row's own fields, and the specification's line.

/// Wire protocol, section 13, "EV flag but stream ends": the library takes an entry whose header
/// promises values although nothing follows the data; we refuse it.
const PROMISED_VALUES: &str = "values promised, nothing after the data";
/// Section 3, "Invalid UTF-8 bytes pass the check. We: reject."
const NOT_UTF8: &str = "tag name is not UTF-8";
/// Section 3, "Because the check trims but the name sent does not [...] We: reject or trim".
const PADDED: &str = "tag name has blanks around it: trimmed";
/// Section 3, 4096 bytes: the library measures before it replaces, we measure the result as well.
const REMAPPED_TOO_LONG: &str = "remapped tag name is longer than 4096 bytes";
/// Section 8, bool "0 false, non-zero true (write 1)": a value that is built anew is written as 1.
const ODD_BOOL: &str = "bool other than 0 and 1, built anew";

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hex is a string");
    assert!(text.len().is_multiple_of(2), "odd hex");
    let digit = |b: u8| char::from(b).to_digit(16).expect("a hex digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// `data_hex` or `data_fill` of an entry or value; `None` if both are absent.
fn data(object: &Value, tally: &mut Tally) -> Option<Vec<u8>> {
    if let Some(fill) = object.get("data_fill") {
        return Some(vec![unhex(&fill["byte"])[0]; fill["len"].as_u64().unwrap() as usize]);
    }
    tally.column(object, "data_hex").map(unhex)
}

/// A column of true or false.
fn flag(object: &Value, name: &str, tally: &mut Tally) -> Option<bool> {
    tally.column(object, name).map(|column| column.as_bool().expect("true or false"))
}

/// The entry that an object describes.
struct Built {
    /// Built by our API.
    entry: Entry,
    /// The block of its values, written by hand.
    block: Vec<u8>,
    /// Whether there is a bool other than 0 and 1.
    odd_bool: bool,
}

impl Built {
    /// `None` if a column is absent.
    fn new(object: &Value, tally: &mut Tally) -> Option<Self> {
        let ts = tally.column(object, "ts")?;
        // The Go struct holds 64 bits of nanoseconds, of which 32 reach the wire.
        let nanos = tally.column(ts, "nsec")?.as_i64().unwrap() as u32;
        let seconds = tally.column(ts, "sec")?.as_i64().unwrap();
        let src = unhex(tally.column(object, "src_hex")?);
        let mut address = [0; 16];
        address[..src.len()].copy_from_slice(&src);
        let tag = u16::try_from(tally.column(object, "tag")?.as_u64().unwrap()).unwrap();
        let mut entry = Entry::new(
            Timestamp::from_wire(seconds, nanos),
            Source::from_wire(address, src.len() == 4),
            TagId(tag),
            data(object, tally)?,
        );
        let (mut block, mut odd_bool) = (vec![0; 8], false);
        let values = tally.column(object, "evs")?.as_array().unwrap();
        for value in values {
            let name = tally.column(value, "name")?.as_str().unwrap();
            let code = u8::try_from(tally.column(value, "type")?.as_u64().unwrap()).unwrap();
            let data = data(value, tally)?;
            let kind = ValueKind::from_code(code).expect("a type of 1 to 17");
            let decoded = ValueRef::decode(kind, &data).expect("the type's width");
            entry.values.push(name, decoded).unwrap();
            odd_bool |= kind == ValueKind::Bool && data[0] > 1;
            for length in [8 + name.len() + data.len(), name.len(), data.len()] {
                block.extend_from_slice(&u16::try_from(length).unwrap().to_le_bytes());
            }
            block.extend_from_slice(&[code, 0]);
            block.extend_from_slice(name.as_bytes());
            block.extend_from_slice(&data);
        }
        let size = u32::try_from(block.len()).unwrap();
        block[..4].copy_from_slice(&size.to_le_bytes());
        block[4..6].copy_from_slice(&u16::try_from(values.len()).unwrap().to_le_bytes());
        if values.is_empty() {
            block.clear();
        }
        Some(Self { entry, block, odd_bool })
    }

    /// The entries of a row.
    fn all(row: &Value, tally: &mut Tally) -> Option<Vec<Self>> {
        let entries = tally.column(row, "entries")?.as_array().unwrap();
        entries.iter().map(|entry| Self::new(entry, tally)).collect()
    }

    /// The entry with the block written by hand in place of our own.
    fn by_hand(&self) -> EntryRef<'_> {
        let mut entry = self.entry.as_ref();
        if !self.block.is_empty() {
            let (values, used) = ValuesRef::decode(&self.block, &Limits::FORMAT).unwrap();
            assert_eq!(used, self.block.len());
            entry.values = values;
        }
        entry
    }
}

/// Compares bytes with `encoded_len` and `encoded_hex` or `encoded_sha256`.
fn compare_encoded(row: &Value, bytes: &[u8], tally: &mut Tally) {
    if let Some(len) = tally.column(row, "encoded_len") {
        assert_eq!(bytes.len() as u64, len.as_u64().unwrap());
    }
    if let Some(hex) = row.get("encoded_hex") {
        assert_eq!(bytes, unhex(hex));
    } else if let Some(digest) = tally.column(row, "encoded_sha256") {
        let found: String =
            Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, digest.as_str().unwrap());
    }
}

/// Whether the stored entries from `at` to the end of `bytes` end with one that promises values
/// and has nothing after its data. With `first`, only the first entry counts.
fn ends_in_promise(bytes: &[u8], mut at: usize, first: bool) -> bool {
    while bytes.len() >= at + 34 {
        let word = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        at += 34 + (word & 0x3FFF_FFFF) as usize;
        let promised = word & 1 << 30 != 0;
        if promised && at == bytes.len() {
            return true;
        }
        if first {
            return false;
        }
        if promised && bytes.len() >= at + 8 {
            at += u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        }
    }
    false
}

fn is_promise_error(error: DecodeError) -> bool {
    matches!(error, DecodeError::Truncated { part: Part::ValuesHeader, have: 0, .. })
}

/// That a decoded entry is what a row's `entry` says.
fn compare_entry(found: &EntryRef<'_>, want: &Value, tally: &mut Tally) {
    if let Some(ts) = tally.column(want, "ts") {
        if let Some(seconds) = tally.column(ts, "sec") {
            assert_eq!(found.ts.wire_seconds(), seconds.as_i64().unwrap());
        }
        if let Some(nanos) = tally.column(ts, "nsec") {
            assert_eq!(found.ts.nanos(), nanos.as_i64().unwrap() as u32);
        }
    }
    if let Some(src) = tally.column(want, "src_hex") {
        let src = unhex(src);
        assert_eq!(found.src.is_flagged_v4(), src.len() == 4);
        assert_eq!(found.src.wire_bytes()[..src.len()], src);
        assert!(found.src.wire_bytes()[src.len()..].iter().all(|&b| b == 0));
    }
    if let Some(tag) = tally.column(want, "tag") {
        assert_eq!(u64::from(found.tag.0), tag.as_u64().unwrap());
    }
    if let Some(data) = data(want, tally) {
        assert_eq!(found.data, data);
    }
    if let Some(values) = tally.column(want, "evs") {
        let values = values.as_array().unwrap();
        assert_eq!(found.values.len(), values.len());
        for (found, want) in found.values.iter().zip(values) {
            if let Some(kind) = tally.column(want, "type") {
                assert_eq!(u64::from(found.kind().code()), kind.as_u64().unwrap());
            }
            if let Some(name) = tally.column(want, "name") {
                assert_eq!(String::from_utf8_lossy(found.name()), name.as_str().unwrap());
            }
            if let Some(data) = data(want, tally) {
                assert_eq!(found.data(), data);
            }
        }
    }
}

#[test]
fn the_folder_holds_a_format() {
    let folder = folder::folder("gravwell");
    let found: Vec<_> = FORMATS.iter().filter(|file| folder.join(file).exists()).collect();
    println!("{}: {found:?}", folder.display());
    assert!(!found.is_empty(), "{} holds none of {FORMATS:?}", folder.display());
}

#[test]
fn entry_encode() {
    each_row("entry_encode.jsonl", |row, tally| {
        let built = Built::new(row, tally)?;
        let mut bytes = Vec::new();
        built.by_hand().encode_stored(&mut bytes).unwrap();
        compare_encoded(row, &bytes, tally);

        let (back, used) = EntryRef::decode_stored(&bytes, &Limits::FORMAT).unwrap();
        assert_eq!(used, bytes.len());
        compare_entry(&back, row, tally);
        let shared = Bytes::from(bytes.clone());
        let (owned, used) = Entry::decode_stored(&shared, &Limits::FORMAT).unwrap();
        assert_eq!((owned.as_ref(), used), (back, bytes.len()));

        if built.odd_bool {
            tally.differs(ODD_BOOL);
        } else {
            let mut anew = Vec::new();
            built.entry.encode_stored(&mut anew).unwrap();
            assert_eq!(anew.len(), built.entry.as_ref().stored_len());
            assert!(anew == bytes, "values built anew differ");
        }
        Some(Row::Checked)
    });
}

#[test]
fn entry_decode() {
    each_row("entry_decode.jsonl", |row, tally| {
        let bytes = unhex(tally.column(row, "hex")?);
        let found = EntryRef::decode_stored(&bytes, &Limits::FORMAT);
        if ends_in_promise(&bytes, 0, true) {
            tally.differs(PROMISED_VALUES);
            assert!(is_promise_error(found.unwrap_err()));
            return Some(Row::Checked);
        }
        let verdict = tally.column(row, "decode")?;
        if !flag(verdict, "ok", tally)? {
            let error = found.unwrap_err();
            assert!(error.offset() <= bytes.len(), "{error}");
            return Some(Row::Checked);
        }
        let (entry, used) = found.unwrap();
        for len in 0..used {
            let error = EntryRef::decode_stored(&bytes[..len], &Limits::FORMAT).unwrap_err();
            assert!(error.is_truncated(), "{len}: {error}");
        }
        if let Some(consumed) = tally.column(verdict, "consumed") {
            assert_eq!(used as u64, consumed.as_u64().unwrap());
        }
        compare_entry(&entry, tally.column(verdict, "entry")?, tally);
        Some(Row::Checked)
    });
}

#[test]
fn entry_block() {
    each_row("entry_block.jsonl", |row, tally| match tally.column(row, "kind")?.as_str() {
        Some("block_encode") => block_encode(row, tally),
        Some("slice_encode") => slice_encode(row, tally),
        Some("block_decode") => block_decode(row, tally),
        _ => Some(Row::Skipped("kind is not one of ours")),
    });
}

fn block_encode(row: &Value, tally: &mut Tally) -> Option<Row> {
    let built = Built::all(row, tally)?;
    let entries: Vec<_> = built.iter().map(Built::by_hand).collect();
    let mut bytes = Vec::new();
    let written = encode_block(entries.iter().copied(), &mut bytes);
    if !flag(row, "ok", tally)? {
        println!("refused: {}", written.unwrap_err());
        assert!(bytes.is_empty());
        return Some(Row::Checked);
    }
    written.unwrap();
    compare_encoded(row, &bytes, tally);
    let block = BlockRef::decode(&bytes, &Limits::FORMAT).unwrap();
    assert_eq!(block.len(), entries.len());
    assert!(block.iter().map(Result::unwrap).eq(entries));
    assert_eq!(block.key(), tally.column(row, "key")?.as_i64().unwrap());
    Some(Row::Checked)
}

fn slice_encode(row: &Value, tally: &mut Tally) -> Option<Row> {
    let built = Built::all(row, tally)?;
    let entries: Vec<_> = built.iter().map(Built::by_hand).collect();
    let mut bytes = Vec::new();
    let written = encode_slice(entries.iter().copied(), &mut bytes);
    if !flag(row, "ok", tally)? {
        println!("refused: {}", written.unwrap_err());
        return Some(Row::Checked);
    }
    written.unwrap();
    compare_encoded(row, &bytes, tally);
    let (slice, used) = SliceRef::decode(&bytes, &Limits::FORMAT).unwrap();
    assert_eq!((slice.len(), used), (entries.len(), bytes.len()));
    assert!(slice.iter().map(Result::unwrap).eq(entries));
    Some(Row::Checked)
}

fn block_decode(row: &Value, tally: &mut Tally) -> Option<Row> {
    let bytes = unhex(tally.column(row, "hex")?);
    let found = BlockRef::decode(&bytes, &Limits::FORMAT);
    if !flag(row, "ok", tally)? {
        println!("refused: {}", found.unwrap_err());
        return Some(Row::Checked);
    }
    if ends_in_promise(&bytes, 16, false) {
        tally.differs(PROMISED_VALUES);
        assert!(is_promise_error(found.unwrap_err()));
        return Some(Row::Checked);
    }
    let block = found.unwrap();
    assert_eq!(block.iter().filter(Result::is_ok).count(), block.len());
    if let Some(key) = tally.column(row, "key") {
        assert_eq!(block.key(), key.as_i64().unwrap());
    }
    assert_eq!(block.len() as u64, tally.column(row, "count")?.as_u64().unwrap());
    Some(Row::Checked)
}

#[test]
fn tag_names() {
    each_row("tag_names.jsonl", |row, tally| {
        let bytes = unhex(tally.column(row, "tag_hex")?);
        let found = TagName::from_bytes(&bytes);
        match std::str::from_utf8(&bytes) {
            Err(_) => {
                tally.differs(NOT_UTF8);
                assert!(matches!(found, Err(TagNameError::NotUtf8 { .. })));
            }
            Ok(text) => compare_verdict(row, text, found, tally),
        }
        // Rows with very long names have no remap.
        for remap in row.get("remap").and_then(Value::as_array).into_iter().flatten() {
            let replacement = tally.column(remap, "rune")?.as_str().unwrap().chars().next()?;
            let found = TagName::remap(&bytes, replacement);
            if !flag(remap, "ok", tally)? {
                found.unwrap_err();
                continue;
            }
            let out = unhex(tally.column(remap, "out_hex")?);
            if out.len() > TagName::MAX_LEN {
                tally.differs(REMAPPED_TOO_LONG);
                assert!(matches!(found, Err(TagNameError::TooLong { .. })));
            } else {
                assert_eq!(found.unwrap().as_str().as_bytes(), out, "{replacement:?}");
            }
        }
        Some(Row::Checked)
    });
}

/// That we judge a name as the library did.
fn compare_verdict(
    row: &Value,
    text: &str,
    found: Result<TagName, TagNameError>,
    tally: &mut Tally,
) {
    match flag(row, "valid", tally) {
        Some(true) => {
            if text.trim() != text {
                tally.differs(PADDED);
            }
            assert_eq!(found.as_ref().map(TagName::as_str), Ok(text.trim()));
            assert_eq!(TagName::check(text).is_ok(), text.trim() == text);
        }
        Some(false) => {
            let error = found.unwrap_err();
            assert!(TagName::check(text).is_err());
            let same = match tally.column(row, "error").and_then(Value::as_str) {
                Some("Tag name is empty") => error == TagNameError::Empty,
                Some("Tag name is too long") => matches!(error, TagNameError::TooLong { .. }),
                Some("Forbidden character in tag") => {
                    matches!(error, TagNameError::Forbidden { .. })
                }
                _ => true,
            };
            assert!(same, "{error}");
        }
        None => {}
    }
}

/// The Unicode version that our table follows.
const UNICODE: &str = "15.0.0";
/// All code points below this one have been assigned, and what they are, in every version of
/// Unicode that a Go release knows: what another version says of those must be what we say.
const SETTLED: u32 = 0x250;

#[test]
fn tag_codepoints() {
    let Some(text) = rows::text("tag_codepoints.json") else { return };
    let table: Value = serde_json::from_str(&text).expect("tag_codepoints.json is JSON");
    let version = table.get("unicode_version").and_then(Value::as_str);
    println!("tag_codepoints.json: Unicode {}", version.unwrap_or("version absent"));
    let end = if version.is_none_or(|v| v == UNICODE) { 0x11_0000 } else { SETTLED };
    let Some(ranges) = table.get("allowed_ranges_inclusive").and_then(Value::as_array) else {
        println!("tag_codepoints.json: absent column allowed_ranges_inclusive");
        return;
    };
    assert!(!ranges.is_empty(), "tag_codepoints.json holds no range");
    let mut allowed = vec![false; 0x11_0000];
    for range in ranges {
        let bound = |at: usize| range[at].as_u64().unwrap() as usize;
        allowed[bound(0)..=bound(1)].fill(true);
    }
    let mut checked = 0;
    for code in (0..end).filter_map(char::from_u32) {
        let name = format!("x{code}x");
        let want = allowed[u32::from(code) as usize];
        assert_eq!(TagName::new(&name).is_ok(), want, "U+{:04X}", u32::from(code));
        assert_eq!(TagName::allows(code), want, "U+{:04X}", u32::from(code));
        checked += 1;
    }
    println!("tag_codepoints.json: {} ranges read, {checked} code points checked", ranges.len());
}

#[test]
fn adding_the_same_name_replaces_as_in_the_library() {
    // What the row `ev_same_name_replaces` was made from: k, j, then k again.
    let mut values = Values::new();
    values.add("k", "first").unwrap();
    values.add("j", 1u8).unwrap();
    values.add("k", "second value").unwrap();
    let names: Vec<_> = values.iter().map(|value| value.name()).collect();
    assert_eq!(names, [b"k", b"j"]);
    assert_eq!(values.as_ref().find("k"), Some(ValueRef::Text(b"second value")));
}
