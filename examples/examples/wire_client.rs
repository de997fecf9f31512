//! Sends entries to a server that speaks the Gravwell ingest protocol, and says what it sent.
//! `ingest-wire` alone.
//!
//! ```sh
//! export INGEST_SECRET='open sesame'
//! cargo run -p examples --example wire_server -- --listen tcp://127.0.0.1:4023 &
//! cargo run -p examples --example wire_client -- tcp://127.0.0.1:4023 --tag syslog --count 1000
//! ```
//!
//! It prints one line of JSON: how many entries were sent and acknowledged, and for each tag a
//! checksum, to be compared with what the server prints at its end.

#![allow(missing_docs, unreachable_pub, reason = "the command line's macro writes such items")]

#[path = "support/corpus.rs"]
mod corpus;
mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ingest_entry::{Entry, EntryRef, Source, TagId, Timestamp};
use ingest_wire::{Connection, Connector, Identity, IngesterState, TlsOptions};
use serde_json::json;
use support::{Report, cpu_seconds, say};

xflags::xflags! {
    /// Sends entries to a server that speaks the Gravwell ingest protocol.
    cmd wire-client {
        /// Where to: tcp://HOST:PORT, tls://HOST:PORT or pipe://PATH.
        required target: String
        /// The secret (default: the environment variable INGEST_SECRET).
        optional --secret secret: String
        /// A tag to send under, in turn with the others (default: default).
        repeated --tag name: String
        /// Another one, asked for in the middle of the stream.
        repeated --late-tag name: String
        /// How many entries (default 1000).
        optional --count entries: u64
        /// How long the data of each is, at least 8 bytes (default 256).
        optional --size bytes: usize
        /// So many at once (default 1).
        optional --batch entries: u64
        /// Send the edges of the format, too.
        optional --corpus
        /// Send so many more as a ditto block.
        optional --ditto entries: u64
        /// Send a state message.
        optional --state
        /// Ask for compression.
        optional --compress
        /// Leave out the set-up, as the simplest clients do.
        optional --plain
        /// Send as this tenant.
        optional --tenant name: String
        /// Trust the authority in this PEM file.
        optional --ca file: PathBuf
        /// Believe any certificate.
        optional --insecure
        /// When the connection is lost connect again, for so many seconds, and send again what was
        /// not acknowledged.
        optional --reconnect seconds: u64
        /// Connect so many times before, and tell the longest time.
        optional --connects times: u32
        /// Append 12 bytes for each entry to this file.
        optional --journal file: PathBuf
        /// Append a line for each entry to this file.
        optional --dump file: PathBuf
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let flags = WireClient::from_env_or_exit();
    let connector = connector(&flags)?;
    let connects = connects(&connector, flags.connects.unwrap_or(0)).await?;
    let mut client = Client {
        connection: connector.connect().await?,
        connector,
        tags: Vec::new(),
        numbers: Vec::new(),
        report: Report::new(flags.journal.as_deref(), flags.dump.as_deref())?,
        patience: flags.reconnect.map(Duration::from_secs),
        again: Vec::new(),
        connections: 1,
        resent: 0,
    };
    let default = ["default".to_owned()];
    client.tags(if flags.tag.is_empty() { &default } else { &flags.tag }).await?;
    let server_version = client.connection.server_version();
    if flags.state {
        let (name, tags) = ("wire_client".to_owned(), client.tags.clone());
        let state = IngesterState { name, tags, entries: 7, ..IngesterState::default() };
        client.connection.send_state(&state).await?;
    }
    if flags.corpus {
        let entries = corpus::corpus()?;
        client.send(&entries.iter().map(EntryRef::from).collect::<Vec<_>>()).await?;
    }

    let (started, cpu) = (Instant::now(), cpu_seconds());
    client.numbered(&flags).await?;
    client.finish().await?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = cpu.zip(cpu_seconds()).map(|(before, after)| after - before);

    if let Some(count) = flags.ditto {
        client.ditto(count).await?;
    }
    let (counts, report) = (client.connection.counts(), &mut client.report);
    report.flush()?;
    let summary = json!({
        "entries": report.entries(),
        "tags": report.tags(),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "server_version": server_version,
        "connections": client.connections,
        "resent": client.resent,
        "connects": connects,
        "values_dropped": counts.values_dropped,
        "unknown_acks": counts.unknown_acks,
    });
    let closed = client.connection.close(PATIENCE).await;
    ensure!(closed.unacknowledged.is_empty(), "{} not acknowledged", closed.unacknowledged.len());
    say(&summary)
}

fn connector(flags: &WireClient) -> Result<Connector> {
    let secret = flags.secret.clone().or_else(|| std::env::var("INGEST_SECRET").ok());
    let secret = secret.context("a secret is needed: --secret or INGEST_SECRET")?;
    let mut tls = TlsOptions::default();
    if let Some(path) = &flags.ca {
        tls = tls.authority(std::fs::read(path).context("cannot read the authority")?);
    }
    if flags.insecure {
        tls = tls.dangerous_accept_any_certificate();
    }
    let name = "wire_client".to_owned();
    let mut connector = Connector::new(&flags.target, secret)?
        .identity(Identity { name, ..Identity::default() })
        .compression(flags.compress)
        .tls(tls)
        // What is sent is what is reported: no source is filled in.
        .source(Source::NONE)
        .config(|config| config.plain = flags.plain);
    if let Some(tenant) = &flags.tenant {
        connector = connector.tenant(tenant.as_str());
    }
    // A server may refuse a connection that asks for no tag.
    if flags.tag.is_empty() {
        connector = connector.tag("default")?;
    }
    for tag in &flags.tag {
        connector = connector.tag(tag)?;
    }
    Ok(connector)
}

/// Connects and closes, again and again: how long that took.
async fn connects(connector: &Connector, times: u32) -> Result<serde_json::Value> {
    let mut all = Vec::new();
    for _ in 0..times {
        let started = Instant::now();
        let connection = connector.connect().await?;
        all.push(started.elapsed().as_secs_f64() * 1e3);
        connection.close(PATIENCE).await;
    }
    all.sort_by(f64::total_cmp);
    let (median, worst) = (all.get(all.len() / 2), all.last());
    Ok(json!({ "times": times, "median_ms": median, "worst_ms": worst }))
}

/// A connection, and what it takes to go on with another one. The tags of entries are places in
/// `tags` here; each connection has its own numbers for them.
struct Client {
    connector: Connector,
    connection: Connection,
    tags: Vec<String>,
    numbers: Vec<TagId>,
    report: Report,
    /// How long to try to connect again; without it a lost connection is the end.
    patience: Option<Duration>,
    /// What a lost connection has handed back.
    again: Vec<Entry>,
    connections: u64,
    resent: u64,
}

impl Client {
    async fn tags(&mut self, names: &[String]) -> Result<()> {
        for name in names {
            self.numbers.push(self.connection.tag(name).await?);
            self.tags.push(name.clone());
        }
        Ok(())
    }

    /// The tag of the nth entry.
    fn tag(&self, n: u64) -> Result<TagId> {
        Ok(TagId(u16::try_from(n % self.tags.len() as u64)?))
    }

    /// Entries whose data begins with their number.
    async fn numbered(&mut self, flags: &WireClient) -> Result<()> {
        let (count, batch) = (flags.count.unwrap_or(1000), flags.batch.unwrap_or(1).max(1));
        let data = vec![b'.'; flags.size.unwrap_or(256).max(8)];
        let mut buffers = vec![data; usize::try_from(batch.min(count))?];
        let source = Source::from_ip("192.0.2.7".parse()?);
        let mut late = &*flags.late_tag;
        for first in (0..count).step_by(usize::try_from(batch)?) {
            if first >= count / 2 {
                self.tags(std::mem::take(&mut late)).await?;
            }
            let mut entries = Vec::with_capacity(buffers.len());
            for (n, data) in (first..count).zip(&mut buffers) {
                if let Some(number) = data.first_chunk_mut() {
                    *number = n.to_le_bytes();
                }
                let ts = Timestamp::from_unix(1_700_000_000 + (n / 1000) as i64, n as u32 % 1000);
                entries.push(EntryRef::new(ts.context("a time")?, source, self.tag(n)?, data));
            }
            self.send(&entries).await?;
        }
        Ok(())
    }

    async fn send(&mut self, entries: &[EntryRef<'_>]) -> Result<()> {
        for entry in entries {
            let tag = self.tags.get(usize::from(entry.tag.0)).context("a tag")?;
            self.report.add(tag, entry)?;
        }
        self.deliver(entries).await
    }

    /// Sends first what was handed back, then these.
    async fn deliver(&mut self, mut entries: &[EntryRef<'_>]) -> Result<()> {
        loop {
            let mut again = std::mem::take(&mut self.again);
            let before = self.connection.counts().sent;
            let all = again.iter().map(EntryRef::from).chain(entries.iter().copied());
            let mut all = all.map(|entry| EntryRef {
                tag: self.numbers.get(usize::from(entry.tag.0)).copied().unwrap_or_default(),
                ..entry
            });
            let sent = match all.size_hint() {
                (1, Some(1)) => match all.next() {
                    Some(one) => self.connection.send(one).await,
                    None => Ok(()),
                },
                _ => self.connection.send_all(all).await,
            };
            let Err(error) = sent else { return Ok(()) };
            let sent = usize::try_from(self.connection.counts().sent - before)?;
            let old = sent.min(again.len());
            again.drain(..old);
            entries = entries.get(sent - old..).unwrap_or_default();
            self.connect_again(error.into()).await?;
            self.again.extend(again);
        }
    }

    /// Waits until all is acknowledged.
    async fn finish(&mut self) -> Result<()> {
        while let Err(error) = self.connection.sync(PATIENCE).await {
            self.connect_again(error.into()).await?;
            self.deliver(&[]).await?;
        }
        Ok(())
    }

    /// Makes a new connection, and takes from the old one what was not acknowledged.
    async fn connect_again(&mut self, why: anyhow::Error) -> Result<()> {
        let Some(patience) = self.patience else { return Err(why) };
        let deadline = Instant::now() + patience;
        let connection = loop {
            match self.connector.connect().await {
                Ok(connection) => break connection,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let lost = std::mem::replace(&mut self.connection, connection);
        self.connections += 1;
        for mut back in lost.close(Duration::ZERO).await.unacknowledged {
            let name = back.tag.context("an entry came back without the name of its tag")?;
            let place = self.tags.iter().position(|tag| tag == name.as_str());
            back.entry.tag = TagId(u16::try_from(place.context("a tag that was not asked for")?)?);
            self.again.push(back.entry);
            self.resent += 1;
        }
        let names = std::mem::take(&mut self.tags);
        self.numbers.clear();
        self.tags(&names).await
    }

    async fn ditto(&mut self, count: u64) -> Result<()> {
        let name = self.tags.first().context("a tag")?;
        let tag = self.connection.tag(name).await?;
        let data: Vec<String> = (0..count).map(|n| format!("ditto {n}")).collect();
        let entry = |data| EntryRef::new(Timestamp::UNIX_EPOCH, Source::NONE, tag, data);
        let entries: Vec<_> = data.iter().map(|data| entry(data.as_bytes())).collect();
        self.connection.send_ditto(&entries).await?;
        entries.iter().try_for_each(|entry| self.report.add(name, entry))
    }
}
