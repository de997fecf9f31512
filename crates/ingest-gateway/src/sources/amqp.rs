//! Graphite points from a broker of AMQP. A message is acknowledged when what it holds is durable;
//! what was not acknowledged when a connection breaks comes again with the next one.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use graphite_proto::amqp::{
    AmqpError, Broker, Consumer, ConsumerOptions, Delivery, Exchange, NameIn, decode_message,
};
use graphite_proto::{Backoff, Event, Options};
use ingest_entry::Source as Address;
use ingest_mux::{RefusedError, SendError, Ticket};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::samples::Samples;
use super::{Context, graphite_time, unix_nanos};
use crate::config::{AmqpAck, AmqpName, AmqpSource};
use crate::counters::Totals;
use crate::map::graphite::{Mapper, Refusal, decoder_options};
use crate::template::Tagger;

/// Messages that are looked at in one go, and bytes of them.
const AT_ONCE: usize = 1024;
const BYTES_AT_ONCE: usize = 256 * 1024;
/// Wait after the log has refused something.
const REFUSED: Duration = Duration::from_secs(1);
/// How long a connection may take to close.
const CLOSING: Duration = Duration::from_secs(2);

/// What this source has beside what all have.
pub(crate) struct Amqp {
    enabled: bool,
    options: ConsumerOptions,
    decoding: Options,
    name: NameIn,
    mapper: Mapper,
    verbose: bool,
}

impl Amqp {
    /// A source with these settings, whose entries get these tags.
    pub(crate) fn new(config: &AmqpSource, broker: (Broker, Exchange), tagger: Tagger) -> Self {
        let mut options = ConsumerOptions::default();
        (options.broker, options.exchange) = broker;
        options.queue = config.queue.clone();
        options.patterns = config.patterns.clone();
        options.prefetch = config.prefetch;
        options.acknowledge = config.ack == AmqpAck::Durable;
        Self {
            enabled: config.enabled,
            options,
            decoding: decoder_options(&config.lines),
            name: match config.name {
                AmqpName::Body => NameIn::Body,
                AmqpName::Auto => NameIn::Auto,
                AmqpName::Key => NameIn::Key,
            },
            mapper: Mapper::tagged(&config.lines, tagger),
            verbose: config.verbose,
        }
    }
}

/// Consumes until the gateway stops, over one connection after another.
pub(crate) async fn serve(mut amqp: Amqp, cx: Context) {
    if !amqp.enabled {
        return;
    }
    let mut stopping = cx.stopping.clone();
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(15));
    loop {
        let connected = tokio::select! {
            () = stop(&mut stopping) => return,
            connected = connect(&amqp.options) => connected,
        };
        let error = match connected {
            Ok((consumer, peer)) => {
                tracing::info!(source = %cx.counters.name, "Consuming from the broker.");
                cx.counters.connections_total.add(1);
                cx.counters.connections_open.add(1);
                let mut link = Link { amqp: &mut amqp, cx: &cx, peer, out: VecDeque::new() };
                let end = link.run(consumer, &mut backoff).await;
                cx.counters.connections_open.sub(1);
                match end {
                    Ok(()) => return,
                    Err(error) => {
                        cx.counters.connections_aborted.add(1);
                        error
                    }
                }
            }
            Err(error) => error,
        };
        let wait = backoff.next_wait();
        tracing::warn!(source = %cx.counters.name, %error, ?wait, "No connection to the broker.");
        tokio::select! {
            () = stop(&mut stopping) => return,
            () = sleep(wait) => {}
        }
    }
}

/// Takes samples in the place of a broker's messages until the gateway stops.
pub(crate) async fn sampled(mut amqp: Amqp, cx: Context, mut samples: Samples) {
    let mut stopping = cx.stopping.clone();
    let mut link = Link { amqp: &mut amqp, cx: &cx, peer: None, out: VecDeque::new() };
    while let Some(given) = samples.next(&mut stopping).await {
        link.take(&[(&given.message.key, &given.message.body)], 0).await;
        let ticket = link.out.pop_front().and_then(|out| out.ticket);
        let stored = done(&cx.source, ticket).await;
        given.done(stored.map_err(|error| error.to_string()));
    }
}

async fn stop(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// A connection, and the broker's address: that of whoever sends, as far as anybody knows.
async fn connect(options: &ConsumerOptions) -> Result<(Consumer, Option<IpAddr>), AmqpError> {
    let broker = &options.broker;
    let found =
        timeout(broker.timeout, tokio::net::lookup_host((broker.host.as_str(), broker.port)));
    let peer = match found.await {
        Ok(Ok(mut addresses)) => addresses.next().map(|address| address.ip().to_canonical()),
        Ok(Err(_)) | Err(_) => None,
    };
    Ok((Consumer::connect(options).await?, peer))
}

/// Messages up to `tag` hold what the ticket stands for; without one they hold nothing.
struct Out {
    tag: u64,
    ticket: Option<Ticket>,
    /// The log has not taken all of it.
    refused: bool,
}

/// One connection at work.
struct Link<'a> {
    amqp: &'a mut Amqp,
    cx: &'a Context,
    peer: Option<IpAddr>,
    /// What is not acknowledged yet, the oldest first.
    out: VecDeque<Out>,
}

