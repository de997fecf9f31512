//! From records to the log: tags, entries, and the account.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ingest_entry::{EntryRef, Source as Address, TagId, TagName, Timestamp, Values};
use ingest_kafka::{Error, Message};
use ingest_mux::{Grant, RefusedError, SendError, Tags, Ticket};

use super::Kafka;
use crate::config::{KafkaDecoding, KafkaValues};
use crate::counters::Totals;
use crate::map::graphite;
use crate::map::kafka::{Headers, Mapper, Read, Refusal, attach, index};
use crate::sources::{Context, unix_nanos};
use crate::template::{Field, Fields, Name, Tagger};

/// Bytes of an entry beside data and values, rounded up.
const OVERHEAD: u64 = 64;
/// A partition that stands still is told of again after this.
const WINDOW: Duration = Duration::from_secs(60);
/// Bytes of a value beside name and value, rounded up.
const VALUE_OVERHEAD: u64 = 16;

/// What turns records into entries. It outlives the members of the group.
pub(crate) struct Intake {
    cx: Context,
    mapper: Mapper,
    tag: TagName,
    per_topic: bool,
    tags: Tags,
    max_tags: usize,
    /// By what records bring.
    brought: HashMap<String, TagId>,
    /// By topic.
    topics: HashMap<String, TagId>,
    fixed: Option<TagId>,
    /// Makes the tags of records that bring none.
    made: Tagger,
    broker: Option<IpAddr>,
    /// When it was last said that a partition stands still.
    stands: Option<Instant>,
}

impl Intake {
    pub(super) fn new(kafka: &Kafka, cx: &Context) -> Self {
        let config = &kafka.config;
        let (encoding, time, values) = (config.encoding, config.timestamp, config.values);
        Self {
            cx: cx.clone(),
            mapper: Mapper { encoding, time, values, source: Address::NONE },
            tag: config.tag.clone(),
            per_topic: config.tag_per.is_some(),
            tags: kafka.tags.clone(),
            max_tags: config.max_tags,
            brought: HashMap::new(),
            topics: HashMap::new(),
            fixed: None,
            made: Tagger::new(TagId::DEFAULT, cx.maker.clone()),
            broker: None,
            stands: None,
        }
    }

    /// Where records come from, from now on.
    pub(super) fn broker(&mut self, broker: Option<IpAddr>) {
        self.broker = broker;
        self.mapper.source = broker.map_or(Address::NONE, Address::from_ip);
    }

