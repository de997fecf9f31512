//! What a decoder says about a line.

use crate::MetricRef;

/// How much of a refused line [`Rejected::line`] shows, in bytes.
pub const MAX_REJECTED_LINE: usize = 512;

/// One thing a decoder found.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An accepted line.
    Metric(MetricRef<'a>),
    /// A refused line. The stream goes on behind it.
    Rejected(Rejected<'a>),
}

/// A line that was refused, for a count, a log or a reject store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected<'a> {
    /// Why. The first rule that the line broke; a line is refused once.
    pub reason: RejectReason,
    /// The line without its LF, as received and therefore any bytes at all, cut to
    /// [`MAX_REJECTED_LINE`] bytes (and to [`Options::max_line`](crate::Options::max_line) where
    /// that is less).
    pub line: &'a [u8],
    /// Where the line starts, in bytes from the start of the stream or datagram.
    pub offset: u64,
}

/// Why a line was refused. [`as_str`](Self::as_str) names never change, so they can be labels of
/// metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// More bytes without LF than [`Options::max_line`](crate::Options::max_line).
    #[error("line is too long")]
    LineTooLong,
    /// The stream ended before the line did.
    #[error("stream ended inside the line")]
    Unterminated,
    /// The line is not UTF-8.
    #[error("line is not UTF-8")]
    NotUtf8,
    /// There are not exactly three fields.
    #[error("line does not have three fields")]
    FieldCount,
    /// A byte below 0x20, or 0x7F, in the path.
    #[error("control character in the path")]
    ControlCharacter,
    /// The path is longer than [`Options::max_path`](crate::Options::max_path).
    #[error("path is too long")]
    PathTooLong,
    /// The path breaks the profile's rules for names.
    #[error("path is not a valid name")]
    BadPath,
    /// The path is a tagged name that does not parse, and the path rule wants it to.
    #[error("path is not a valid tagged name")]
    BadTags,
    /// The value is not a number.
    #[error("value is not a number")]
    BadValue,
    /// The value is a finite number that an `f64` cannot hold.
    #[error("value is out of range")]
    ValueRange,
    /// The value is NaN.
    #[error("value is NaN")]
    Nan,
    /// The value is infinite, and the options drop that.
    #[error("value is infinite")]
    Infinite,
    /// The timestamp is not a number.
    #[error("timestamp is not a number")]
    BadTimestamp,
    /// The timestamp is a number outside what the options accept.
    #[error("timestamp is out of range")]
    TimestampRange,
}

impl RejectReason {
    /// Every reason, in the order of the enum.
    pub const ALL: &'static [Self] = &[
        Self::LineTooLong,
        Self::Unterminated,
        Self::NotUtf8,
        Self::FieldCount,
        Self::ControlCharacter,
        Self::PathTooLong,
        Self::BadPath,
        Self::BadTags,
        Self::BadValue,
        Self::ValueRange,
        Self::Nan,
        Self::Infinite,
        Self::BadTimestamp,
        Self::TimestampRange,
    ];

    /// A stable name in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LineTooLong => "line_too_long",
            Self::Unterminated => "unterminated",
            Self::NotUtf8 => "not_utf8",
            Self::FieldCount => "field_count",
            Self::ControlCharacter => "control_character",
            Self::PathTooLong => "path_too_long",
            Self::BadPath => "bad_path",
            Self::BadTags => "bad_tags",
            Self::BadValue => "bad_value",
            Self::ValueRange => "value_range",
            Self::Nan => "nan",
            Self::Infinite => "infinite",
            Self::BadTimestamp => "bad_timestamp",
            Self::TimestampRange => "timestamp_range",
        }
    }

    /// This reason's place in [`ALL`](Self::ALL), so that counters can be an array.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_holds_each_reason_at_its_index() {
        for (index, reason) in RejectReason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), index);
            assert!(reason.as_str().bytes().all(|b| b.is_ascii_lowercase() || b"_8".contains(&b)));
        }
        let names: std::collections::BTreeSet<_> =
            RejectReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), RejectReason::ALL.len());
        assert_eq!(RejectReason::ALL.len(), RejectReason::TimestampRange.index() + 1);
    }
}
