//! Where data goes: one file for each kind of destination.

#[cfg(feature = "amqp")]
pub(crate) mod amqp;
pub(crate) mod graphite;
pub(crate) mod gravwell;
pub(crate) mod outflow;
