//! From entries to records.

use ingest_entry::{EntryRef, TagId};
use ingest_kafka::{Deliveries, Error, ErrorKind, Headers, Producer, Record};
use ingest_mux::{Lease, Leases};

use super::fates::Fates;
use super::texts::{Ids, Rest};
use crate::config::{
    KafkaDestination, KafkaEncoding, KafkaHeaders, KafkaSent, Template, write_value,
};
use crate::map::kafka::{DATA, ENTRY, ID, SOURCE, TAG, TIMESTAMP, VALUES};

/// Bytes of the longest name of a topic.
const MAX_TOPIC: usize = 249;

/// Writes the entries of leases as records.
pub(super) struct Writer<'a> {
    config: &'a KafkaDestination,
    leases: &'a Leases,
    /// Names of tags, by number.
    tags: Vec<Option<String>>,
    topic: Topic,
    key: String,
    ids: Ids,
    rest: Rest,
    text: String,
    value: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(config: &'a KafkaDestination, leases: &'a Leases) -> Self {
        Self {
            config,
            leases,
            tags: Vec::new(),
            topic: Topic::default(),
            key: String::new(),
            ids: Ids::default(),
            rest: Rest::default(),
            text: String::new(),
            value: Vec::new(),
        }
    }

    /// Puts every entry of a lease into the producer's queue, and says how many these are. What will
    /// never get there is counted.
    pub(super) async fn send(
        &mut self,
        lease: &Lease,
        producer: &Producer,
        deliveries: &mut Deliveries,
        fates: &Fates,
    ) -> Result<u64, Error> {
        let mut sent = 0;
        for (id, entry) in lease.entries() {
            let tag = name(&mut self.tags, self.leases, entry.tag);
            let Some(topic) = self.topic.of(&self.config.topic, tag, &entry) else {
                fates.bad_topic.add(1);
                continue;
            };
            if let Some(key) = &self.config.key {
                self.key.clear();
                key.write(tag, &entry, &mut self.key);
            }
            let id = self.ids.write(id);
            let (value, headers) = match self.config.encoding {
                KafkaEncoding::Entry => {
                    self.value.clear();
                    entry.encode_stored(&mut self.value).map_err(|error| {
                        // The log has nothing that is so large.
                        Error::other(error.to_string())
                    })?;
                    let headers = Headers::with_capacity(2)
                        .with(ID, id.as_bytes())
                        .with(ENTRY, tag.as_bytes());
                    (self.value.as_slice(), headers)
                }
                KafkaEncoding::Raw => {
                    let headers = Headers::with_capacity(4).with(ID, id.as_bytes());
                    let headers = match self.config.headers {
                        KafkaHeaders::Line => {
                            headers.with(DATA, self.rest.line(tag, &entry).as_bytes())
                        }
                        KafkaHeaders::Each => each(headers, tag, &entry, &mut self.rest),
                    };
                    let sent = self.config.values;
                    (entry.data, value_headers(headers, &entry, sent, &mut self.text))
                }
            };
            let record = Record {
                topic,
                key: self.config.key.as_ref().map(|_| self.key.as_bytes()),
                value: Some(value),
                timestamp: millis(&entry),
                headers: Some(headers),
            };
            match producer.send(record, deliveries).await {
                Ok(()) => sent += 1,
                Err(error) if error.kind() == ErrorKind::TooLarge => {
                    tracing::error!(
                        id = self.ids.last(), bytes = entry.data.len(), %error,
                        "An entry is too large for Kafka: it is not in the topic."
                    );
                    fates.refused.add(1);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}

/// The name of a tag, which stays what it is.
fn name<'t>(tags: &'t mut Vec<Option<String>>, leases: &Leases, tag: TagId) -> &'t str {
    let at = usize::from(tag.0);
    if tags.len() <= at {
        tags.resize(at + 1, None);
    }
    let Some(known) = tags.get_mut(at) else { return "" };
    known.get_or_insert_with(|| {
        let name = leases.tag_name(tag);
        name.map(|name| name.as_str().to_owned()).unwrap_or_default()
    })
}

/// The topic of the entry before, which mostly is that of the next.
#[derive(Default)]
struct Topic {
    /// What the template came to.
    written: String,
    before: String,
    legal: Option<String>,
}

impl Topic {
    /// The topic of an entry; `None` if what it comes to cannot be one.
    fn of(&mut self, template: &Template, tag: &str, entry: &EntryRef<'_>) -> Option<&str> {
        self.written.clear();
        template.write(tag, entry, &mut self.written);
        if self.written != self.before || self.legal.is_none() {
            self.legal = legal(&self.written);
            std::mem::swap(&mut self.written, &mut self.before);
        }
        self.legal.as_deref()
    }
}

/// Tag, time and source, each as a header.
fn each(headers: Headers, tag: &str, entry: &EntryRef<'_>, rest: &mut Rest) -> Headers {
    let mut headers = headers.with(TAG, tag.as_bytes());
    if let Some(time) = rest.time(entry.ts) {
        headers = headers.with(TIMESTAMP, time.as_bytes());
    }
    if let Some(source) = rest.source(entry.src) {
        headers = headers.with(SOURCE, source.as_bytes());
    }
    headers
}

/// The enumerated values.
fn value_headers(
    mut headers: Headers,
    entry: &EntryRef<'_>,
    sent: KafkaSent,
    text: &mut String,
) -> Headers {
    if entry.values.is_empty() || sent == KafkaSent::None {
        return headers;
    }
    headers = headers.with(VALUES, entry.values.as_bytes());
    if sent == KafkaSent::Headers {
        for value in entry.values.iter() {
            let name = String::from_utf8_lossy(value.name());
            // Those are ours, and say something else.
            if !name.starts_with("ingestry.") {
                text.clear();
                write_value(value.value(), text);
                headers = headers.with(&name, text.as_bytes());
            }
        }
    }
    headers
}

/// What is no name of a topic becomes one, or is none: characters that a name cannot have are `_`.
fn legal(topic: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let topic: String = topic.chars().map(|c| if legal(c) { c } else { '_' }).collect();
    ((1..=MAX_TOPIC).contains(&topic.len()) && topic != "." && topic != "..").then_some(topic)
}

fn millis(entry: &EntryRef<'_>) -> Option<i64> {
    i64::try_from(entry.ts.unix_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest_entry::{Source, Timestamp};

    #[test]
    fn topics_are_made_legal() {
        assert_eq!(legal("a.b-c_1").as_deref(), Some("a.b-c_1"));
        assert_eq!(legal("a#b ü").as_deref(), Some("a_b__"));
        for bad in ["", ".", "..", &"x".repeat(250)] {
            assert_eq!(legal(bad), None);
        }
    }

    #[test]
    fn the_topic_is_that_of_the_entry_and_not_of_the_one_before() {
        let mut topic = Topic::default();
        let template: Template = "{tag}{source}".parse().unwrap();
        let entry = EntryRef::new(Timestamp::UNIX_EPOCH, Source::NONE, TagId(1), b"");
        for (tag, expected) in [
            ("", None),
            ("", None),
            ("a", Some("a")),
            ("a", Some("a")),
            ("a#", Some("a_")),
            ("a#", Some("a_")),
            ("..", None),
            ("..", None),
            ("a", Some("a")),
        ] {
            assert_eq!(topic.of(&template, tag, &entry), expected, "{tag}");
        }
    }
}
