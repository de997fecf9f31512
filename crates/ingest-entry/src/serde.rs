//! Serialize and Deserialize for the types of this crate, in the form of `EntryJson`.
//!
//! An [`Entry`] has its tag as a number. Reading gives what the text says: JSON integers become
//! `I64` (`U64` above its range), other numbers `F64`, strings `Text`, `{"base64":…}` `Bytes`,
//! arrays several values of one name. So not every kind of value survives the way out and back.

use core::fmt;
use std::borrow::Cow;

use ::serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use ::serde::ser::SerializeStruct as _;
use ::serde::{Deserialize, Deserializer, Serialize, Serializer};
use bytes::Bytes;

use crate::base64;
use crate::entry::{Entry, EntryRef};
use crate::json;
use crate::source::Source;
use crate::tag::{TagId, TagName};
use crate::timestamp::Timestamp;
use crate::value::ValueRef;
use crate::values::Values;

/// A visitor of strings.
struct Text<T> {
    expecting: &'static str,
    parse: fn(&str) -> Result<T, String>,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}

/// RFC 3339 text, or `@SECONDS.NANOS`.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text {
            expecting: "an RFC 3339 date and time, or @SECONDS.NANOS",
            parse: |text| text.parse().map_err(|error| format!("{error}")),
        })
    }
}

/// The address as text, `""` for none.
impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text {
            expecting: "an IP address or an empty string",
            parse: |text| match text {
                "" => Ok(Self::NONE),
                _ => text.parse().map(Self::from_ip).map_err(|error| format!("{error}")),
            },
        })
    }
}

/// The number.
impl Serialize for TagId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TagId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u16::deserialize(deserializer).map(Self)
    }
}

/// The name as text.
impl Serialize for TagName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TagName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text {
            expecting: "a tag name",
            parse: |text| Self::new(text).map_err(|error| error.to_string()),
        })
    }
}

/// The object of values by name; see `EntryJson`.
impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of enumerated values by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
        let mut values = Values::new();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            map.next_value_seed(OneValue { values: &mut values, name: &name, within: false })?;
        }
        Ok(values)
    }
}

/// Reads one value, or an array of them, into the list.
struct OneValue<'v> {
    values: &'v mut Values,
    name: &'v str,
    /// Whether this is within an array, where there is no other array.
    within: bool,
}

impl OneValue<'_> {
    fn push<'x, E: Error>(self, value: impl Into<ValueRef<'x>>) -> Result<(), E> {
        self.values.push(self.name, value).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for OneValue<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneValue<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean, number, string, {\"base64\":…} or an array of these")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.push(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.push(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.push(value),
            Err(_) => self.push(value),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.push(value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.push(text)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.push(bytes)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match map.next_entry::<Cow<'de, str>, Cow<'de, str>>()? {
            Some((key, text)) if key == "base64" => {
                let bytes = base64::decode(&text).ok_or_else(|| {
                    A::Error::invalid_value(Unexpected::Str(&text), &"padded base64")
                })?;
                if map.next_key::<Cow<'de, str>>()?.is_some() {
                    return Err(A::Error::custom("base64 stands alone in its object"));
                }
                self.push(&*bytes)
            }
            _ => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.within {
            return Err(A::Error::invalid_type(Unexpected::Seq, &"a single value"));
        }
        let Self { values, name, .. } = self;
        while seq.next_element_seed(OneValue { values, name, within: true })?.is_some() {}
        Ok(())
    }
}

/// `{"ts":…,"src":…,"tag":NUMBER,"data":…[,"encoding":"base64"],"values":{…}}`
impl Serialize for EntryRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json::begin(serializer, self, self.tag, 0)?.end()
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().serialize(serializer)
    }
}

#[derive(Deserialize)]
#[serde(rename = "Entry", crate = "::serde")]
struct Parts {
    ts: Timestamp,
    #[serde(default)]
    src: Source,
    tag: TagId,
    data: String,
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    values: Values,
}

