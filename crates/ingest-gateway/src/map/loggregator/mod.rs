//! Loggregator messages as entries (`loggregator.md` 5). Nothing is lost: what is not the data
//! becomes values, under the names of the wire; an absent field makes no value.

mod legacy;
mod notices;
mod tagger;
mod v1;
mod v2;

use ingest_entry::{EntryRef, Source, Timestamp, ValueRef, Values};
use loggregator_consumer::wire::Text;

use crate::config::LoggregatorKind;

pub use tagger::Tagger;

/// What of the connection goes into every entry.
#[derive(Debug, Clone, Default)]
pub struct Transport {
    /// The server.
    pub endpoint: String,
    /// The application that was asked for.
    pub app: Option<String>,
    /// The group that shares the envelopes.
    pub shard_id: Option<String>,
}

/// Makes entries; keeps its buffers from one message to the next.
#[derive(Debug)]
pub struct Mapper {
    tagger: Tagger,
    transport: Transport,
    data: Vec<u8>,
    values: Values,
    /// Values that an entry cannot hold.
    refused: u64,
}

/// A message that becomes an entry.
pub trait Mapped {
    /// Fills the mapper; what the entry's time, source and kind are.
    fn map(&self, mapper: &mut Mapper) -> Mapping;
}

/// What a message says of its entry, beside data and values.
#[derive(Debug, Clone, Copy)]
pub struct Mapping {
    /// Nanoseconds since 1970; none if it does not say.
    nanos: Option<i64>,
    src: Source,
    kind: LoggregatorKind,
}

impl Mapper {
    /// For a source whose entries get these tags.
    #[must_use]
    pub const fn new(tagger: Tagger, transport: Transport) -> Self {
        Self { tagger, transport, data: Vec::new(), values: Values::new(), refused: 0 }
    }

    /// The entry for a message that came at `now`, in nanoseconds since 1970.
    pub fn entry<M: Mapped>(&mut self, message: &M, now: i64) -> EntryRef<'_> {
        self.data.clear();
        self.values.clear();
        self.refused = 0;
        let Mapping { nanos, src, kind } = message.map(self);
        if nanos.is_none() {
            self.value("ts_missing", true);
        }
        self.transport_values();
        if self.refused > 0 {
            let refused = self.refused;
            self.value("_refused_values", refused);
        }
        let tag = self.tagger.tag(kind, self.values.as_ref());
        let ts = Timestamp::from_unix_nanos(nanos.unwrap_or(now));
        EntryRef { ts, src, tag, data: &self.data, values: self.values.as_ref() }
    }

    fn transport_values(&mut self) {
        let Self { transport, values, refused, .. } = self;
        let Transport { endpoint, app, shard_id } = transport;
        let texts = [("lg.endpoint", Some(&*endpoint)), ("lg.app", app.as_ref())];
        for (name, value) in texts.into_iter().chain([("lg.shard_id", shard_id.as_ref())]) {
            if let Some(value) = value
                && values.push(name, value.as_str()).is_err()
            {
                *refused += 1;
            }
        }
    }

    /// Attaches a value. One that an entry cannot hold is counted.
    fn value<'v>(&mut self, name: impl AsRef<[u8]>, value: impl Into<ValueRef<'v>>) {
        if self.values.push(name, value).is_err() {
            self.refused += 1;
        }
    }

    /// Attaches a text, or its bytes if it is none.
    fn text(&mut self, name: impl AsRef<[u8]>, text: &Text) {
        match text.to_str() {
            Some(text) => self.value(name, text),
            None => self.value(name, text.as_bytes()),
        }
    }

    /// Attaches the number of the stream that a line came from, and its name if it has one.
    fn stream(&mut self, kind: Option<(i32, Option<&'static str>)>) {
        let Some((number, name)) = kind else { return };
        self.value("message_type", number);
        if let Some(name) = name {
            self.value("stream", name);
        }
    }

    /// Attaches texts that are there.
    fn texts(&mut self, texts: &[(&str, &Option<Text>)]) {
        for (name, text) in texts {
            if let Some(text) = text {
                self.text(name, text);
            }
        }
    }

    /// Attaches tags.
    fn tags(&mut self, tags: &[(Text, Text)]) {
        for (key, value) in tags {
            self.text([b"tags.", key.as_bytes()].concat(), value);
        }
    }

    /// Attaches fields that are not known.
    fn unknown(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.value("_unknown", bytes);
        }
    }
}

/// A timestamp, unless it is absent or 0.
fn nanos(timestamp: Option<i64>) -> Option<i64> {
    timestamp.filter(|nanos| *nanos != 0)
}

/// The address that a text is.
fn address(text: Option<&Text>) -> Source {
    let address = text.and_then(Text::to_str).and_then(|text| text.parse().ok());
    address.map_or(Source::NONE, Source::from_ip)
}