    /// What entries are made of.
    pub(super) fn read<'m>(&self, messages: &'m [Message<'_>]) -> Vec<Read<'m>> {
        let of = |message: &'m Message<'_>| Read {
            value: message.value(),
            timestamp: message.timestamp(),
            headers: match self.mapper.encoding {
                KafkaDecoding::Raw => Headers::default(),
                _ => Headers::of(message.headers()),
            },
        };
        messages.iter().map(of).collect()
    }

    /// Bytes that the entries of these take at most.
    pub(super) fn wanted(&self, messages: &[Message<'_>], reads: &[Read<'_>]) -> u64 {
        let attached = |message: &Message<'_>| -> u64 {
            let all = message.headers();
            all.map(|(name, value)| (name.len() + value.len()) as u64 + VALUE_OVERHEAD).sum()
        };
        let headers: u64 = match self.mapper.values {
            KafkaValues::None => 0,
            KafkaValues::Headers => messages.iter().map(attached).sum(),
        };
        let of = |read: &Read<'_>| {
            let own = read.value.map_or(0, <[u8]>::len) + read.headers.values_len();
            own as u64 + OVERHEAD
        };
        headers + reads.iter().map(of).sum::<u64>()
    }

    /// The client cannot read a batch, and asks for it again and again: its partition stands still.
    pub(super) fn undecodable(&mut self, error: &Error) {
        if self.stands.is_some_and(|since| since.elapsed() < WINDOW) {
            return;
        }
        self.stands = Some(Instant::now());
        tracing::error!(
            source = %self.cx.counters.name, %error,
            "A partition stands still: this build cannot read what is in it."
        );
    }

    /// Hands their entries over: what to wait for, and whether the log has refused some.
    pub(super) fn take(
        &mut self,
        messages: &[Message<'_>],
        reads: &[Read<'_>],
        grant: Grant,
    ) -> (Option<Ticket>, bool) {
        let arrival = unix_nanos();
        let now = Timestamp::from_unix_nanos(arrival);
        let cx = self.cx.clone();
        let mut totals = Totals::new(cx.counters.reasons.len());
        let mut batch = cx.source.batch(grant, arrival, cx.level);
        let mut values = Values::new();
        let mut pushed = 0;
        for (message, read) in messages.iter().zip(reads) {
            totals.received_items += 1;
            totals.received_bytes += read.value.map_or(0, <[u8]>::len) as u64;
            let entry = self.entry(message, read, now);
            let done = entry.and_then(|entry| {
                let entry = if self.mapper.values == KafkaValues::Headers {
                    attach(&entry, message.headers(), &mut values);
                    EntryRef { values: values.as_ref(), ..entry }
                } else {
                    entry
                };
                cx.rules.check(&entry).map_err(index)?;
                batch.push(&entry).map_err(|error| index(graphite::Refusal::from(error)))
            });
            match done {
                Ok(()) => pushed += 1,
                Err(reason) => {
                    totals.refuse(reason);
                    let offset = u64::try_from(message.offset()).ok();
                    let item = read.value.unwrap_or_default();
                    cx.rejects.note(reason, self.broker, offset, item);
                }
            }
        }
        let sent = batch.finish();
        totals.accepted_entries = sent.entries;
        totals.accepted_items = sent.entries;
        totals.refuse_many(index(graphite::Refusal::LogRefused), pushed - sent.entries);
        cx.counters.add(&totals);
        self.hand_over();
        let refused = match &sent.refused {
            // One that is too large will not be smaller the next time.
            None | Some(SendError::Refused(RefusedError::TooLarge { .. })) => false,
            Some(_) => true,
        };
        (sent.ticket, refused)
    }

    fn hand_over(&self) {
        self.cx.rejects.hand_over();
        self.cx.counters.kept_rejects.set(self.cx.rejects.kept());
    }

    fn entry<'m>(
        &mut self,
        message: &Message<'_>,
        read: &Read<'m>,
        now: Timestamp,
    ) -> Result<EntryRef<'m>, usize> {
        let tag = match self.mapper.tag(&read.headers).map_err(Refusal::index)? {
            Some(name) => self.brought(name)?,
            None if self.per_topic => self.of_topic(message.topic())?,
            None => match self.made.made(&Said(message)) {
                Some(tag) => tag,
                None => self.fixed()?,
            },
        };
        self.mapper.entry(read, tag, now).map_err(Refusal::index)
    }

    fn brought(&mut self, name: &str) -> Result<TagId, usize> {
        if let Some(id) = self.brought.get(name) {
            return Ok(*id);
        }
        self.room()?;
        let tag = TagName::new(name).map_err(|_| Refusal::BadTag.index())?;
        let id = self.number(&tag)?;
        self.brought.insert(name.to_owned(), id);
        Ok(id)
    }

    fn of_topic(&mut self, topic: &str) -> Result<TagId, usize> {
        if let Some(id) = self.topics.get(topic) {
            return Ok(*id);
        }
        self.room()?;
        let name = format!("{}-{topic}", self.tag.as_str());
        let tag = TagName::remap(name, '_').map_err(|_| Refusal::BadTag.index())?;
        let id = self.number(&tag)?;
        self.topics.insert(topic.to_owned(), id);
        Ok(id)
    }

    fn fixed(&mut self) -> Result<TagId, usize> {
        if let Some(id) = self.fixed {
            return Ok(id);
        }
        let id = self.number(&self.tag)?;
        self.fixed = Some(id);
        Ok(id)
    }

    fn room(&self) -> Result<(), usize> {
        let full = self.brought.len() + self.topics.len() >= self.max_tags;
        if full { Err(Refusal::TooManyTags.index()) } else { Ok(()) }
    }

    fn number(&self, tag: &TagName) -> Result<TagId, usize> {
        self.tags.number(tag).map_err(|_| Refusal::TooManyTags.index())
    }
}

/// A record, for templates.
struct Said<'a, 'm>(&'a Message<'m>);

impl Fields for Said<'_, '_> {
    fn write(&self, field: &Field, out: &mut Name<'_>) -> bool {
        let text = |bytes| String::from_utf8_lossy(bytes);
        match field {
            Field::Topic => out.push(self.0.topic()),
            Field::Key => self.0.key().is_some_and(|key| out.push(&text(key))),
            Field::KeyPart(at) => self.0.key().is_some_and(|key| {
                text(key).split('.').nth(*at).is_some_and(|part| out.push(part))
            }),
            Field::Header(name) => {
                let found = self.0.headers().find(|(had, _)| had.eq_ignore_ascii_case(name));
                found.is_some_and(|(_, value)| out.push(&text(value)))
            }
            _ => false,
        }
    }
}
