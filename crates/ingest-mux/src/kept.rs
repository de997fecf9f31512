//! What the log keeps of an output while no muxer has it open.

use std::collections::BTreeMap;
use std::ops::Range;

use ingest_wal::{Cursor, Lsn};

use crate::output::Account;

/// The account of an output as a cursor of the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptOutput {
    /// Its name.
    pub name: String,
    /// It begins here.
    pub start: Lsn,
    /// The lowest LSN that is not settled.
    pub low: Lsn,
    /// Settled above `low`, in rising order.
    pub settled_above: Vec<Range<Lsn>>,
    /// The destination has them.
    pub confirmed: u64,
    /// Its filter passed over them.
    pub filtered: u64,
    /// It never got them, by reason.
    pub lost: BTreeMap<String, u64>,
    /// Unix seconds since when it is not configured; `None`: it was in the last run.
    pub absent_since: Option<i64>,
    /// It has been away for long and holds nothing back.
    pub released: bool,
}

impl KeptOutput {
    /// Reads a cursor. Counts that cannot be read are zero.
    #[must_use]
    pub fn read(cursor: &Cursor) -> Self {
        let account = Account::from_cursor(cursor);
        Self {
            name: cursor.name.clone(),
            start: account.start,
            low: account.low,
            settled_above: account.above.as_slice().to_vec(),
            confirmed: account.confirmed,
            filtered: account.filtered,
            lost: account.lost,
            absent_since: account.absent_since,
            released: cursor.released,
        }
    }

    /// The cursor of an output of this name that begins at `start`, before which the log had
    /// accepted so many entries, and that has settled nothing.
    #[must_use]
    pub fn begin(name: &str, start: Lsn, accepted_before: u64) -> Cursor {
        Account::new(start, accepted_before).to_cursor(name, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Settled;

    #[test]
    fn a_cursor_is_read_and_begun_again() {
        let mut account = Account::new(10, 9);
        account.settle(10..13, Settled::Confirmed { matching: 2 });
        account.settle(15..17, Settled::Lost("damaged"));
        account.absent_since = Some(5);
        let kept = KeptOutput::read(&account.to_cursor("out", true));
        assert_eq!((kept.start, kept.low), (10, 13));
        assert_eq!(kept.settled_above.iter().cloned().flatten().collect::<Vec<_>>(), [15, 16]);
        assert_eq!((kept.confirmed, kept.filtered, kept.lost["damaged"]), (2, 1, 2));
        assert_eq!((kept.absent_since, kept.released), (Some(5), true));
        let again = KeptOutput::read(&KeptOutput::begin("out", 4, 3));
        assert_eq!((again.start, again.low, again.confirmed), (4, 4, 0));
        assert_eq!((again.absent_since, again.released), (None, false));
    }
}
