//! Graphite lines, pickles and protobuf messages over TCP and unix sockets. The end of our side,
//! after the client's, is the acknowledgement: it comes when everything the client sent is durable.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use graphite_proto::{Connection, Event, Format, FrameError, Options};
use ingest_entry::{Source as Address, TagId};
use ingest_mux::{RefusedError, SendError, Source, Ticket};
use tokio::time::{Instant, timeout, timeout_at};

use super::accept::{Entrance, accept};
use super::rate::Rate;
use super::transport::{Accepted, REFUSALS, Stream, Transport as _, Wrapping};
use super::{Context, RejectLog, graphite_time, unix_nanos};
use crate::config::{GraphiteSource, OverRate};
use crate::counters::Totals;
use crate::map::graphite::{Mapper, Refusal, decoder_options, stream_format};
use crate::template::Tagger;

/// When the gateway stops, a connection is read until its socket is empty, this long at most.
const LAST_READS: Duration = Duration::from_secs(1);
/// What counts as an empty socket then.
const QUIET: Duration = Duration::from_millis(50);
/// Below this share of free budget connections read little at a time.
const SHORT_OF_BUDGET: u64 = 1 << 20;
const SMALL_READ: usize = 8 * 1024;

/// Serves connections until the gateway stops, then ends those that are open.
pub(crate) async fn serve(
    entrance: Entrance,
    config: GraphiteSource,
    wrapping: Wrapping,
    tag: TagId,
    cx: Context,
) {
    let refusals = Arc::new(RejectLog::new(&cx.counters.name, REFUSALS.to_vec()));
    let config = Arc::new(config);
    let options = decoder_options(&config.lines);
    let format = stream_format(&config);
    accept(entrance, config.max_connections, &cx, |accepted| {
        let one = One {
            cx: cx.clone(),
            config: Arc::clone(&config),
            mapper: Mapper::tagged(&config.lines, Tagger::new(tag, cx.maker.clone())),
            peer: accepted.peer(),
            rate: config.max_rate.map(|most| Rate::new(most, Instant::now())),
            hold: Duration::ZERO,
            window: Window::default(),
        };
        one.run(accepted, wrapping.clone(), Arc::clone(&refusals), format, options.clone())
    })
    .await;
}

/// What was read and is not durable yet.
#[derive(Debug, Default)]
struct Window {
    sent: VecDeque<(Ticket, u64)>,
    bytes: u64,
    last: Option<Ticket>,
    /// Something of what was sent was dropped by the log.
    dropped: bool,
}

impl Window {
    fn add(&mut self, ticket: Ticket, bytes: u64) {
        self.sent.push_back((ticket.clone(), bytes));
        self.bytes += bytes;
        self.last = Some(ticket);
    }

    fn settle(&mut self, source: &Source) {
        while let Some((ticket, bytes)) = self.sent.front()
            && source.is_durable(ticket)
        {
            self.dropped |= source.was_dropped(ticket);
            self.bytes -= bytes;
            self.sent.pop_front();
        }
    }
}

struct One {
    cx: Context,
    config: Arc<GraphiteSource>,
    mapper: Mapper,
    /// Who sends, as far as anybody says.
    peer: Option<IpAddr>,
    /// How many points a second it may send.
    rate: Option<Rate>,
    /// How long to wait before more is read.
    hold: Duration,
    window: Window,
}

/// Why a connection ended.
enum End {
    /// Everything it sent is durable.
    Durable,
    /// The client broke it, or was silent for too long.
    Broken(io::Error),
    /// The log does not take what it sends.
    Refused(RefusedError),
}

impl One {
    async fn run(
        mut self,
        accepted: Accepted,
        wrapping: Wrapping,
        refusals: Arc<RejectLog>,
        format: Format,
        options: Options,
    ) {
        let counters = Arc::clone(&self.cx.counters);
        counters.connections_total.add(1);
        counters.connections_open.add(1);
        let mut stopping = self.cx.stopping.clone();
        let opened = tokio::select! {
            biased;
            opened = wrapping.open(accepted) => Some(opened),
            _ = stopping.wait_for(|stop| *stop) => None,
        };
        match opened {
            Some(Ok((stream, peer))) => {
                self.peer = peer;
                self.converse(Connection::new(stream, format, options)).await;
            }
            Some(Err((why, error))) => {
                counters.connections_refused.add(1);
                refusals.note_connection(why, self.peer, &error);
            }
            None => {}
        }
        counters.connections_open.sub(1);
    }

