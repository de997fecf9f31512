#![doc = include_str!("../README.md")]
//! # Tour
//!
//! | to do this | use |
//! | --- | --- |
//! | decode a byte stream (TCP, unix sockets, files) | [`LineDecoder`] |
//! | decode one datagram | [`decode_datagram`] |
//! | decode pickles, write them | [`pickle`] |
//! | decode protobuf messages, write them | [`protobuf`] |
//! | decode messages of an AMQP broker | [`amqp`] |
//! | choose whose rules apply, and the limits | [`Options`], [`Profile`], [`PathRule`] |
//! | look at what came out | [`Event`], [`MetricRef`], [`Metric`], [`Rejected`], [`RejectReason`] |
//! | take a tagged name apart, or normalise it | [`tags`] |
//! | replace what storage dislikes in a name | [`sanitise()`] |
//! | know whose connection a proxy passes on | [`proxy`] |
//! | undo gzip (feature `gzip`) | `gzip` |
//! | choose a server by consistent hashing | [`hashing`] |
//! | write points in the form that a server reads | [`PointEncoder`], [`Wire`] |
//! | send them to a server (feature `sender`) | `Link`, `Sender` |
//! | read from tokio sockets (feature `listener`) | `Connection`, `Datagrams`, `Proxied`, `Gunzipped` |
//!
//! The core has no sockets, clocks or threads: bytes and the present time go in, events come out.
//! What each rule rests on is said where it is written down: the Graphite programs behave
//! differently, and [`Profile`] has a row for each of those that are copied.

pub mod amqp;
mod canonical;
mod decoder;
mod encoder;
mod frames;
#[cfg(feature = "gzip")]
pub mod gzip;
pub mod hashing;
mod line;
mod metric;
mod number;
mod options;
pub mod pickle;
pub mod protobuf;
pub mod proxy;
mod reason;
mod sanitise;
mod sending;
mod stream;
pub mod tags;
mod time;
mod typed;

#[cfg(feature = "listener")]
mod listener;
#[cfg(feature = "sender")]
mod sender;

pub use decoder::{LineDecoder, decode_datagram};
pub use encoder::{PointEncoder, Wire};
pub use frames::{FrameDecoder, FrameError};
#[cfg(all(feature = "listener", feature = "gzip"))]
pub use listener::Gunzipped;
#[cfg(all(feature = "listener", unix))]
pub use listener::UnixDatagrams;
#[cfg(feature = "listener")]
pub use listener::{Connection, Datagrams, MAX_DATAGRAM, Proxied};
pub use metric::{Metric, MetricRef};
pub use options::{Infinite, Options, PathRule, Profile};
pub use reason::{Event, MAX_REJECTED_LINE, RejectReason, Rejected};
pub use sanitise::{SANITISE_ALLOWED, sanitise, sanitise_with};
#[cfg(feature = "sender")]
pub use sender::{Backoff, Connect, Link, Sender, SenderOptions, Tcp};
pub use sending::EncodeError;
pub use stream::{Format, StreamDecoder};
pub use time::Timestamp;
