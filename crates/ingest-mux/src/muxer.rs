//! The muxer: one log, its sources, its outputs.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ingest_entry::{TagId, TagName};
use ingest_wal::{Catalog, Cursor, Log, Lsn, MissingCause, Options, Tally, Writer};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::destination::SharedDestination;
use crate::error::{DefineError, StartError};
use crate::lease::{Leases, Shared, State};
use crate::names::Names;
use crate::output::{Account, Filter, From, Policy};
use crate::source::Source;
use crate::status::{CloseReport, LinkState, OutputStatus, Status};
use crate::sync::lock;
use crate::{feeder, link};

/// An output that left the configuration holds nothing back after this long.
const RELEASED_AFTER: i64 = 24 * 60 * 60;

/// An output: a name, what it gets, and the links over which it gets it. With several links each
/// entry goes to one of them; several outputs are replication.
#[derive(Clone, Debug)]
pub struct Output {
    name: String,
    filter: Filter,
    from: From,
    policy: Policy,
    links: Vec<SharedDestination>,
}

impl Output {
    /// An output of this name without links.
    pub fn new(name: impl Into<String>) -> Self {
        let (filter, from, policy) = (Filter::All, From::End, Policy::Share);
        Self { name: name.into(), filter, from, policy, links: Vec::new() }
    }

    /// What it gets; everything by default.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Where it begins when it is new; at the end by default.
    #[must_use]
    pub fn from(mut self, from: From) -> Self {
        self.from = from;
        self
    }

    /// How it spreads entries over its links; [`Policy::Share`] by default.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Adds a link.
    #[must_use]
    pub fn link(mut self, destination: SharedDestination) -> Self {
        self.links.push(destination);
        self
    }
}

/// Options of a muxer.
#[derive(Clone, Debug)]
pub struct Builder {
    dir: PathBuf,
    log: Options,
    outputs: Vec<Output>,
    longest_wait: Duration,
}

impl Builder {
    /// How the log is opened.
    #[must_use]
    pub fn log(mut self, options: Options) -> Self {
        self.log = options;
        self
    }

    /// Adds an output.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.outputs.push(output);
        self
    }

    /// Longest wait between two attempts to connect; 30 s by default.
    #[must_use]
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// Opens the log and sets the outputs going. Blocks on the disk; needs a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(self) -> Result<Muxer, StartError> {
        Muxer::start(self)
    }
}

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
}

/// What the log asks of the muxer.
#[derive(Debug, Default)]
struct Book {
    names: Arc<Names>,
    outputs: Mutex<Option<Vec<Arc<Shared>>>>,
    /// Outputs that are not configured any more.
    absent: Mutex<BTreeMap<String, Account>>,
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
        let outputs = lock(&self.outputs);
        let mut cursors: Vec<Cursor> = outputs
            .as_ref()?
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

fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// One log, its sources and its outputs.
#[derive(Debug)]
pub struct Muxer {
    log: Arc<Log>,
    book: Arc<Book>,
    outputs: Vec<Arc<Shared>>,
    tasks: JoinSet<()>,
}

impl Muxer {
    /// Options for a muxer whose log is in `dir`.
    pub fn builder(dir: impl Into<PathBuf>) -> Builder {
        Builder {
            dir: dir.into(),
            log: Options::default(),
            outputs: Vec::new(),
            longest_wait: Duration::from_secs(30),
        }
    }

