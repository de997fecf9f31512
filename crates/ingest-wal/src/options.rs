//! Limits and timings of a log, with their defaults.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::Onlooker;
use crate::error::LimitsError;
use crate::fs::{FileSystem, Space, default_file_system};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// What happens to entries when the log is full: its limits are reached, or the disk has no room, and
/// no history is left that could go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnFull {
    /// They wait, and with them whoever sends: nothing is dropped.
    #[default]
    Block,
    /// Those that arrive are dropped and counted ([`Status::dropped_newest`]). Whoever waits for
    /// one gets [`RefusedError::Dropped`].
    ///
    /// [`Status::dropped_newest`]: crate::Status::dropped_newest
    /// [`RefusedError::Dropped`]: crate::RefusedError::Dropped
    DropNewest,
    /// Those that were accepted first are dropped for those that arrive, a whole segment at a time,
    /// whether or not all consumers have passed them, and counted ([`Status::dropped_oldest`]).
    /// A consumer meets the gap as one with the cause [`MissingCause::Dropped`].
    ///
    /// [`Status::dropped_oldest`]: crate::Status::dropped_oldest
    /// [`MissingCause::Dropped`]: crate::MissingCause::Dropped
    DropOldest,
}

impl OnFull {
    /// Its name in configurations and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::DropNewest => "drop-newest",
            Self::DropOldest => "drop-oldest",
        }
    }
}

/// How a log is opened. `None` means the default that depends on the file system.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Bytes of everything in the directory except quarantine; at least 1 MiB. Default: 10 GiB or
    /// a quarter of the file system, the lesser.
    pub max_bytes: Option<u64>,
    /// Bytes of the file system that stay free. Default: 1 GiB, or 5 % of it where that is less.
    pub min_free: Option<u64>,
    /// Bytes of history that are kept; at most `max_bytes`. Default: `max_bytes`.
    pub keep_bytes: Option<u64>,
    /// How long history is kept, by arrival. Default: without end.
    pub keep_age: Option<Duration>,
    /// Bytes in flight between producers and the disk. Default: 64 MiB; never more than a quarter
    /// of `max_bytes`.
    pub memory: Option<u64>,
    /// Newest records that readers share by reference. Default: 8 MiB, or an eighth of
    /// `max_bytes` where that is less.
    pub tail_bytes: Option<u64>,
    /// Newest segments whose contents the system may keep in its cache, in bytes. Of what is older it
    /// is told, once, that it need not: it would fill the machine's memory with what hardly anybody
    /// reads, and finding room for that costs more than the writing. What is asked for is read from
    /// the disk then, and may stay. Default: 128 MiB; `u64::MAX` leaves it all to the system.
    pub cache_bytes: u64,
    /// Most bytes that one write takes. Default: 2 MiB.
    pub group_bytes: u64,
    /// After this long without a record a mark is written. Default: 100 ms.
    pub idle_mark: Duration,
    /// Records of level `os` are synced within this time. Default: 200 ms.
    pub os_sync: Duration,
    /// What happens to entries when the log is full. Default: [`OnFull::Block`].
    pub on_full: OnFull,
    /// How often the consumers' state is kept. Default: 1 s.
    pub snapshot_every: Duration,
    /// How long opening waits for another process to let go. Default: 1 s.
    pub lock_wait: Duration,
    /// No history is given up for its age or for want of room, whatever the limits say: for
    /// looking after a log whose limits are not known. Default no.
    pub keep_all: bool,
    /// Is shown each record of entries that becomes durable. Default: nobody.
    pub onlooker: Option<Arc<dyn Onlooker>>,
    /// What the log stands on.
    pub file_system: Arc<dyn FileSystem>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_bytes: None,
            min_free: None,
            keep_bytes: None,
            keep_age: None,
            memory: None,
            tail_bytes: None,
            cache_bytes: 128 * MIB,
            group_bytes: 2 * MIB,
            idle_mark: Duration::from_millis(100),
            os_sync: Duration::from_millis(200),
            on_full: OnFull::Block,
            snapshot_every: Duration::from_secs(1),
            lock_wait: Duration::from_secs(1),
            keep_all: false,
            onlooker: None,
            file_system: default_file_system(),
        }
    }
}

/// The limits in force, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Everything in the directory except quarantine.
    pub max_bytes: u64,
    /// What stays free on the file system.
    pub min_free: u64,
    /// History that is kept.
    pub keep_bytes: u64,
    /// In flight between producers and the disk.
    pub memory: u64,
    /// Newest records shared with readers.
    pub tail_bytes: u64,
}

