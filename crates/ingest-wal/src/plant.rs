//! Planted bugs, one at a time, chosen by the environment variable `INGESTRY_PLANT`: what proves
//! that the crash tests can fail. Without the feature `plants` there is none.

/// A known bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plant {
    /// A record counts as durable when it is handed over; it is written a while later.
    AckBeforeWrite,
}

impl Plant {
    /// Every plant.
    pub const ALL: &'static [Self] = &[Self::AckBeforeWrite];

    /// Its name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AckBeforeWrite => "ack-before-write",
        }
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