/// Reads what is written; `src` and `values` may be absent, other members are passed over.
impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = Parts::deserialize(deserializer)?;
        let data = match parts.encoding.as_deref() {
            None => Bytes::from(parts.data),
            Some("base64") => match base64::decode(&parts.data) {
                Some(data) => Bytes::from(data),
                None => return Err(D::Error::custom("data are not padded base64")),
            },
            Some(other) => {
                return Err(D::Error::invalid_value(Unexpected::Str(other), &"base64"));
            }
        };
        Ok(Self { ts: parts.ts, src: parts.src, tag: parts.tag, data, values: parts.values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Result<Values, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn out_and_back() {
        let mut entry = Entry::new(
            Timestamp::from_unix(1_700_000_000, 5).unwrap(),
            Source::from_ip("2001:db8::1".parse().unwrap()),
            TagId(65_535),
            "text\u{0} \"quoted\"",
        );
        entry.values.add("host", "web\u{e9}").unwrap();
        entry.values.add("bytes", &b"\xff"[..]).unwrap();
        entry.values.add("load", 1.0f64).unwrap();
        entry.values.push("n", -5i64).unwrap();
        entry.values.push("n", u64::MAX / 2).unwrap();
        let text = serde_json::to_string(&entry).unwrap();
        assert!(text.contains(r#""tag":65535,"#), "{text}");
        let back: Entry = serde_json::from_str(&text).unwrap();
        let strings = ValueRef::Text(b"9223372036854775807");
        assert_eq!(back.values.iter().last().unwrap().value(), strings);
        assert_eq!((back.ts, back.src, &back.data), (entry.ts, entry.src, &entry.data));
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }

    #[test]
    fn values_of_every_form() {
        let list = values(r#"{"a":[1,18446744073709551615,-0.5,true,"x",{"base64":"AP8="}]}"#);
        let list = list.unwrap();
        let list: Vec<_> = list.iter().map(|value| value.value()).collect();
        assert_eq!(
            list,
            [
                ValueRef::I64(1),
                ValueRef::U64(u64::MAX),
                ValueRef::F64(-0.5),
                ValueRef::Bool(true),
                ValueRef::Text(b"x"),
                ValueRef::Bytes(b"\x00\xff"),
            ]
        );
        assert_eq!(values("{}").unwrap(), Values::new());
        assert_eq!(values(r#"{"a":[]}"#).unwrap(), Values::new());
    }

    #[test]
    fn values_that_are_refused() {
        for bad in [
            r#"{"a":null}"#,
            r#"{"a":[[1]]}"#,
            r#"{"a":{}}"#,
            r#"{"a":{"base64":"AP8"}}"#,
            r#"{"a":{"base64":"AP8=","b":"c"}}"#,
            r#"{"a":{"b":"c"}}"#,
            r#"{"":1}"#,
            "[]",
        ] {
            assert!(values(bad).is_err(), "{bad}");
        }
        assert!(values(&format!("{{\"{}\":1}}", "n".repeat(1025))).is_err());
    }

    #[test]
    fn entries_that_are_refused() {
        let entry = |text: &str| serde_json::from_str::<Entry>(text);
        let good = r#"{"ts":"@5","tag":1,"data":"","lsn":7,"arrived":"2023-11-14T22:13:20Z"}"#;
        assert_eq!(entry(good).unwrap().src, Source::NONE);
        for bad in [
            r#"{"tag":1,"data":""}"#,
            r#"{"ts":"now","tag":1,"data":""}"#,
            r#"{"ts":"@5","tag":65536,"data":""}"#,
            r#"{"ts":"@5","tag":1,"data":"","src":"host"}"#,
            r#"{"ts":"@5","tag":1,"data":"A","encoding":"base64"}"#,
            r#"{"ts":"@5","tag":1,"data":"","encoding":"hex"}"#,
        ] {
            assert!(entry(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::from_str::<TagName>("\" a \"").unwrap().as_str(), "a");
        assert!(serde_json::from_str::<TagName>("\"a b\"").is_err());
    }
}