impl Limits {
    /// The smallest log.
    pub const MIN_MAX_BYTES: u64 = MIB;

    /// Fills in the defaults for a file system of this size and checks that the limits can work.
    ///
    /// # Errors
    /// [`LimitsError`], naming what is needed and what was found.
    pub fn resolve(options: &Options, dir: &Path, space: Space) -> Result<Self, LimitsError> {
        let max_bytes = options.max_bytes.unwrap_or_else(|| (space.total / 4).min(10 * GIB));
        if max_bytes < Self::MIN_MAX_BYTES {
            return Err(LimitsError::MaxBytes { found: max_bytes, needed: Self::MIN_MAX_BYTES });
        }
        let min_free = options.min_free.unwrap_or_else(|| (space.total / 20).min(GIB));
        let needed = max_bytes.saturating_add(min_free);
        if needed > space.total {
            let (dir, found) = (dir.to_owned(), space.total);
            return Err(LimitsError::FileSystem { dir, found, needed, max_bytes, min_free });
        }
        let keep_bytes = options.keep_bytes.unwrap_or(max_bytes);
        if keep_bytes > max_bytes {
            return Err(LimitsError::Keep { keep: keep_bytes, max_bytes });
        }
        Ok(Self {
            max_bytes,
            min_free,
            keep_bytes,
            memory: options.memory.unwrap_or(64 * MIB).min(max_bytes / 4),
            tail_bytes: options.tail_bytes.unwrap_or_else(|| (max_bytes / 8).min(8 * MIB)),
        })
    }

    /// Size at which a segment is followed by the next one.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        (self.max_bytes / 32).clamp(64 * KIB, 64 * MIB)
    }

    /// Body length at which a producer hands its record over.
    #[must_use]
    pub fn record_target(&self) -> usize {
        usize::try_from((self.segment_bytes() / 4).min(64 * KIB)).unwrap_or(usize::MAX)
    }

    /// Largest body of a record (it holds a single large entry).
    #[must_use]
    pub fn max_record(&self) -> u64 {
        (self.max_bytes / 8).min(256 * MIB).min(self.memory)
    }

    /// Largest preamble: a sixteenth of a segment.
    #[must_use]
    pub fn max_preamble(&self) -> u64 {
        (self.segment_bytes() / 16).clamp(4 * KIB, 4 * MIB)
    }

    /// What the log keeps aside for its own records: the end of this segment, the beginning of the
    /// next one, marks.
    pub(crate) fn reserve(&self) -> u64 {
        self.max_preamble() * 3 + 8 * KIB
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(total: u64) -> Space {
        Space { total, available: total }
    }

    fn resolve(options: &Options, total: u64) -> Result<Limits, LimitsError> {
        Limits::resolve(options, Path::new("d"), space(total))
    }

    #[test]
    fn defaults_follow_the_file_system() {
        let large = resolve(&Options::default(), 1024 * GIB).unwrap();
        assert_eq!((large.max_bytes, large.min_free), (10 * GIB, GIB));
        assert_eq!((large.segment_bytes(), large.record_target()), (64 * MIB, 64 * 1024));
        let small = resolve(&Options::default(), 100 * MIB).unwrap();
        assert_eq!((small.max_bytes, small.min_free), (25 * MIB, 5 * MIB));
        assert_eq!(small.keep_bytes, 25 * MIB);
    }

    #[test]
    fn limits_that_cannot_work_are_refused_with_what_they_need() {
        let error = resolve(&Options::default(), 3 * MIB).unwrap_err();
        assert_eq!(error, LimitsError::MaxBytes { found: 3 * MIB / 4, needed: MIB });
        let options = Options { max_bytes: Some(4 * MIB), min_free: Some(0), ..Options::default() };
        let text = resolve(&options, 3 * MIB).unwrap_err().to_string();
        assert!(text.contains("3145728") && text.contains("4194304"), "{text}");
        let options = Options { max_bytes: Some(2 * MIB), min_free: Some(0), ..Options::default() };
        let limits = resolve(&options, 3 * MIB).unwrap();
        assert_eq!((limits.segment_bytes(), limits.record_target()), (64 * KIB, 16 * 1024));
        let options = Options { keep_bytes: Some(9 * GIB), max_bytes: Some(GIB), ..options };
        assert!(matches!(resolve(&options, 1024 * GIB), Err(LimitsError::Keep { .. })));
    }
}
