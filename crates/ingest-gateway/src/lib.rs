//! The ingestry gateway: protocols in, durable on disk, shipped to destinations. A library and the ingestry program.

pub mod cli;
pub mod config;
mod suggest;
pub mod units;
