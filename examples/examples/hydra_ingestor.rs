//! An ingestor of one's own, behind Hydra's web sockets and HTTP.
//!
//! Run it, then talk to it: `ingestry hydra ws://127.0.0.1:8081/ws-ingest/line_count_ingestor`, or
//! `curl -d 'one line' http://127.0.0.1:8081/ingest`.

#![allow(clippy::print_stdout, reason = "an example")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use hydra_ws::{Failure, Ingestor, Join, Outcome, Registry, Request, Server, ServerConfig};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Counts payloads, and refuses empty ones.
#[derive(Default)]
struct LineCount(AtomicU64);

impl Ingestor for LineCount {
    fn join(&self, _: &Request) -> Join {
        Join::Join
    }

    fn validate(&self, request: &Request) -> Result<(), Failure> {
        match request.payload().trim_ascii() {
            b"" => Err(Failure::invalid("There is nothing in it.")),
            _ => Ok(()),
        }
    }

    fn ingest(&self, request: Request) -> Outcome {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        println!("{count}: {}", String::from_utf8_lossy(request.payload()));
        Outcome::completed()
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let registry = Registry::new();
    registry.register("line_count_ingestor", Arc::<LineCount>::default(), SystemTime::now())?;
    let server = Server::new(ServerConfig::default(), registry);
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        stop.send_replace(true);
    });
    let mut stopping = stopped.clone();
    loop {
        let (stream, peer) = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return Ok(()),
            accepted = listener.accept() => accepted?,
        };
        let (server, stopped) = (server.clone(), stopped.clone());
        tokio::spawn(async move { server.serve(stream, peer.ip(), stopped).await });
    }
}
