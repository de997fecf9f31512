//! The real server over a stream in memory.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::UNIX_EPOCH;

use hydra_ws::{Ingestor, Join, Options, Outcome, Registry, Request, Server, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use super::super::script::Choices;

/// How often nothing comes before the end does, so that answers are not cut off.
const SILENCE: u32 = 8;

/// What a client sends, in pieces, and what it gets.
struct Wire {
    input: Vec<u8>,
    sent: usize,
    cut: Option<Choices>,
    silence: u32,
    got: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        wake: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = (self.input.len() - self.sent).min(buffer.remaining());
        if left == 0 {
            if self.silence == 0 || self.sent < self.input.len() {
                return Poll::Ready(Ok(()));
            }
            self.silence -= 1;
            wake.waker().wake_by_ref();
            return Poll::Pending;
        }
        let length = self.cut.as_mut().map_or(left, |choices| choices.piece(left));
        let sent = self.sent;
        buffer.put_slice(&self.input[sent..sent + length]);
        self.sent += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.got.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Takes everything, and keeps it.
#[derive(Default)]
struct Keeper(Mutex<Vec<Vec<u8>>>);

impl Ingestor for Keeper {
    fn join(&self, _: &Request) -> Join {
        Join::Join
    }

    fn ingest(&self, request: Request) -> Outcome {
        self.0.lock().unwrap().push(request.payload().to_vec());
        Outcome::completed()
    }
}

/// What came of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Served {
    /// What the client got.
    pub(super) written: Vec<u8>,
    /// What the ingestor got.
    pub(super) payloads: Vec<Vec<u8>>,
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
}

/// Serves a client that sends this, whole or in pieces, and then ends.
pub(super) fn serve(options: &Options, input: Vec<u8>, cut: Option<Choices>) -> Served {
    let registry = Registry::new();
    let keeper = Arc::new(Keeper::default());
    registry.register("keeper", Arc::clone(&keeper) as _, UNIX_EPOCH).unwrap();
    let server = Server::new(ServerConfig::new(options.clone()), registry);
    let got = Arc::default();
    let wire = Wire { input, sent: 0, cut, silence: SILENCE, got: Arc::clone(&got) };
    let (_going, stop) = watch::channel(false);
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    RUNTIME.with(|runtime| runtime.block_on(server.serve(wire, peer, stop)));
    let stats = server.stats();
    assert_eq!((stats.requests, stats.sessions_open), (stats.reports, 0), "{stats:?}");
    let written = std::mem::take(&mut *got.lock().unwrap());
    let payloads = std::mem::take(&mut *keeper.0.lock().unwrap());
    Served { written, payloads }
}
