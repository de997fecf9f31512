//! A platform's logs and metrics. The protocol has no acknowledgement: what the log does not take
//! in time makes the platform drop, and what may be missing is said in the log of the program.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ingest_entry::{Entry, TagId};
use loggregator_consumer::client::{
    Consumer, Filter, Gateway, Item, Messages, Query, TlsOptions, TokenSource, TrafficController,
    WhenFull,
};
use loggregator_consumer::{Message, dropsonde, json, legacy, v2};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::samples::Samples;
use super::{Context, unix_nanos};
use crate::config::{
    LoggregatorKind, LoggregatorReads, LoggregatorSource, LoggregatorWhenFull, SecretFrom,
};
use crate::counters::Totals;
use crate::limits::LIMIT;
use crate::map::loggregator::{Mapped, Mapper, Tagger, Transport};
use crate::rules::RULE;
use crate::template::Maker;

/// The bytes of entries that are handed over at once, about.
const BATCH: usize = 256 << 10;
/// What was read when the gateway stops is taken for so long.
const LAST_READS: Duration = Duration::from_secs(1);

/// Why a message is refused.
enum Reason {
    Undecodable,
    EntryLimit,
    LogRefused,
    DroppedOldest,
    Rule,
    Limit,
}

/// The reasons of this source.
pub(crate) fn reasons() -> Vec<&'static str> {
    vec!["undecodable", "entry-limit", "log-refused", "dropped-oldest", RULE, LIMIT]
}

/// What this source has beside what all have.
pub(crate) struct Loggregator {
    pub(crate) config: LoggregatorSource,
    pub(crate) tls: TlsOptions,
    pub(crate) tag: TagId,
    pub(crate) tags: Vec<(LoggregatorKind, TagId)>,
    pub(crate) app_tags: Vec<(String, TagId)>,
    pub(crate) org_tags: Vec<(String, TagId)>,
}

impl Loggregator {
    /// What makes entries of a stream's messages.
    fn mapper(&self, app: Option<&String>, maker: Option<Arc<Maker>>) -> Mapper {
        let Self { config, tag, .. } = self;
        let transport = Transport {
            endpoint: config.endpoint.clone(),
            app: app.cloned(),
            shard_id: config.group.clone(),
        };
        let tagger = Tagger::new(*tag)
            .kinds(self.tags.clone())
            .apps(self.app_tags.clone())
            .orgs(self.org_tags.clone())
            .made(maker);
        Mapper::new(tagger, transport)
    }
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
    let (config, tls) = (&source.config, source.tls.clone());
    let token = Arc::new(Token(config.token.clone()));
    let mapper = |app: Option<&String>| source.mapper(app, cx.maker.clone());
    let (buffer, when_full) = (
        config.buffer,
        match config.when_full {
            LoggregatorWhenFull::Block => WhenFull::Block,
            LoggregatorWhenFull::DropOldest => WhenFull::DropOldest,
        },
    );
    let mut streams: JoinSet<()> = JoinSet::new();
    match config.reads {
        LoggregatorReads::Gateway => {
            let gateway = Gateway::builder(&config.endpoint).tls(tls).token_source(token);
            let gateway = gateway.buffer(buffer, when_full).build();
            let query = Query {
                source_ids: config.apps.clone(),
                shard_id: config.group.clone(),
                ..Query::everything()
            };
            let (stream, mapper) = (gateway.stream(query), mapper(None));
            streams.spawn(async move { forward(stream, mapper, cx).await });
        }
        LoggregatorReads::Firehose | LoggregatorReads::Stream => {
            let builder = TrafficController::builder(&config.endpoint);
            let client = builder.tls(tls).token_source(token).buffer(buffer, when_full).build();
            if config.reads == LoggregatorReads::Firehose {
                let group = config.group.as_deref().unwrap_or("ingestry");
                let stream = client.firehose(group, Filter::All);
                let mapper = mapper(None);
                streams.spawn(async move { forward(stream, mapper, cx).await });
            } else {
                for app in &config.apps {
                    let (stream, mapper, cx) = (client.stream(app), mapper(Some(app)), cx.clone());
                    streams.spawn(async move { forward(stream, mapper, cx).await });
                }
            }
        }
        LoggregatorReads::Tail => {
            let consumer = Consumer::builder(&config.endpoint).tls(tls);
            let consumer = consumer.buffer(buffer, when_full).build();
            for app in &config.apps {
                let stream = consumer.follow(app, Arc::clone(&token) as Arc<dyn TokenSource>);
                let (mapper, cx) = (mapper(Some(app)), cx.clone());
                streams.spawn(async move { forward(stream, mapper, cx).await });
            }
        }
    }
    while streams.join_next().await.is_some() {}
}

