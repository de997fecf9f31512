//! Topics of Kafka. Offsets are committed when what they stand for is durable; what was not committed
//! when this member leaves, or a partition moves, is read again by whoever has it then.

mod intake;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use graphite_proto::Backoff;
use ingest_kafka::{
    Consumer, ConsumerOptions, Error, ErrorKind, Message, Messages, Positions, Settings, StartFrom,
};
use ingest_mux::{RefusedError, Tags, Ticket};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Context;
use crate::config::{KafkaFrom, KafkaSource};

pub(crate) use intake::Intake;

/// Records that are looked at in one go, and bytes of them.
const AT_ONCE: usize = 1024;
const BYTES_AT_ONCE: usize = 256 * 1024;
/// Batches that may wait for the disk.
const MAX_OUT: usize = 64;
/// Wait after the log has refused something.
const REFUSED: Duration = Duration::from_secs(1);
/// A wait for the log that is longer stops the fetching.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a broker has to answer.
const CONNECT: Duration = Duration::from_secs(10);
/// How long leaving the group may take.
const CLOSING: Duration = Duration::from_secs(5);

/// What this source has beside what all have.
pub(crate) struct Kafka {
    pub(crate) config: KafkaSource,
    pub(crate) settings: Settings,
    pub(crate) tags: Tags,
}

impl Kafka {
    /// How this member reads.
    pub(crate) fn options(config: &KafkaSource) -> ConsumerOptions {
        let mut options = ConsumerOptions::new(&config.group, config.topics.iter().cloned());
        options.instance.clone_from(&config.instance);
        options.from = match config.from {
            KafkaFrom::Oldest => StartFrom::Oldest,
            KafkaFrom::End => StartFrom::End,
        };
        options.read_ahead = config.read_ahead;
        options.commit_interval = config.commit_interval;
        options
    }
}

