//! Gravwell ingesters. Entries are kept as they are, tags by name; CONFIRM follows the fsync, in
//! order, and so does the answer to a ditto block.

use std::collections::VecDeque;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ingest_entry::{EntryRef, TagId, TagName};
use ingest_mux::{DefineError, Grant, Health, RefusedError, Source, Tags, Ticket};
use ingest_wire::{
    Acceptor, Batch, IngesterState, NumberTags, Receipt, Secret, ServerConfig, ServerError,
    Session, SessionEvent,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::accept::accept;
use super::{Context, RejectLog, unix_nanos};
use crate::children::Introduction;
use crate::config::GravwellSource;
use crate::counters::Totals;
use crate::limits::LIMIT;
use crate::rules::RULE;

/// When the gateway stops, a connection is read until its socket is empty, this long at most.
const LAST_READS: Duration = Duration::from_secs(1);
/// What counts as an empty socket then.
const QUIET: Duration = Duration::from_millis(50);
/// How long TLS may take to begin.
const TLS_TIME: Duration = Duration::from_secs(10);
/// How often the log is looked at while it takes nothing, and how long clients are asked to wait.
const FULL_CHECK: Duration = Duration::from_secs(1);
/// The most bytes of enumerated values of an entry.
const MAX_VALUES: u64 = 1 << 20;

/// Why an entry, or what should have been one, is refused: what [`reasons`] names.
enum Reason {
    /// The client broke the protocol: its connection ends.
    Protocol,
    /// The log does not take it: it is closed, or has failed.
    LogRefused,
    /// A rule leaves it out: it is acknowledged all the same.
    Rule,
    /// It is beyond a limit that drops: likewise.
    Limit,
}

/// The reasons of this source.
pub(crate) fn reasons() -> Vec<&'static str> {
    vec!["protocol", "log-refused", RULE, LIMIT]
}

/// Why a connection is not let in.
const REFUSALS: [&str; 2] = ["unauthenticated", "handshake"];

/// What this source has beside what all have.
pub(crate) struct Gravwell {
    pub(crate) config: GravwellSource,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) secret: Secret,
    pub(crate) tags: Tags,
    /// The largest record that the log takes, in bytes.
    pub(crate) max_record: u64,
}

impl Gravwell {
    fn acceptor(&self) -> Acceptor {
        let mut config = ServerConfig::default();
        // Whatever passes these limits fits into a record.
        let values = MAX_VALUES.min(self.max_record / 4);
        let data = self.config.max_entry.min(self.max_record / 2);
        config.limits.entry.max_values = u32::try_from(values).unwrap_or(u32::MAX);
        config.limits.entry.max_data = u32::try_from(data).unwrap_or(u32::MAX);
        config.limits.tags = u32::try_from(self.config.max_tags).unwrap_or(u32::MAX);
        config.idle_timeout = self.config.idle_timeout.unwrap_or(Duration::MAX);
        Acceptor::new(self.secret.clone()).config(config)
    }
}

/// Serves connections until the gateway stops, then ends those that are open.
pub(crate) async fn serve(listener: TcpListener, gravwell: Gravwell, cx: Context) {
    let refusals = Arc::new(RejectLog::new(&cx.counters.name, REFUSALS.to_vec()));
    let acceptor = gravwell.acceptor();
    accept(listener, gravwell.config.max_connections, &cx, |(stream, peer)| {
        let client = Client {
            cx: cx.clone(),
            acceptor: acceptor.clone(),
            refusals: Arc::clone(&refusals),
            read_ahead: gravwell.config.read_ahead,
            numbers: Numbers::new(gravwell.tags.clone()),
            peer,
            window: Window::default(),
            slow_until: None,
        };
        client.run(stream, gravwell.tls.clone())
    })
    .await;
}

/// The log's numbers are the connections' numbers, but for the two that the protocol fixes.
#[derive(Clone, Debug)]
struct Numbers {
    tags: Tags,
    /// The log's numbers of `default` and `gravwell`, once they are needed.
    fixed: [Option<TagId>; 2],
}

const FIXED: [(&str, TagId); 2] = [("default", TagId::DEFAULT), ("gravwell", TagId::GRAVWELL)];

impl Numbers {
    const fn new(tags: Tags) -> Self {
        Self { tags, fixed: [None; 2] }
    }

