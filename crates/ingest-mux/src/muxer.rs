//! The muxer: one log, its sources, its outputs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ingest_entry::{TagId, TagName};
use ingest_wal::{Catalog, Cursor, Item, Limits, Log, Lsn, MissingCause, Options, Tally, Writer};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::about::About;
use crate::attach::Attach;
use crate::bodies::Bodies;
use crate::builder::Builder;
use crate::delivery::Delivery;
use crate::error::{DefineError, FlushError, SendError, StartError};
use crate::lag;
use crate::memory_fs::MemoryFileSystem;
use crate::names::Names;
use crate::output::{Account, From};
use crate::outputs::{Outputs, Tasks};
use crate::rate::Limiter;
use crate::relay::Relay;
use crate::sender::Sender;
use crate::shared::Shared;
use crate::source::{Common, Source};
use crate::status::{CloseReport, OutputStatus, Refusals, Status};
use crate::sync::lock;

/// What a sender may have in flight between it and the disk.
const SENDER_BUDGET: u64 = 8 << 20;
/// A close takes no shorter deadline.
const SHORTEST_CLOSE: Duration = Duration::from_millis(100);
/// An output that left the configuration holds nothing back after this long.
const RELEASED_AFTER: i64 = 24 * 60 * 60;

/// Gives tags their numbers: see [`Muxer::tag`]. Clones share the table.
#[derive(Clone, Debug)]
pub struct Tags {
    names: Arc<Names>,
    writer: Writer,
}

impl Tags {
    /// The number of a tag, given now if it has none, and kept for the life of the directory.
    /// `default` and `gravwell` have the numbers that the Gravwell protocol gives them.
    ///
    /// # Errors
    /// [`DefineError`]: the table is full, or the log does not take it.
    pub fn number(&self, name: &TagName) -> Result<TagId, DefineError> {
        self.names.tag(name, self.writer.limits(), &|body| self.writer.define(body))
    }

    /// The name of a tag; `None`: nobody has the number.
    #[must_use]
    pub fn name(&self, tag: TagId) -> Option<TagName> {
        self.names.tag_name(tag)
    }

    /// Whether a number was given out.
    pub(crate) fn is_known(&self, tag: TagId) -> bool {
        self.names.knows(tag)
    }
}

/// What the log asks of the muxer.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) names: Arc<Names>,
    /// `None` until the outputs are known.
    outputs: OnceLock<Outputs>,
    /// Outputs that are not configured any more.
    pub(crate) absent: Mutex<BTreeMap<String, Account>>,
}

impl Catalog for Book {
    fn preamble(&self) -> Vec<u8> {
        self.names.preamble()
    }

    fn definitions(&self) -> Vec<u8> {
        self.names.definitions()
    }

    fn restore(&self, preamble: &[u8]) {
        self.names.restore(preamble);
    }

    fn define(&self, body: &[u8]) {
        self.names.learn(body);
    }

    fn tally(&self, body: &[u8], tally: &mut Tally) {
        self.names.tally(body, tally);
    }

    fn summary(&self, tally: &Tally) -> Vec<u8> {
        Names::summary(tally)
    }

    fn cursors(&self) -> Option<Vec<Cursor>> {
        let outputs = self.outputs.get()?.all();
        let mut cursors: Vec<Cursor> = outputs
            .iter()
            .map(|output| lock(&output.state).account.to_cursor(&output.name, false))
            .collect();
        let now = unix_seconds();
        for (name, account) in lock(&self.absent).iter() {
            let gone = account.absent_since.unwrap_or(now);
            cursors.push(account.to_cursor(name, now.saturating_sub(gone) >= RELEASED_AFTER));
        }
        Some(cursors)
    }
}

pub(crate) fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// One log, its sources and its outputs.
#[derive(Debug)]
pub struct Muxer {
    pub(crate) log: Arc<Log>,
    pub(crate) book: Arc<Book>,
    pub(crate) common: Arc<Common>,
    pub(crate) outputs: Outputs,
    pub(crate) tasks: tokio::sync::Mutex<Tasks>,
    /// The limit of all outputs together.
    pub(crate) for_all: Option<Arc<Limiter>>,
    /// Longest wait between two attempts to connect.
    pub(crate) longest_wait: Duration,
    delivery: Delivery,
    refusals: Refusals,
    /// Ends with the muxer.
    _helpers: JoinSet<()>,
}

