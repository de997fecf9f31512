//! [`Follow`]: entries as they become durable.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ingest_wal::{
    Directory, Kind, LogId, Lsn, OfflineSegment, Records, SegmentName, StdFileSystem,
};

use crate::filter::Filter;
use crate::hit::{Hit, Report, Sink};
use crate::names::Names;
use crate::query::Query;
use crate::search::deliver;
use crate::segment::entries;
use crate::view::View;

/// A place in a log that another process writes, or will write.
///
/// The directory need not exist yet, and nobody need write to it: each [`Follow::poll`] hands out
/// what has become durable since the one before, in the order of the log, each entry once, over
/// rotations and restarts of the writer. If the directory is replaced by that of another log, it
/// begins again at that one's first entry.
///
/// The limit and the order of the query are not looked at.
#[derive(Debug)]
pub struct Follow {
    dir: Directory,
    query: Query,
    filter: Filter,
    names: Option<Names>,
    log_id: Option<LogId>,
    next: Lsn,
    open: Option<Open>,
    /// What the last complete look saw.
    seen: Option<View>,
    report: Report,
}

/// The segment at hand.
#[derive(Debug)]
struct Open {
    name: SegmentName,
    records: Records,
    /// Where the last valid record ended; `None`: there was none yet.
    place: Option<u64>,
}

impl Follow {
    /// How long to wait between polls: 20 ms.
    pub const INTERVAL: Duration = Duration::from_millis(20);

    /// Follows the log at `path` from the entry with this log sequence number on: 0 for all there
    /// is, [`Report::next`] of a search to go on where that ended.
    #[must_use]
    pub fn new(path: impl AsRef<Path>, query: &Query, from: Lsn) -> Self {
        Self::with_directory(Directory::new(path.as_ref(), Arc::new(StdFileSystem)), query, from)
    }

    /// As [`Follow::new`], on the file system of `dir`.
    #[must_use]
    pub fn with_directory(dir: Directory, query: &Query, from: Lsn) -> Self {
        Self {
            dir,
            query: query.clone(),
            filter: Filter::new(query, &Names::default()),
            names: None,
            log_id: None,
            next: from,
            open: None,
            seen: None,
            report: Report::default(),
        }
    }

    /// The log sequence number that comes next.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.next
    }

    /// What all polls did together. Damage is not counted: what cannot be read yet may still be
    /// written.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Hands out what is new, until the sink breaks; says how many entries that was. Does not
    /// wait. After a break it goes on with the entry behind the last one that was handed out.
    ///
    /// When nothing has happened this reads little more than the LOCK file.
    ///
    /// # Errors
    /// What the operating system says. The place is kept: the call can be repeated.
    pub fn poll(&mut self, sink: &mut dyn FnMut(Hit<'_>) -> ControlFlow<()>) -> io::Result<usize> {
        let before = self.report.hits;
        match self.look(sink) {
            // Not there yet, or gone since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        self.report.next = self.next;
        Ok(usize::try_from(self.report.hits - before).unwrap_or(usize::MAX))
    }

    fn look(&mut self, sink: &mut Sink<'_>) -> io::Result<()> {
        if let Some(View { synced: Some(seen), .. }) = self.seen
            && self.dir.synced_end()? == Some(seen)
        {
            return Ok(());
        }
        let view = View::take(&self.dir)?;
        if self.seen.as_ref() == Some(&view) {
            return Ok(());
        }
        self.seen = None;
        self.check_log(&view)?;
        if self.names.is_none() && !view.segments.is_empty() {
            let (names, _) = Names::load(&self.dir, &view.segments)?;
            self.filter = Filter::new(&self.query, &names);
            self.names = Some(names);
        }
        let flow = self.read(&view, sink)?;
        if flow.is_continue() {
            self.seen = Some(view);
        }
        Ok(())
    }

    /// Begins again when the directory has become another log's.
    fn check_log(&mut self, view: &View) -> io::Result<()> {
        let Some(last) = view.segments.last() else { return Ok(()) };
        let Some(file) = self.dir.open(last)? else { return Ok(()) };
        let log_id = Some(file.log_id());
        if self.log_id.is_some() && self.log_id != log_id {
            tracing::info!("The directory holds another log: following that from its start.");
            (self.next, self.open, self.names) = (0, None, None);
        }
        self.log_id = log_id;
        Ok(())
    }

    fn read(&mut self, view: &View, sink: &mut Sink<'_>) -> io::Result<ControlFlow<()>> {
        let end = view.end();
        for segment in &view.segments {
            if segment.end <= self.next {
                continue;
            }
            if segment.name.first >= end {
                break;
            }
            if self.enter(segment)? && self.read_segment(segment, end, sink)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if segment.end > end {
                break;
            }
            // All that was ever durable of it has been read.
            if segment.end < Lsn::MAX {
                self.next = self.next.max(segment.end);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Opens the segment, or goes on with it if it is open; false when it is gone.
    fn enter(&mut self, segment: &OfflineSegment) -> io::Result<bool> {
        if let Some(open) = self.open.as_mut().filter(|open| open.name == segment.name) {
            match open.place {
                Some(place) => {
                    open.records.grow(place)?;
                    return Ok(true);
                }
                None => self.open = None,
            }
        }
        let Some(file) = self.dir.open(segment)? else {
            self.report.expired_segments += 1;
            return Ok(false);
        };
        if let Some(names) = &mut self.names {
            names.restore(&file)?;
            self.filter = Filter::new(&self.query, names);
        }
        self.open = Some(Open { name: segment.name, records: file.records(), place: None });
        Ok(true)
    }

    fn read_segment(
        &mut self,
        segment: &OfflineSegment,
        end: Lsn,
        sink: &mut Sink<'_>,
    ) -> io::Result<ControlFlow<()>> {
        let (Some(open), Some(names)) = (&mut self.open, &mut self.names) else {
            return Ok(ControlFlow::Continue(()));
        };
        let mut scratch = String::new();
        // What was read to its durable end is not looked at any further: behind it may be the old
        // bytes of a file that is used again.
        while self.next < end.min(segment.end) {
            let Some(record) = open.records.next_record()? else { break };
            let header = record.header;
            if header.kind == Kind::Entries {
                if header.first >= segment.end || header.end() > end {
                    break;
                }
                if header.end() > self.next {
                    let (next, hits) = (&mut self.next, &mut self.report.hits);
                    let mut report = Report::default();
                    let until = segment.end;
                    let flow = entries(
                        &header,
                        record.body,
                        &self.filter,
                        until,
                        &mut report,
                        &mut |found| {
                            if found.lsn < *next {
                                return ControlFlow::Continue(());
                            }
                            *next = found.lsn + 1;
                            *hits += 1;
                            deliver(&found, names, &mut scratch, sink)
                        },
                    );
                    if flow.is_break() {
                        return Ok(flow);
                    }
                    self.report.undecodable += report.undecodable;
                    self.next = self.next.max(header.end().min(segment.end));
                }
            } else if names.define(record.body) {
                self.filter = Filter::new(&self.query, names);
            }
            self.report.scanned_bytes += header.stride();
            open.place = Some(record.offset + header.stride());
        }
        Ok(ControlFlow::Continue(()))
    }
}
