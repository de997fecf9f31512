//! The tokio shells: sockets read into buffers, and buffers decoded when the caller says so.
//!
//! What is read and what is decoded are separate steps, because the one who accepts data decides
//! how much of it may be under way. Neither step keeps a clock: the present time is an argument.

mod connection;
mod datagrams;
#[cfg(feature = "gzip")]
mod gunzipped;
mod proxied;

pub use connection::Connection;
#[cfg(unix)]
pub use datagrams::UnixDatagrams;
pub use datagrams::{Datagrams, MAX_DATAGRAM};
#[cfg(feature = "gzip")]
pub use gunzipped::Gunzipped;
pub use proxied::Proxied;