    fn start(builder: Builder) -> Result<Self, StartError> {
        let book = Arc::new(Book::default());
        let catalog: Arc<dyn Catalog> = Arc::clone(&book) as _;
        let log = Arc::new(Log::open(&builder.dir, builder.log, catalog)?);
        let mut kept: BTreeMap<String, Account> = log
            .cursors()
            .iter()
            .map(|cursor| (cursor.name.clone(), Account::from_cursor(cursor)))
            .collect();
        let mut outputs: Vec<(Arc<Shared>, Vec<SharedDestination>)> = Vec::new();
        let mut tasks = JoinSet::new();
        let mut some_are_new = false;
        for output in builder.outputs {
            if outputs.iter().any(|(have, _)| have.name == output.name) {
                return Err(StartError::OutputTwice(output.name));
            }
            let account = kept.remove(&output.name);
            some_are_new |= account.is_none();
            let shared = Arc::new(Shared {
                state: Mutex::new(first_state(&log, account, output.from, output.links.len())),
                name: output.name,
                filter: output.filter,
                policy: output.policy,
                names: Arc::clone(&book.names),
                log_id: log.log_id(),
                writer: log.writer(),
                ready: Notify::new(),
                feed: Notify::new(),
                standby: Notify::new(),
            });
            outputs.push((shared, output.links));
        }
        let now = unix_seconds();
        for account in kept.values_mut() {
            account.absent_since.get_or_insert(now);
        }
        *lock(&book.absent) = kept;
        *lock(&book.outputs) = Some(outputs.iter().map(|(shared, _)| Arc::clone(shared)).collect());
        // A new output exists once its start is durable, before anything is accepted.
        // Twice: should the newest snapshot be damaged, the one before it knows them too.
        if some_are_new {
            log.snapshot().map_err(StartError::Positions)?;
            log.snapshot().map_err(StartError::Positions)?;
        }
        for (shared, links) in &outputs {
            let reader = log.reader(lock(&shared.state).fed);
            tasks.spawn(feeder::run(Arc::clone(shared), reader, log.writer()));
            for (link, destination) in links.iter().enumerate() {
                let held = Arc::new(Mutex::new(VecDeque::new()));
                let leases = Leases { shared: Arc::clone(shared), link, held };
                let destination = Arc::clone(destination);
                tasks.spawn(link::supervise(destination, leases, builder.longest_wait));
            }
        }
        let outputs = outputs.into_iter().map(|(shared, _)| shared).collect();
        Ok(Self { log, book, outputs, tasks })
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
        Ok(Source::new(writer, number, budget))
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
            self.outputs.iter().map(|output| self.output_status(output)).collect();
        for (name, account) in lock(&self.book.absent).iter() {
            outputs.push(account_status(&self.log, name, account).check());
        }
        let balanced = outputs.iter().all(|output| output.balanced);
        let tags = self.book.names.tag_count();
        Status { log: self.log.status(), outputs, tags, balanced }
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

    /// Lets the outputs deliver until `deadline`, then ends them and the log. Always returns, with
    /// an exact account: what is not delivered is in the log. No source may write any more.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the log to be closed by the drop of the muxer.
    pub async fn close(mut self, deadline: Duration) -> CloseReport {
        let until = Instant::now() + deadline;
        while Instant::now() < until && !self.delivered() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for output in &self.outputs {
            lock(&output.state).closed = true;
            output.feed.notify_one();
            output.ready.notify_one();
            output.standby.notify_waiters();
        }
        let rest = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        let ended =
            tokio::time::timeout(rest, async { while self.tasks.join_next().await.is_some() {} });
        if ended.await.is_err() {
            self.tasks.shutdown().await;
        }
        let status = self.status();
        // The tasks are gone, and with them every other owner but reads that are still under way.
        let mut log = Arc::clone(&self.log);
        drop(self);
        let log = loop {
            match Arc::try_unwrap(log) {
                Ok(log) => break log,
                Err(shared) => log = shared,
            }
            tokio::task::yield_now().await;
        };
        let unwritten = tokio::task::spawn_blocking(move || log.close()).await.unwrap_or_default();
        CloseReport {
            outputs: status.outputs,
            stored: status.log.accepted,
            lost_in_memory: unwritten.acknowledged,
            not_accepted: unwritten.unacknowledged,
        }
    }

    fn delivered(&self) -> bool {
        let durable = self.log.writer().synced_end();
        self.outputs.iter().all(|output| {
            let state = lock(&output.state);
            state.links.is_empty() || state.account.low >= durable
        })
    }
}

fn first_state(log: &Log, kept: Option<Account>, from: From, links: usize) -> State {
    let account = kept.unwrap_or_else(|| {
        let durable = log.writer().synced_end();
        // Without the state of the outputs nobody knows what was delivered: then everything is,
        // rather than nothing.
        let forgotten = !log.recovery().snapshot && !log.recovery().new;
        let start = match from {
            From::End if !forgotten => durable,
            _ => log.oldest().min(durable),
        };
        let accepted = log.status().accepted;
        let held = held(log, start..durable);
        Account::new(start, accepted.saturating_sub(held))
    });
    State {
        fed: account.low,
        account,
        ready: VecDeque::new(),
        again: ingest_wal::RangeSet::new(),
        closed: false,
        links: vec![LinkState::default(); links],
        resent: 0,
        leased: 0,
        oldest_arrival: None,
        unkept: 0,
    }
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
