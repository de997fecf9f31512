//! The ingestors that the gateway brings.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use graphite_proto::{Event, Options, decode_datagram};
use hydra_ws::{Failure, Ingestor, Join, Metadata, Outcome, Outcomes, Request};
use ingest_entry::{EntryRef, TagId, TagName, Timestamp};

use super::Hydra;
use super::delivered::Delivered;
use super::taken::{Open, done, level, refusal, room};
use crate::config::{GraphiteLines, HydraValues};
use crate::map::graphite::{Mapper, Refusal as LineRefusal, decoder_options};
use crate::map::hydra::{Refusal, source, tag, values};
use crate::sources::{Context, graphite_time, unix_nanos};
use crate::template::{Field, Fields, Name, Tagger};

/// Bytes of an entry beside data and values, rounded up.
const OVERHEAD: usize = 64;
/// Bytes of a payload that `log_ingestor` shows.
const SHOWN: usize = 1024;
/// What is said of payloads that a limit drops.
const OVER_LIMIT: &str = "It is beyond a limit of this gateway, and dropped.";

/// What else is missing in a build without the client.
#[cfg(feature = "kafka")]
const BUILD: &str = "";
#[cfg(not(feature = "kafka"))]
const BUILD: &str =
    ", and this build of ingestry does not take it: one with the feature \"full\" does";

type Results = Vec<Result<(), Failure>>;

/// What the ingestors share.
pub(super) struct Shared {
    pub(super) cx: Context,
    pub(super) delivered: Delivered,
    tags: ingest_mux::Tags,
    max_tags: usize,
    known: Mutex<HashMap<TagName, TagId>>,
    tag: TagName,
    values: HydraValues,
    /// Makes the tags of requests that name none.
    made: Mutex<Tagger>,
}

impl Shared {
    pub(super) fn new(cx: &Context, hydra: &Hydra, delivered: Delivered) -> Self {
        Self {
            cx: cx.clone(),
            delivered,
            tags: hydra.tags.clone(),
            max_tags: hydra.config.max_tags,
            known: Mutex::default(),
            tag: hydra.config.tag.clone(),
            values: hydra.config.values,
            made: Mutex::new(Tagger::new(TagId::DEFAULT, cx.maker.clone())),
        }
    }

    /// The number of the tag that a request names, else of `otherwise`.
    fn number(&self, request: &Request, otherwise: &TagName) -> Result<TagId, (usize, Failure)> {
        let name = tag(request.metadata())
            .map_err(|error| (Refusal::BadTag.index(), Failure::invalid(error)))?;
        let name = name.as_ref().unwrap_or(otherwise);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = known.get(name) {
            return Ok(*id);
        }
        let full = |why: String| (Refusal::TooManyTags.index(), Failure::unavailable(why));
        if known.len() > self.max_tags {
            return Err(full(format!("Clients have brought {} tags: no more.", self.max_tags)));
        }
        let id = self.tags.number(name).map_err(|error| full(error.to_string()))?;
        known.insert(name.clone(), id);
        Ok(id)
    }

    /// The number of the tag that a request names, else of the one made for it, else of the plain
    /// one.
    fn own_number(&self, request: &Request) -> Result<TagId, (usize, Failure)> {
        let metadata = request.metadata();
        if metadata.get("hydra-tag").is_none() {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(tag) = made.made(&Said(metadata)) {
                return Ok(tag);
            }
        }
        self.number(request, &self.tag)
    }

    pub(super) fn note(&self, reason: usize, request: &Request) {
        let peer = request.peer().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.cx.rejects.note(reason, peer, None, request.payload());
    }
}

/// A request, for templates.
struct Said<'a>(&'a Metadata);

impl Fields for Said<'_> {
    fn write(&self, field: &Field, out: &mut Name<'_>) -> bool {
        let said = match field {
            Field::Topic => self.0.get("hydra-kafka-topic"),
            Field::Header(name) => self.0.get(name),
            _ => None,
        };
        said.is_some_and(|said| out.push(said))
    }
}

/// `gravwell_ingestor`: a payload is an entry.
pub(super) struct Entries(pub(super) Arc<Shared>);

impl Ingestor for Entries {
    fn join(&self, _: &Request) -> Join {
        Join::Join
    }

