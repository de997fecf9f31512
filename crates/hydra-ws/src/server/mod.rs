//! The tokio shell: HTTP, and web sockets after it, over any stream.

mod access;
mod config;
mod handshake;
mod http;
mod session;
mod stats;

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::ids::Ids;
use crate::{Options, Registry, Session};

pub use config::{Access, ServerConfig, Token};
pub use stats::ServerStats;

/// The least that the HTTP library takes as its buffer.
const LEAST_BUFFER: usize = 8 << 10;
/// Header fields of a request.
const FIELDS: usize = 100;
/// Time for an HTTP request under way when the server stops, beyond that of the ingestors.
const GRACE: Duration = Duration::from_secs(1);

/// A server: rules, ingestors, and counters. Clones are the same server.
#[derive(Clone, Debug)]
pub struct Server {
    shared: Arc<Shared>,
}

/// What the connections of a server share.
#[derive(Debug)]
struct Shared {
    config: ServerConfig,
    options: Arc<Options>,
    registry: Registry,
    counters: stats::Counters,
    seed: u64,
    drawn: AtomicU64,
}

impl Shared {
    /// A seed that differs from all others of this process.
    fn seed(&self) -> u64 {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        u64::from_le_bytes(Ids::new(self.seed.wrapping_add(number)).draw()) ^ self.seed
    }
}

/// A session that was agreed on, before its stream is free.
struct Agreed {
    session: Session,
    stream: OnUpgrade,
}

impl Server {
    /// A server that gives requests to the ingestors of a registry.
    #[must_use]
    pub fn new(config: ServerConfig, registry: Registry) -> Self {
        let mut seed = [0; 8];
        // Without randomness ids repeat from one start to the next; nothing else rests on it.
        if let Err(error) = getrandom::fill(&mut seed) {
            tracing::warn!(%error, "No randomness for ids.");
        }
        let options = Arc::new(config.options.clone());
        let shared = Shared {
            config,
            options,
            registry,
            counters: stats::Counters::default(),
            seed: u64::from_le_bytes(seed),
            drawn: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Its ingestors.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.shared.counters.read()
    }

    /// Serves one connection of `peer` until it ends. TLS is done by whoever gives the stream.
    ///
    /// When `stop` becomes true, or its sender is gone, the connection is brought to an end: a web
    /// socket reads what has arrived, for a second at most, waits for its reports, and closes with
    /// 1001; an HTTP request is answered.
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection, and what ingestors do for it.
    pub async fn serve<T>(&self, stream: T, peer: IpAddr, stop: watch::Receiver<bool>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // The state of HTTP is large, and gone before the session begins.
        let agreed = Box::pin(self.http::<T>(stream, peer, stop.clone())).await;
        let Some(Agreed { session, stream }) = agreed else { return };
        let Ok(upgraded) = stream.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<T>>() else { return };
        let (stream, read) = (parts.io.into_inner(), parts.read_buf);
        session::run(Arc::clone(&self.shared), session, stream, read, stop).await;
    }

    /// Answers HTTP requests until one becomes a web socket, or none comes.
    async fn http<T>(
        &self,
        stream: T,
        peer: IpAddr,
        mut stop: watch::Receiver<bool>,
    ) -> Option<Agreed>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let agreed = Arc::new(std::sync::Mutex::new(None));
        let service = service_fn({
            let (shared, agreed) = (Arc::clone(&self.shared), Arc::clone(&agreed));
            move |request| http::answer(Arc::clone(&shared), Arc::clone(&agreed), peer, request)
        });
        let config = &self.shared.config;
        let mut served = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(config.request_time)
                .max_buf_size(config.head_bytes.max(LEAST_BUFFER))
                .max_headers(FIELDS)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
        );
        let ended = tokio::select! {
            ended = served.as_mut() => ended,
            () = stopped(&mut stop) => {
                served.as_mut().graceful_shutdown();
                let grace = config.options.ingest_timeout.saturating_add(GRACE);
                timeout(grace, served).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "A connection ended early.");
        }
        agreed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

/// Waits until the server stops.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// As [`stopped`], with its own receiver.
async fn stopped_owned(mut stop: watch::Receiver<bool>) {
    stopped(&mut stop).await;
}