    /// The log's number for a connection's.
    fn of(&mut self, tag: TagId) -> Result<TagId, DefineError> {
        for (known, (name, wire)) in self.fixed.iter_mut().zip(FIXED) {
            if tag != wire {
                continue;
            }
            return match (*known, TagName::new(name)) {
                (Some(id), _) => Ok(id),
                (None, Ok(name)) => Ok(*known.insert(self.tags.number(&name)?)),
                (None, Err(_)) => Ok(tag),
            };
        }
        Ok(tag)
    }
}

impl NumberTags for Numbers {
    fn number(&mut self, name: &TagName) -> impl Future<Output = Option<TagId>> + Send {
        let fixed = FIXED.iter().find(|(fixed, _)| *fixed == name.as_str());
        std::future::ready(match self.tags.number(name) {
            Ok(id) => Some(fixed.map_or(id, |(_, wire)| *wire)),
            Err(error) => {
                tracing::warn!(tag = %name, %error, "A tag is refused.");
                None
            }
        })
    }
}

/// What was taken and is not confirmed yet.
#[derive(Debug, Default)]
struct Window {
    sent: VecDeque<Sent>,
    bytes: u64,
}

#[derive(Debug)]
struct Sent {
    /// None: nothing of it went to the log.
    ticket: Option<Ticket>,
    receipt: Receipt,
    bytes: u64,
}

impl Sent {
    fn is_durable(&self, source: &Source) -> bool {
        self.ticket.as_ref().is_none_or(|ticket| source.is_durable(ticket))
    }
}

impl Window {
    fn add(&mut self, sent: Sent) {
        self.bytes += sent.bytes;
        self.sent.push_back(sent);
    }

    /// Takes off what is done: the oldest, and all that is durable. What to confirm.
    /// What was dropped is left for whoever waits for it.
    fn settle(&mut self, oldest_is_done: bool, source: &Source) -> Option<Receipt> {
        let mut done = None;
        let mut first = oldest_is_done;
        while let Some(sent) = self.sent.front()
            && (std::mem::take(&mut first) || sent.is_durable(source))
            && !sent.ticket.as_ref().is_some_and(|ticket| source.was_dropped(ticket))
        {
            done = Some(sent.receipt);
            self.bytes -= sent.bytes;
            self.sent.pop_front();
        }
        done
    }
}

/// Why a connection ended.
enum End {
    /// The client closed it.
    Closed,
    /// The gateway stops, and nothing came for a while.
    Stopped,
    /// It broke, or the client broke the protocol.
    Broken(ServerError),
    /// The log does not take what it sends: it is not confirmed.
    Refused(String),
}

/// Why a batch is held.
enum Held {
    No,
    /// Too much is not durable yet.
    Window,
    /// More came than a limit allows.
    Limit(Instant),
    /// The budget is used up.
    Budget(Pin<Box<dyn Future<Output = Grant> + Send>>),
}

struct Client {
    cx: Context,
    acceptor: Acceptor,
    refusals: Arc<RejectLog>,
    read_ahead: u64,
    numbers: Numbers,
    peer: IpAddr,
    window: Window,
    /// Nothing is taken before, because of a limit.
    slow_until: Option<Instant>,
}

impl Client {
    async fn run(mut self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let counters = Arc::clone(&self.cx.counters);
        counters.connections_total.add(1);
        counters.connections_open.add(1);
        // Acknowledgements are small and awaited.
        let _ = stream.set_nodelay(true);
        match tls {
            None => self.greet(stream).await,
            Some(tls) => match timeout(TLS_TIME, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.greet(stream).await,
                Ok(Err(error)) => self.refuse(1, &error),
                Err(late) => self.refuse(1, &late),
            },
        }
        counters.connections_open.sub(1);
    }

    fn refuse(&self, why: usize, error: &dyn std::fmt::Display) {
        self.cx.counters.connections_refused.add(1);
        self.refusals.note_connection(why, self.peer, error);
    }

