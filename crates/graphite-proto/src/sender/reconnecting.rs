//! A sender that connects again whenever its connection breaks.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{Backoff, Link};
use crate::{EncodeError, MetricRef, PointEncoder, Wire};

/// How a [`Sender`] gets its connections.
pub trait Connect: Send {
    /// What it gets.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// Makes one more connection. The sender sets the limit of time.
    ///
    /// # Errors
    /// Why there is none. The sender asks again after a wait.
    ///
    /// # Cancel safety
    /// The future is dropped when the time is over: it has to leave nothing behind.
    fn connect(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Connects over TCP to an address, `host:port`, whose name is looked up each time.
#[derive(Debug, Clone)]
pub struct Tcp(pub String);

impl Connect for Tcp {
    type Stream = TcpStream;

    async fn connect(&mut self) -> io::Result<TcpStream> {
        TcpStream::connect(&self.0).await
    }
}

/// The settings of a [`Sender`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SenderOptions {
    /// What the server reads. Default: pickles.
    pub wire: Wire,
    /// Points of a frame, 1 to 500. Default: 500.
    pub max_points: usize,
    /// Bytes that are gathered before they are written. Default: 64 KiB.
    pub batch: usize,
    /// Bytes of what was written last that are kept, and written again on the next connection: with
    /// a connection goes what the system still held of it. Default: 1 MiB. With 0 nothing is written
    /// twice, and what was under way is lost.
    pub keep: usize,
    /// How long one attempt to connect may take. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long a server may take nothing before its connection is given up. Default: 60 s.
    pub write_timeout: Duration,
    /// The waits between attempts to connect. Default: 100 ms to 5 s.
    pub backoff: Backoff,
    /// Whether infinite values are sent. Default: no.
    pub infinite: bool,
}

impl Default for SenderOptions {
    fn default() -> Self {
        Self {
            wire: Wire::default(),
            max_points: 500,
            batch: 64 * 1024,
            keep: 1 << 20,
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            backoff: Backoff::default(),
            infinite: false,
        }
    }
}

/// Sends points to one server, for as long as it takes: a server that is away or slow holds
/// [`send`](Self::send) up, and nothing is dropped. At most a batch waits in memory, and what
/// [`SenderOptions::keep`] says.
///
/// Whole batches are written again when a connection breaks, so that points may arrive twice;
/// Graphite's storage takes the second for the first. What a server had read and not yet stored when
/// it died is lost: the protocol has no way to know.
///
/// ```no_run
/// # use graphite_proto::{MetricRef, Sender, SenderOptions, Tcp, Timestamp};
/// # async fn send(now: Timestamp) -> Result<(), graphite_proto::EncodeError> {
/// let mut sender = Sender::new(Tcp("127.0.0.1:2004".into()), SenderOptions::default());
/// sender.send(&MetricRef::new("servers.web01.load", 0.25, now)).await?;
/// sender.flush().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sender<C: Connect> {
    connect: C,
    options: SenderOptions,
    encoder: PointEncoder,
    /// What was not written yet.
    batch: Vec<u8>,
    /// What was written last, and how many bytes that is.
    kept: VecDeque<Vec<u8>>,
    kept_bytes: usize,
    /// How many of the kept batches this connection has; less than all after a break.
    again: usize,
    link: Option<Link<C::Stream>>,
    connections: u64,
}

impl<C: Connect> Sender<C> {
    /// A sender that connects when there is something to send.
    #[must_use]
    pub fn new(connect: C, options: SenderOptions) -> Self {
        let encoder = PointEncoder::new(options.wire, options.max_points);
        let encoder = if options.infinite { encoder.with_infinite() } else { encoder };
        Self {
            connect,
            options,
            encoder,
            batch: Vec::new(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            again: 0,
            link: None,
            connections: 0,
        }
    }

    /// Adds a point, and writes when a batch is full.
    ///
    /// # Errors
    /// [`EncodeError`] for a point that receivers refuse, or misread; the sender goes on.
    ///
    /// # Cancel safety
    /// The point is added; what was to be written is written with the next call.
    pub async fn send(&mut self, metric: &MetricRef<'_>) -> Result<(), EncodeError> {
        self.encoder.push(metric, &mut self.batch)?;
        if self.batch.len() >= self.options.batch {
            self.write().await;
        }
        Ok(())
    }

    /// Writes all that was added. Waits until there is a connection, and until it takes it.
    ///
    /// # Cancel safety
    /// What was not written whole is written with the next call, on a new connection.
    pub async fn flush(&mut self) {
        self.encoder.flush(&mut self.batch);
        self.write().await;
    }

    /// Flushes, ends our side, and waits until the server ends its own, which says that it has read
    /// everything. When that does not come to pass, all that is kept is written again on a new
    /// connection, and so on.
    ///
    /// # Cancel safety
    /// Can be called again.
    pub async fn finish(&mut self) {
        loop {
            self.flush().await;
            let Some(mut link) = self.link.take() else { return };
            self.again = 0;
            let ended = timeout(self.options.write_timeout, link.finish()).await;
            if matches!(ended, Ok(Ok(()))) {
                self.kept.clear();
                self.kept_bytes = 0;
                self.options.backoff.reset();
                return;
            }
            if self.kept.is_empty() {
                return;
            }
            sleep(self.options.backoff.next_wait()).await;
        }
    }

    /// How many connections were made.
    #[must_use]
    pub const fn connections(&self) -> u64 {
        self.connections
    }

    async fn write(&mut self) {
        if !self.batch.is_empty() {
            self.kept_bytes += self.batch.len();
            self.kept.push_back(std::mem::take(&mut self.batch));
        }
        while self.again < self.kept.len() || self.link.as_mut().is_none() {
            if self.kept.is_empty() {
                return;
            }
            if self.write_kept().await.is_err() {
                self.link = None;
                self.again = 0;
                sleep(self.options.backoff.next_wait()).await;
            }
        }
        self.forget();
    }

    /// Writes the kept batches that this connection does not have.
    async fn write_kept(&mut self) -> io::Result<()> {
        // Whoever drops this future leaves no connection behind that has a part of a batch.
        let mut link = match self.link.take() {
            Some(link) => link,
            None => {
                self.again = 0;
                let connecting = self.connect.connect();
                let stream = timeout(self.options.connect_timeout, connecting).await??;
                self.connections += 1;
                Link::new(stream)
            }
        };
        while let Some(batch) = self.kept.get(self.again) {
            timeout(self.options.write_timeout, link.write_all(batch)).await??;
            self.again += 1;
            self.options.backoff.reset();
        }
        self.link = Some(link);
        Ok(())
    }

    /// Forgets what lies further back than what is to be kept.
    fn forget(&mut self) {
        while let Some(oldest) = self.kept.front()
            && self.kept_bytes > self.options.keep
        {
            self.kept_bytes -= oldest.len();
            self.kept.pop_front();
            self.again = self.again.saturating_sub(1);
        }
    }
}