/// Takes samples in the place of a server's messages until the gateway stops: an envelope as JSON, or
/// a message of the older generations in its binary form, as this source reads them.
pub(crate) async fn sampled(source: Loggregator, cx: Context, mut samples: Samples) {
    let (reads, apps) = (source.config.reads, &source.config.apps);
    let app = match reads {
        LoggregatorReads::Stream | LoggregatorReads::Tail => apps.first(),
        LoggregatorReads::Gateway | LoggregatorReads::Firehose => None,
    };
    let mut mapper = source.mapper(app, cx.maker.clone());
    let mut stopping = cx.stopping.clone();
    while let Some(given) = samples.next(&mut stopping).await {
        let bytes = Bytes::from(given.message.body.clone());
        let mut round = Round::new(&cx);
        match reads {
            LoggregatorReads::Gateway => {
                // As the gateway sends it: a fault costs what it would there.
                let event = [b"{\"batch\":[", &bytes[..], b"]}"].concat();
                let batch = json::decode_batch(&Bytes::from(event));
                let envelopes = batch.envelopes.into_iter();
                envelopes.for_each(|one| round.take(Item::Message(one), &mut mapper));
                if let Some(fault) = batch.fault {
                    let error = fault.to_string();
                    let lost = Item::<v2::Envelope>::Undecodable { bytes, error };
                    round.take(lost, &mut mapper);
                }
            }
            LoggregatorReads::Firehose | LoggregatorReads::Stream => {
                round.take(decoded::<dropsonde::Envelope>(bytes), &mut mapper);
            }
            LoggregatorReads::Tail => {
                round.take(decoded::<legacy::LogMessage>(bytes), &mut mapper);
            }
        }
        let stored = match round.hand_over().await {
            Ok(None) => Ok(()),
            Ok(Some(ticket)) => cx.source.done(&ticket).await.map_err(|error| error.to_string()),
            Err(()) => Err("the log takes no more".to_owned()),
        };
        given.done(stored);
    }
}

/// What a stream would give for these bytes.
fn decoded<M: Message<Bytes>>(bytes: Bytes) -> Item<M> {
    match M::decode(&bytes) {
        Ok(message) => Item::Message(message),
        Err(error) => Item::Undecodable { error: error.to_string(), bytes },
    }
}

/// Hands messages over to the log until the stream ends or the gateway stops.
async fn forward<M: Mapped + Send + 'static>(
    mut stream: Messages<M>,
    mut mapper: Mapper,
    cx: Context,
) {
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
                let entry = mapper.entry(&message, self.now).to_entry();
                self.keep(entry);
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
                tracing::warn!(source = %name, cause = %gap.cause, "Messages may be missing.");
                let entry = mapper.gap(&gap).to_entry();
                self.keep(entry);
            }
            Item::Dropped(count) => {
                tracing::warn!(source = %name, count, "Messages were dropped.");
                let entry = mapper.dropped(count, self.now).to_entry();
                self.keep(entry);
                self.totals.received_items += count;
                self.totals.refuse_many(Reason::DroppedOldest as usize, count);
            }
            Item::Retrying { error, wait } => {
                tracing::warn!(source = %name, %error, ?wait, "A connection ended or failed.");
            }
            Item::Ended(reason) => tracing::info!(source = %name, %reason, "A stream ended."),
            _ => tracing::warn!(source = %name, "Something happened."),
        }
    }

    /// An item that becomes an entry; what the stream tells of itself is one too.
    fn keep(&mut self, entry: Entry) {
        self.bytes += entry.as_ref().stored_len();
        self.totals.received_items += 1;
        self.totals.received_bytes += entry.data.len() as u64;
        self.entries.push(entry);
    }

    /// The ticket of the entries, if there were any; an error when the log takes no more.
    async fn hand_over(mut self) -> Result<Option<ingest_mux::Ticket>, ()> {
        let mut ticket = None;
        let mut refused = None;
        let mut limits = self.cx.limits.begin();
        if !self.entries.is_empty() {
            let source = &self.cx.source;
            let grant = source.grant(self.bytes as u64).await;
            let mut batch = source.batch(grant, self.now, self.cx.level);
            for entry in &self.entries {
                if !self.cx.rules.admits(&entry.as_ref()) {
                    self.totals.refuse(Reason::Rule as usize);
                    continue;
                }
                if limits.check(&entry.as_ref()).is_err() {
                    self.totals.refuse(Reason::Limit as usize);
                    continue;
                }
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
        let mut stopping = self.cx.stopping.clone();
        let _ = timeout(limits.hold(), stopping.wait_for(|stop| *stop)).await;
        match refused {
            None => Ok(ticket),
            Some(error) => {
                tracing::error!(source = %self.cx.counters.name, %error, "The log takes no more.");
                Err(())
            }
        }
    }
}
