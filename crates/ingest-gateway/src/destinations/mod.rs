//! Where data goes: one file for each kind of destination.

#[cfg(feature = "amqp")]
pub(crate) mod amqp;
pub(crate) mod graphite;
pub(crate) mod gravwell;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
pub(crate) mod outflow;

/// What a destination did with the entries that it was given.
pub(crate) trait Fates: std::fmt::Debug + Send + Sync {
    /// Each fate with how many entries met it, in this run.
    fn counts(&self) -> Vec<(&'static str, u64)>;
}
