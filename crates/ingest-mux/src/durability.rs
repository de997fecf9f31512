//! How safe a write has to be before it counts as done, and what came of it.

use std::ops::Range;
use std::time::Duration;

use ingest_wal::{Level, Lsn};

/// When a write counts as done: each write says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// It is in memory: lost by a kill.
    Memory,
    /// It is written: survives a kill, not a power cut; synced within 200 ms.
    Os,
    /// A sync covers it.
    #[default]
    Disk,
    /// Every output that it is meant for has confirmed it; a sync covers it before (but not in a
    /// muxer without a directory). After this time it is reported as [`State::Queued`], which is no
    /// failure.
    Delivered(Duration),
}

impl Durability {
    /// What the log is asked for.
    pub(crate) const fn level(self, has_directory: bool) -> Level {
        match self {
            Self::Memory => Level::Memory,
            Self::Os => Level::Os,
            Self::Delivered(_) if !has_directory => Level::Memory,
            Self::Disk | Self::Delivered(_) => Level::Disk,
        }
    }

    /// Whether only a directory can give it.
    pub(crate) const fn needs_directory(self) -> bool {
        matches!(self, Self::Os | Self::Disk)
    }
}

/// How far a write has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is in memory.
    Memory,
    /// It is written.
    Os,
    /// A sync covers it.
    Disk,
    /// Every output that it is meant for has confirmed it.
    Delivered,
    /// It was to be delivered, and is not yet: it stays queued (on disk, if the muxer has a
    /// directory).
    Queued,
}

/// What came of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// From the LSN of its first entry to the one after its last. Those of one write rise, with gaps
    /// where others wrote meanwhile. `None` where nothing was written, and while the log has not
    /// come to it: that is possible at [`State::Memory`] only, or when a time was over.
    pub lsns: Option<Range<Lsn>>,
    /// How many entries.
    pub entries: u64,
    /// How far it has got.
    pub state: State,
}
