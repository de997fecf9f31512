//! The Gravwell ingest protocol, both sides, one connection.
//!
//! * The core is sans-I/O: [`ClientMachine`] and [`ServerMachine`] take bytes and the time and give
//!   events, bytes and the next deadline. They open no socket and read no clock.
//! * With the feature `tokio` (a default), `Connector` makes a `Connection`, a client that
//!   writes entries and reads acknowledgements in a task of its own; `Acceptor` makes a
//!   `Session`, a server's side that hands out entries in batches borrowed from its input buffer
//!   and acknowledges them when told that they are stored.
//! * With the feature `tls` (a default), `tls://` targets, verified unless told otherwise.
//!
//! Retries, queues, disks and more than one connection are the business of others. Whatever a peer
//! can grow has a limit: [`WireLimits`]. Secrets are never printed.

#[cfg(feature = "tokio")]
mod client;
#[cfg(feature = "tokio")]
mod net;
mod proto;
#[cfg(feature = "tokio")]
mod server;
#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "tokio")]
pub use client::{
    ClientError, Closed, Connection, Connector, Counters, Position, Returned, connect,
};
pub use ingest_entry::{Entry, EntryRef, TagId, TagName};
#[cfg(feature = "tokio")]
pub use net::{KEEPALIVE, keep_alive};
pub use proto::*;
#[cfg(feature = "tokio")]
pub use server::{
    AcceptCounts, AcceptLimits, Acceptor, Confirmer, NumberTags, ServerError, Session, SessionEvent,
};
#[cfg(feature = "tls")]
pub use tls::{TlsError, TlsOptions, server_config};

#[cfg(all(doctest, feature = "tls"))]
#[doc = include_str!("../README.md")]
struct Readme;
