//! The client's shell: [`Connector`] and [`Connection`].

mod connection;
mod connector;
mod error;
mod task;

pub use connection::{Closed, Connection, Counters, Position, Returned, connect};
pub use connector::Connector;
pub use error::ClientError;
