//! A way of one's own to an indexer.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// The future of a dialling.
pub type DialFuture<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// Makes the streams over which an indexer is reached: a tunnel, a proxy, or a network that is
/// simulated.
pub trait Dial: Send + Sync + Debug + 'static {
    /// A new stream. It is given up after five seconds.
    fn dial(&self) -> DialFuture<'_>;
}
