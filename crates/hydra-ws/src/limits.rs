//! What a client can make a session hold.

use std::time::Duration;

/// The limits of a session. Each can be set; the defaults are those in the fields' texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a message, in one frame or many, and of an HTTP body. Default: 1 MiB. Past it the
    /// socket is closed with 1009; HTTP answers 413.
    pub message: usize,
    /// Frames of a message. Default: 50. Past it the message is refused with 400.
    pub frames: u32,
    /// Time for a message that comes in several frames. Default: 5 s. Past it the message is
    /// refused with 400.
    pub message_time: Duration,
    /// Names in a session's metadata. Default: 64. Past it the `SET` is refused with 400.
    pub names: usize,
    /// Bytes of metadata, names and values together. Default: 8 KiB, past which it is the same.
    pub metadata: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 1 << 20,
            frames: 50,
            message_time: Duration::from_secs(5),
            names: 64,
            metadata: 8 << 10,
        }
    }
}
