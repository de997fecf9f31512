//! A [`Query`] made ready: numbers instead of names, cheap checks first.

use ingest_entry::{EntryRef, Timestamp};
use memchr::memmem::Finder;

use crate::names::{Names, TagSet};
use crate::net::Net;
use crate::query::Query;
use crate::stored::Raw;

/// The conditions of a query.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) tags: Option<TagSet>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Nanoseconds since the Unix epoch.
    arrived_since: Option<i128>,
    pub(crate) src: Option<Net>,
    contains: Option<Finder<'static>>,
    /// The lowest log sequence number.
    pub(crate) from: u64,
}

impl Filter {
    pub(crate) fn new(query: &Query, names: &Names) -> Self {
        let needle = query.contains.as_deref().filter(|needle| !needle.is_empty());
        Self {
            tags: (!query.tags.is_empty()).then(|| names.matching(&query.tags)),
            since: query.since.map(Timestamp::normalized),
            until: query.until.map(Timestamp::normalized),
            arrived_since: query.arrived_since.map(Timestamp::unix_nanos),
            src: query.src,
            contains: needle.map(|needle| Finder::new(needle).into_owned()),
            from: query.from.unwrap_or(0),
        }
    }

    /// Whether something that arrived then, nanoseconds since the Unix epoch, is asked for.
    #[inline]
    pub(crate) fn arrival(&self, arrival: i64) -> bool {
        self.arrived_since.is_none_or(|since| i128::from(arrival) >= since)
    }

    /// Whether entries between these times, both inclusive, are asked for.
    #[inline]
    pub(crate) fn times(&self, min: Timestamp, max: Timestamp) -> bool {
        self.since.is_none_or(|since| max >= since) && self.until.is_none_or(|until| min < until)
    }

    /// Whether some entry of this body may hold the bytes that are asked for.
    pub(crate) fn body(&self, body: &[u8]) -> bool {
        self.contains.as_ref().is_none_or(|finder| finder.find(body).is_some())
    }

    /// Whether the entry is asked for, as far as its header and data say.
    #[inline]
    pub(crate) fn raw(&self, raw: &Raw<'_>) -> bool {
        if self.tags.as_ref().is_some_and(|tags| !tags.contains(raw.header.tag)) {
            return false;
        }
        if self.since.is_some() || self.until.is_some() {
            let ts = raw.header.ts.normalized();
            if !self.times(ts, ts) {
                return false;
            }
        }
        self.src.is_none_or(|net| net.contains(raw.header.src))
            && self.contains.as_ref().is_none_or(|finder| finder.find(raw.data).is_some())
    }
}

/// The place of an entry in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Normalized.
    pub(crate) ts: Timestamp,
    pub(crate) lsn: u64,
}

impl Key {
    pub(crate) const MIN: Self = Self { ts: Timestamp::MIN, lsn: 0 };
    pub(crate) const MAX: Self = Self { ts: Timestamp::MAX, lsn: u64::MAX };

    pub(crate) fn of(entry: &EntryRef<'_>, lsn: u64) -> Self {
        Self { ts: entry.ts.normalized(), lsn }
    }
}
