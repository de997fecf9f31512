//! Searching: what the orders have in common.

pub(crate) mod arrival;
mod keys;
pub(crate) mod time;
mod window;

use std::ops::ControlFlow;

use ingest_entry::Timestamp;
use ingest_wal::Directory;

use crate::filter::Filter;
use crate::hit::{Hit, Report, Sink};
use crate::names::Names;
use crate::segment::Match;
use crate::view::View;
use crate::watch::Watching;

/// A search under way.
pub(crate) struct Search<'s> {
    pub(crate) dir: &'s Directory,
    pub(crate) view: View,
    pub(crate) names: Names,
    pub(crate) filter: Filter,
    pub(crate) report: Report,
    pub(crate) sink: &'s mut Sink<'s>,
    pub(crate) watch: Watching,
}

/// Hands a match to the sink, with the names that belong to it.
pub(crate) fn deliver(
    found: &Match<'_>,
    names: &Names,
    scratch: &mut String,
    sink: &mut Sink<'_>,
) -> ControlFlow<()> {
    sink(Hit {
        lsn: found.lsn,
        arrived: Timestamp::from_unix_nanos(found.arrival),
        entry: found.entry,
        tag_name: names.tag(found.entry.tag, scratch),
        source_name: names.source(found.source),
    })
}
