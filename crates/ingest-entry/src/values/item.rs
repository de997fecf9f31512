//! One enumerated value with its name.

use core::fmt;

use bytes::Bytes;

use super::MAX_NAME;
use super::writer::check_lengths;
use crate::error::LimitError;
use crate::value::{Value, ValueKind, ValueRef};

/// An enumerated value with its name, owned.
#[derive(Debug, Clone, PartialEq)]
pub struct EnumeratedValue {
    name: Bytes,
    value: Value,
}

impl EnumeratedValue {
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = MAX_NAME;

    /// A value under a name of 1 to 1,024 bytes, UTF-8 by convention.
    ///
    /// # Errors
    /// [`LimitError`] if the name or the value is too long for the format.
    pub fn new(name: impl Into<Bytes>, value: impl Into<Value>) -> Result<Self, LimitError> {
        let (name, value) = (name.into(), value.into());
        check_lengths(&name, value.as_ref().payload().as_slice())?;
        Ok(Self { name, value })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// The name and the value.
    #[must_use]
    pub fn into_parts(self) -> (Bytes, Value) {
        (self.name, self.value)
    }
}

/// An enumerated value with its name, borrowed from a block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EnumeratedValueRef<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: ValueKind,
    pub(super) data: &'a [u8],
}

impl<'a> EnumeratedValueRef<'a> {
    /// The name: 1 to 1,024 bytes, UTF-8 by convention only.
    #[must_use]
    pub const fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The type of the value.
    #[must_use]
    pub const fn kind(&self) -> ValueKind {
        self.kind
    }

    /// The value's bytes as they are on the wire.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> ValueRef<'a> {
        // The width was checked when the block was; the bytes themselves stand in otherwise.
        ValueRef::decode(self.kind, self.data).unwrap_or(ValueRef::Bytes(self.data))
    }

    /// The same value, owned.
    #[must_use]
    pub fn to_owned_value(&self) -> EnumeratedValue {
        EnumeratedValue { name: Bytes::copy_from_slice(self.name), value: self.value().to_value() }
    }
}

impl fmt::Debug for EnumeratedValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.name.escape_ascii(), self.value())
    }
}