/// Consumes until the gateway stops, as one member of the group after another.
pub(crate) async fn serve(kafka: Kafka, cx: Context) {
    let mut stopping = cx.stopping.clone();
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(15));
    let mut intake = Intake::new(&kafka, &cx);
    loop {
        let end = tokio::select! {
            () = stop(&mut stopping) => return,
            member = join(&kafka) => member,
        };
        let error = match end {
            Ok((consumer, broker)) => {
                tracing::info!(source = %cx.counters.name, "A broker answers.");
                cx.counters.connections_total.add(1);
                cx.counters.connections_open.add(1);
                intake.broker(broker);
                let mut member = Member {
                    consumer: &consumer,
                    messages: consumer.messages(),
                    cx: &cx,
                    out: VecDeque::new(),
                    held: VecDeque::new(),
                };
                let end = member.run(&mut intake, &mut backoff).await;
                drop(member);
                let _ = timeout(CLOSING, consumer.close()).await;
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

async fn stop(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// A consumer, and the address of the first broker: that of whoever sends, as far as anybody knows.
async fn join(kafka: &Kafka) -> Result<(Consumer, Option<IpAddr>), Error> {
    let consumer = Consumer::new(&kafka.settings, &Kafka::options(&kafka.config))?;
    consumer.connected(CONNECT).await?;
    let first = kafka.settings.brokers.first().map(String::as_str).unwrap_or_default();
    let found = timeout(CONNECT, tokio::net::lookup_host(first)).await;
    let address = match found {
        Ok(Ok(mut all)) => all.next().map(|address| address.ip().to_canonical()),
        Ok(Err(_)) | Err(_) => None,
    };
    Ok((consumer, address))
}

/// What was read up to there is what the ticket stands for; without one it made no entry.
struct Out {
    read: Positions,
    ticket: Option<Ticket>,
    /// The log has not taken all of it.
    refused: bool,
}

/// A member of the group at work.
struct Member<'a> {
    consumer: &'a Consumer,
    messages: Messages<'a>,
    cx: &'a Context,
    /// What is not durable yet, the oldest first.
    out: VecDeque<Out>,
    /// What came although nothing was to be fetched.
    held: VecDeque<Message<'a>>,
}

impl<'a> Member<'a> {
    /// Consumes until the gateway stops, or the client cannot go on.
    async fn run(&mut self, intake: &mut Intake, backoff: &mut Backoff) -> Result<(), Error> {
        let mut stopping = self.cx.stopping.clone();
        let mut stopped = false;
        while !(stopped && self.out.is_empty()) {
            let oldest = self.out.front().and_then(|out| out.ticket.clone());
            let source = &self.cx.source;
            tokio::select! {
                biased;
                done = done(source, oldest), if !self.out.is_empty() => self.settle(done).await?,
                () = stop(&mut stopping), if !stopped => stopped = true,
                first = next(&mut self.held, &mut self.messages),
                    if !stopped && self.out.len() < MAX_OUT =>
                {
                    match first {
                        Ok(first) => {
                            backoff.reset();
                            let messages = self.more(first, intake);
                            self.take(&messages, intake).await?;
                        }
                        Err(error) => self.hear(error, intake)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// What the consumer says instead of a record.
    fn hear(&self, error: Error, intake: &mut Intake) -> Result<(), Error> {
        match error.kind() {
            // It comes again until somebody does something, and nothing of it is lost.
            ErrorKind::Undecodable => {
                intake.undecodable(&error);
                Ok(())
            }
            // They pass: the client connects again by itself, and goes on where it was.
            ErrorKind::Connection | ErrorKind::TimedOut | ErrorKind::Other => {
                tracing::debug!(source = %self.cx.counters.name, %error, "Brokers are in trouble.");
                Ok(())
            }
            ErrorKind::Topic => {
                tracing::warn!(source = %self.cx.counters.name, %error, "A topic is not there.");
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// The oldest batch is durable, or never will be.
    async fn settle(&mut self, done: Result<(), RefusedError>) -> Result<(), Error> {
        let Some(out) = self.out.pop_front() else { return Ok(()) };
        let source = &self.cx.source;
        let dropped = out.ticket.as_ref().is_some_and(|ticket| source.was_dropped(ticket));
        if done.is_err() || dropped || out.refused {
            // Nothing behind it may be committed: it is read again by the next member.
            sleep(REFUSED).await;
            return Err(Error::other("the log does not take what was read"));
        }
        let mut read = out.read;
        // Whatever else is durable goes with it.
        while let Some(next) = self.out.front()
            && !next.refused
            && next
                .ticket
                .as_ref()
                .is_none_or(|ticket| source.is_durable(ticket) && !source.was_dropped(ticket))
            && let Some(next) = self.out.pop_front()
        {
            read.merge(next.read);
        }
        self.consumer.store(&read);
        Ok(())
    }

    /// What has come already behind a record, so that they share a batch.
    fn more(&mut self, first: Message<'a>, intake: &mut Intake) -> Vec<Message<'a>> {
        let size = |message: &Message<'_>| message.value().map_or(0, <[u8]>::len);
        let mut bytes = size(&first);
        let mut messages = vec![first];
        while messages.len() < AT_ONCE && bytes < BYTES_AT_ONCE {
            let next = match self.held.pop_front() {
                Some(held) => Ok(Some(held)),
                None => self.messages.ready(),
            };
            match next {
                Ok(Some(message)) => {
                    bytes += size(&message);
                    messages.push(message);
                }
                Ok(None) => break,
                Err(error) => {
                    // One that ends the member comes again.
                    let _ = self.hear(error, intake);
                    break;
                }
            }
        }
        messages
    }

    /// Turns records into entries and hands them over.
    async fn take(&mut self, messages: &[Message<'a>], intake: &mut Intake) -> Result<(), Error> {
        let reads = intake.read(messages);
        let wanted = intake.wanted(messages, &reads);
        let grant = match self.cx.source.try_grant(wanted) {
            Some(grant) => grant,
            None => self.wait(wanted, intake).await?,
        };
        let (ticket, refused) = intake.take(messages, &reads, grant);
        let mut read = Positions::default();
        read.read_all(messages);
        self.out.push_back(Out { read, ticket, refused });
        Ok(())
    }

    /// Waits for room. If that takes long nothing is fetched meanwhile, and the group still hears of
    /// this member.
    async fn wait(&mut self, wanted: u64, intake: &mut Intake) -> Result<ingest_mux::Grant, Error> {
        self.cx.counters.waits.add(1);
        let mut grant = std::pin::pin!(self.cx.source.grant(wanted));
        if let Ok(grant) = timeout(PATIENCE, &mut grant).await {
            return Ok(grant);
        }
        self.consumer.pause()?;
        tracing::info!(source = %self.cx.counters.name, "Nothing is fetched: the log has no room.");
        let granted = loop {
            tokio::select! {
                biased;
                granted = &mut grant => break granted,
                came = self.messages.next() => match came {
                    Ok(message) => {
                        // Of a partition that was given to this member just now.
                        self.held.push_back(message);
                        self.consumer.pause()?;
                    }
                    Err(error) => self.hear(error, intake)?,
                }
            }
        };
        self.consumer.resume()?;
        Ok(granted)
    }
}

/// A record that was held, or the next one.
async fn next<'a>(
    held: &mut VecDeque<Message<'a>>,
    messages: &mut Messages<'a>,
) -> Result<Message<'a>, Error> {
    match held.pop_front() {
        Some(message) => Ok(message),
        None => messages.next().await,
    }
}

async fn done(source: &ingest_mux::Source, ticket: Option<Ticket>) -> Result<(), RefusedError> {
    match ticket {
        Some(ticket) => source.done(&ticket).await,
        None => Ok(()),
    }
}
