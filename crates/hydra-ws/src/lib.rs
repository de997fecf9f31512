#![doc = include_str!("../README.md")]
//! # Tour
//!
//! | to do this | use |
//! | --- | --- |
//! | read one message | [`Command`] |
//! | choose whose rules apply | [`Options`], [`Dialect`], [`Compat`], [`Echo`], [`Limits`] |
//! | hold a client's metadata and answer its commands | [`Session`], [`Step`], [`Metadata`] |
//! | take requests | [`Ingestor`], [`Request`], [`Ack`], [`Outcome`], [`Failure`], [`Registry`] |
//! | answer HTTP requests | [`http`] |
//! | run requests through ingestors, and write reports | [`Flight`], [`Decided`] |
//! | serve web sockets and HTTP with tokio (feature `server`) | `Server`, `ServerConfig` |
//! | be a client (feature `client`) | `HydraClient` |
//!
//! The core has no sockets, clocks or threads: messages and the present time go in; replies,
//! requests and reports come out.

mod ack;
#[cfg(feature = "client")]
mod client;
mod command;
mod failure;
mod flight;
pub mod http;
mod ids;
mod ingestor;
pub mod json;
mod limits;
mod metadata;
mod options;
mod registry;
mod reply;
mod report;
mod request;
#[cfg(feature = "server")]
mod server;
mod session;
mod status;
#[cfg(any(feature = "client", feature = "server"))]
mod ws;

pub use ack::{Ack, Validation};
#[cfg(feature = "client")]
pub use client::{
    ClientError, ClientOptions, ClientReport, HydraClient, Others, Reconnect, Reply, Target,
    TargetError,
};
pub use command::{Command, CommandError, has_line_terminator};
pub use failure::{Failure, FailureKind};
pub use flight::{Decided, Flight};
pub use ingestor::{Ingestor, Join, Later, Outcome, Outcomes};
pub use limits::Limits;
pub use metadata::Metadata;
pub use options::{Compat, Dialect, Echo, Options};
pub use registry::{MAX_INGESTORS, MAX_NAME, RegisterError, Registered, Registry};
pub use request::{Id, Request};
#[cfg(feature = "server")]
pub use server::{Access, Server, ServerConfig, ServerStats, Token};
pub use session::{Session, SessionError, Step};
