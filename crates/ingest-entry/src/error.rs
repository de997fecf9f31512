//! What can be wrong with an entry, going out ([`LimitError`], [`BlockError`]) and coming in
//! ([`DecodeError`]).

use core::fmt;

/// The piece of an entry, block or table that a [`DecodeError`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The 34-byte entry header.
    Header,
    /// The data of an entry.
    Data,
    /// The 8-byte header of an enumerated value block.
    ValuesHeader,
    /// An enumerated value block, its header included.
    Values,
    /// One enumerated value.
    Value,
    /// The header of an entry block or entry slice.
    BlockHeader,
    /// A definition of a tag or source.
    Definition,
    /// The tag table.
    Table,
    /// The summary of a segment.
    Summary,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "entry header",
            Self::Data => "entry data",
            Self::ValuesHeader => "header of the enumerated value block",
            Self::Values => "enumerated value block",
            Self::Value => "enumerated value",
            Self::BlockHeader => "block header",
            Self::Definition => "definition",
            Self::Table => "tag table",
            Self::Summary => "summary",
        })
    }
}

/// What is wrong with one enumerated value, in the order in which it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueFault {
    /// The reserved byte is not zero.
    Reserved,
    /// The name is empty or longer than 1,024 bytes.
    NameLength,
    /// The data are longer than 64,503 bytes.
    DataLength,
    /// The total length is not 8 + name + data.
    TotalLength,
    /// The type code is none of 1 to 17.
    Kind,
    /// The data do not have the width of their type.
    Width,
}

impl fmt::Display for ValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reserved => "its reserved byte is not zero",
            Self::NameLength => "its name length is not within 1 to 1024",
            Self::DataLength => "its data length exceeds 64503",
            Self::TotalLength => "its total length is not 8 + name + data",
            Self::Kind => "its type code is unknown",
            Self::Width => "its data do not have the width of its type",
        })
    }
}

/// Bytes that are not what they should be.
///
/// Offsets count from the first byte of the input that was given to the function or, for an
/// iterator, of the whole input that it walks over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends before the part does. With more bytes the same call can succeed.
    #[error("{part} at byte {offset} is cut short: it needs {need} bytes, {have} are there")]
    Truncated {
        /// The part that is incomplete.
        part: Part,
        /// Where the part begins.
        offset: usize,
        /// Bytes that the part needs, as far as known.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// The data are longer than [`Limits::max_data`](crate::Limits::max_data).
    #[error("entry at byte {offset} has {len} bytes of data, the limit is {max}")]
    DataTooLong {
        /// Where the entry begins.
        offset: usize,
        /// The length that its header claims.
        len: u32,
        /// The limit.
        max: u32,
    },
    /// The enumerated value block is longer than
    /// [`Limits::max_values`](crate::Limits::max_values) or than the format allows.
    #[error("enumerated value block at byte {offset} has {len} bytes, the limit is {max}")]
    ValuesTooLong {
        /// Where the block begins.
        offset: usize,
        /// The length that its header claims.
        len: u32,
        /// The limit.
        max: u32,
    },
    /// The reserved field of an enumerated value block is not zero.
    #[error("enumerated value block at byte {offset} has a reserved field that is not zero")]
    ValuesReserved {
        /// Where the block begins.
        offset: usize,
    },
    /// The values of a block do not fill it exactly.
    #[error(
        "enumerated value block at byte {offset}: size {size} does not match its {count} values"
    )]
    ValuesSize {
        /// Where the block begins.
        offset: usize,
        /// The size that its header claims.
        size: u32,
        /// The number of values that its header claims.
        count: u16,
    },
    /// One enumerated value is malformed.
    #[error("enumerated value at byte {offset} is malformed: {fault}")]
    Value {
        /// Where the value begins.
        offset: usize,
        /// What is wrong with it.
        fault: ValueFault,
    },
    /// An entry block's size field does not match the bytes given.
    #[error("entry block says {size} bytes of entries, {have} are there")]
    BlockSize {
        /// The size that the header claims.
        size: u32,
        /// The bytes behind the header.
        have: usize,
    },
    /// A block, slice, table or summary holds more or fewer items than it says.
    #[error("{part} says {count} items, which is not what its bytes hold (at byte {offset})")]
    Count {
        /// Where the mismatch was found.
        offset: usize,
        /// The part with the count.
        part: Part,
        /// The count that it claims.
        count: u32,
    },
    /// A definition has a tag name that breaks the rules of [`TagName`](crate::TagName).
    #[error("definition at byte {offset} has a bad tag name: {error}")]
    TagName {
        /// Where the definition begins.
        offset: usize,
        /// The rule that is broken.
        error: crate::TagNameError,
    },
    /// A definition has a source name that is not UTF-8.
    #[error("definition at byte {offset} has a source name that is not UTF-8")]
    SourceName {
        /// Where the definition begins.
        offset: usize,
    },
    /// A summary's rows are not in rising order of tags.
    #[error("summary row at byte {offset} is out of order")]
    SummaryOrder {
        /// Where the row begins.
        offset: usize,
    },
}

