//! Reading a running log in order, from any LSN: the newest records by reference, older ones from
//! their files.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::Lsn;
use crate::format::{Kind, Missing, MissingCause, Seed};
use crate::fs::OpenMode;
use crate::quarantine;
use crate::reuse::Buffers;
use crate::scan::{BadRange, Scanner, Step};
use crate::shared::{Counters, Segment, Shared, lock};
use crate::tail::Record;

/// What comes next in the log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Item {
    /// A record of entries. Its first entries may lie below the LSN that was asked for.
    Record(Record),
    /// LSNs that hold no entry.
    Missing(Missing),
    /// LSNs whose segment is gone.
    Expired(Range<Lsn>),
}

impl Item {
    /// The LSN after this item.
    #[must_use]
    pub fn end(&self) -> Lsn {
        match self {
            Self::Record(record) => record.header.end(),
            Self::Missing(missing) => missing.range.end,
            Self::Expired(range) => range.end,
        }
    }
}

/// A place in a running log. It sees what is durable, and nothing else.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    next: Lsn,
    open: Option<OpenFile>,
    buffers: Buffers,
}

#[derive(Debug)]
struct OpenFile {
    segment: Arc<Segment>,
    scanner: Scanner,
    /// Damage passed since the last record.
    bad: Vec<BadRange>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, next: Lsn) -> Self {
        Self { shared, next, open: None, buffers: Buffers::default() }
    }

    /// The LSN that comes next.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.next
    }

    /// Goes on at another LSN.
    pub fn seek(&mut self, lsn: Lsn) {
        self.next = lsn;
        self.open = None;
    }

    /// The next record or gap; `None` when everything durable has been read. Blocks on files, not
    /// on writers.
    ///
    /// # Errors
    /// What the operating system says of a file. The place is kept: the call can be repeated.
    pub fn next_item(&mut self) -> io::Result<Option<Item>> {
        if self.next >= self.shared.shown.end() {
            return Ok(None);
        }
        if let Some(record) = self.shared.tail.get(self.next) {
            self.next = record.header.end();
            self.open = None;
            return Ok(Some(Item::Record(record)));
        }
        if self.next >= self.shared.synced.end() {
            return Ok(None);
        }
        let item = self.read_files()?;
        if let Some(item) = &item {
            self.next = item.end();
        }
        Ok(item)
    }

    /// The next record among the newest, which are in memory; those that are there no more are left
    /// out. For who can do without them, and must not cost a read of files.
    pub fn next_recent(&mut self) -> Option<Record> {
        if self.next >= self.shared.shown.end() {
            return None;
        }
        let record = self.shared.tail.from(self.next)?;
        self.next = record.header.end();
        self.open = None;
        Some(record)
    }

    fn known_gap(&self, at: Lsn) -> Option<Missing> {
        let mut missing = lock(&self.shared.missing).at(at)?;
        missing.range.start = at;
        missing.range.end = missing.range.end.min(self.shared.synced.end());
        Some(missing)
    }

    fn read_files(&mut self) -> io::Result<Option<Item>> {
        if let Some(missing) = self.known_gap(self.next) {
            return Ok(Some(Item::Missing(missing)));
        }
        let synced_end = self.shared.synced.end();
        let Some((segment, domain_end)) = self.shared.segment_of(self.next) else {
            let oldest = self.shared.oldest().min(synced_end);
            // What is known of these numbers is said, though their segment is gone.
            let known = lock(&self.shared.missing).next_known(self.next);
            let oldest = known.map_or(oldest, |known| known.min(oldest));
            return Ok((oldest > self.next).then(|| Item::Expired(self.next..oldest)));
        };
        let end = domain_end.min(synced_end);
        if !self.open_file(&segment)? {
            return Ok(Some(self.gone(self.next..end)));
        }
        let Some(open) = self.open.as_mut() else { return Ok(None) };
        open.scanner.set_limit(segment.committed());
        let found = loop {
            match open.scanner.next()? {
                None => break None,
                Some(Step::Bad(bad)) => open.bad.push(bad),
                Some(Step::Record { offset, header, body }) => {
                    if header.kind != Kind::Entries || header.end() <= self.next {
                        continue;
                    }
                    if header.first >= end {
                        break None;
                    }
                    if header.first > self.next {
                        // Once more, after what is before it.
                        let first = header.first;
                        open.scanner.seek(offset);
                        break Some(Err(first));
                    }
                    let body = self.buffers.copy(body);
                    break Some(Ok(Record { header, body }));
                }
            }
        };
        match found {
            Some(Ok(record)) => {
                open.bad.clear();
                Ok(Some(Item::Record(record)))
            }
            Some(Err(first)) => self.gap(&segment, self.next..first).map(Some),
            None => {
                // Nothing more in this segment below its end.
                let item = self.gap(&segment, self.next..end)?;
                self.open = None;
                Ok(Some(item))
            }
        }
    }

    fn open_file(&mut self, segment: &Arc<Segment>) -> io::Result<bool> {
        if self.open.as_ref().is_some_and(|open| open.segment.name == segment.name) {
            return Ok(true);
        }
        let path = self.shared.dir.join(segment.name.file_name());
        let file = match self.shared.fs.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let seed = Seed::new(self.shared.log_id, segment.name.first, segment.name.epoch);
        let scanner = Scanner::new(file, seed, segment.records_at, segment.committed());
        self.open = Some(OpenFile { segment: Arc::clone(segment), scanner, bad: Vec::new() });
        Ok(true)
    }

    /// What is said of LSNs whose segment was removed: they have expired, unless something is known
    /// of them.
    fn gone(&mut self, range: Range<Lsn>) -> Item {
        self.open = None;
        if let Some(mut missing) = self.known_gap(range.start) {
            missing.range.end = missing.range.end.min(range.end);
            return Item::Missing(missing);
        }
        let known = lock(&self.shared.missing).next_known(range.start);
        Item::Expired(range.start..known.map_or(range.end, |known| known.min(range.end)))
    }

    /// Says why `range` of a segment holds no record. What nobody knew of is damage: it is counted
    /// once, and its bytes are put aside.
    fn gap(&mut self, segment: &Arc<Segment>, range: Range<Lsn>) -> io::Result<Item> {
        let still_there = self.shared.segments().iter().any(|have| have.name == segment.name);
        if !still_there {
            return Ok(self.gone(range));
        }
        let unknown = lock(&self.shared.missing).unknown_in(&range);
        let Some(first) = unknown.first() else {
            let missing = self.known_gap(range.start);
            return Ok(missing.map_or(Item::Expired(range), Item::Missing));
        };
        if first.start > range.start
            && let Some(missing) = self.known_gap(range.start)
        {
            return Ok(Item::Missing(missing));
        }
        let range = first.clone();
        let added = lock(&self.shared.missing).count(range.clone(), MissingCause::Damaged);
        tracing::error!(
            segment = %segment.name, first = range.start, entries = added,
            "Damage: entries that were durable cannot be read."
        );
        if let Some(open) = &mut self.open {
            for bad in open.bad.drain(..) {
                let put = quarantine::put_aside(
                    &*self.shared.fs,
                    &self.shared.dir,
                    segment.name,
                    open.scanner.file(),
                    bad,
                );
                match put {
                    Ok(bytes) => {
                        Counters::add(&self.shared.counters.quarantined_bytes, bytes);
                    }
                    Err(error) => tracing::warn!(%error, "Cannot put damaged bytes aside."),
                }
            }
        }
        Ok(Item::Missing(Missing { range, cause: MissingCause::Damaged }))
    }
}