    async fn greet<T: AsyncRead + AsyncWrite + Unpin + Send>(&mut self, stream: T) {
        let acceptor = self.acceptor.clone();
        let mut stopping = self.cx.stopping.clone();
        let accepted = tokio::select! {
            accepted = acceptor.accept_from(self.peer, stream, self.numbers.clone()) => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        let mut session = match accepted {
            Ok(session) => session,
            Err(error) => {
                let secret = matches!(error, ServerError::Unauthenticated);
                return self.refuse(usize::from(!secret), &error);
            }
        };
        let mut child = None;
        let end = self.receive(&mut session, &mut child).await;
        self.finish(session, end).await;
        if let Some(child) = child {
            self.cx.counters.children.left(&child);
        }
    }

    /// Takes entries until the client has sent all, or the gateway stops.
    async fn receive<T: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        session: &mut Session<T, Numbers>,
        child: &mut Option<String>,
    ) -> End {
        let source = self.cx.source.clone();
        let mut stopping = self.cx.stopping.clone();
        let mut stop_at = None;
        let mut held = Held::No;
        let mut granted = None;
        loop {
            let full = source.health() != Health::Accepting;
            session.set_accepting(!full);
            let limit = match held {
                Held::Limit(until) => Some(until),
                _ => None,
            };
            let oldest = self.window.sent.front().map(|sent| sent.ticket.clone());
            tokio::select! {
                biased;
                done = done(&source, oldest.as_ref()), if oldest.is_some() => {
                    if let Err(error) = done {
                        return End::Refused(error.to_string());
                    }
                    if let Some(receipt) = self.window.settle(true, &source) {
                        session.confirm(receipt);
                    }
                    if matches!(held, Held::Window) && self.window.bytes < self.read_ahead {
                        held = Held::No;
                        session.resume();
                    }
                }
                grant = granting(&mut held), if matches!(held, Held::Budget(_)) => {
                    granted = Some(grant);
                    held = Held::No;
                    session.resume();
                }
                () = sleep_until(limit.unwrap_or_else(Instant::now)), if limit.is_some() => {
                    self.slow_until = None;
                    held = Held::No;
                    session.resume();
                }
                _ = stopping.wait_for(|stop| *stop), if stop_at.is_none() => {
                    stop_at = Some(Instant::now() + LAST_READS);
                }
                () = quiet(stop_at), if stop_at.is_some() => return End::Stopped,
                () = sleep(FULL_CHECK), if full || !matches!(held, Held::No) => {
                    if !matches!(held, Held::No) && source.health() != Health::Accepting {
                        session.throttle(FULL_CHECK);
                    }
                }
                event = session.next() => {
                    let batch = match event {
                        Ok(Some(SessionEvent::Entries(batch))) => batch,
                        Ok(Some(SessionEvent::Identified)) => {
                            self.introduce(session, child);
                            continue;
                        }
                        Ok(Some(SessionEvent::State(json))) => {
                            self.hear(session, child, &json);
                            continue;
                        }
                        Ok(Some(_)) => continue,
                        Ok(None) => return End::Closed,
                        Err(error) => return End::Broken(error),
                    };
                    let wanted = batch.bytes() as u64;
                    if let Some(until) = self.slow_until {
                        session.hold();
                        held = Held::Limit(until);
                    } else if self.window.bytes >= self.read_ahead {
                        self.cx.counters.waits.add(1);
                        session.hold();
                        held = Held::Window;
                    } else if let Some(grant) =
                        granted.take().or_else(|| source.try_grant(wanted))
                    {
                        if let Err(error) = self.take(batch, grant) {
                            return End::Refused(error);
                        }
                        if child.is_none() {
                            self.introduce(session, child);
                        }
                    } else {
                        self.cx.counters.waits.add(1);
                        session.hold();
                        let source = source.clone();
                        held = Held::Budget(Box::pin(async move { source.grant(wanted).await }));
                    }
                }
            }
        }
    }

