//! What a verification finds, and who follows it.

use std::ops::Range;

use crate::inspect::SegmentInfo;
use crate::offline::RecordRef;
use crate::{Lsn, MissingCause};

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FindingKind {
    /// A segment's header has a wrong checksum.
    SegmentHeader,
    /// A copy of what a segment carries in front has a wrong checksum.
    Preamble,
    /// A file whose header names another segment.
    OtherName,
    /// A segment of another log.
    ForeignSegment,
    /// A segment or cursor file of a format that this version does not know.
    UnknownFormat,
    /// A record whose header is right and whose body is not.
    RecordBody,
    /// Bytes where a record was expected.
    Bytes,
    /// Bytes behind the last record of a log that was not closed.
    TornTail,
    /// LSNs without a record, and nothing says why.
    MissingEntries,
    /// A record whose LSNs stood in one before it.
    Repeated,
    /// Both checksums of a record are right, and the log's user cannot read it.
    Content,
    /// A segment's account says something else than its records.
    Account,
    /// A cursor file that is no valid snapshot of this log.
    Cursor,
    /// LOCK is not valid though nobody holds it.
    Lock,
    /// The operating system cannot read a file.
    Unreadable,
    /// A file beside a segment, as the log's user judges it.
    Companion,
    /// A file that is no part of the log.
    Stranger,
}

impl FindingKind {
    /// Name for reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SegmentHeader => "segment-header",
            Self::Preamble => "preamble",
            Self::OtherName => "other-name",
            Self::ForeignSegment => "foreign-segment",
            Self::UnknownFormat => "unknown-format",
            Self::RecordBody => "record-body",
            Self::Bytes => "bytes",
            Self::TornTail => "torn-tail",
            Self::MissingEntries => "missing-entries",
            Self::Repeated => "repeated",
            Self::Content => "content",
            Self::Account => "account",
            Self::Cursor => "cursor",
            Self::Lock => "lock",
            Self::Unreadable => "unreadable",
            Self::Companion => "companion",
            Self::Stranger => "stranger",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// It needs nobody's attention: it has been counted and put aside before, or it costs nothing.
    pub note: bool,
    /// Name of the file in the directory.
    pub file: String,
    /// Which bytes of it; empty when it is about the file as a whole.
    pub bytes: Range<u64>,
    /// Which LSNs have no entry because of it; empty for none.
    pub lsns: Range<Lsn>,
    /// Whether those were durable for sure, as far as they are known.
    pub cause: Option<MissingCause>,
    /// More, in words.
    pub detail: Option<String>,
}

impl Finding {
    /// A finding about a file as a whole.
    #[must_use]
    pub fn new(kind: FindingKind, file: impl Into<String>) -> Self {
        let file = file.into();
        Self { kind, note: false, file, bytes: 0..0, lsns: 0..0, cause: None, detail: None }
    }

    /// The same, needing nobody's attention.
    #[must_use]
    pub fn noted(mut self) -> Self {
        self.note = true;
        self
    }

    /// The same, with more words.
    #[must_use]
    pub fn with(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn at(mut self, bytes: Range<u64>) -> Self {
        self.bytes = bytes;
        self
    }
}

/// Who follows a verification, and judges what only the log's user understands.
pub trait Observer {
    /// Something was found. Findings of a segment come when it has been read.
    fn finding(&mut self, finding: Finding);

    /// How far it is: bytes of segments, and of how many.
    fn progress(&mut self, _done: u64, _of: u64) {}

    /// Whether a file beside the log's own is the log's user's: no stranger then.
    fn knows(&self, _file: &str) -> bool {
        false
    }

    /// A segment begins.
    fn begin(&mut self, _segment: &SegmentInfo) {}

    /// What a segment carries in front.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn preamble(&mut self, _preamble: &[u8]) -> Result<(), String> {
        Ok(())
    }

    /// A valid record of entries or definitions.
    ///
    /// # Errors
    /// What is wrong with its body, in words.
    fn record(&mut self, _record: RecordRef<'_>) -> Result<(), String> {
        Ok(())
    }

    /// A segment has been read; `whole` says that nothing of it is damaged, and that nothing is
    /// added to it any more. What is wrong with its companions comes back.
    fn end(&mut self, _segment: &SegmentInfo, _whole: bool) -> Vec<Finding> {
        Vec::new()
    }
}

/// What a verification came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Segments that were read.
    pub segments: u64,
    /// Segments that were removed while they were read.
    pub expired_segments: u64,
    /// Valid records.
    pub records: u64,
    /// Entries in them that count.
    pub entries: u64,
    /// Bytes of segments that were read.
    pub bytes: u64,
    /// Findings that are no notes.
    pub problems: u64,
    /// Findings that are.
    pub notes: u64,
}