impl Muxer {
    /// Options for a muxer.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn start(builder: Builder) -> Result<Self, StartError> {
        let book = Arc::new(Book::default());
        let catalog: Arc<dyn Catalog> = Arc::clone(&book) as _;
        let has_directory = builder.dir.is_some();
        let log = Arc::new(match &builder.dir {
            Some(dir) => Log::open(dir, builder.log, catalog)?,
            None => Log::open(Path::new("memory"), ring(builder.log, builder.memory)?, catalog)?,
        });
        let about = Arc::new(About::new(builder.identity, log.log_id()));
        let _ = about.log.set(Arc::downgrade(&log));
        let attach =
            Attach::new(&builder.attach, &about.identity.uuid).map_err(StartError::Attach)?;
        let tags = Tags { names: Arc::clone(&book.names), writer: log.writer() };
        for name in &builder.tags {
            tags.number(name)?;
        }
        let mut kept: BTreeMap<String, Account> = log
            .cursors()
            .iter()
            .map(|cursor| (cursor.name.clone(), Account::from_cursor(cursor)))
            .collect();
        let outputs = Outputs::default();
        let delivery = Delivery { writer: log.writer(), outputs: outputs.clone() };
        let mut helpers = JoinSet::new();
        helpers.spawn(lag::watch(Arc::downgrade(&log), outputs.clone()));
        let bodies = Bodies::new(log.writer().limits().record_target());
        let address = builder.address;
        let common = Arc::new(Common { attach, address, about, has_directory, bodies });
        let muxer = Self {
            log,
            book,
            common,
            outputs,
            tasks: tokio::sync::Mutex::default(),
            for_all: builder.rate.map(|rate| Arc::new(Limiter::new(rate))),
            longest_wait: builder.longest_wait,
            delivery,
            refusals: Refusals::default(),
            _helpers: helpers,
        };
        let mut known = Vec::new();
        let mut some_are_new = false;
        for output in builder.outputs {
            if known.iter().any(|(have, _): &(Arc<Shared>, _)| have.name == output.name) {
                return Err(StartError::OutputTwice(output.name));
            }
            let account = kept.remove(&output.name);
            some_are_new |= account.is_none();
            known.push((muxer.add_output(&output, account), output));
        }
        let now = unix_seconds();
        for account in kept.values_mut() {
            account.absent_since.get_or_insert(now);
        }
        *lock(&muxer.book.absent) = kept;
        let _ = muxer.book.outputs.set(muxer.outputs.clone());
        // A new output exists once its start is durable, before anything is accepted.
        // Twice: should the newest snapshot be damaged, the one before it knows them too.
        if some_are_new {
            muxer.log.snapshot().map_err(StartError::Positions)?;
            muxer.log.snapshot().map_err(StartError::Positions)?;
        }
        let going = known
            .iter()
            .map(|(shared, output)| (output.name.clone(), muxer.set_going(shared, output)));
        let going = tokio::sync::Mutex::new(going.collect());
        Ok(Self { tasks: going, ..muxer })
    }

    /// The log below.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// A source of this name with a budget of `bytes` in flight. The name keeps its number for the
    /// life of the directory.
    ///
    /// # Errors
    /// [`DefineError`].
    pub fn source(&self, name: &str, budget: u64) -> Result<Source, DefineError> {
        let writer = self.log.writer();
        let number = self.book.names.source(name, &|body| writer.define(body))?;
        Ok(Source::new(writer, number, budget, Arc::clone(&self.common)))
    }

    /// A front for programs that have entries at hand, under this name. Its budget is 8 MiB, a few
    /// of the log's groups, or half of the log's memory, where that is less.
    ///
    /// # Errors
    /// [`DefineError`].
    pub fn sender(&self, name: &str) -> Result<Sender, DefineError> {
        let budget = (self.log.writer().limits().memory / 2).min(SENDER_BUDGET);
        let source = self.source(name, budget)?;
        Ok(Sender::new(source, self.delivery.clone(), self.tags(), self.refusals.clone()))
    }

    /// Takes the lines of a program's own log, and makes entries of the tag `gravwell` of them, under
    /// the name `log`.
    ///
    /// # Errors
    /// [`DefineError`].
    pub fn relay(&self) -> Result<Relay, DefineError> {
        let source = self.source("log", crate::relay::BUDGET)?;
        if let Ok(tag) = TagName::new("gravwell") {
            self.tag(&tag)?;
        }
        Ok(Relay::new(source, Arc::clone(&self.common.about)))
    }

    /// What destinations are told of this muxer, to be changed.
    #[cfg(feature = "gravwell")]
    #[must_use]
    pub fn announcement(&self) -> crate::Announcement {
        crate::Announcement { about: Arc::clone(&self.common.about) }
    }

    /// Waits until everything that was handed over before is confirmed by every output, for so long
    /// at most: flushed means delivered.
    ///
    /// # Errors
    /// [`FlushError`] says what is not.
    ///
    /// # Cancel safety
    /// It can be dropped and called again.
    pub async fn flush(&self, within: Duration) -> Result<(), FlushError> {
        self.delivery.flush(within).await
    }

    /// Waits until everything that was handed over before is on disk, whatever its durability.
    ///
    /// # Errors
    /// [`SendError::NoDirectory`], or that the log failed.
    ///
    /// # Cancel safety
    /// It can be dropped and called again.
    pub async fn flush_to_disk(&self) -> Result<(), SendError> {
        if !self.common.has_directory {
            return Err(SendError::NoDirectory);
        }
        Ok(self.delivery.on_disk().await?)
    }

    /// The number of a tag, given now if it has none, and kept for the life of the directory.
    ///
    /// # Errors
    /// [`DefineError`]: the table is full, or the log does not take it.
    pub fn tag(&self, name: &TagName) -> Result<TagId, DefineError> {
        self.tags().number(name)
    }

    /// A handle that gives tags their numbers, for wherever their names come in.
    #[must_use]
    pub fn tags(&self) -> Tags {
        Tags { names: Arc::clone(&self.book.names), writer: self.log.writer() }
    }

    /// A moment of everything, with the balance.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut outputs: Vec<OutputStatus> =
            self.outputs.all().iter().map(|output| self.output_status(output)).collect();
        for (name, account) in lock(&self.book.absent).iter() {
            outputs.push(account_status(&self.log, name, account).check());
        }
        let balanced = outputs.iter().all(|output| output.balanced);
        let (tags, refused) = (self.book.names.tag_count(), self.refusals.counts());
        let (entries, bytes) = self.common.about.counts();
        let uptime = self.common.about.started.elapsed();
        let log = self.log.status();
        Status { log, outputs, tags, entries, bytes, uptime, refused, balanced }
    }

    fn output_status(&self, output: &Shared) -> OutputStatus {
        // The account stands still while the log's numbers are read for it.
        let state = lock(&output.state);
        let status = account_status(&self.log, &output.name, &state.account);
        OutputStatus {
            configured: true,
            leased: state.leased,
            resent: state.resent,
            oldest_arrival: state.oldest_arrival,
            links: state.links.clone(),
            ..status
        }
        .check()
    }

    /// Lets the outputs deliver, then ends them and the log. Always returns by the deadline (100 ms
    /// at least), with an exact account: delivered, on disk, lost. A tenth of the time, a second at
    /// most, is for the log's own end. Writes that come later are refused.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the log to be closed by the drop of the muxer.
    pub async fn close(mut self, deadline: Duration) -> CloseReport {
        let until = Instant::now() + deadline.max(SHORTEST_CLOSE);
        let for_the_log = (deadline / 10).clamp(SHORTEST_CLOSE / 2, Duration::from_secs(1));
        let delivery = self.delivery.clone();
        let _ = tokio::time::timeout_at(until - for_the_log, delivery.all_linked()).await;
        self.outputs.all().iter().for_each(|output| output.close());
        for running in self.tasks.get_mut().values_mut() {
            let ended = async { while running.join_next().await.is_some() {} };
            if tokio::time::timeout_at(until - for_the_log, ended).await.is_err() {
                running.shutdown().await;
            }
        }
        let (status, has_directory) = (self.status(), self.common.has_directory);
        let (log, writer) = (Arc::clone(&self.log), self.log.writer());
        drop(self);
        let ended = tokio::task::spawn_blocking(move || {
            // Only reads that are still under way can hold it beside this.
            let mut log = log;
            loop {
                match Arc::try_unwrap(log) {
                    Ok(log) => return log.close(),
                    Err(shared) => log = shared,
                }
                std::thread::yield_now();
            }
        });
        let unwritten = tokio::time::timeout_at(until, ended).await.ok();
        let complete = unwritten.is_some();
        // At the deadline what is not synced is not on disk, whatever comes of it.
        let unsynced = || writer.next().saturating_sub(writer.synced_end());
        let unwritten = unwritten.and_then(Result::ok);
        let owed = status.outputs.iter().filter(|output| output.configured);
        let (lost_in_memory, not_accepted) = match unwritten {
            _ if !has_directory => (owed.map(|output| output.queued).max().unwrap_or(0), 0),
            Some(unwritten) => (unwritten.acknowledged, unwritten.unacknowledged),
            None => (0, unsynced()),
        };
        let stored = if has_directory { status.log.accepted } else { 0 };
        CloseReport { outputs: status.outputs, stored, lost_in_memory, not_accepted, complete }
    }
}

