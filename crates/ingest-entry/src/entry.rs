//! [`Entry`] and [`EntryRef`].

use bytes::Bytes;

use crate::source::Source;
use crate::tag::TagId;
use crate::timestamp::Timestamp;
use crate::values::{Values, ValuesRef};

/// One entry, owned. Data and decoded values are shared, so cloning is cheap.
///
/// ```
/// use ingest_entry::{Entry, Source, TagId, Timestamp};
///
/// let mut entry = Entry::new(
///     Timestamp::from_unix(1_700_000_000, 0).unwrap(),
///     Source::from_ip("10.1.2.3".parse().unwrap()),
///     TagId(5),
///     "hello",
/// );
/// entry.values.add("host", "web1")?;
/// let mut bytes = Vec::new();
/// entry.as_ref().encode_stored(&mut bytes)?;
/// assert_eq!(bytes.len(), entry.as_ref().stored_len());
/// # Ok::<(), ingest_entry::LimitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it happened.
    pub ts: Timestamp,
    /// Where it came from.
    pub src: Source,
    /// The number of its tag.
    pub tag: TagId,
    /// What it says: any bytes, also none.
    pub data: Bytes,
    /// What else is known of it.
    pub values: Values,
}

impl Entry {
    /// An entry without values.
    #[must_use]
    pub fn new(ts: Timestamp, src: Source, tag: TagId, data: impl Into<Bytes>) -> Self {
        Self { ts, src, tag, data: data.into(), values: Values::new() }
    }

    /// The same entry, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> EntryRef<'_> {
        EntryRef {
            ts: self.ts,
            src: self.src,
            tag: self.tag,
            data: &self.data,
            values: self.values.as_ref(),
        }
    }
}

/// One entry, borrowed: the twin of [`Entry`].
///
/// Encoding and decoding are here: [`EntryRef::encode_stored`], [`EntryRef::decode_stored`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// When it happened.
    pub ts: Timestamp,
    /// Where it came from.
    pub src: Source,
    /// The number of its tag.
    pub tag: TagId,
    /// What it says: any bytes, also none.
    pub data: &'a [u8],
    /// What else is known of it.
    pub values: ValuesRef<'a>,
}

impl<'a> EntryRef<'a> {
    /// An entry without values.
    #[must_use]
    pub const fn new(ts: Timestamp, src: Source, tag: TagId, data: &'a [u8]) -> Self {
        Self { ts, src, tag, data, values: ValuesRef::EMPTY }
    }

    /// The same entry, owned: copies the data and the values.
    #[must_use]
    pub fn to_entry(&self) -> Entry {
        Entry {
            ts: self.ts,
            src: self.src,
            tag: self.tag,
            data: Bytes::copy_from_slice(self.data),
            values: self.values.to_values(),
        }
    }
}

impl<'a> From<&'a Entry> for EntryRef<'a> {
    fn from(entry: &'a Entry) -> Self {
        entry.as_ref()
    }
}
