//! Takes entries in over the Gravwell ingest protocol, and says what it got. `ingest-wire` alone.
//!
//! ```sh
//! export INGEST_SECRET='open sesame'
//! cargo run -p examples --example wire_server -- --listen tcp://127.0.0.1:4023
//! ```
//!
//! It prints a line of JSON with the target to connect to, and another one when its standard input
//! ends: how many entries it got, and for each tag a checksum, to be compared with what the client
//! printed. `wire_certificate` makes what `--listen tls://` needs.

#![allow(missing_docs, unreachable_pub, reason = "the command line's macro writes such items")]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ingest_wire::{Acceptor, Secret, ServerConfig, SessionEvent, TagId, TagName, server_config};
use serde_json::json;
use support::{Report, cpu_seconds, say};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

xflags::xflags! {
    /// Takes entries in over the Gravwell ingest protocol, until its standard input ends.
    cmd wire-server {
        /// Where: tcp://ADDRESS:PORT, tls://ADDRESS:PORT or pipe://PATH; port 0 is any
        /// (default: tcp://127.0.0.1:0).
        optional --listen target: String
        /// The secret (default: the environment variable INGEST_SECRET).
        optional --secret secret: String
        /// The certificate chain for tls://, a PEM file.
        optional --cert file: PathBuf
        /// Its key, a PEM file.
        optional --key file: PathBuf
        /// Announce this version of the protocol (default: the newest).
        optional --version version: u16
        /// Refuse this tag.
        repeated --refuse-tag name: String
        /// Ask for a pause of so many milliseconds after every 10,000 entries.
        optional --throttle milliseconds: u64
        /// Append 12 bytes for each entry to this file before it is acknowledged.
        optional --journal file: PathBuf
        /// Append a line for each entry to this file.
        optional --dump file: PathBuf
    }
}

/// What all sessions share.
struct Server {
    acceptor: Acceptor,
    refused_tags: Vec<String>,
    throttle: Option<Duration>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    report: Report,
    /// The place of a name is its number, less one.
    names: Vec<String>,
    sessions: u64,
    failed: Vec<String>,
    dittos: u64,
    states: u64,
    identities: BTreeMap<String, u64>,
    tenants: BTreeMap<String, u64>,
    versions: BTreeMap<String, u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let flags = WireServer::from_env_or_exit();
    let secret = flags.secret.clone().or_else(|| std::env::var("INGEST_SECRET").ok());
    let secret = secret.context("a secret is needed: --secret or INGEST_SECRET")?;
    let mut config = ServerConfig::default();
    config.version = flags.version.unwrap_or(config.version);
    let report = Report::new(flags.journal.as_deref(), flags.dump.as_deref())?;
    let server = Arc::new(Server {
        acceptor: Acceptor::new(Secret::new(secret)).config(config),
        refused_tags: flags.refuse_tag.clone(),
        throttle: flags.throttle.map(Duration::from_millis),
        seen: Mutex::new(Seen { report, ..Seen::default() }),
    });

    let end =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    tokio::select! {
        served = listen(&flags, server.clone()) => return served,
        ended = end => drop(ended??),
    }
    let mut seen = server.seen();
    seen.report.flush()?;
    say(&json!({
        "entries": seen.report.entries(),
        "tags": seen.report.tags(),
        "cpu_seconds": cpu_seconds(),
        "sessions": seen.sessions,
        "failed": seen.failed,
        "dittos": seen.dittos,
        "states": seen.states,
        "identities": seen.identities,
        "tenants": seen.tenants,
        "client_versions": seen.versions,
    }))
}

async fn listen(flags: &WireServer, server: Arc<Server>) -> Result<()> {
    let target = flags.listen.as_deref().unwrap_or("tcp://127.0.0.1:0");
    let (scheme, address) = target.split_once("://").context("the target has no scheme")?;
    if scheme == "pipe" {
        let listener = UnixListener::bind(address)?;
        say(&json!({ "listening": target }))?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(server.clone().session(stream));
        }
    }
    let tls = match scheme {
        "tcp" => None,
        "tls" => {
            let read = |path: &Option<PathBuf>| {
                std::fs::read(path.as_ref().context("tls:// needs --cert and --key")?)
                    .context("cannot read the certificate")
            };
            let config = server_config(&read(&flags.cert)?, &read(&flags.key)?, None)?;
            Some(TlsAcceptor::from(Arc::new(config)))
        }
        _ => bail!("found {scheme:?}; allowed: tcp, tls, pipe"),
    };
    let listener = TcpListener::bind(address).await?;
    say(&json!({ "listening": format!("{scheme}://{}", listener.local_addr()?) }))?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (server, tls) = (server.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => server.session(stream).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => server.session(stream).await,
                    Err(error) => server.seen().failed.push(error.to_string()),
                },
            }
        });
    }
}

impl Server {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn session(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin + Send) {
        self.seen().sessions += 1;
        if let Err(error) = self.serve(stream).await {
            self.seen().failed.push(error.to_string());
        }
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send) -> Result<()> {
        let number = |name: &TagName| self.number(name.as_str());
        let mut session = self.acceptor.accept(stream, number).await?;
        let mut since_throttle = 0;
        loop {
            match session.next().await? {
                Some(SessionEvent::Entries(batch)) => {
                    since_throttle += batch.len();
                    let mut seen = self.seen();
                    let Seen { report, names, dittos, .. } = &mut *seen;
                    for entry in &batch {
                        let name =
                            usize::from(entry.tag.0).checked_sub(1).and_then(|n| names.get(n));
                        report.add(name.map_or("?", String::as_str), &entry)?;
                        *dittos += u64::from(batch.is_ditto());
                    }
                    // Only what the system has is acknowledged.
                    report.flush()?;
                    drop(seen);
                    let receipt = batch.receipt();
                    session.confirm(receipt);
                }
                Some(SessionEvent::State(_)) => self.seen().states += 1,
                Some(_) => {}
                None => break,
            }
            if let Some(pause) = self.throttle.filter(|_| since_throttle >= 10_000) {
                session.throttle(pause);
                since_throttle = 0;
            }
        }
        let mut seen = self.seen();
        if let Some(identity) = session.identity() {
            *seen.identities.entry(identity.name.clone()).or_default() += 1;
        }
        if let Some(tenant) = session.tenant() {
            let tenant = String::from_utf8_lossy(tenant).into_owned();
            *seen.tenants.entry(tenant).or_default() += 1;
        }
        *seen.versions.entry(session.client_version().to_string()).or_default() += 1;
        Ok(())
    }

    /// The number of a tag: the next one, if its name is new.
    fn number(&self, name: &str) -> Option<TagId> {
        if self.refused_tags.iter().any(|refused| refused == name) {
            return None;
        }
        let names = &mut self.seen().names;
        let place = names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        u16::try_from(place + 1).ok().map(TagId)
    }
}
