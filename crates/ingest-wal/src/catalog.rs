//! What the log asks of its user.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::Cursor;

/// Counts of entries by a number that means something to the log's user (a tag, say).
pub type Tally = BTreeMap<u16, u64>;

/// The log's user as the log sees it: names that every segment carries, counts that its end keeps,
/// and the state of the consumers. All of it is opaque bytes to the log. Without names and counts
/// only [`Catalog::cursors`] is needed.
///
/// The methods are called from the log's own threads: they must not wait for the log.
pub trait Catalog: Send + Sync + Debug {
    /// What a new segment carries in front, so that it can be read alone. Called when one begins.
    fn preamble(&self) -> Vec<u8> {
        Vec::new()
    }

    /// The same as the body of a definitions record, which follows the preamble: either copy is
    /// enough. Empty: there is nothing to define.
    fn definitions(&self) -> Vec<u8> {
        Vec::new()
    }

    /// At open: the preamble of the newest segment that has a valid one, before any `define`.
    fn restore(&self, _preamble: &[u8]) {}

    /// At open: the body of a definitions record of that segment or a later one.
    fn define(&self, _body: &[u8]) {}

    /// At open: counts the entries of a record of a segment that has no seal.
    fn tally(&self, _body: &[u8], _tally: &mut Tally) {}

    /// What the seal of a segment keeps.
    fn summary(&self, _tally: &Tally) -> Vec<u8> {
        Vec::new()
    }

    /// The state of the consumers, to be kept. `None`: not known yet, what was kept stays. No
    /// segment that one of them has not passed is removed; with an empty list all are passed.
    fn cursors(&self) -> Option<Vec<Cursor>>;
}

/// A user without names, counts and consumers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCatalog;

impl Catalog for NoCatalog {
    fn cursors(&self) -> Option<Vec<Cursor>> {
        Some(Vec::new())
    }
}
