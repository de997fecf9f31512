//! From entries to records.

use std::collections::HashMap;
use std::fmt::Write as _;

use ingest_entry::{EntryRef, TagId};
use ingest_kafka::{Deliveries, Error, ErrorKind, Headers, Producer, Record};
use ingest_mux::{Lease, Leases, LogId, StableId};

use super::fates::Fates;
use crate::config::{KafkaDestination, KafkaEncoding, KafkaSent, write_value};
use crate::map::kafka::{ENTRY, ID, SOURCE, TAG, TIMESTAMP, VALUES};

/// Bytes of the longest name of a topic.
const MAX_TOPIC: usize = 249;

/// Writes the entries of leases as records.
pub(super) struct Writer<'a> {
    config: &'a KafkaDestination,
    leases: &'a Leases,
    tags: HashMap<TagId, String>,
    /// The log's identity as text.
    log: Option<(LogId, String)>,
    topic: String,
    key: String,
    id: String,
    text: String,
    value: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(config: &'a KafkaDestination, leases: &'a Leases) -> Self {
        Self {
            config,
            leases,
            tags: HashMap::new(),
            log: None,
            topic: String::new(),
            key: String::new(),
            id: String::new(),
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
            let tag = match self.tags.get(&entry.tag) {
                Some(tag) => tag,
                None => {
                    let name = self.leases.tag_name(entry.tag);
                    let name = name.map(|name| name.as_str().to_owned()).unwrap_or_default();
                    self.tags.entry(entry.tag).or_insert(name)
                }
            };
            self.topic.clear();
            self.config.topic.write(tag, &entry, &mut self.topic);
            if !legalise(&mut self.topic) {
                fates.bad_topic.add(1);
                continue;
            }
            if let Some(key) = &self.config.key {
                self.key.clear();
                key.write(tag, &entry, &mut self.key);
            }
            write_id(&mut self.id, &mut self.log, id);
            let headers = match self.config.encoding {
                KafkaEncoding::Entry => {
                    self.value.clear();
                    entry.encode_stored(&mut self.value).map_err(|error| {
                        // The log has nothing that is so large.
                        Error::other(error.to_string())
                    })?;
                    Headers::with_capacity(2)
                        .with(ENTRY, tag.as_bytes())
                        .with(ID, self.id.as_bytes())
                }
                KafkaEncoding::Raw => {
                    let headers = Headers::with_capacity(5)
                        .with(TAG, tag.as_bytes())
                        .with(ID, self.id.as_bytes());
                    let headers = raw_headers(headers, &entry, &mut self.text);
                    value_headers(headers, &entry, self.config.values, &mut self.text)
                }
            };
            let record = Record {
                topic: &self.topic,
                key: self.config.key.as_ref().map(|_| self.key.as_bytes()),
                value: Some(match self.config.encoding {
                    KafkaEncoding::Entry => &self.value,
                    KafkaEncoding::Raw => entry.data,
                }),
                timestamp: millis(&entry),
                headers: Some(headers),
            };
            match producer.send(record, deliveries).await {
                Ok(()) => sent += 1,
                Err(error) if error.kind() == ErrorKind::TooLarge => {
                    tracing::error!(
                        id = self.id, bytes = entry.data.len(), %error,
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

/// The stable id as text: `LOG.EPOCH.LSN`, in hexadecimal digits.
fn write_id(out: &mut String, log: &mut Option<(LogId, String)>, id: StableId) {
    if log.as_ref().is_none_or(|(had, _)| *had != id.log_id) {
        let text = id.log_id.0.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        *log = Some((id.log_id, text));
    }
    out.clear();
    if let Some((_, text)) = log {
        out.push_str(text);
    }
    out.push('.');
    hex(out, u64::from(id.epoch));
    out.push('.');
    hex(out, id.lsn);
}

/// Without leading zeros.
fn hex(out: &mut String, number: u64) {
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (number >> (place * 4)) & 15;
        out.push(char::from_digit(u32::try_from(digit).unwrap_or(0), 16).unwrap_or('0'));
    }
}

fn raw_headers(headers: Headers, entry: &EntryRef<'_>, text: &mut String) -> Headers {
    text.clear();
    let (seconds, nanos) = (entry.ts.unix_seconds(), entry.ts.nanos());
    let headers = match seconds {
        Some(seconds) => {
            let _ = write!(text, "{seconds}.{nanos:09}");
            headers.with(TIMESTAMP, text.as_bytes())
        }
        None => headers,
    };
    match entry.src.to_ip() {
        Some(ip) if !entry.src.is_none() => {
            text.clear();
            let _ = write!(text, "{ip}");
            headers.with(SOURCE, text.as_bytes())
        }
        _ => headers,
    }
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
fn legalise(topic: &mut String) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !topic.chars().all(legal) {
        *topic = topic.chars().map(|c| if legal(c) { c } else { '_' }).collect();
    }
    (1..=MAX_TOPIC).contains(&topic.len()) && topic != "." && topic != ".."
}

fn millis(entry: &EntryRef<'_>) -> Option<i64> {
    i64::try_from(entry.ts.unix_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_whole() {
        let mut out = String::new();
        let mut log = None;
        let log_id = LogId(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef");
        write_id(&mut out, &mut log, StableId { log_id, epoch: 18, lsn: 0 });
        assert_eq!(out, "0123456789abcdef0123456789abcdef.12.0");
        write_id(&mut out, &mut log, StableId { log_id, epoch: 0, lsn: u64::MAX });
        assert_eq!(out, "0123456789abcdef0123456789abcdef.0.ffffffffffffffff");
        let other = LogId([0xff; 16]);
        write_id(&mut out, &mut log, StableId { log_id: other, epoch: 1, lsn: 0x1f });
        assert_eq!(out, format!("{}.1.1f", "f".repeat(32)));
    }

    #[test]
    fn topics_are_made_legal() {
        let legal = |text: &str| {
            let mut topic = text.to_owned();
            legalise(&mut topic).then_some(topic)
        };
        assert_eq!(legal("a.b-c_1").as_deref(), Some("a.b-c_1"));
        assert_eq!(legal("a#b ü").as_deref(), Some("a_b__"));
        for bad in ["", ".", "..", &"x".repeat(250)] {
            assert_eq!(legal(bad), None);
        }
    }
}
