//! Clients for all generations, as tokio tasks around the core.

mod again;
mod backoff;
#[cfg(feature = "blocking")]
mod blocking;
mod dial;
mod endpoint;
mod error;
mod gateway;
mod http;
mod item;
mod legacy;
mod log_cache;
mod machine;
mod notice;
mod overlap;
mod proxy;
mod queue;
mod session;
mod socket;
mod stream;
mod tls;
mod token;
mod traffic;

pub use backoff::Backoff;
#[cfg(feature = "blocking")]
pub use blocking::{BlockingConsumer, Tail};
pub use dial::{Connecting, Connector, Stream};
pub use error::{ClientError, DialError, Service};
pub use gateway::{Gateway, GatewayBuilder, Query};
pub use item::{Gap, GapCause, Item, Reason};
pub use legacy::{Consumer, ConsumerBuilder, Recent};
pub use log_cache::{LogCache, LogCacheBuilder, Read};
pub use machine::End;
pub use proxy::{Proxy, ProxyFn};
pub use queue::WhenFull;
pub use stream::{Closer, Messages};
pub use tls::TlsOptions;
pub use token::TokenSource;
pub use traffic::{Filter, TrafficController, TrafficControllerBuilder};
