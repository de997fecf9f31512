//! Single enumerated values: [`ValueKind`], [`Value`], [`ValueRef`].

use core::net::IpAddr;

use bytes::Bytes;

use crate::error::LimitError;
use crate::timestamp::Timestamp;

/// The type of an enumerated value; the numbers are the wire's type codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum ValueKind {
    /// Bytes, 0 to 64,503 of them.
    Bytes = 1,
    /// True or false, one byte: 0 is false, anything else true.
    Bool = 2,
    /// A byte, `u8`.
    U8 = 3,
    /// `i8`.
    I8 = 4,
    /// `i16`.
    I16 = 5,
    /// `u16`.
    U16 = 6,
    /// `i32`.
    I32 = 7,
    /// `u32`.
    U32 = 8,
    /// `i64`, and `int` in Go.
    I64 = 9,
    /// `u64`, and `uint` in Go.
    U64 = 10,
    /// `f32`.
    F32 = 11,
    /// `f64`.
    F64 = 12,
    /// Text, 0 to 64,503 bytes; not checked to be UTF-8.
    Text = 13,
    /// A hardware address, an even number of bytes up to 20.
    Mac = 14,
    /// An IP address, 4 or 16 bytes.
    Ip = 15,
    /// A [`Timestamp`], 12 bytes.
    Timestamp = 16,
    /// A span of time in nanoseconds, `i64`.
    Duration = 17,
}

impl ValueKind {
    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 17] = [
        Self::Bytes,
        Self::Bool,
        Self::U8,
        Self::I8,
        Self::I16,
        Self::U16,
        Self::I32,
        Self::U32,
        Self::I64,
        Self::U64,
        Self::F32,
        Self::F64,
        Self::Text,
        Self::Mac,
        Self::Ip,
        Self::Timestamp,
        Self::Duration,
    ];

    /// The kind with this wire code; `None` for 0 and for 18 and more.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// The wire code, 1 to 17.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether a value of this kind can have so many bytes.
    #[must_use]
    pub const fn allows_width(self, len: usize) -> bool {
        match self {
            Self::Bytes | Self::Text => len <= ValueRef::MAX_LEN,
            Self::Bool | Self::U8 | Self::I8 => len == 1,
            Self::I16 | Self::U16 => len == 2,
            Self::I32 | Self::U32 | Self::F32 => len == 4,
            Self::I64 | Self::U64 | Self::F64 | Self::Duration => len == 8,
            Self::Mac => len <= Mac::MAX_LEN && len.is_multiple_of(2),
            Self::Ip => len == 4 || len == 16,
            Self::Timestamp => len == 12,
        }
    }
}

/// A hardware (MAC) address: an even number of bytes, at most 20, commonly 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac {
    len: u8,
    bytes: [u8; Self::MAX_LEN],
}

impl Mac {
    /// The longest address, in bytes.
    pub const MAX_LEN: usize = 20;

    /// An address from its bytes. An empty one is legal on the wire.
    ///
    /// # Errors
    /// [`LimitError::MacLength`] for an odd number of bytes or more than 20.
    pub fn new(address: &[u8]) -> Result<Self, LimitError> {
        let error = LimitError::MacLength { len: address.len() };
        if !ValueKind::Mac.allows_width(address.len()) {
            return Err(error);
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes.get_mut(..address.len()).ok_or(error)?.copy_from_slice(address);
        Ok(Self { len: address.len() as u8, bytes })
    }

    /// The bytes of the address.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }
}

/// An owned enumerated value. Bytes and text are shared, so cloning is cheap.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Bytes.
    Bytes(Bytes),
    /// True or false; written as 1 or 0.
    Bool(bool),
    /// A byte.
    U8(u8),
    /// A signed 8-bit integer.
    I8(i8),
    /// A signed 16-bit integer.
    I16(i16),
    /// An unsigned 16-bit integer.
    U16(u16),
    /// A signed 32-bit integer.
    I32(i32),
    /// An unsigned 32-bit integer.
    U32(u32),
    /// A signed 64-bit integer.
    I64(i64),
    /// An unsigned 64-bit integer.
    U64(u64),
    /// A single precision number.
    F32(f32),
    /// A double precision number.
    F64(f64),
    /// Text, UTF-8 by convention only.
    Text(Bytes),
    /// A hardware address.
    Mac(Mac),
    /// An IP address; an IPv4 one in 16 bytes is an IPv6 address here.
    Ip(IpAddr),
    /// A point in time.
    Timestamp(Timestamp),
    /// A span of time, in nanoseconds.
    Duration(i64),
}

/// A borrowed enumerated value: the twin of [`Value`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum ValueRef<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// True or false; written as 1 or 0.
    Bool(bool),
    /// A byte.
    U8(u8),
    /// A signed 8-bit integer.
    I8(i8),
    /// A signed 16-bit integer.
    I16(i16),
    /// An unsigned 16-bit integer.
    U16(u16),
    /// A signed 32-bit integer.
    I32(i32),
    /// An unsigned 32-bit integer.
    U32(u32),
    /// A signed 64-bit integer.
    I64(i64),
    /// An unsigned 64-bit integer.
    U64(u64),
    /// A single precision number.
    F32(f32),
    /// A double precision number.
    F64(f64),
    /// Text, UTF-8 by convention only.
    Text(&'a [u8]),
    /// A hardware address.
    Mac(Mac),
    /// An IP address; an IPv4 one in 16 bytes is an IPv6 address here.
    Ip(IpAddr),
    /// A point in time.
    Timestamp(Timestamp),
    /// A span of time, in nanoseconds.
    Duration(i64),
}

