//! The bytes of the log, as pure functions. `docs/log-format.md` is the same in words.

mod account;
pub(crate) mod bytes;
mod lock;
mod record;
mod segment;
mod snapshot;
mod void;

pub use account::Account;
pub(crate) use account::{SEAL_FOOTER_LEN, Seal, seal_footer};
pub(crate) use lock::{LOCK_LEN, LockFile, SYNCED_AT};
pub(crate) use record::{HEADER_LEN as RECORD_HEADER_LEN, Seed, stride};
pub use record::{Kind, RecordHeader};
pub use segment::SegmentName;
pub(crate) use segment::{
    FLAG_PREAMBLE_TWICE, FLAG_REUSED, FORMAT, HEADER_LEN as SEGMENT_HEADER_LEN, HeaderFault,
    SegmentHeader,
};
pub use snapshot::Cursor;
pub(crate) use snapshot::{Recovered, Snapshot};
pub(crate) use void::VoidBody;
pub use void::{Missing, MissingCause};
