//! Entries as JSON, for people and their tools.

use std::borrow::Cow;
use std::net::IpAddr;

use ::serde::ser::{SerializeMap as _, SerializeSeq as _, SerializeStruct};
use ::serde::{Serialize, Serializer};

use crate::base64;
use crate::entry::EntryRef;
use crate::timestamp::Timestamp;
use crate::value::ValueRef;
use crate::values::ValuesRef;

/// The largest magnitude up to which every integer is a number in JSON: 2^53.
const SAFE: u64 = 1 << 53;

/// An entry as the program shows it: one JSON object, with these members in this order.
///
/// | member | is |
/// |---|---|
/// | `ts` | the time, RFC 3339 with nanoseconds, in UTC; outside of the years 0000 to 9999 `@SECONDS.NANOS` |
/// | `src` | the address, `""` for none; `::ffff:a.b.c.d` is written `a.b.c.d` |
/// | `tag` | the tag's name |
/// | `data` | the data as text |
/// | `encoding` | `"base64"`, only if the data are not UTF-8 and `data` is therefore base64 |
/// | `values` | an object of the enumerated values by name |
/// | `lsn` | the log sequence number, if known |
/// | `arrived` | when the entry came in, in the form of `ts`, if known |
///
/// Integers beyond ±2^53 are strings, also the LSN, and so are the floats `"NaN"`, `"Infinity"`
/// and `"-Infinity"`. Bytes, and text that is not UTF-8, are `{"base64":"…"}`. IP and hardware
/// addresses (`00:1b:…`) and timestamps are strings, durations integers in nanoseconds. A name
/// that is there more than once has an array, at its first place. A name that is not UTF-8 has
/// U+FFFD in place of what is wrong.
///
/// ```
/// use ingest_entry::{EntryJson, EntryRef, Source, TagId, Timestamp};
///
/// let ts = Timestamp::from_unix(1_700_000_000, 0).unwrap();
/// let entry = EntryRef::new(ts, Source::NONE, TagId(1), b"hi");
/// let json = EntryJson { entry, tag_name: "syslog", lsn: Some(7), arrived: None };
/// assert_eq!(
///     serde_json::to_string(&json)?,
///     r#"{"ts":"2023-11-14T22:13:20.000000000Z","src":"","tag":"syslog","data":"hi","values":{},"lsn":7}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct EntryJson<'a> {
    /// The entry; its tag number is not shown.
    pub entry: EntryRef<'a>,
    /// The name of its tag.
    pub tag_name: &'a str,
    /// Its place in the log.
    pub lsn: Option<u64>,
    /// When it came in.
    pub arrived: Option<Timestamp>,
}

impl Serialize for EntryJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let more = usize::from(self.lsn.is_some()) + usize::from(self.arrived.is_some());
        let mut object = begin(serializer, &self.entry, self.tag_name, more)?;
        if let Some(lsn) = self.lsn {
            object.serialize_field("lsn", &Json(ValueRef::U64(lsn)))?;
        }
        if let Some(arrived) = self.arrived {
            object.serialize_field("arrived", &arrived)?;
        }
        object.end()
    }
}

/// Writes the members from `ts` to `values`, with room for so many more.
pub(crate) fn begin<S: Serializer>(
    serializer: S,
    entry: &EntryRef<'_>,
    tag: impl Serialize,
    more: usize,
) -> Result<S::SerializeStruct, S::Error> {
    let text = core::str::from_utf8(entry.data);
    let members = 5 + usize::from(text.is_err()) + more;
    let mut object = serializer.serialize_struct("Entry", members)?;
    object.serialize_field("ts", &entry.ts)?;
    object.serialize_field("src", &entry.src)?;
    object.serialize_field("tag", &tag)?;
    match text {
        Ok(text) => object.serialize_field("data", text)?,
        Err(_) => {
            object.serialize_field("data", &base64::encode(entry.data))?;
            object.serialize_field("encoding", "base64")?;
        }
    }
    object.serialize_field("values", &entry.values)?;
    Ok(object)
}

