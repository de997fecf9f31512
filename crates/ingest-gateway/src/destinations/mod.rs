//! Where data goes: one file for each kind of destination.

pub(crate) mod graphite;
pub(crate) mod gravwell;
pub(crate) mod outflow;
