//! One connection to a server after another, and the leases on their way over them.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use graphite_proto::Link;
use ingest_mux::{Lease, Leases, LinkError, Trouble};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::Graphite;
use super::points::Writer;

/// How long a connection may take to come about, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// Leases whose bytes were written and that do not count as delivered yet. One more lets the oldest
/// go: 4 MiB lie behind it then, which is what systems hold of a connection at most.
const HELD: usize = 4;
/// With `confirm = "closed"`: leases that one connection carries, and how long it waits for more.
const ROUND: usize = 16;
const QUIET: Duration = Duration::from_millis(100);
/// How long a server may take to close its side.
const CLOSING: Duration = Duration::from_secs(30);

/// Any stream.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

type Connected = Link<Pin<Box<dyn Stream>>>;

/// Leases that were written, with when that was.
type Written = VecDeque<(Lease, Instant)>;

impl Graphite {
    pub(super) async fn link(&self, leases: &Leases) -> Result<(), LinkError> {
        let mut writer = Writer::new(self.encoder(), self.share.as_ref());
        let mut buffer = Vec::new();
        loop {
            let mut link = self.connect().await?;
            leases.connected();
            let mut written = Written::new();
            let more = if self.closed {
                self.round(leases, &mut link, &mut writer, &mut buffer, &mut written).await?
            } else {
                self.stream(leases, &mut link, &mut writer, &mut buffer, &mut written).await?
            };
            if !more {
                return Ok(());
            }
        }
    }

    async fn connect(&self) -> Result<Connected, LinkError> {
        let failed = |error: io::Error| LinkError::passing(format!("{}: {error}", self.server));
        let connecting = async {
            let stream = TcpStream::connect((self.server.host.as_str(), self.server.port)).await?;
            stream.set_nodelay(true)?;
            Ok(match &self.tls {
                None => Box::pin(stream) as Pin<Box<dyn Stream>>,
                Some((connector, host)) => Box::pin(connector.connect(host.clone(), stream).await?),
            })
        };
        match timeout(CONNECT, connecting).await {
            Ok(stream) => stream.map(Link::new).map_err(failed),
            Err(late) => Err(failed(late.into())),
        }
    }

    /// Sends until the connection breaks or nothing more comes; leases count as delivered when their
    /// connection has stood for a while after they were written.
    async fn stream(
        &self,
        leases: &Leases,
        link: &mut Connected,
        writer: &mut Writer<'_>,
        buffer: &mut Vec<u8>,
        written: &mut Written,
    ) -> Result<bool, LinkError> {
        loop {
            let oldest = written.front().map(|(_, at)| *at + self.settle);
            tokio::select! {
                biased;
                error = link.ended() => return Err(self.broken(&error)),
                () = until(oldest) => confirm_oldest(written),
                lease = leases.next() => {
                    let Some(lease) = lease else { break };
                    self.send(lease, link, writer, buffer, written).await?;
                    if written.len() > HELD {
                        confirm_oldest(written);
                    }
                }
            }
        }
        // The end of the other side says that it has read everything; else time does.
        let Some((_, last)) = written.back() else { return Ok(false) };
        let until = *last + self.settle;
        match timeout_at(until, link.finish()).await {
            Ok(Err(error)) => Err(self.broken(&error)),
            Ok(Ok(())) | Err(_) => {
                confirm_all(written);
                Ok(false)
            }
        }
    }

    /// Sends what there is, ends our side, and waits for the end of the other. Says whether there may
    /// be more.
    async fn round(
        &self,
        leases: &Leases,
        link: &mut Connected,
        writer: &mut Writer<'_>,
        buffer: &mut Vec<u8>,
        written: &mut Written,
    ) -> Result<bool, LinkError> {
        let mut more = true;
        while more && written.len() < ROUND {
            let quiet = written.back().map(|_| Instant::now() + QUIET);
            tokio::select! {
                biased;
                error = link.ended() => return Err(self.broken(&error)),
                lease = leases.next() => match lease {
                    Some(lease) => self.send(lease, link, writer, buffer, written).await?,
                    None => more = false,
                },
                () = until(quiet) => break,
            }
        }
        if written.is_empty() {
            return Ok(more);
        }
        match timeout(CLOSING, link.finish()).await {
            Ok(Ok(())) => {
                confirm_all(written);
                Ok(more)
            }
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(_) => {
                let message = format!("{} did not close its side in time", self.server);
                Err(LinkError::passing(message).of(Trouble::Stalled))
            }
        }
    }

    async fn send(
        &self,
        lease: Lease,
        link: &mut Connected,
        writer: &mut Writer<'_>,
        buffer: &mut Vec<u8>,
        written: &mut Written,
    ) -> Result<(), LinkError> {
        buffer.clear();
        writer.write(&lease, &self.fates, buffer);
        link.write_all(buffer).await.map_err(|error| self.broken(&error))?;
        written.push_back((lease, Instant::now()));
        Ok(())
    }

    fn broken(&self, error: &io::Error) -> LinkError {
        LinkError::passing(format!("{}: {error}", self.server))
    }
}

fn confirm_oldest(written: &mut Written) {
    if let Some((lease, _)) = written.pop_front() {
        lease.confirm();
    }
}

fn confirm_all(written: &mut Written) {
    while !written.is_empty() {
        confirm_oldest(written);
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
