//! The core: bytes and the time in, events and bytes out. No sockets, no clock, no runtime.

mod acks;
mod auth;
mod batch;
mod buffer;
mod client;
mod error;
mod frame;
mod limits;
mod magic;
mod message;
mod reply;
mod server;
mod snappy;
mod state;
mod tags;
mod target;
mod window;

pub use acks::Receipt;
pub use auth::{AuthResponse, Challenge, ResponseHash, Secret};
pub use batch::{Batch, Entries};
pub use client::{ClientConfig, ClientCounts, ClientEvent, ClientMachine, Identity};
pub use error::{Piece, ProtocolError, SendError};
pub use limits::{VERSION, WireLimits};
pub use message::{
    STATE_AUTHENTICATED, STATE_HOT, STATE_NOT_AUTHENTICATED, StateResponse, TagRequest, TagResponse,
};
pub use server::{ServerConfig, ServerCounts, ServerEvent, ServerMachine, UnknownTags};
pub use state::{IngesterState, LeftOut};
pub use target::{Target, TargetError};