/// Writes a `match` that takes the values of both twins apart in the same way.
macro_rules! map_value {
    ($from:ident -> $to:ident, $value:expr, $bytes:expr) => {
        match $value {
            $from::Bytes(v) => $to::Bytes($bytes(v)),
            $from::Bool(v) => $to::Bool(v.clone()),
            $from::U8(v) => $to::U8(v.clone()),
            $from::I8(v) => $to::I8(v.clone()),
            $from::I16(v) => $to::I16(v.clone()),
            $from::U16(v) => $to::U16(v.clone()),
            $from::I32(v) => $to::I32(v.clone()),
            $from::U32(v) => $to::U32(v.clone()),
            $from::I64(v) => $to::I64(v.clone()),
            $from::U64(v) => $to::U64(v.clone()),
            $from::F32(v) => $to::F32(v.clone()),
            $from::F64(v) => $to::F64(v.clone()),
            $from::Text(v) => $to::Text($bytes(v)),
            $from::Mac(v) => $to::Mac(v.clone()),
            $from::Ip(v) => $to::Ip(v.clone()),
            $from::Timestamp(v) => $to::Timestamp(v.clone()),
            $from::Duration(v) => $to::Duration(v.clone()),
        }
    };
}

impl Value {
    /// The same value, borrowed.
    #[must_use]
    #[allow(clippy::clone_on_copy)]
    pub fn as_ref(&self) -> ValueRef<'_> {
        map_value!(Self -> ValueRef, self, AsRef::as_ref)
    }
}

/// The bytes of a value as they go on the wire: borrowed, or a few on the stack.
pub(crate) enum Payload<'a> {
    Borrowed(&'a [u8]),
    Inline([u8; 20], usize),
}

impl Payload<'_> {
    fn inline<const N: usize>(bytes: [u8; N]) -> Self {
        let mut room = [0; 20];
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = from;
        }
        Self::Inline(room, N)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Inline(room, len) => room.get(..*len).unwrap_or(room),
        }
    }
}

impl<'a> ValueRef<'a> {
    /// The most bytes that a value can have.
    pub const MAX_LEN: usize = 63 * 1024 - 9;

    /// Reads the wire's bytes as a value of a kind; `None` if they do not have its width.
    #[must_use]
    pub fn decode(kind: ValueKind, data: &'a [u8]) -> Option<Self> {
        if !kind.allows_width(data.len()) {
            return None;
        }
        Some(match kind {
            ValueKind::Bytes => Self::Bytes(data),
            ValueKind::Bool => Self::Bool(data.first()? != &0),
            ValueKind::U8 => Self::U8(*data.first()?),
            ValueKind::I8 => Self::I8(i8::from_le_bytes(*data.first_chunk()?)),
            ValueKind::I16 => Self::I16(i16::from_le_bytes(*data.first_chunk()?)),
            ValueKind::U16 => Self::U16(u16::from_le_bytes(*data.first_chunk()?)),
            ValueKind::I32 => Self::I32(i32::from_le_bytes(*data.first_chunk()?)),
            ValueKind::U32 => Self::U32(u32::from_le_bytes(*data.first_chunk()?)),
            ValueKind::I64 => Self::I64(i64::from_le_bytes(*data.first_chunk()?)),
            ValueKind::U64 => Self::U64(u64::from_le_bytes(*data.first_chunk()?)),
            ValueKind::F32 => Self::F32(f32::from_le_bytes(*data.first_chunk()?)),
            ValueKind::F64 => Self::F64(f64::from_le_bytes(*data.first_chunk()?)),
            ValueKind::Text => Self::Text(data),
            ValueKind::Mac => Self::Mac(Mac::new(data).ok()?),
            ValueKind::Ip => Self::Ip(match <[u8; 4]>::try_from(data) {
                Ok(v4) => IpAddr::from(v4),
                Err(_) => IpAddr::from(*data.first_chunk::<16>()?),
            }),
            ValueKind::Timestamp => {
                let (seconds, nanos) = data.split_first_chunk::<8>()?;
                let nanos = u32::from_le_bytes(*nanos.first_chunk()?);
                Self::Timestamp(Timestamp::from_wire(i64::from_le_bytes(*seconds), nanos))
            }
            ValueKind::Duration => Self::Duration(i64::from_le_bytes(*data.first_chunk()?)),
        })
    }

