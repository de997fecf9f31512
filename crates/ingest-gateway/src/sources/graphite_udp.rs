//! Graphite lines in datagrams, over UDP and unix sockets. There is no acknowledgement: what has no
//! room is dropped, and counted line by line; what the kernel drops of UDP is read from the system.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use graphite_proto::{Datagrams, Event, Options, UnixDatagrams, decode_datagram};
use ingest_entry::{Source as Address, TagId};
use ingest_mux::Batch;
use tokio::net::{UdpSocket, UnixDatagram};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::accept::SocketFile;
use super::{Context, graphite_time, kernel_drops, unix_nanos};
use crate::config::GraphiteLines;
use crate::counters::Totals;
use crate::map::graphite::{Mapper, Refusal, decoder_options};

/// Datagrams taken in one go.
const AT_ONCE: usize = 64;
/// Bytes asked of the budget at a time.
const GRANT: u64 = 128 * 1024;
/// When the gateway stops, the socket is read until it is empty, this long at most.
const LAST_READS: Duration = Duration::from_secs(1);
/// What counts as an empty socket then.
const QUIET: Duration = Duration::from_millis(50);

/// Where datagrams come in.
#[derive(Debug)]
pub(crate) enum Inlet {
    Udp(UdpSocket),
    Unix { socket: UnixDatagram, file: Arc<SocketFile> },
}

enum Sockets {
    Udp(Datagrams),
    Unix { datagrams: UnixDatagrams, _file: Arc<SocketFile> },
}

impl Sockets {
    async fn receive(&mut self, sink: &mut impl FnMut(&[u8], Option<IpAddr>)) -> io::Result<usize> {
        match self {
            Self::Udp(datagrams) => {
                let mut named = |datagram: &[u8], peer: SocketAddr| {
                    sink(datagram, Some(peer.ip().to_canonical()));
                };
                datagrams.receive(AT_ONCE, &mut named).await
            }
            Self::Unix { datagrams, .. } => {
                datagrams.receive(AT_ONCE, &mut |datagram| sink(datagram, None)).await
            }
        }
    }
}

/// Receives until the source retires.
pub(crate) async fn serve(inlet: Inlet, lines: GraphiteLines, tag: TagId, cx: Context) {
    let options = decoder_options(&lines);
    let mut receiver = Receiver { mapper: Mapper::new(&lines, tag), options, cx: cx.clone() };
    let (local, mut datagrams) = match inlet {
        Inlet::Udp(socket) => (socket.local_addr().ok(), Sockets::Udp(Datagrams::new(socket))),
        Inlet::Unix { socket, file } => {
            (None, Sockets::Unix { datagrams: UnixDatagrams::new(socket), _file: file })
        }
    };
    let mut retired = cx.retired.clone();
    let mut look = interval(Duration::from_secs(1));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut step = receiver.step();
        let mut sink = |datagram: &[u8], peer| step.take(datagram, peer);
        let received = tokio::select! {
            biased;
            _ = look.tick() => {
                if let Some(drops) = local.and_then(kernel_drops::read) {
                    cx.counters.kernel_drops.set(drops);
                }
                continue;
            }
            _ = retired.wait_for(|retired| *retired) => break,
            received = datagrams.receive(&mut sink) => received,
        };
        step.finish();
        if let Err(error) = received {
            tracing::warn!(source = %cx.counters.name, %error, "Cannot receive datagrams.");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    if !*cx.stopping.borrow() {
        // Another receives in its place.
        return;
    }
    let until = Instant::now() + LAST_READS;
    while Instant::now() < until {
        let mut step = receiver.step();
        let mut sink = |datagram: &[u8], peer| step.take(datagram, peer);
        // Through the runtime, which may not have heard yet that something is there.
        let received = timeout(QUIET, datagrams.receive(&mut sink)).await;
        step.finish();
        if !matches!(received, Ok(Ok(count)) if count > 0) {
            break;
        }
    }
}

struct Receiver {
    cx: Context,
    mapper: Mapper,
    options: Options,
}

/// What is done with the datagrams of one go.
struct Step<'a> {
    receiver: &'a mut Mapper,
    options: &'a Options,
    cx: &'a Context,
    batch: Option<Batch<'a>>,
    /// Bytes of the batch's grant that are left.
    left: u64,
    pushed: u64,
    totals: Totals,
    arrival: i64,
}

impl Receiver {
    fn step(&mut self) -> Step<'_> {
        Step {
            totals: Totals::new(self.cx.counters.reasons.len()),
            receiver: &mut self.mapper,
            options: &self.options,
            cx: &self.cx,
            batch: None,
            left: 0,
            pushed: 0,
            arrival: 0,
        }
    }
}

impl Step<'_> {
    fn take(&mut self, datagram: &[u8], peer: Option<IpAddr>) {
        if self.arrival == 0 {
            self.arrival = unix_nanos();
        }
        let now = graphite_time(self.arrival);
        self.totals.received_bytes += datagram.len() as u64;
        if !self.cx.allowed.has(peer) {
            // One item, whatever is in it.
            self.totals.received_items += 1;
            self.totals.refuse(Refusal::NotAllowed.index());
            self.cx.allowed.note_datagram(peer);
            return;
        }
        let needed = datagram.len() as u64 * self.receiver.expansion();
        if self.left < needed {
            self.hand_over();
            let wanted = needed.max(GRANT);
            // A little room is better than none.
            let grant = self.cx.source.try_grant(wanted);
            if let Some(grant) = grant.or_else(|| self.cx.source.try_grant(needed)) {
                self.left = grant.bytes();
                self.batch = Some(self.cx.source.batch(grant, self.arrival, self.cx.level));
            }
        }
        self.left = self.left.saturating_sub(needed);
        let src = peer.map_or(Address::NONE, Address::from_ip);
        let Self { receiver, batch, totals, pushed, cx, .. } = self;
        decode_datagram(self.options, datagram, now, &mut |event| {
            totals.received_items += 1;
            match event {
                Event::Metric(metric) => {
                    let entry = receiver.entry(&metric, &src, now);
                    let done = entry.and_then(|entry| {
                        cx.rules.check(&entry)?;
                        Ok(batch.as_mut().ok_or(Refusal::NoRoom)?.push(&entry)?)
                    });
                    match done {
                        Ok(()) => *pushed += 1,
                        Err(refusal) => {
                            totals.refuse(refusal.index());
                            cx.rejects.note(refusal.index(), peer, None, metric.path_bytes());
                        }
                    }
                }
                Event::Rejected(rejected) => {
                    let reason = rejected.reason.index();
                    totals.refuse(reason);
                    cx.rejects.note(reason, peer, Some(rejected.offset), rejected.line);
                }
                _ => totals.received_items -= 1,
            }
        });
    }

    fn hand_over(&mut self) {
        self.left = 0;
        let Some(batch) = self.batch.take() else { return };
        let sent = batch.finish();
        if let Some(error) = &sent.refused {
            tracing::debug!(source = %self.cx.counters.name, %error, "The log refused datagrams.");
        }
        self.totals.accepted_items += sent.entries;
        self.totals.accepted_entries += sent.entries;
        let unsent = std::mem::take(&mut self.pushed) - sent.entries;
        self.totals.refuse_many(Refusal::LogRefused.index(), unsent);
    }

    fn finish(mut self) {
        self.hand_over();
        if self.totals.received_bytes > 0 || self.totals.received_items > 0 {
            self.cx.counters.add(&self.totals);
            self.cx.rejects.hand_over();
            self.cx.counters.kept_rejects.set(self.cx.rejects.kept());
        }
    }
}
