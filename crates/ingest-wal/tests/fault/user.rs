//! The log's user: names, and one consumer.

use std::collections::BTreeSet;
use std::sync::Mutex;

use ingest_wal::{Catalog, Cursor, Lsn, Tally};

#[derive(Debug, Default)]
pub(crate) struct User {
    pub(crate) names: Mutex<BTreeSet<u16>>,
    /// The consumer's place; nobody knows it before the log has said so.
    pub(crate) low: Mutex<Option<Lsn>>,
}

pub(crate) fn name_body(names: impl IntoIterator<Item = u16>) -> Vec<u8> {
    names.into_iter().flat_map(u16::to_le_bytes).collect()
}

impl Catalog for User {
    fn preamble(&self) -> Vec<u8> {
        name_body(self.names.lock().unwrap().iter().copied())
    }

    fn definitions(&self) -> Vec<u8> {
        self.preamble()
    }

    fn restore(&self, preamble: &[u8]) {
        self.define(preamble);
    }

    fn define(&self, body: &[u8]) {
        let names = body.chunks_exact(2).map(|name| u16::from_le_bytes([name[0], name[1]]));
        self.names.lock().unwrap().extend(names);
    }

    fn tally(&self, _body: &[u8], tally: &mut Tally) {
        *tally.entry(1).or_default() += 1;
    }

    fn summary(&self, tally: &Tally) -> Vec<u8> {
        tally.values().sum::<u64>().to_le_bytes().to_vec()
    }

    fn cursors(&self) -> Option<Vec<Cursor>> {
        let low = (*self.low.lock().unwrap())?;
        Some(vec![Cursor { name: "out".into(), start: 1, low, ..Cursor::default() }])
    }
}
