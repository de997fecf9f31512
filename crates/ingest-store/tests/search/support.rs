//! Writing logs, and collecting what is found in them.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ingest_entry::stored::{Definition, Summary, Table, definitions};
use ingest_entry::{Entry, TagId};
use ingest_store::{Hit, Query, Report, Store, missing_sidecars, write_sidecar};
use ingest_wal::{Catalog, Cursor, Entries, Item, Level, Log, Lsn, Options, Record, Tally};

/// An entry with all that a hit says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) lsn: Lsn,
    pub(crate) arrived: i64,
    pub(crate) entry: Entry,
    pub(crate) tag: String,
    pub(crate) source: Option<String>,
}

impl Found {
    pub(crate) fn of(hit: &Hit<'_>) -> Self {
        Self {
            lsn: hit.lsn,
            arrived: hit.arrived.unix_nanos() as i64,
            entry: hit.entry.to_entry(),
            tag: hit.tag_name.to_owned(),
            source: hit.source_name.map(str::to_owned),
        }
    }
}

/// Keeps a table of names, as the log's user does.
#[derive(Debug, Default)]
struct Names(Mutex<Table>);

impl Catalog for Names {
    fn preamble(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.0.lock().unwrap().encode(&mut out);
        out
    }

    fn definitions(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for definition in self.0.lock().unwrap().definitions() {
            definition.encode(&mut out).unwrap();
        }
        out
    }

    fn restore(&self, preamble: &[u8]) {
        *self.0.lock().unwrap() = Table::decode(preamble).unwrap();
    }

    fn define(&self, body: &[u8]) {
        for definition in definitions(body) {
            self.0.lock().unwrap().apply(&definition.unwrap()).unwrap();
        }
    }

    fn tally(&self, _: &[u8], _: &mut Tally) {}

    fn summary(&self, tally: &Tally) -> Vec<u8> {
        let (mut summary, mut out) = (Summary::new(), Vec::new());
        tally.iter().for_each(|(&tag, &count)| summary.add(TagId(tag), count));
        summary.encode(&mut out);
        out
    }

    fn cursors(&self) -> Option<Vec<Cursor>> {
        Some(Vec::new())
    }
}

/// A log that remembers what was written to it.
pub(crate) struct Writing {
    pub(crate) log: Log,
    names: Arc<Names>,
    pub(crate) written: Vec<Found>,
}

impl Writing {
    pub(crate) fn open(dir: &Path, max_bytes: u64) -> Self {
        let names = Arc::new(Names::default());
        let mut options = Options::default();
        options.max_bytes = Some(max_bytes);
        options.min_free = Some(0);
        let log = Log::open(dir, options, Arc::clone(&names) as Arc<dyn Catalog>).unwrap();
        Self { log, names, written: Vec::new() }
    }

    pub(crate) fn define(&self, definitions: &[Definition<'_>]) {
        let mut body = Vec::new();
        definitions.iter().for_each(|definition| definition.encode(&mut body).unwrap());
        self.log.writer().define(body.clone().into()).unwrap();
        self.names.define(&body);
    }

    pub(crate) fn tag(&self, id: u16, name: &str) {
        self.define(&[Definition::Tag { id: TagId(id), name }]);
    }

    /// Writes one record and waits until it is durable.
    /// Its records of entries.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut reader = self.log.reader(1);
        let items = std::iter::from_fn(|| reader.next_item().unwrap());
        items.map(|item| if let Item::Record(record) = item { record } else { panic!() }).collect()
    }

    pub(crate) fn write(&mut self, source: u16, arrival: i64, entries: &[Entry]) {
        let mut body = Vec::new();
        entries.iter().for_each(|entry| entry.encode_stored(&mut body).unwrap());
        let writer = self.log.writer();
        let permits = vec![writer.permits().acquire_blocking(body.len() as u64)];
        let (count, body) = (entries.len() as u16, Bytes::from(body));
        let (level, tally) = (Level::Disk, Tally::new());
        let record = Entries { count, source, arrival, body, level, tally, permits };
        let ticket = writer.append(record).unwrap();
        writer.done(&ticket).wait().unwrap();
        let table = self.names.0.lock().unwrap();
        for (entry, lsn) in entries.iter().zip(ticket.lsns().unwrap()) {
            let tag = table.tag_name(entry.tag).map(ToString::to_string);
            let tag = tag.unwrap_or_else(|| format!("#{}", entry.tag));
            let source = table.source_name(source).map(str::to_owned);
            self.written.push(Found { lsn, arrived: arrival, entry: entry.clone(), tag, source });
        }
    }
}

/// Everything that a search finds, in its order.
pub(crate) fn search(dir: &Path, query: &Query) -> (Vec<Found>, Report) {
    let mut found = Vec::new();
    let store = Store::open(dir).unwrap();
    let report = store
        .search(query, &mut |hit| {
            found.push(Found::of(&hit));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(report.hits, found.len() as u64);
    (found, report)
}

/// Copies the files of a directory.
pub(crate) fn copy(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

/// The files with this ending, in the order of the log.
pub(crate) fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    paths.sort();
    paths
}

/// Writes all sidecars that are missing; says how many that were.
pub(crate) fn index(dir: &Path) -> usize {
    let store = Store::open(dir).unwrap();
    let missing = missing_sidecars(store.directory()).unwrap();
    for segment in &missing {
        let bytes = write_sidecar(store.directory(), segment).unwrap().unwrap();
        let path = dir.join(segment.name.companion("idx"));
        assert_eq!(fs::metadata(path).unwrap().len(), bytes);
    }
    assert_eq!(missing_sidecars(store.directory()).unwrap(), []);
    missing.len()
}
