//! What a stream gives.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::error::ClientError;
use super::machine::End;
use super::queue::Queued;

/// An item of a stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Item<M> {
    /// A message.
    Message(M),
    /// What should have been one, and what is wrong with it. The stream goes on.
    Undecodable {
        /// Its bytes.
        bytes: Bytes,
        /// What is wrong.
        error: String,
    },
    /// Messages that were dropped here, because they were not taken
    /// ([`super::WhenFull::DropOldest`]).
    Dropped(u64),
    /// Something may be missing here.
    Gap(Gap),
    /// A connection was made.
    Connected,
    /// A connection failed or ended; the next try comes after a wait.
    Retrying {
        /// What happened.
        error: Reason,
        /// How long the wait is.
        wait: Duration,
    },
    /// The stream is over: nothing comes behind this.
    Ended(Reason),
}

impl<M> Queued for Item<M> {
    fn can_be_dropped(&self) -> bool {
        matches!(self, Self::Message(_) | Self::Undecodable { .. })
    }
}

/// Why a connection is over, or was never made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It ended.
    #[error("{0}")]
    End(End),
    /// It was not made.
    #[error(transparent)]
    Error(#[from] ClientError),
}

/// A stretch of time in which messages may have been lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// When something last came.
    pub since: SystemTime,
    /// When the next connection was made.
    pub until: SystemTime,
    /// The timestamp of the last message before it, in nanoseconds since 1970.
    pub after: Option<i64>,
    /// What happened.
    pub cause: GapCause,
}

/// Why messages may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapCause {
    /// The connection ended.
    Ended(End),
    /// It ended as it does when the server finds us too slow.
    SlowConsumer(End),
    /// The server told that it closes, and the next connection came after that.
    Reconnect,
    /// Data could not be read, and was lost.
    Undecodable(String),
    /// The server says that it dropped so many messages, because we, or what is between it and us,
    /// did not take them in time.
    Dropped(u64),
}

impl std::fmt::Display for GapCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(end) => write!(f, "{end}"),
            Self::SlowConsumer(end) => write!(f, "{end}, as for a slow consumer"),
            Self::Reconnect => f.write_str("closed in order, and connected again after that"),
            Self::Undecodable(what) => f.write_str(what),
            Self::Dropped(count) => write!(f, "the server dropped {count} messages"),
        }
    }
}

/// The wall clock, moved on by tokio's: one that a test can stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall: SystemTime,
    start: tokio::time::Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { wall: SystemTime::now(), start: tokio::time::Instant::now() }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.wall + self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_no_larger_than_an_envelope() {
        // So that a batch becomes items in its place.
        assert_eq!(size_of::<Item<crate::v2::Envelope>>(), size_of::<crate::v2::Envelope>());
    }
}
