//! A platform's logs and metrics. The protocol has no acknowledgement: what the log does not take
//! in time makes the platform drop, and what may be missing is said in the log of the program.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ingest_entry::{Entry, TagId};
use loggregator_consumer::client::{
    Consumer, Filter, Gateway, Item, Messages, Query, TlsOptions, TokenSource, TrafficController,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Context, unix_nanos};
use crate::config::{LoggregatorKind, LoggregatorReads, LoggregatorSource, SecretFrom};
use crate::counters::Totals;
use crate::map::loggregator::{Mapped, Mapper, Transport};

/// The bytes of entries that are handed over at once, about.
const BATCH: usize = 256 << 10;
/// What was read when the gateway stops is taken for so long.
const LAST_READS: Duration = Duration::from_secs(1);
/// After a stream of the first generation ended, which does not connect again by itself.
const RETRY: Duration = Duration::from_secs(2);

/// Why a message is refused.
enum Reason {
    Undecodable,
    EntryLimit,
    LogRefused,
}

/// The reasons of this source.
pub(crate) fn reasons() -> Vec<&'static str> {
    vec!["undecodable", "entry-limit", "log-refused"]
}

/// What this source has beside what all have.
pub(crate) struct Loggregator {
    pub(crate) config: LoggregatorSource,
    pub(crate) tls: TlsOptions,
    pub(crate) tag: TagId,
    pub(crate) tags: Vec<(LoggregatorKind, TagId)>,
}

/// The configured token, read again each time.
struct Token(SecretFrom);

impl Token {
    fn read(&self) -> Result<String, String> {
        let bytes = self.0.read().map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
    }
}

impl TokenSource for Token {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>> {
        Box::pin(async { self.read() })
    }
}

/// Reads until the gateway stops.
pub(crate) async fn serve(source: Loggregator, cx: Context) {
    let Loggregator { config, tls, tag, tags } = source;
    let token = Arc::new(Token(config.token.clone()));
    let mapper = |app: Option<&String>| {
        let transport = Transport {
            endpoint: config.endpoint.clone(),
            app: app.cloned(),
            shard_id: config.group.clone(),
        };
        Mapper::new(tag, tags.clone(), transport)
    };
    let mut streams: JoinSet<()> = JoinSet::new();
    match config.reads {
        LoggregatorReads::Gateway => {
            let gateway = Gateway::builder(&config.endpoint).tls(tls).token_source(token).build();
            let query = Query {
                source_ids: config.apps.clone(),
                shard_id: config.group.clone(),
                ..Query::everything()
            };
            let (stream, mapper) = (gateway.stream(query), mapper(None));
            streams.spawn(async move { drop(forward(stream, mapper, cx).await) });
        }
        LoggregatorReads::Firehose | LoggregatorReads::Stream => {
            let builder = TrafficController::builder(&config.endpoint);
            let client = builder.tls(tls).token_source(token).build();
            if config.reads == LoggregatorReads::Firehose {
                let group = config.group.as_deref().unwrap_or("ingestry");
                let stream = client.firehose(group, Filter::All);
                let mapper = mapper(None);
                streams.spawn(async move { drop(forward(stream, mapper, cx).await) });
            } else {
                for app in &config.apps {
                    let (stream, mapper, cx) = (client.stream(app), mapper(Some(app)), cx.clone());
                    streams.spawn(async move { drop(forward(stream, mapper, cx).await) });
                }
            }
        }
        LoggregatorReads::Tail => {
            let consumer = Consumer::builder(&config.endpoint).tls(tls).build();
            for app in &config.apps {
                let (consumer, token) = (consumer.clone(), Arc::clone(&token));
                streams.spawn(tail(consumer, token, app.clone(), mapper(Some(app)), cx.clone()));
            }
        }
    }
    while streams.join_next().await.is_some() {}
}