    async fn converse(&mut self, mut connection: Connection<Stream>) {
        let counters = Arc::clone(&self.cx.counters);
        let peer = self.peer.map(tracing::field::display);
        let end = match self.receive(&mut connection).await {
            Ok(()) => self.settle().await,
            Err(end) => end,
        };
        match end {
            End::Durable if !connection.at_eof() => {
                // The gateway stops, and the client has not ended: more may be on its way.
                tracing::debug!(peer, "A connection is reset by the stop.");
            }
            End::Durable => {
                connection.stream_mut().answer();
                if let Err(error) = connection.close_after_eof().await {
                    tracing::debug!(peer, %error, "A client did not wait for the end.");
                }
            }
            End::Broken(error) => {
                counters.connections_aborted.add(1);
                tracing::debug!(peer, %error, "A connection broke.");
            }
            End::Refused(error) => {
                counters.connections_aborted.add(1);
                tracing::warn!(
                    source = %counters.name, peer, %error,
                    "A connection is reset: the log does not take what it sends."
                );
            }
        }
    }

    /// Reads until the client has sent all, or the gateway stops.
    async fn receive(&mut self, connection: &mut Connection<Stream>) -> Result<(), End> {
        let mut stopping = self.cx.stopping.clone();
        let mut deadline = None;
        loop {
            self.hold_back().await?;
            self.slow_down().await;
            let max = self.next_read();
            let read = match deadline {
                Some(until) if Instant::now() >= until => return self.finish(connection).await,
                Some(_) => match timeout(QUIET, connection.read(max)).await {
                    Ok(read) => read,
                    // The socket is empty.
                    Err(_) => return self.finish(connection).await,
                },
                None if *stopping.borrow() => {
                    deadline = Some(Instant::now() + LAST_READS);
                    continue;
                }
                None => tokio::select! {
                    biased;
                    read = read_or_idle(connection, max, self.config.idle_timeout) => read,
                    _ = stopping.wait_for(|stop| *stop) => continue,
                },
            };
            match read.map_err(End::Broken)? {
                Some(bytes) => self.take(connection, bytes, false).await?,
                None => return self.finish(connection).await,
            }
        }
    }

    /// Waits while more than `read_ahead` was read and is not durable.
    async fn hold_back(&mut self) -> Result<(), End> {
        self.window.settle(&self.cx.source);
        while self.window.bytes >= self.config.read_ahead {
            let Some((oldest, _)) = self.window.sent.front() else { break };
            self.cx.counters.waits.add(1);
            self.cx.source.durable(oldest).await.map_err(End::Refused)?;
            self.window.settle(&self.cx.source);
        }
        Ok(())
    }

    /// Waits while more came than the rate allows, or until the gateway stops.
    async fn slow_down(&mut self) {
        let hold = std::mem::take(&mut self.hold);
        if !hold.is_zero() {
            self.cx.counters.rate_waits.add(1);
            let mut stopping = self.cx.stopping.clone();
            let _ = timeout(hold, stopping.wait_for(|stop| *stop)).await;
        }
    }

    fn next_read(&self) -> usize {
        let free = self.cx.source.budget_available();
        if free < SHORT_OF_BUDGET { self.cx.read_bytes.min(SMALL_READ) } else { self.cx.read_bytes }
    }

    async fn finish(&mut self, connection: &mut Connection<Stream>) -> Result<(), End> {
        self.take(connection, 0, true).await
    }