    fn ingest(&self, request: Request) -> Outcome {
        match self.ingest_all(vec![request]) {
            Outcomes::Together(results) => Outcome::later(async move {
                results.await.pop().unwrap_or_else(|| Err(Failure::unknown()))
            }),
            Outcomes::Each(mut each) => {
                each.pop().unwrap_or_else(|| Outcome::failed(Failure::unknown()))
            }
        }
    }

    fn ingest_all(&self, requests: Vec<Request>) -> Outcomes {
        Outcomes::Together(Box::pin(store(Arc::clone(&self.0), requests)))
    }
}

async fn store(shared: Arc<Shared>, requests: Vec<Request>) -> Results {
    let Some(first) = requests.first() else { return Results::new() };
    let ack = first.ack();
    let attached = values(first.metadata(), shared.values);
    let payloads: usize = requests.iter().map(|request| request.payload().len()).sum();
    let mut open = Open::new(&shared, requests.len(), payloads);
    let tag = match shared.own_number(first) {
        Ok(tag) => tag,
        Err((reason, failure)) => {
            shared.note(reason, first);
            open.totals.refuse_many(reason, requests.len() as u64);
            return vec![Err(failure); requests.len()];
        }
    };
    let each = attached.as_ref().as_bytes().len() + OVERHEAD;
    let grant = room(&shared, (payloads + requests.len() * each) as u64).await;
    let arrival = unix_nanos();
    let (seconds, nanos) = (arrival.div_euclid(1_000_000_000), arrival.rem_euclid(1_000_000_000));
    let nanos = u32::try_from(nanos).unwrap_or(0);
    let ts = Timestamp::from_unix(seconds, nanos).unwrap_or(Timestamp::UNIX_EPOCH);
    let src = source(first);
    let mut batch = shared.cx.source.batch(grant, arrival, level(ack));
    let mut limits = shared.cx.limits.begin();
    let mut results = Results::with_capacity(requests.len());
    let mut pushed = 0;
    for request in &requests {
        let values = attached.as_ref();
        let entry = EntryRef { ts, src, tag, data: request.payload(), values };
        if !shared.cx.rules.admits(&entry) {
            // Who sent it is told what it would be told without the rule.
            open.totals.refuse(LineRefusal::Rule.index());
            results.push(Ok(()));
            continue;
        }
        if limits.check(&entry).is_err() {
            open.totals.refuse(LineRefusal::Limit.index());
            results.push(Err(Failure::unavailable(OVER_LIMIT)));
            continue;
        }
        results.push(match batch.push(&entry) {
            Ok(()) => {
                pushed += 1;
                Ok(())
            }
            Err(error) => {
                let (reason, failure) = refusal(error);
                shared.note(reason, request);
                open.totals.refuse(reason);
                Err(failure)
            }
        });
    }
    let sent = batch.finish();
    open.totals.accepted_items = sent.entries;
    open.totals.accepted_entries = sent.entries;
    if let Some(error) = sent.refused {
        // What was pushed last is not in the log.
        let (reason, failure) = refusal(error);
        open.totals.refuse_many(reason, pushed - sent.entries);
        let taken = usize::try_from(sent.entries).unwrap_or(usize::MAX);
        for result in results.iter_mut().filter(|result| result.is_ok()).skip(taken) {
            *result = Err(failure.clone());
        }
    }
    drop(open);
    limits.wait().await;
    if let Some(ticket) = &sent.ticket
        && let Err(failure) = done(&shared, ticket, ack).await
    {
        results.iter_mut().for_each(|result| *result = Err(failure.clone()));
    }
    results
}

/// Who is named joins; a broadcast is not for it.
fn if_named(request: &Request, name: &str) -> Join {
    if request.ingestor() == Some(name) { Join::Join } else { Join::Ignore }
}

/// `graphite_ingestor`: a payload is one or more lines of Graphite.
pub(super) struct Graphite {
    shared: Arc<Shared>,
    lines: Arc<GraphiteLines>,
    options: Arc<Options>,
}

impl Graphite {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let lines = GraphiteLines::default();
        let options = Arc::new(decoder_options(&lines));
        Self { shared, lines: Arc::new(lines), options }
    }
}

impl Ingestor for Graphite {
    fn join(&self, request: &Request) -> Join {
        if_named(request, "graphite_ingestor")
    }

    fn ingest(&self, request: Request) -> Outcome {
        let (shared, lines) = (Arc::clone(&self.shared), Arc::clone(&self.lines));
        Outcome::later(points(shared, lines, Arc::clone(&self.options), request))
    }
}

