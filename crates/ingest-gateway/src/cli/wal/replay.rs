//! `ingestry wal replay --target`: history, from the files to an indexer.
//!
//! Entries go out in the order of the log and are kept until they are acknowledged. A connection
//! that breaks is made again, and what it had not acknowledged is sent again: each entry arrives
//! at least once.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ingest_entry::{Entry, TagId, TagName};
use ingest_store::{Query, Report, Store, StoreError, Watch};
use ingest_wal::{Directory, Lsn};
use ingest_wire::{
    ClientError, Connection, Connector, Identity, Secret as WireSecret, Target, TlsOptions,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::meter::{Meter, throughput};
use super::{ReplayArgs, count, counted, data_dir, usage};
use crate::cli::{Exit, search};
use crate::config::SecretFrom;

/// Entries that are read ahead go over in pieces of so many, or so many bytes.
const PIECE: usize = 512;
const PIECE_BYTES: usize = 256 * 1024;
/// How long acknowledgements are waited for at the end, and after an interrupt.
const PATIENCE: Duration = Duration::from_secs(30);
const SHORT_PATIENCE: Duration = Duration::from_secs(5);
/// Attempts in a row without an acknowledgement before it is given up; the wait doubles.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// An entry on its way, its tag by name.
#[derive(Debug)]
struct Parcel {
    lsn: Lsn,
    tag: Arc<TagName>,
    entry: Entry,
    /// It was sent before, over a connection that broke.
    sent: bool,
}

/// Exact counts of a replay.
#[derive(Debug, Default)]
struct Counts {
    /// Entries sent for the first time.
    sent: u64,
    acknowledged: u64,
    /// Sent again after a break.
    again: u64,
    /// Entries whose tag has no name in the log: nothing that an indexer could take.
    nameless: u64,
    /// Entries that a server left out the values of, being older.
    values_dropped: u64,
    /// All up to this one that match are acknowledged.
    through: Option<Lsn>,
}

/// How it ended.
#[derive(Debug)]
enum End {
    Complete,
    Interrupted,
    Failed(String),
}

pub(super) fn run(dir: &Directory, args: &ReplayArgs) -> anyhow::Result<Exit> {
    let (Some(target), Some(secret)) = (&args.target, &args.secret) else {
        return usage("--target and --secret belong together");
    };
    let target: Target = match target.parse() {
        Ok(target) => target,
        Err(error) => return usage(&format!("--target {target}: {error}")),
    };
    let connector = match connector(&target, secret, args) {
        Ok(connector) => connector,
        Err(error) => return usage(&format!("{error:#}")),
    };
    let watch = Arc::new(Watch::new());
    let store = Store::with_directory(dir.clone())?.watched(Arc::clone(&watch));
    let query = args.select.query()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .thread_name("ingestry-replay")
        .build()
        .context("cannot start the runtime")?;
    let meter = Meter::new("replaying");
    let counts = Counts { through: args.select.after, ..Counts::default() };
    let mut replay = Replay {
        connector,
        connection: None,
        reached: false,
        ids: HashMap::new(),
        todo: VecDeque::new(),
        waiting: VecDeque::new(),
        settled: 0,
        counts,
    };
    let (end, report) = meter.follow(&watch, || runtime.block_on(replay.all(store, query)));
    let time = meter.end();
    runtime.shutdown_timeout(Duration::from_millis(100));
    let counts = replay.counts;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{target}: sent {}, acknowledged {}, not acknowledged {}",
        count(counts.sent),
        count(counts.acknowledged),
        count(counts.sent - counts.acknowledged)
    )?;
    for (number, what) in [
        (counts.again, "sent again after a break"),
        (counts.nameless, "not sent: their tag has no name in the log"),
        (counts.values_dropped, "sent without their values: the server is older than version 8"),
    ] {
        if number > 0 {
            writeln!(out, "  {} {what}", counted(number, "entry", "entries"))?;
        }
    }
    if let Some(report) = &report {
        search::note(report, &mut io::stderr().lock())?;
        super::note(&format!("Read {}.", throughput(report.scanned_bytes, time)))?;
    }
    let whole = matches!(end, End::Complete) && counts.sent == counts.acknowledged;
    let through = match &report {
        // Everything that could be seen has been dealt with.
        Some(report) if whole => Some(report.next.saturating_sub(1)),
        _ => counts.through,
    };
    match &end {
        End::Complete => {}
        End::Interrupted => writeln!(out, "Interrupted.")?,
        End::Failed(error) => {
            out.flush()?;
            super::note(&format!("error: {error}"))?;
        }
    }
    let after = through.unwrap_or(0);
    let dir = data_dir(dir.path());
    writeln!(out, "To go on: ingestry wal replay{dir} --target {target} --after {after} …")?;
    Ok(if whole && counts.nameless == 0 { Exit::Fine } else { Exit::Failed })
}

