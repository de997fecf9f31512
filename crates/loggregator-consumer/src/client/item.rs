//! What a stream gives.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::error::Error;
use super::machine::End;

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

/// Why a connection is over, or was never made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It ended.
    #[error("{0}")]
    End(End),
    /// It was not made.
    #[error(transparent)]
    Error(#[from] Error),
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