    /// The kind of the value.
    #[must_use]
    pub const fn kind(&self) -> ValueKind {
        match self {
            Self::Bytes(_) => ValueKind::Bytes,
            Self::Bool(_) => ValueKind::Bool,
            Self::U8(_) => ValueKind::U8,
            Self::I8(_) => ValueKind::I8,
            Self::I16(_) => ValueKind::I16,
            Self::U16(_) => ValueKind::U16,
            Self::I32(_) => ValueKind::I32,
            Self::U32(_) => ValueKind::U32,
            Self::I64(_) => ValueKind::I64,
            Self::U64(_) => ValueKind::U64,
            Self::F32(_) => ValueKind::F32,
            Self::F64(_) => ValueKind::F64,
            Self::Text(_) => ValueKind::Text,
            Self::Mac(_) => ValueKind::Mac,
            Self::Ip(_) => ValueKind::Ip,
            Self::Timestamp(_) => ValueKind::Timestamp,
            Self::Duration(_) => ValueKind::Duration,
        }
    }

    /// The text of a [`ValueRef::Text`] that is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => core::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    /// The same value, owned.
    #[must_use]
    #[allow(clippy::clone_on_copy)]
    pub fn to_value(&self) -> Value {
        map_value!(Self -> Value, self, |v: &&[u8]| Bytes::copy_from_slice(v))
    }

    #[inline]
    pub(crate) fn payload(&self) -> Payload<'_> {
        match self {
            Self::Bytes(bytes) | Self::Text(bytes) => Payload::Borrowed(bytes),
            Self::Bool(v) => Payload::inline([u8::from(*v)]),
            Self::U8(v) => Payload::inline([*v]),
            Self::I8(v) => Payload::inline(v.to_le_bytes()),
            Self::I16(v) => Payload::inline(v.to_le_bytes()),
            Self::U16(v) => Payload::inline(v.to_le_bytes()),
            Self::I32(v) => Payload::inline(v.to_le_bytes()),
            Self::U32(v) => Payload::inline(v.to_le_bytes()),
            Self::I64(v) | Self::Duration(v) => Payload::inline(v.to_le_bytes()),
            Self::U64(v) => Payload::inline(v.to_le_bytes()),
            Self::F32(v) => Payload::inline(v.to_le_bytes()),
            Self::F64(v) => Payload::inline(v.to_le_bytes()),
            Self::Mac(mac) => Payload::Borrowed(mac.as_bytes()),
            Self::Ip(IpAddr::V4(ip)) => Payload::inline(ip.octets()),
            Self::Ip(IpAddr::V6(ip)) => Payload::inline(ip.octets()),
            Self::Timestamp(ts) => {
                let [a, b, c, d, e, f, g, h] = ts.wire_seconds().to_le_bytes();
                let [i, j, k, l] = ts.nanos().to_le_bytes();
                Payload::inline([a, b, c, d, e, f, g, h, i, j, k, l])
            }
        }
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> Self {
        value.as_ref()
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        value.to_value()
    }
}

impl<'a> From<&'a str> for ValueRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for ValueRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

macro_rules! from_scalars {
    ($($from:ty => $kind:ident),* $(,)?) => {$(
        impl From<$from> for ValueRef<'_> {
            fn from(value: $from) -> Self {
                Self::$kind(value)
            }
        }

        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$kind(value)
            }
        }
    )*};
}

from_scalars! {
    bool => Bool, u8 => U8, i8 => I8, i16 => I16, u16 => U16, i32 => I32, u32 => U32, i64 => I64,
    u64 => U64, f32 => F32, f64 => F64, Mac => Mac, IpAddr => Ip, Timestamp => Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_one_to_seventeen() {
        for code in 0..=u8::MAX {
            match ValueKind::from_code(code) {
                Some(kind) => assert_eq!(kind.code(), code),
                None => assert!(code == 0 || code > 17),
            }
        }
    }

    #[test]
    fn widths() {
        for kind in ValueKind::ALL {
            let widths: Vec<usize> = (0..=24).filter(|&len| kind.allows_width(len)).collect();
            for len in 0..=24 {
                let data = vec![7; len];
                let value = ValueRef::decode(kind, &data);
                assert_eq!(value.is_some(), widths.contains(&len), "{kind:?} {len}");
                if let Some(value) = value {
                    assert_eq!(value.kind(), kind);
                    let want: &[u8] = if kind == ValueKind::Bool { &[1] } else { &data };
                    assert_eq!(value.payload().as_slice(), want);
                    assert_eq!(value.to_value().as_ref(), value);
                }
            }
        }
        assert!(ValueKind::Text.allows_width(64_503) && !ValueKind::Bytes.allows_width(64_504));
        assert_eq!(Mac::new(&[0; 3]), Err(LimitError::MacLength { len: 3 }));
    }

    #[test]
    fn conversions() {
        assert_eq!(ValueRef::from("a"), ValueRef::Text(b"a"));
        assert_eq!(Value::from("a"), ValueRef::from("a").to_value());
        assert_eq!(Value::from(String::from("b")).as_ref().as_str(), Some("b"));
        assert_eq!(ValueRef::from(-1i64), ValueRef::I64(-1));
        assert_eq!(ValueRef::from(&b"x"[..]), ValueRef::Bytes(b"x"));
        assert_eq!(ValueRef::Text(b"\xff").as_str(), None);
    }
}
