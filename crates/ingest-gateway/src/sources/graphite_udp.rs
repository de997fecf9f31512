//! Graphite lines over UDP. There is no acknowledgement: what has no room is dropped, and counted
//! line by line; what the kernel drops is read from the system.

use std::net::SocketAddr;
use std::time::Duration;

use graphite_proto::{Datagrams, Event, Options, decode_datagram};
use ingest_entry::{Source as Address, TagId};
use ingest_mux::Batch;
use tokio::net::UdpSocket;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{Context, graphite_time, kernel_drops, unix_nanos};
use crate::config::GraphiteUdpSource;
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

/// Receives until the source retires.
pub(crate) async fn serve(socket: UdpSocket, config: GraphiteUdpSource, tag: TagId, cx: Context) {
    let options = decoder_options(&config.lines);
    let mut receiver =
        Receiver { mapper: Mapper::new(&config.lines, tag), options, cx: cx.clone() };
    let local = socket.local_addr().ok();
    let mut datagrams = Datagrams::new(socket);
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
            received = datagrams.receive(AT_ONCE, &mut sink) => received,
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
        let received = timeout(QUIET, datagrams.receive(AT_ONCE, &mut sink)).await;
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
    fn take(&mut self, datagram: &[u8], peer: SocketAddr) {
        if self.arrival == 0 {
            self.arrival = unix_nanos();
        }
        let now = graphite_time(self.arrival);
        self.totals.received_bytes += datagram.len() as u64;
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
        let peer = peer.ip().to_canonical();
        let src = Address::from_ip(peer);
        let Self { receiver, batch, totals, pushed, cx, .. } = self;
        decode_datagram(self.options, datagram, now, &mut |event| {
            totals.received_items += 1;
            match event {
                Event::Metric(metric) => {
                    let entry = receiver.entry(&metric, src, now);
                    let done = entry.and_then(|entry| {
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
        }
    }
}