/// One application's log on a server of the first generation, connected again and again.
async fn tail(consumer: Consumer, token: Arc<Token>, app: String, mapper: Mapper, cx: Context) {
    let mut stopping = cx.stopping.clone();
    let mut mapper = mapper;
    loop {
        let connect = async {
            let token = token.read().map_err(|error| format!("no token: {error}"))?;
            consumer.tail(&app, &token).await.map_err(|error| error.to_string())
        };
        let connected = tokio::select! {
            connected = connect => connected,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match connected {
            Ok(stream) => {
                cx.counters.connections_total.add(1);
                cx.counters.connections_open.add(1);
                mapper = forward(stream, mapper, cx.clone()).await;
                cx.counters.connections_open.sub(1);
            }
            Err(error) => {
                tracing::warn!(source = %cx.counters.name, %app, %error, "Cannot connect.");
            }
        }
        tokio::select! {
            () = sleep(RETRY) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

/// Hands messages over to the log until the stream ends or the gateway stops.
async fn forward<M: Mapped + Send + 'static>(
    mut stream: Messages<M>,
    mut mapper: Mapper,
    cx: Context,
) -> Mapper {
    let mut stopping = cx.stopping.clone();
    let mut last = None;
    let mut until = None;
    loop {
        let item = match until {
            None => tokio::select! {
                item = stream.next() => item,
                _ = stopping.wait_for(|stop| *stop) => {
                    stream.close();
                    until = Some(Instant::now() + LAST_READS);
                    continue;
                }
            },
            Some(until) => timeout_at(until, stream.next()).await.unwrap_or_default(),
        };
        let Some(item) = item else { break };
        let mut round = Round::new(&cx);
        round.take(item, &mut mapper);
        while round.bytes < BATCH
            && let Some(item) = stream.ready()
        {
            round.take(item, &mut mapper);
        }
        match round.hand_over().await {
            Ok(ticket) => last = ticket.or(last),
            Err(()) => break,
        }
    }
    if let Some(ticket) = last
        && let Err(error) = cx.source.done(&ticket).await
    {
        tracing::error!(source = %cx.counters.name, %error, "What was read was not stored.");
    }
    mapper
}

/// What is handed over at once.
struct Round<'a> {
    cx: &'a Context,
    now: i64,
    entries: Vec<Entry>,
    bytes: usize,
    totals: Totals,
}

impl<'a> Round<'a> {
    fn new(cx: &'a Context) -> Self {
        let totals = Totals::new(cx.counters.reasons.len());
        Self { cx, now: unix_nanos(), entries: Vec::new(), bytes: 0, totals }
    }

    fn take<M: Mapped>(&mut self, item: Item<M>, mapper: &mut Mapper) {
        let name = &self.cx.counters.name;
        match item {
            Item::Message(message) => {
                let entry = mapper.entry(&message, self.now);
                self.bytes += entry.stored_len();
                self.totals.received_items += 1;
                self.totals.received_bytes += entry.data.len() as u64;
                self.entries.push(entry.to_entry());
            }
            Item::Undecodable { bytes, .. } => {
                self.totals.received_items += 1;
                self.totals.received_bytes += bytes.len() as u64;
                self.totals.refuse(Reason::Undecodable as usize);
                let peer = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
                self.cx.rejects.note(Reason::Undecodable as usize, peer, None, &bytes);
            }
            Item::Connected => self.cx.counters.connections_total.add(1),
            Item::Gap(gap) => {
                self.cx.counters.connections_aborted.add(1);
                tracing::warn!(source = %name, cause = ?gap.cause, "Messages may be missing.");
            }
            Item::Retrying { error, wait } => {
                tracing::warn!(source = %name, %error, ?wait, "A connection ended or failed.");
            }
            Item::Ended(reason) => tracing::info!(source = %name, %reason, "A stream ended."),
            other => tracing::warn!(source = %name, item = %kind_of(&other), "Something happened."),
        }
    }

    /// The ticket of the entries, if there were any; an error when the log takes no more.
    async fn hand_over(mut self) -> Result<Option<ingest_mux::Ticket>, ()> {
        let mut ticket = None;
        let mut refused = None;
        if !self.entries.is_empty() {
            let source = &self.cx.source;
            let grant = source.grant(self.bytes as u64).await;
            let mut batch = source.batch(grant, self.now, self.cx.level);
            for entry in &self.entries {
                match batch.push(&entry.as_ref()) {
                    Ok(()) => {}
                    Err(error) if error.can_continue() => {
                        self.totals.refuse(Reason::EntryLimit as usize);
                    }
                    Err(error) => {
                        refused = Some(error.to_string());
                        break;
                    }
                }
            }
            let sent = batch.finish();
            refused = refused.or_else(|| sent.refused.as_ref().map(ToString::to_string));
            self.totals.accepted_items = sent.entries;
            self.totals.accepted_entries = sent.entries;
            let counted = sent.entries + self.totals.refused.iter().sum::<u64>();
            let rest = self.totals.received_items.saturating_sub(counted);
            self.totals.refuse_many(Reason::LogRefused as usize, rest);
            ticket = sent.ticket;
        }
        self.cx.counters.add(&self.totals);
        match refused {
            None => Ok(ticket),
            Some(error) => {
                tracing::error!(source = %self.cx.counters.name, %error, "The log takes no more.");
                Err(())
            }
        }
    }
}

/// What an item is, in a word.
fn kind_of<M>(item: &Item<M>) -> String {
    match item {
        Item::Dropped(count) => format!("{count} messages dropped"),
        _ => "unknown".to_owned(),
    }
}