impl DecodeError {
    /// Where in the input the trouble is.
    #[must_use]
    pub const fn offset(&self) -> usize {
        match *self {
            Self::Truncated { offset, .. }
            | Self::DataTooLong { offset, .. }
            | Self::ValuesTooLong { offset, .. }
            | Self::ValuesReserved { offset }
            | Self::ValuesSize { offset, .. }
            | Self::Value { offset, .. }
            | Self::Count { offset, .. }
            | Self::TagName { offset, .. }
            | Self::SourceName { offset }
            | Self::SummaryOrder { offset } => offset,
            Self::BlockSize { .. } => 0,
        }
    }

    /// Whether the input merely ends too early, so that more bytes can cure it.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        matches!(self, Self::Truncated { .. })
    }

    /// Whether a stream can go on after this error: true for the two limits, where the length of
    /// what is too long is known and a reader that is willing to skip it finds what follows.
    #[must_use]
    pub const fn can_continue(&self) -> bool {
        matches!(self, Self::DataTooLong { .. } | Self::ValuesTooLong { .. })
    }

    /// The same error with its offset counted from `base` bytes earlier.
    #[must_use]
    pub const fn shifted(mut self, base: usize) -> Self {
        match &mut self {
            Self::Truncated { offset, .. }
            | Self::DataTooLong { offset, .. }
            | Self::ValuesTooLong { offset, .. }
            | Self::ValuesReserved { offset }
            | Self::ValuesSize { offset, .. }
            | Self::Value { offset, .. }
            | Self::Count { offset, .. }
            | Self::TagName { offset, .. }
            | Self::SourceName { offset }
            | Self::SummaryOrder { offset } => *offset = offset.saturating_add(base),
            Self::BlockSize { .. } => {}
        }
        self
    }
}

/// Something is too large for the format. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// The data of an entry do not fit into the 30-bit length of its header.
    #[error("{len} bytes of data exceed the format's maximum of 1073741823")]
    DataTooLong {
        /// The length of the data.
        len: usize,
    },
    /// The name of an enumerated value is empty or longer than 1,024 bytes.
    #[error("a value name of {len} bytes is not within 1 to 1024")]
    NameLength {
        /// The length of the name.
        len: usize,
    },
    /// The data of an enumerated value are longer than 64,503 bytes.
    #[error("{len} bytes exceed the maximum of 64503 for an enumerated value")]
    ValueTooLong {
        /// The length of the data.
        len: usize,
    },
    /// A MAC address has an odd number of bytes or more than 20.
    #[error("a MAC address of {len} bytes: the length is even, at most 20")]
    MacLength {
        /// The number of bytes.
        len: usize,
    },
    /// An entry would have more than 65,535 enumerated values.
    #[error("more than 65535 enumerated values on one entry")]
    TooManyValues,
    /// The enumerated values of an entry would take more than 32 MiB.
    #[error("enumerated values of {len} bytes exceed the format's maximum of 33554432")]
    ValuesTooLong {
        /// The length of the block.
        len: usize,
    },
    /// The name of a source is longer than 65,535 bytes.
    #[error("a source name of {len} bytes exceeds the maximum of 65535")]
    SourceNameTooLong {
        /// The length of the name.
        len: usize,
    },
}

/// An entry block or entry slice cannot be written. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// A block needs at least one entry.
    #[error("an entry block needs at least one entry")]
    Empty,
    /// The key, the first entry's seconds since year 1, must be positive.
    #[error("the key of an entry block must be positive, it is {key}")]
    Key {
        /// The key.
        key: i64,
    },
    /// The whole is larger than the format allows.
    #[error("the entries take more than the maximum of {max} bytes")]
    TooLong {
        /// The maximum, in bytes.
        max: usize,
    },
    /// There are more entries than the format can count.
    #[error("more than the maximum of {max} entries")]
    TooMany {
        /// The maximum.
        max: u32,
    },
    /// One of the entries is too large.
    #[error(transparent)]
    Entry(#[from] LimitError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_small_and_say_where() {
        assert!(size_of::<DecodeError>() <= 32 && size_of::<LimitError>() <= 32);
        let error = DecodeError::Value { offset: 8, fault: ValueFault::Kind }.shifted(40);
        assert_eq!(error.offset(), 48);
        assert_eq!(
            error.to_string(),
            "enumerated value at byte 48 is malformed: its type code is unknown"
        );
        assert!(!error.can_continue() && !error.is_truncated());
        assert!(DecodeError::DataTooLong { offset: 0, len: 2, max: 1 }.can_continue());
    }
}
