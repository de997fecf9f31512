//! The tokio shells that send: one connection, and one that is made again whenever it breaks.
//!
//! Graphite's protocols have no replies. What a write into a socket says is that the system took the
//! bytes, and no more; [`Link::finish`] gets the one answer there is, the end of the other side.

mod backoff;
mod link;
mod reconnecting;

pub use backoff::Backoff;
pub use link::Link;
pub use reconnecting::{Connect, Sender, SenderOptions, Tcp};
