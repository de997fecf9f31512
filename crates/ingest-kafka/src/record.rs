//! What goes to a topic.

use rdkafka::message::{Header, OwnedHeaders};

/// A record on its way to a topic.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// The topic.
    pub topic: &'a str,
    /// What decides on the partition, and what compaction goes by. `None`: any partition.
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the Unix epoch. `None`, and what is not above 0: now.
    pub timestamp: Option<i64>,
    /// What goes beside the value.
    pub headers: Option<Headers>,
}

impl<'a> Record<'a> {
    /// A record without key and headers.
    #[must_use]
    pub const fn new(topic: &'a str, value: &'a [u8]) -> Self {
        Self { topic, key: None, value: Some(value), timestamp: None, headers: None }
    }
}

/// The headers of a record, in order.
#[derive(Clone, Debug, Default)]
pub struct Headers(Option<OwnedHeaders>);

impl Headers {
    /// None, with room for so many.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self(Some(OwnedHeaders::new_with_capacity(count)))
    }

    /// One more. A name with a NUL in it is left out: the protocol's client cannot carry it.
    #[must_use]
    pub fn with(self, name: &str, value: &[u8]) -> Self {
        let headers = self.0.unwrap_or_default();
        if name.contains('\0') {
            return Self(Some(headers));
        }
        Self(Some(headers.insert(Header { key: name, value: Some(value) })))
    }

    pub(crate) const fn from_native(headers: OwnedHeaders) -> Self {
        Self(Some(headers))
    }

    pub(crate) fn into_native(self) -> Option<OwnedHeaders> {
        self.0
    }
}