/// A value in the JSON form.
struct Json<'a>(ValueRef<'a>);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            ValueRef::Bytes(bytes) => bytes_object(bytes, serializer),
            ValueRef::Text(text) => match core::str::from_utf8(text) {
                Ok(text) => serializer.serialize_str(text),
                Err(_) => bytes_object(text, serializer),
            },
            ValueRef::Bool(v) => serializer.serialize_bool(v),
            ValueRef::U8(v) => serializer.serialize_u8(v),
            ValueRef::I8(v) => serializer.serialize_i8(v),
            ValueRef::I16(v) => serializer.serialize_i16(v),
            ValueRef::U16(v) => serializer.serialize_u16(v),
            ValueRef::I32(v) => serializer.serialize_i32(v),
            ValueRef::U32(v) => serializer.serialize_u32(v),
            ValueRef::I64(v) | ValueRef::Duration(v) if v.unsigned_abs() <= SAFE => {
                serializer.serialize_i64(v)
            }
            ValueRef::I64(v) | ValueRef::Duration(v) => serializer.collect_str(&v),
            ValueRef::U64(v) if v <= SAFE => serializer.serialize_u64(v),
            ValueRef::U64(v) => serializer.collect_str(&v),
            ValueRef::F32(v) if v.is_finite() => serializer.serialize_f32(v),
            ValueRef::F32(v) => serializer.serialize_str(not_finite(f64::from(v))),
            ValueRef::F64(v) if v.is_finite() => serializer.serialize_f64(v),
            ValueRef::F64(v) => serializer.serialize_str(not_finite(v)),
            ValueRef::Mac(mac) => {
                let pairs: Vec<_> = mac.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
                serializer.serialize_str(&pairs.join(":"))
            }
            ValueRef::Ip(IpAddr::V6(ip)) => serializer.collect_str(&ip.to_canonical()),
            ValueRef::Ip(ip) => serializer.collect_str(&ip),
            ValueRef::Timestamp(ts) => ts.serialize(serializer),
        }
    }
}

const fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn bytes_object<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_map(Some(1))?;
    object.serialize_entry("base64", &base64::encode(bytes))?;
    object.end()
}

/// Several values of one name.
struct Array<'s, 'a>(&'s [(Cow<'a, str>, usize, ValueRef<'a>)]);

impl Serialize for Array<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(Some(self.0.len()))?;
        for (_, _, value) in self.0 {
            array.serialize_element(&Json(*value))?;
        }
        array.end()
    }
}

