//! Planted bugs, one at a time, chosen by the environment variable `INGESTRY_PLANT`: what proves
//! that the crash tests can fail. Without the feature `plants` there is none.

/// A known bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plant {
    /// A record counts as durable when it is handed over; it is written a while later.
    AckBeforeWrite,
    /// A sync of a segment returns at once, and nothing was synced.
    NoFsync,
    /// A record counts as durable when it is written; it is synced a while later.
    AckBeforeFsync,
    /// The directory is never synced.
    NoDirSync,
    /// An opening cuts the last valid group off.
    DropTail,
    /// Consumers see records before the sync, and numbering goes on right behind the last record.
    ReuseLsn,
    /// A consumer's place is behind what was sent, confirmed or not.
    CursorBeforeAck,
    /// What a link held when it broke counts as confirmed.
    SkipResend,
}

impl Plant {
    /// Every plant.
    pub const ALL: &'static [Self] = &[
        Self::AckBeforeWrite,
        Self::NoFsync,
        Self::AckBeforeFsync,
        Self::NoDirSync,
        Self::DropTail,
        Self::ReuseLsn,
        Self::CursorBeforeAck,
        Self::SkipResend,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AckBeforeWrite => "ack-before-write",
            Self::NoFsync => "no-fsync",
            Self::AckBeforeFsync => "ack-before-fsync",
            Self::NoDirSync => "no-dir-sync",
            Self::DropTail => "drop-tail",
            Self::ReuseLsn => "reuse-lsn",
            Self::CursorBeforeAck => "cursor-before-ack",
            Self::SkipResend => "skip-resend",
        }
    }

    /// Whether only a power cut shows it: a kill leaves the system's caches as they are.
    #[must_use]
    pub const fn needs_power_cut(self) -> bool {
        matches!(self, Self::NoFsync | Self::AckBeforeFsync | Self::NoDirSync | Self::ReuseLsn)
    }

    /// Whether this process runs with this one.
    #[must_use]
    pub fn is_active(self) -> bool {
        Self::active() == Some(self)
    }

    /// The plant of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|plant| plant.as_str() == name)
    }

    /// The one that this process runs with.
    #[must_use]
    pub fn active() -> Option<Self> {
        if cfg!(feature = "plants") {
            Self::from_name(&std::env::var("INGESTRY_PLANT").ok()?)
        } else {
            None
        }
    }
}