impl Link<'_> {
    /// Consumes until the gateway stops, or the connection breaks.
    async fn run(
        &mut self,
        mut consumer: Consumer,
        backoff: &mut Backoff,
    ) -> Result<(), AmqpError> {
        let mut stopping = self.cx.stopping.clone();
        let mut stopped = false;
        while !(stopped && self.out.is_empty()) {
            let oldest = self.out.front().and_then(|out| out.ticket.clone());
            let source = &self.cx.source;
            tokio::select! {
                biased;
                done = done(source, oldest), if !self.out.is_empty() => {
                    self.settle(&consumer, done).await?;
                }
                () = stop(&mut stopping), if !stopped => stopped = true,
                first = consumer.next(), if !stopped => {
                    let messages = more(&mut consumer, first?).await?;
                    backoff.reset();
                    let tag = messages.last().map_or(0, |last| last.tag);
                    let messages: Vec<_> =
                        messages.iter().map(|m| (m.key.as_str(), m.body.as_slice())).collect();
                    self.take(&messages, tag).await;
                }
            }
        }
        // What is out and was not looked at goes back into the queue.
        let _ = timeout(CLOSING, consumer.close()).await;
        Ok(())
    }

    /// The oldest messages are durable, or never will be.
    async fn settle(
        &mut self,
        consumer: &Consumer,
        done: Result<(), RefusedError>,
    ) -> Result<(), AmqpError> {
        let Some(out) = self.out.pop_front() else { return Ok(()) };
        if !self.amqp.options.acknowledge {
            return Ok(());
        }
        let dropped = out.ticket.as_ref().is_some_and(|ticket| self.cx.source.was_dropped(ticket));
        if done.is_ok() && !dropped && !out.refused {
            let mut last = out.tag;
            // Whatever else is done goes with it.
            while let Some(next) = self.out.front()
                && !next.refused
                && next.ticket.as_ref().is_none_or(|ticket| {
                    self.cx.source.is_durable(ticket) && !self.cx.source.was_dropped(ticket)
                })
            {
                last = next.tag;
                self.out.pop_front();
            }
            return consumer.acknowledge(last).await;
        }
        tracing::warn!(
            source = %self.cx.counters.name,
            "Messages go back to the broker: the log does not take what they hold."
        );
        consumer.refuse(out.tag, true).await?;
        sleep(REFUSED).await;
        Ok(())
    }

    /// Turns messages, keys and bodies, into entries and hands them over. `tag`: the last one's.
    async fn take(&mut self, messages: &[(&str, &[u8])], tag: u64) {
        let bytes: usize = messages.iter().map(|(key, body)| key.len() + 1 + body.len()).sum();
        // Each line has the key before it, at worst.
        let lines = |body: &[u8]| body.iter().filter(|byte| **byte == b'\n').count();
        let keys: usize = messages.iter().map(|(key, body)| key.len() * lines(body)).sum();
        let wanted = (bytes + keys) as u64 * self.amqp.mapper.expansion();
        let source = &self.cx.source;
        let grant = match source.try_grant(wanted) {
            Some(grant) => grant,
            None => {
                self.cx.counters.waits.add(1);
                source.grant(wanted).await
            }
        };
        let arrival = unix_nanos();
        let now = graphite_time(arrival);
        let mut totals = Totals::new(self.cx.counters.reasons.len());
        totals.received_bytes = messages.iter().map(|(_, body)| body.len() as u64).sum();
        let mut batch = source.batch(grant, arrival, self.cx.level);
        let src = self.peer.map_or(Address::NONE, Address::from_ip);
        let mut pushed = 0;
        let (mapper, rejects, peer) = (&mut self.amqp.mapper, &self.cx.rejects, self.peer);
        let rules = &self.cx.rules;
        let mut limits = self.cx.limits.begin();
        let (decoding, name, verbose) = (&self.amqp.decoding, self.amqp.name, self.amqp.verbose);
        for (key, body) in messages {
            if verbose {
                tracing::info!(
                    source = %self.cx.counters.name, %key, body = %body.escape_ascii(),
                    "A message."
                );
            }
            mapper.routed(key);
            let mut sink = |event: Event<'_>| {
                totals.received_items += 1;
                match event {
                    Event::Metric(metric) => {
                        let entry = mapper.entry(&metric, &src, now);
                        let pushed_one = entry.and_then(|entry| {
                            rules.check(&entry)?;
                            limits.check(&entry)?;
                            Ok(batch.push(&entry)?)
                        });
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
            decode_message(decoding, name, key.as_bytes(), body, now, &mut sink);
        }
        let sent = batch.finish();
        totals.accepted_entries = sent.entries;
        totals.accepted_items = sent.entries;
        totals.refuse_many(Refusal::LogRefused.index(), pushed - sent.entries);
        self.cx.counters.add(&totals);
        rejects.hand_over();
        self.cx.counters.kept_rejects.set(rejects.kept());
        let refused = match &sent.refused {
            // One that is too large will not be smaller the next time.
            None | Some(SendError::Refused(RefusedError::TooLarge { .. })) => false,
            Some(_) => true,
        };
        self.out.push_back(Out { tag, ticket: sent.ticket, refused });
        let mut stopping = self.cx.stopping.clone();
        let _ = timeout(limits.hold(), stop(&mut stopping)).await;
    }
}

/// What has come already behind a message, so that they share a batch.
async fn more(consumer: &mut Consumer, first: Delivery) -> Result<Vec<Delivery>, AmqpError> {
    let mut bytes = first.body.len();
    let mut messages = vec![first];
    while messages.len() < AT_ONCE && bytes < BYTES_AT_ONCE {
        let Some(next) = consumer.ready().await? else { break };
        bytes += next.body.len();
        messages.push(next);
    }
    Ok(messages)
}

async fn done(source: &ingest_mux::Source, ticket: Option<Ticket>) -> Result<(), RefusedError> {
    match ticket {
        Some(ticket) => source.done(&ticket).await,
        None => Ok(()),
    }
}