/// A log in memory: what is passed is given free, and little is held twice.
fn ring(mut options: Options, bytes: u64) -> Result<Options, StartError> {
    if bytes < Limits::MIN_MAX_BYTES {
        return Err(StartError::Memory { found: bytes, needed: Limits::MIN_MAX_BYTES });
    }
    options.max_bytes = Some(bytes);
    options.min_free = Some(0);
    options.keep_bytes = Some(0);
    options.tail_bytes = Some(bytes / 8);
    options.file_system = Arc::new(MemoryFileSystem::new(bytes.saturating_mul(2)));
    Ok(options)
}

pub(crate) fn first_account(log: &Log, kept: Option<Account>, from: From) -> Account {
    kept.unwrap_or_else(|| {
        let durable = log.writer().synced_end();
        // Without the state of the outputs nobody knows what was delivered: then everything is,
        // rather than nothing.
        let forgotten = !log.recovery().snapshot && !log.recovery().new;
        let start = match from {
            From::End if !forgotten => durable,
            From::Arrived(at) if !forgotten => arrived(log, at),
            _ => log.oldest().min(durable),
        };
        let accepted = log.status().accepted;
        let held = held(log, start..durable);
        Account::new(start, accepted.saturating_sub(held))
    })
}

/// The first LSN whose record arrived at `at` or later, unix nanoseconds. What cannot be read counts
/// as late: rather too much than too little.
fn arrived(log: &Log, at: i64) -> Lsn {
    let durable = log.writer().synced_end();
    let oldest = log.oldest().min(durable);
    let mut reader = log.reader(oldest);
    let mut is_late = |lsn| {
        reader.seek(lsn);
        loop {
            match reader.next_item() {
                Ok(Some(Item::Record(record))) => return record.header.arrival >= at,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return true,
            }
        }
    };
    lag::reaching(oldest..durable, &mut is_late)
}

/// LSNs of `range` that were accepted.
fn held(log: &Log, range: std::ops::Range<Lsn>) -> u64 {
    let all = range.end.saturating_sub(range.start);
    let void = log.missing_in(range.clone(), MissingCause::Void);
    let unwitnessed = log.missing_in(range, MissingCause::Unwitnessed);
    all.saturating_sub(void).saturating_sub(unwitnessed)
}

fn account_status(log: &Log, name: &str, account: &Account) -> OutputStatus {
    let (durable, accepted) = log.accepted();
    let settled_above: u64 =
        account.above.as_slice().iter().map(|range| held(log, range.clone())).sum();
    let low = account.low.min(durable);
    OutputStatus {
        name: name.to_owned(),
        start: account.start,
        low: account.low,
        accepted: accepted.saturating_sub(account.accepted_before),
        confirmed: account.confirmed,
        filtered: account.filtered,
        lost: account.lost.clone(),
        queued: held(log, low..durable).saturating_sub(settled_above),
        queued_bytes: if low < durable { log.bytes_since(low) } else { 0 },
        ..OutputStatus::default()
    }
}
