//! The JSON messages of the handshake: state responses, tag requests, tag responses.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Serialize, de};

use super::error::{Piece, ProtocolError};

/// Authenticated, not yet hot.
pub const STATE_AUTHENTICATED: u64 = 0x00BE_EF42;
/// Not authenticated.
pub const STATE_NOT_AUTHENTICATED: u64 = 0x00FE_ED51;
/// Hot: the client's last word of the handshake.
pub const STATE_HOT: u64 = 0x00CA_FE54;

/// Where the handshake stands: `u16` length and JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StateResponse {
    /// One of the `STATE_` numbers.
    #[serde(rename = "ID")]
    pub id: u64,
    /// Words for a person.
    #[serde(rename = "Info")]
    pub info: String,
}

/// The tags that a client asks for: `u32` length and JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TagRequest {
    /// How many there are; informative.
    #[serde(rename = "Count")]
    pub count: u64,
    /// Their names as the client writes them; `None` is `null`.
    #[serde(rename = "Tags")]
    pub tags: Option<Vec<String>>,
}

/// The numbers of the tags: `u32` length and JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TagResponse {
    /// How many there are; 0 is a refusal.
    #[serde(rename = "Count")]
    pub count: u64,
    /// Name to number; `None` is `null`.
    #[serde(rename = "Tags")]
    pub tags: Option<BTreeMap<String, u16>>,
}

/// A body of JSON behind its length.
macro_rules! body {
    ($type:ty, $piece:expr, $word:ty, $head:literal) => {
        impl $type {
            /// Appends the length and the JSON, byte for byte as Go writes it.
            ///
            /// # Errors
            /// [`ProtocolError::TooLong`] if the JSON is longer than `max`.
            pub fn encode(&self, max: u32, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
                let json = to_go_json(self, $piece)?;
                let too_long = ProtocolError::TooLong {
                    piece: $piece,
                    len: json.len() as u64,
                    max: u64::from(max),
                };
                if json.len() as u64 > u64::from(max) {
                    return Err(too_long);
                }
                let Ok(len) = <$word>::try_from(json.len()) else { return Err(too_long) };
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(json.as_bytes());
                Ok(())
            }

            /// Reads the message at the start of `input`: it and how many bytes it takes, or, as
            /// the error of the inner result, how many bytes are needed as far as is known.
            ///
            /// # Errors
            /// [`ProtocolError::TooLong`] as soon as the length has arrived,
            /// [`ProtocolError::Json`] for a body that is not such a message.
            pub fn decode(
                input: &[u8],
                max: u32,
            ) -> Result<Result<(Self, usize), usize>, ProtocolError> {
                let Some((len, rest)) = input.split_first_chunk::<$head>() else {
                    return Ok(Err($head));
                };
                let len = <$word>::from_le_bytes(*len);
                #[allow(clippy::useless_conversion, reason = "one of the two types is u32")]
                let (len, max) = (u64::from(len), u64::from(max));
                if len > max {
                    return Err(ProtocolError::TooLong { piece: $piece, len, max });
                }
                let Some(body) = rest.get(..len as usize) else {
                    return Ok(Err($head + len as usize));
                };
                Ok(Ok((from_json(body, $piece)?, $head + len as usize)))
            }
        }
    };
}
body!(StateResponse, Piece::StateResponse, u16, 2);
body!(TagRequest, Piece::TagRequest, u32, 4);
body!(TagResponse, Piece::TagResponse, u32, 4);

/// JSON as Go writes it: `<`, `>`, `&`, U+2028 and U+2029 are escaped.
pub(crate) fn to_go_json<T: Serialize>(value: &T, piece: Piece) -> Result<String, ProtocolError> {
    let json = serde_json::to_string(value)
        .map_err(|error| ProtocolError::Json { piece, reason: error.to_string() })?;
    if !json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return Ok(json);
    }
    // None of these occurs outside of a text.
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            c => escaped.push(c),
        }
    }
    Ok(escaped)
}

fn from_json<T: de::DeserializeOwned>(body: &[u8], piece: Piece) -> Result<T, ProtocolError> {
    serde_json::from_slice(body)
        .map_err(|error| ProtocolError::Json { piece, reason: error.to_string() })
}

/// The two members of a message, whose names match without regard to case.
struct Members<A, B>(&'static str, &'static str, core::marker::PhantomData<(A, B)>);

impl<'de, A, B> Visitor<'de> for Members<A, B>
where
    A: Deserialize<'de> + Default,
    B: Deserialize<'de> + Default,
{
    type Value = (A, B);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with {} and {}", self.0, self.1)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(A, B), M::Error> {
        let mut found = (A::default(), B::default());
        while let Some(which) = map.next_key_seed(Name(self.0, self.1))? {
            match which {
                0 => found.0 = map.next_value::<Option<A>>()?.unwrap_or_default(),
                1 => found.1 = map.next_value::<Option<B>>()?.unwrap_or_default(),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Which of two names a member has: 0, 1, or 2 for neither.
struct Name(&'static str, &'static str);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = u8;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u8, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = u8;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<u8, E> {
        Ok(if name.eq_ignore_ascii_case(self.0) {
            0
        } else if name.eq_ignore_ascii_case(self.1) {
            1
        } else {
            2
        })
    }
}

macro_rules! two_members {
    ($type:ident, $a:ident: $first:literal, $b:ident: $second:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let members = Members($first, $second, core::marker::PhantomData);
                let ($a, $b) = deserializer.deserialize_map(members)?;
                Ok(Self { $a, $b })
            }
        }
    };
}
two_members!(StateResponse, id: "ID", info: "Info");
two_members!(TagRequest, count: "Count", tags: "Tags");
two_members!(TagResponse, count: "Count", tags: "Tags");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_match_without_regard_to_case() {
        let json = br#"{"tags":["a"],"COUNT":3,"more":[{}]}"#;
        let request: TagRequest = from_json(json, Piece::TagRequest).unwrap();
        assert_eq!(request, TagRequest { count: 3, tags: Some(vec!["a".to_owned()]) });
        let request: TagRequest = from_json(br#"{"tags":null}"#, Piece::TagRequest).unwrap();
        assert_eq!(request, TagRequest::default());
        assert!(from_json::<TagRequest>(b"[]", Piece::TagRequest).is_err());
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_bytes() {
        let error = TagRequest::decode(&[1, 0, 0, 2], 1 << 20).unwrap_err();
        assert!(matches!(error, ProtocolError::TooLong { len: 0x0200_0001, .. }));
        assert_eq!(TagRequest::decode(&[9, 0, 0, 0], 9).unwrap(), Err(13));
    }
}
