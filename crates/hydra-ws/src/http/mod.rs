//! HTTP, without the sockets: which path is what, and what is answered (hydra.md 1, 5.3, 7).

mod answer;
mod ingest;
mod listing;
mod route;

pub use answer::Answer;
#[cfg(feature = "server")]
pub(crate) use ingest::bad_ack;
pub use ingest::{HttpIngest, begin};
pub use listing::list;
pub use route::{Route, route};
