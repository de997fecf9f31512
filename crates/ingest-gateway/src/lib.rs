//! The ingestry gateway: protocols in, durable on disk, shipped to destinations. A library and the
//! ingestry program.

pub mod admin;
#[cfg(feature = "amqp")]
mod broker;
pub mod children;
mod chosen;
pub mod cli;
pub mod config;
pub mod counters;
mod destinations;
mod gateway;
mod inherited;
#[cfg(feature = "kafka")]
mod kafka;
pub mod limits;
mod log_options;
pub mod map;
mod relay;
mod reload_files;
pub mod rules;
mod secret;
mod sidecars;
mod sources;
mod suggest;
pub mod template;
pub mod units;
mod unix_socket;

pub use gateway::{
    Builder, Gateway, GatewayError, ReloadError, ReloadOptions, Reloaded, STOP_DEADLINE, StopReport,
};
pub use inherited::Inherited;
pub use relay::LogRelay;
pub use secret::IngestSecretError;

/// The examples of the README are tested with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
