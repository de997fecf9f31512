//! The server over real sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "server/conformance.rs"]
mod conformance;
#[path = "server/http.rs"]
mod http;
#[path = "server/limits.rs"]
mod limits;
#[path = "server/stop.rs"]
mod stop;
#[path = "server/support.rs"]
mod support;