fn connector(target: &Target, secret: &SecretFrom, args: &ReplayArgs) -> anyhow::Result<Connector> {
    let secret = secret.read().with_context(|| format!("--secret {secret}"))?;
    let identity = Identity {
        name: "ingestry-replay".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Identity::default()
    };
    let connector = Connector::to(target.clone(), WireSecret::new(&secret)).identity(identity);
    let Some(ca) = &args.ca else { return Ok(connector) };
    let pem = std::fs::read(ca).with_context(|| format!("cannot read {}", ca.display()))?;
    Ok(connector.tls(TlsOptions::default().authority(pem)))
}

struct Replay {
    connector: Connector,
    connection: Option<Connection>,
    /// There was a connection: the target and the secret are right.
    reached: bool,
    /// Numbers of tags on this connection.
    ids: HashMap<Arc<TagName>, TagId>,
    /// What is to be sent, in the order of the log.
    todo: VecDeque<Parcel>,
    /// What was sent over this connection and is not known to be acknowledged.
    waiting: VecDeque<Parcel>,
    /// How many entries have left `waiting` since the connection was made.
    settled: u64,
    counts: Counts,
}

impl Replay {
    /// Sends all that matches; the report of the search comes back when that came to its end.
    async fn all(&mut self, store: Store, query: Query) -> (End, Option<Report>) {
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return (End::Failed("cannot handle signals".to_owned()), None);
        };
        let (parcels, mut inbox) = mpsc::channel(4);
        let reading = tokio::task::spawn_blocking(move || read(&store, &query, &parcels));
        let end = tokio::select! {
            end = self.pump(&mut inbox) => end,
            _ = interrupt.recv() => End::Interrupted,
            _ = terminate.recv() => End::Interrupted,
        };
        // The search ends when nobody takes what it finds.
        drop(inbox);
        let patience = if matches!(end, End::Complete) { PATIENCE } else { SHORT_PATIENCE };
        self.finish(patience).await;
        match reading.await {
            Ok((Ok(report), nameless)) => {
                self.counts.nameless = nameless;
                (end, Some(report))
            }
            Ok((Err(error), nameless)) => {
                self.counts.nameless = nameless;
                (End::Failed(format!("{:#}", anyhow::Error::new(error))), None)
            }
            Err(error) => (End::Failed(error.to_string()), None),
        }
    }

    async fn pump(&mut self, inbox: &mut mpsc::Receiver<Vec<Parcel>>) -> End {
        while let Some(parcels) = inbox.recv().await {
            self.todo.extend(parcels);
            if let Err(error) = self.send_all().await {
                return End::Failed(error);
            }
        }
        // A break is mended here too, as long as something is not acknowledged.
        let mut left = ATTEMPTS;
        loop {
            let Some(connection) = &self.connection else { return End::Complete };
            let synced = connection.sync(PATIENCE).await;
            let moved = self.take_note();
            let error = match synced {
                Ok(()) => return End::Complete,
                Err(error) if error.can_continue() && moved => continue,
                Err(error) => error,
            };
            left = if moved { ATTEMPTS } else { left - 1 };
            if error.can_continue() || left == 0 {
                return End::Failed(error.to_string());
            }
            self.give_up().await;
            if let Err(error) = self.send_all().await {
                return End::Failed(error);
            }
        }
    }

    /// Sends what is to be sent, over a new connection where the one that is there breaks.
    async fn send_all(&mut self) -> Result<(), String> {
        let (mut left, mut wait) = (ATTEMPTS, FIRST_WAIT);
        while let Some(lsn) = self.todo.front().map(|parcel| parcel.lsn) {
            let sent = self.send_first().await;
            if self.take_note() {
                (left, wait) = (ATTEMPTS, FIRST_WAIT);
            }
            let Err(error) = sent else { continue };
            if self.connection.is_some() && error.can_continue() {
                // The tag was refused, or the entry is beyond what the protocol carries.
                return Err(format!("LSN {lsn}: {error}"));
            }
            self.give_up().await;
            left -= 1;
            if left == 0 || !self.reached {
                return Err(error.to_string());
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Ok(())
    }

    /// Sends the first entry that is to be sent. Dropped, it has not.
    async fn send_first(&mut self) -> Result<(), ClientError> {
        let Some(parcel) = self.todo.front() else { return Ok(()) };
        if self.connection.is_none() {
            // Go servers refuse a connection without a tag.
            let connector = self.connector.clone().tags([TagName::clone(&parcel.tag)]);
            self.connection = Some(connector.connect().await?);
            self.reached = true;
        }
        let Some(connection) = &self.connection else { return Err(ClientError::Closed) };
        let id = match self.ids.get(&parcel.tag) {
            Some(id) => *id,
            None => {
                let id = connection.tag(parcel.tag.as_str()).await?;
                self.ids.insert(Arc::clone(&parcel.tag), id);
                id
            }
        };
        let mut entry = parcel.entry.as_ref();
        entry.tag = id;
        connection.send(entry).await?;
        if let Some(mut parcel) = self.todo.pop_front() {
            let counter = if parcel.sent { &mut self.counts.again } else { &mut self.counts.sent };
            *counter += 1;
            parcel.sent = true;
            self.waiting.push_back(parcel);
        }
        Ok(())
    }

    /// What has been acknowledged since; whether anything has.
    fn take_note(&mut self) -> bool {
        let Some(connection) = &self.connection else { return false };
        let settled = connection.settled();
        let news = settled > self.settled;
        while self.settled < settled {
            let Some(parcel) = self.waiting.pop_front() else { break };
            self.settled += 1;
            self.counts.acknowledged += 1;
            self.counts.through = Some(parcel.lsn);
        }
        news
    }

    /// Leaves a broken connection; what it had not acknowledged is to be sent again.
    async fn give_up(&mut self) {
        self.ids.clear();
        self.settled = 0;
        while let Some(parcel) = self.waiting.pop_back() {
            self.todo.push_front(parcel);
        }
        if let Some(broken) = self.connection.take() {
            self.counts.values_dropped += broken.counts().values_dropped;
            // Kept here already.
            drop(broken.close(Duration::ZERO).await);
        }
    }

    /// Waits for the last acknowledgements and closes.
    async fn finish(&mut self, patience: Duration) {
        let Some(connection) = &self.connection else { return };
        // What is not acknowledged by then is said.
        let _ = connection.sync(patience).await;
        self.take_note();
        let Some(connection) = self.connection.take() else { return };
        self.counts.values_dropped += connection.counts().values_dropped;
        let closed = connection.close(Duration::from_secs(1)).await;
        // Acknowledged out of order, or at the last moment: not a place to go on from.
        let late = self.waiting.len().saturating_sub(closed.unacknowledged.len());
        self.counts.acknowledged += late as u64;
    }
}

/// Reads what matches and hands it over, until nobody takes it.
fn read(
    store: &Store,
    query: &Query,
    parcels: &mpsc::Sender<Vec<Parcel>>,
) -> (Result<Report, StoreError>, u64) {
    let mut names: HashMap<TagId, Option<Arc<TagName>>> = HashMap::new();
    let (mut piece, mut bytes, mut nameless) = (Vec::new(), 0, 0);
    let report = store.search(query, &mut |hit| {
        let name = names.entry(hit.entry.tag).or_insert_with(|| {
            // A number without a name is shown as #NUMBER: that is none to be sent.
            let name = TagName::new(hit.tag_name).ok()?;
            (!hit.tag_name.starts_with('#')).then(|| Arc::new(name))
        });
        let Some(tag) = name else {
            nameless += 1;
            return ControlFlow::Continue(());
        };
        let entry = hit.entry.to_entry();
        bytes += entry.data.len();
        piece.push(Parcel { lsn: hit.lsn, tag: Arc::clone(tag), entry, sent: false });
        if piece.len() < PIECE && bytes < PIECE_BYTES {
            return ControlFlow::Continue(());
        }
        bytes = 0;
        match parcels.blocking_send(std::mem::take(&mut piece)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    if !piece.is_empty() {
        // Nobody takes it after an interrupt.
        let _ = parcels.blocking_send(piece);
    }
    (report, nameless)
}