    /// Decodes what was read into entries and hands them over.
    async fn take(
        &mut self,
        connection: &mut Connection<Stream>,
        bytes: usize,
        ended: bool,
    ) -> Result<(), End> {
        if connection.pending() == 0 {
            return Ok(());
        }
        let wanted = connection.pending() as u64 * self.mapper.expansion();
        let grant = match self.cx.source.try_grant(wanted) {
            Some(grant) => grant,
            None => {
                self.cx.counters.waits.add(1);
                self.cx.source.grant(wanted).await
            }
        };
        let decoding = self.cx.decoding.clone();
        let company = self.cx.source.has_company();
        let turn = decoding.turn(connection.pending(), company).await;
        let arrival = unix_nanos();
        let now = graphite_time(arrival);
        let mut totals = Totals::new(self.cx.counters.reasons.len());
        totals.received_bytes = bytes as u64;
        let mut batch = self.cx.source.batch(grant, arrival, self.cx.level);
        let src = self.peer.map_or(Address::NONE, Address::from_ip);
        let mut pushed = 0;
        let (mapper, rejects, peer) = (&mut self.mapper, &self.cx.rejects, self.peer);
        let rules = &self.cx.rules;
        let mut limits = self.cx.limits.begin();
        let mut admission = match (&mut self.rate, self.config.over_rate) {
            (Some(rate), OverRate::Drop) => {
                rate.refill(Instant::now());
                Some(rate)
            }
            _ => None,
        };
        let mut sink = |event: Event<'_>| {
            totals.received_items += 1;
            // Nothing is moved that was just written: reading it at another width makes it wait.
            match &event {
                Event::Metric(metric) => {
                    let entry = if admission.as_mut().is_none_or(|rate| rate.admit()) {
                        mapper.entry(metric, &src, now)
                    } else {
                        Err(Refusal::OverRate)
                    };
                    let pushed_one = match &entry {
                        Ok(entry) => rules
                            .check(entry)
                            .and_then(|()| limits.check(entry))
                            .and_then(|()| batch.push(entry).map_err(Into::into)),
                        Err(refusal) => Err(*refusal),
                    };
                    match pushed_one {
                        Ok(()) => pushed += 1,
                        Err(refusal) => {
                            totals.refuse(refusal.index());
                            rejects.note(refusal.index(), peer, None, metric.path_bytes());
                        }
                    }
                }
                Event::Rejected(rejected) => {
                    let reason = rejected.reason.index();
                    totals.refuse(reason);
                    rejects.note(reason, peer, Some(rejected.offset), rejected.line);
                }
                _ => totals.received_items -= 1,
            }
        };
        let decoded = if ended {
            connection.finish(now, &mut sink)
        } else {
            connection.drain(now, &mut sink)
        };
        let sent = batch.finish();
        drop(turn);
        totals.accepted_entries = sent.entries;
        totals.accepted_items = sent.entries;
        totals.refuse_many(Refusal::LogRefused.index(), pushed - sent.entries);
        if let (Some(rate), OverRate::Block) = (&mut self.rate, self.config.over_rate) {
            rate.refill(Instant::now());
            self.hold = rate.spend(totals.received_items);
        }
        self.hold = self.hold.max(limits.hold());
        self.cx.counters.add(&totals);
        self.cx.rejects.hand_over();
        self.cx.counters.kept_rejects.set(self.cx.rejects.kept());
        if let Some(ticket) = sent.ticket {
            self.window.add(ticket, bytes as u64);
        }
        match sent.refused {
            Some(SendError::Refused(error)) if !matches!(error, RefusedError::TooLarge { .. }) => {
                Err(End::Refused(error))
            }
            // What came before it was taken.
            _ => decoded.map_err(|error: FrameError| {
                End::Broken(io::Error::new(io::ErrorKind::InvalidData, error))
            }),
        }
    }

    /// Waits until everything that was sent counts as done. What was dropped on the way is told at
    /// the end: by a reset.
    async fn settle(&mut self) -> End {
        let Some(last) = &self.window.last else { return End::Durable };
        if let Err(error) = self.cx.source.done(last).await {
            return End::Refused(error);
        }
        let dropped = self.window.sent.iter().any(|(sent, _)| self.cx.source.was_dropped(sent));
        if self.window.dropped || dropped {
            return End::Refused(RefusedError::Dropped);
        }
        End::Durable
    }
}

async fn read_or_idle(
    connection: &mut Connection<Stream>,
    max: usize,
    idle: Option<Duration>,
) -> io::Result<Option<usize>> {
    match idle {
        None => connection.read(max).await,
        Some(idle) => match timeout_at(Instant::now() + idle, connection.read(max)).await {
            Ok(read) => read,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "silent for too long")),
        },
    }
}