    /// Hands entries over to the log.
    fn take(&mut self, batch: Batch<'_>, grant: Grant) -> Result<(), String> {
        let (receipt, bytes) = (batch.receipt(), batch.bytes() as u64);
        let mut entries = self.cx.source.batch(grant, unix_nanos(), self.cx.level);
        let mut limits = self.cx.limits.begin();
        let (mut pushed, mut ruled, mut limited) = (0, 0, 0);
        let mut refused = None;
        for entry in &batch {
            let tag = self.numbers.of(entry.tag).map_err(|error| error.to_string());
            let taken = tag.and_then(|tag| {
                let entry = EntryRef { tag, ..entry };
                if !self.cx.rules.admits(&entry) {
                    ruled += 1;
                    return Ok(());
                }
                if limits.check(&entry).is_err() {
                    limited += 1;
                    return Ok(());
                }
                entries.push(&entry).map(|()| pushed += 1).map_err(|error| error.to_string())
            });
            if let Err(error) = taken {
                refused = Some(error);
                break;
            }
        }
        let sent = entries.finish();
        let refused = refused.or_else(|| sent.refused.as_ref().map(ToString::to_string));
        let mut totals = Totals::new(self.cx.counters.reasons.len());
        totals.received_bytes = bytes;
        totals.received_items = pushed.max(sent.entries);
        totals.accepted_items = sent.entries;
        totals.accepted_entries = sent.entries;
        if refused.is_some() {
            // What follows in the batch is not looked at: the client has it still.
            totals.received_items = totals.received_items.max(pushed + 1);
        }
        totals.refuse_many(Reason::LogRefused as usize, totals.received_items - sent.entries);
        totals.received_items += ruled + limited;
        totals.refuse_many(Reason::Rule as usize, ruled);
        totals.refuse_many(Reason::Limit as usize, limited);
        let hold = limits.hold();
        self.slow_until = (!hold.is_zero()).then(|| Instant::now() + hold);
        self.cx.counters.add(&totals);
        match (refused, sent.ticket) {
            (Some(error), _) => Err(error),
            // What rules and limits leave out is done as soon as what came before it is.
            (None, ticket) => {
                self.window.add(Sent { ticket, receipt, bytes });
                Ok(())
            }
        }
    }

    fn introduce<T: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        session: &Session<T, Numbers>,
        child: &mut Option<String>,
    ) {
        let children = &self.cx.counters.children;
        if let Some(before) = child.take() {
            children.left(&before);
        }
        let who = Introduction {
            identity: session.identity(),
            tenant: session.tenant(),
            protocol: session.client_version(),
            peer: self.peer,
        };
        *child = Some(children.came(&who));
    }

    fn hear<T: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        session: &Session<T, Numbers>,
        child: &mut Option<String>,
        json: &[u8],
    ) {
        if child.is_none() {
            self.introduce(session, child);
        }
        match (IngesterState::from_json(json), child) {
            (Ok(state), Some(child)) => self.cx.counters.children.said(child, &state),
            (Ok(_), None) => {}
            (Err(error), _) => {
                tracing::debug!(peer = %self.peer, %error, "A state message cannot be read.");
            }
        }
    }

    /// Confirms what becomes durable still, and closes.
    async fn finish<T: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        mut session: Session<T, Numbers>,
        end: End,
    ) {
        let counters = &self.cx.counters;
        let aborted = |message: &str, error: &dyn std::fmt::Display| {
            counters.connections_aborted.add(1);
            tracing::warn!(source = %counters.name, peer = %self.peer, %error, "{message}");
        };
        match end {
            End::Closed | End::Stopped => {}
            End::Broken(ServerError::Io(error)) => {
                counters.connections_aborted.add(1);
                tracing::debug!(peer = %self.peer, %error, "A connection broke.");
                return;
            }
            End::Broken(error) => {
                let mut totals = Totals::new(counters.reasons.len());
                totals.received_items = 1;
                totals.refuse(Reason::Protocol as usize);
                counters.add(&totals);
                aborted("A connection is closed: the client broke the protocol.", &error);
            }
            End::Refused(error) => {
                let message = "A connection is closed: the log does not take what it sends, and it \
                               is not confirmed.";
                return aborted(message, &error);
            }
        }
        while let Some(oldest) = self.window.sent.front().map(|sent| sent.ticket.clone()) {
            if let Err(error) = done(&self.cx.source, Some(&oldest)).await {
                let message = "A connection is closed: what it sent was not stored.";
                return aborted(message, &error);
            }
            if let Some(receipt) = self.window.settle(true, &self.cx.source) {
                session.confirm(receipt);
            }
        }
        if let Err(error) = session.close().await {
            tracing::debug!(peer = %self.peer, %error, "A client did not wait for the end.");
        }
    }
}

/// Waits for what was sent, if there is something.
async fn done(source: &Source, sent: Option<&Option<Ticket>>) -> Result<(), RefusedError> {
    match sent {
        Some(Some(ticket)) => source.done(ticket).await,
        Some(None) => Ok(()),
        None => std::future::pending().await,
    }
}

async fn granting(held: &mut Held) -> Grant {
    match held {
        Held::Budget(grant) => grant.await,
        _ => std::future::pending().await,
    }
}

/// The end of the last reads: at `until`, or when nothing has come for a while.
async fn quiet(until: Option<Instant>) {
    let soon = Instant::now() + QUIET;
    sleep_until(until.map_or(soon, |until| until.min(soon))).await;
}