async fn points(
    shared: Arc<Shared>,
    lines: Arc<GraphiteLines>,
    options: Arc<Options>,
    request: Request,
) -> Result<(), Failure> {
    let mut open = Open::new(&shared, 1, request.payload().len());
    let tag = shared.number(&request, &lines.tag).map_err(|(reason, failure)| {
        shared.note(reason, &request);
        open.totals.refuse(reason);
        failure
    })?;
    let mut mapper = Mapper::new(&lines, tag);
    let text = request.payload().trim_ascii_start();
    let grant = room(&shared, (text.len() as u64 + 1) * mapper.expansion()).await;
    let arrival = unix_nanos();
    let (now, src) = (graphite_time(arrival), source(&request));
    let mut batch = shared.cx.source.batch(grant, arrival, level(request.ack()));
    let (mut items, mut pushed, mut ruled) = (0_u64, 0_u64, 0_u64);
    let mut limits = shared.cx.limits.begin();
    let mut first_bad: Option<usize> = None;
    decode_datagram(&options, text, now, &mut |event| {
        items += 1;
        let reason = match event {
            Event::Metric(metric) => {
                let entry = mapper.entry(&metric, &src, now);
                let pushed_one = entry.and_then(|entry| {
                    shared.cx.rules.check(&entry)?;
                    limits.check(&entry)?;
                    Ok(batch.push(&entry)?)
                });
                match pushed_one {
                    Ok(()) => {
                        pushed += 1;
                        return;
                    }
                    Err(LineRefusal::Rule) => {
                        open.totals.refuse(LineRefusal::Rule.index());
                        ruled += 1;
                        return;
                    }
                    Err(refused) => refused.index(),
                }
            }
            Event::Rejected(rejected) => rejected.reason.index(),
            _ => return,
        };
        open.totals.refuse(reason);
        first_bad.get_or_insert(reason);
    });
    let sent = batch.finish();
    open.totals.received_items = items;
    open.totals.accepted_items = sent.entries;
    open.totals.accepted_entries = sent.entries;
    if let Some(error) = sent.refused {
        let (reason, failure) = refusal(error);
        open.totals.refuse_many(reason, pushed - sent.entries);
        return Err(failure);
    }
    drop(open);
    limits.wait().await;
    if let Some(ticket) = &sent.ticket {
        done(&shared, ticket, request.ack()).await?;
    }
    match first_bad {
        None if items > 0 => Ok(()),
        None => Err(Failure::invalid("The payload holds no line.")),
        Some(reason) => {
            shared.note(reason, &request);
            let reason = shared.cx.counters.reasons.get(reason).copied().unwrap_or("unknown");
            let bad = items - pushed - ruled;
            Err(Failure::invalid(format!("{bad} of {items} lines refused, the first: {reason}")))
        }
    }
}

/// `log_ingestor`: a payload is shown among the program's own messages.
pub(super) struct Log(pub(super) Arc<Shared>);

impl Ingestor for Log {
    fn join(&self, request: &Request) -> Join {
        if_named(request, "log_ingestor")
    }

    fn ingest(&self, request: Request) -> Outcome {
        let payload = request.payload();
        let mut open = Open::new(&self.0, 1, payload.len());
        open.totals.accepted_items = 1;
        let shown = payload.get(..SHOWN).unwrap_or(payload);
        tracing::info!(
            source = %self.0.cx.counters.name,
            id = request.id().as_str(),
            peer = request.peer().map(tracing::field::display),
            bytes = payload.len(),
            payload = %String::from_utf8_lossy(shown).escape_debug(),
            "log_ingestor"
        );
        Outcome::completed()
    }
}

/// `kafka_ingestor`, without a broker: it says what is missing.
pub(super) struct Kafka(pub(super) Arc<Shared>);

impl Ingestor for Kafka {
    fn join(&self, request: &Request) -> Join {
        match request.metadata().get("hydra-kafka-topic") {
            Some(_) => Join::Join,
            None => Join::Ignore,
        }
    }

    fn ingest(&self, request: Request) -> Outcome {
        let mut open = Open::new(&self.0, 1, request.payload().len());
        open.totals.refuse(Refusal::NoBroker.index());
        let name = &self.0.cx.counters.name;
        Outcome::failed(Failure::unavailable(format!(
            "kafka_ingestor has no broker: sources.{name}.kafka.brokers is not set{BUILD}."
        )))
    }
}
