//! The names of a log for who opens it without a gateway: kept as they are.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ingest_entry::TagId;
use ingest_entry::stored::{self, Summary, Table, TableRef};
use ingest_wal::{Catalog, Cursor, Tally};

/// Carries the table of tags and sources from what is there into what is begun, and leaves the
/// positions of the outputs alone.
#[derive(Debug, Default)]
pub(super) struct Book(Mutex<Table>);

impl Book {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Catalog for Book {
    fn preamble(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.table().encode(&mut out);
        out
    }

    fn definitions(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for definition in self.table().definitions() {
            // Names were checked when they were defined.
            let _ = definition.encode(&mut out);
        }
        out
    }

    fn restore(&self, preamble: &[u8]) {
        if let Ok(table) = TableRef::decode(preamble) {
            for definition in table.definitions().flatten() {
                // The first definition of a number holds.
                let _ = self.table().apply(&definition);
            }
        }
    }

    fn define(&self, body: &[u8]) {
        for definition in stored::definitions(body).flatten() {
            let _ = self.table().apply(&definition);
        }
    }

    fn tally(&self, body: &[u8], tally: &mut Tally) {
        for entry in stored::entries(body).flatten() {
            *tally.entry(entry.tag.0).or_default() += 1;
        }
    }

    fn summary(&self, tally: &Tally) -> Vec<u8> {
        let mut summary = Summary::default();
        tally.iter().for_each(|(&tag, &count)| summary.add(TagId(tag), count));
        let mut out = Vec::new();
        summary.encode(&mut out);
        out
    }

    fn cursors(&self) -> Option<Vec<Cursor>> {
        None
    }
}
