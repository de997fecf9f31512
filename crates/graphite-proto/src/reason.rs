//! What a decoder says about a line, a point or a frame.

use crate::MetricRef;

/// How much of a refused line, point or frame [`Rejected::line`] shows, in bytes.
pub const MAX_REJECTED_LINE: usize = 512;

/// One thing a decoder found.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An accepted line or point.
    Metric(MetricRef<'a>),
    /// A refused line, point or frame. The stream goes on behind it, if the reason
    /// [says so](RejectReason::can_continue).
    Rejected(Rejected<'a>),
}

/// A line, point or frame that was refused, for a count, a log or a reject store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected<'a> {
    /// Why. The first rule that was broken; each line, point or frame is refused once.
    pub reason: RejectReason,
    /// The line without its LF, as received and therefore any bytes at all, cut to
    /// [`MAX_REJECTED_LINE`] bytes (and to [`Options::max_line`](crate::Options::max_line) where
    /// that is less). Of a point in a pickle or protobuf frame its bytes there; of a frame its
    /// content, without the length before it.
    pub line: &'a [u8],
    /// Where that starts, in bytes from the start of the stream, datagram or body. Of a frame: where
    /// its length starts.
    pub offset: u64,
}

impl<'a> Rejected<'a> {
    /// Shows as much of the bytes as there may be.
    pub(crate) fn new(reason: RejectReason, bytes: &'a [u8], offset: u64) -> Self {
        Self { reason, line: bytes.get(..MAX_REJECTED_LINE).unwrap_or(bytes), offset }
    }
}

/// Why a line, point or frame was refused. [`as_str`](Self::as_str) names never change, so they can be labels of
/// metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// More bytes without LF than [`Options::max_line`](crate::Options::max_line).
    #[error("line is too long")]
    LineTooLong,
    /// The stream ended before the line or frame did.
    #[error("stream ended inside the line or frame")]
    Unterminated,
    /// The line, a string of the frame, or the path is not UTF-8.
    #[error("not UTF-8")]
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
    /// A frame's length is beyond the limit. What follows cannot be read as frames any more.
    #[error("frame is too long")]
    FrameTooLong,
    /// Not a path with a pair of timestamp and value; for a frame, no list or tuple of such.
    #[error("not a path with a pair of timestamp and value")]
    BadShape,
    /// An opcode that fetches or runs code, builds objects, dictionaries or sets, or is unknown.
    #[error("pickle opcode is not allowed")]
    PickleOpcode,
    /// A pickle protocol above 5, or one named in mid-pickle.
    #[error("pickle protocol is unknown")]
    PickleProtocol,
    /// The pickle ends inside an opcode or its operand, or before STOP.
    #[error("pickle is cut off")]
    PickleTruncated,
    /// A FRAME of the pickle is longer than what is there, crossed by an opcode, or too short.
    #[error("pickle breaks its own framing")]
    PickleFraming,
    /// An opcode does not find on the pickle's stack what it needs, or STOP more than one object.
    #[error("pickle stack does not fit the opcode")]
    PickleStack,
    /// A memo entry that was not set, or an index that is no number or too large.
    #[error("pickle memo entry is not there")]
    PickleMemo,
    /// A number that is none, or longer than the limit.
    #[error("number in the pickle is not valid")]
    PickleNumber,
    /// A string without its quotes, or with an escape that is none.
    #[error("string in the pickle is not valid")]
    PickleString,
    /// Containers in containers beyond the limit.
    #[error("pickle is nested too deeply")]
    PickleDepth,
    /// More values, marks, memo entries or points than the limits allow.
    #[error("pickle holds too many values")]
    PickleSize,
    /// Shared paths would multiply beyond the limit.
    #[error("pickle expands too far")]
    PickleExpansion,
    /// A container that holds itself.
    #[error("pickle refers to itself")]
    PickleCycle,
    /// A protobuf message that is cut off or malformed.
    #[error("protobuf message is not valid")]
    BadProtobuf,
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
        Self::FrameTooLong,
        Self::BadShape,
        Self::PickleOpcode,
        Self::PickleProtocol,
        Self::PickleTruncated,
        Self::PickleFraming,
        Self::PickleStack,
        Self::PickleMemo,
        Self::PickleNumber,
        Self::PickleString,
        Self::PickleDepth,
        Self::PickleSize,
        Self::PickleExpansion,
        Self::PickleCycle,
        Self::BadProtobuf,
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
            Self::FrameTooLong => "frame_too_long",
            Self::BadShape => "bad_shape",
            Self::PickleOpcode => "pickle_opcode",
            Self::PickleProtocol => "pickle_protocol",
            Self::PickleTruncated => "pickle_truncated",
            Self::PickleFraming => "pickle_framing",
            Self::PickleStack => "pickle_stack",
            Self::PickleMemo => "pickle_memo",
            Self::PickleNumber => "pickle_number",
            Self::PickleString => "pickle_string",
            Self::PickleDepth => "pickle_depth",
            Self::PickleSize => "pickle_size",
            Self::PickleExpansion => "pickle_expansion",
            Self::PickleCycle => "pickle_cycle",
            Self::BadProtobuf => "bad_protobuf",
        }
    }

    /// Whether the stream can be read on behind it. Only a frame that is too long ends the stream:
    /// where the next one starts would have to be taken on the word of its sender.
    #[must_use]
    pub const fn can_continue(self) -> bool {
        !matches!(self, Self::FrameTooLong)
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
        assert_eq!(RejectReason::ALL.len(), RejectReason::BadProtobuf.index() + 1);
    }
}