/// The object of values by name; see `EntryJson`.
impl Serialize for ValuesRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut named: Vec<_> = self
            .iter()
            .enumerate()
            .map(|(place, value)| (String::from_utf8_lossy(value.name()), place, value.value()))
            .collect();
        // Those of one name side by side, each in their order; then the names by first place.
        named.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let mut groups: Vec<_> = named.chunk_by(|a, b| a.0 == b.0).collect();
        groups.sort_unstable_by_key(|group| group.first().map(|first| first.1));
        let mut object = serializer.serialize_map(Some(groups.len()))?;
        for group in groups {
            match group {
                [(name, _, value)] => object.serialize_entry(name, &Json(*value))?,
                [(name, _, _), ..] => object.serialize_entry(name, &Array(group))?,
                [] => {}
            }
        }
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mac, Source, TagId, Values};

    fn json(values: &Values) -> String {
        serde_json::to_string(&values.as_ref()).unwrap()
    }

    fn one<'v>(value: impl Into<ValueRef<'v>>) -> String {
        let mut values = Values::new();
        values.push("k", value).unwrap();
        json(&values).strip_prefix("{\"k\":").unwrap().strip_suffix('}').unwrap().to_owned()
    }

    #[test]
    fn every_kind() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (value, text) in [
            (ValueRef::Bytes(b"\x00\xff"), r#"{"base64":"AP8="}"#),
            (ValueRef::Text(b"h\xc3\xa9\"\n"), r#""hé\"\n""#),
            (ValueRef::Text(b"\xff"), r#"{"base64":"/w=="}"#),
            (ValueRef::Bool(true), "true"),
            (ValueRef::U8(255), "255"),
            (ValueRef::I8(-128), "-128"),
            (ValueRef::I16(-1), "-1"),
            (ValueRef::U16(65_535), "65535"),
            (ValueRef::I32(i32::MIN), "-2147483648"),
            (ValueRef::U32(u32::MAX), "4294967295"),
            (ValueRef::I64(-(1 << 53)), "-9007199254740992"),
            (ValueRef::I64(-(1 << 53) - 1), r#""-9007199254740993""#),
            (ValueRef::I64(i64::MIN), r#""-9223372036854775808""#),
            (ValueRef::U64(1 << 53), "9007199254740992"),
            (ValueRef::U64((1 << 53) + 1), r#""9007199254740993""#),
            (ValueRef::Duration(-7), "-7"),
            (ValueRef::Duration(i64::MAX), r#""9223372036854775807""#),
            (ValueRef::F32(0.1), "0.1"),
            (ValueRef::F32(f32::NEG_INFINITY), r#""-Infinity""#),
            (ValueRef::F64(-0.0), "-0.0"),
            (ValueRef::F64(f64::INFINITY), r#""Infinity""#),
            (ValueRef::F64(f64::NAN), r#""NaN""#),
            (ValueRef::Mac(Mac::new(&[0, 0x1b, 2, 3, 4, 0xff]).unwrap()), r#""00:1b:02:03:04:ff""#),
            (ValueRef::Mac(Mac::new(&[]).unwrap()), r#""""#),
            (ValueRef::Ip(ip("10.0.0.1")), r#""10.0.0.1""#),
            (ValueRef::Ip(ip("::ffff:10.0.0.1")), r#""10.0.0.1""#),
            (ValueRef::Ip(ip("::")), r#""::""#),
            (ValueRef::Timestamp(Timestamp::UNIX_EPOCH), r#""1970-01-01T00:00:00.000000000Z""#),
        ] {
            assert_eq!(one(value), text);
        }
    }

    #[test]
    fn repeated_names_are_arrays_at_their_first_place() {
        let mut values = Values::new();
        for (name, value) in [("z", 1u8), ("a", 2), ("z", 3), ("m", 4), ("a", 5), ("z", 6)] {
            values.push(name, value).unwrap();
        }
        assert_eq!(json(&values), r#"{"z":[1,3,6],"a":[2,5],"m":4}"#);
        let mut bad = Values::new();
        bad.push(b"\xff", 1u8).unwrap();
        bad.push(b"\xfe", 2u8).unwrap();
        assert_eq!(json(&bad), "{\"\u{fffd}\":[1,2]}");
    }

    #[test]
    fn members_in_order() {
        let mut values = Values::new();
        values.add("host", "web1").unwrap();
        let src = Source::from_ip("::ffff:10.1.2.3".parse().unwrap());
        let mut entry =
            EntryRef::new(Timestamp::from_wire(i64::MIN, 5), src, TagId(9), b"\xff\x00");
        entry.values = values.as_ref();
        let arrived = Some(Timestamp::UNIX_EPOCH);
        let line = EntryJson { entry, tag_name: "t", lsn: Some(u64::MAX), arrived };
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            concat!(
                r#"{"ts":"@-9223372098990372608.000000005","src":"10.1.2.3","tag":"t","data":"/wA=","#,
                r#""encoding":"base64","values":{"host":"web1"},"lsn":"18446744073709551615","#,
                r#""arrived":"1970-01-01T00:00:00.000000000Z"}"#
            )
        );
    }
}
