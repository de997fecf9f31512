//! What must be true of a log, known from what was handed over and what was acknowledged alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

use bytes::Bytes;
use ingest_wal::{Item, Log, Lsn, Missing, MissingCause, Record};

/// What has become of an LSN that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Held,
    Missing(MissingCause),
    /// Held until its segment was removed.
    Expired,
}

/// An LSN that was given.
#[derive(Clone)]
struct Given {
    /// Of its record.
    first: Lsn,
    count: u16,
    body: Bytes,
    /// It was said to be on disk, or was shown to a reader.
    acknowledged: bool,
    fate: Option<Fate>,
    /// Snapshots that were said to be written since the fate was seen.
    kept: u8,
    /// Said to be dropped, before the end came, and not written down for good.
    unkept: bool,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { first, count, body, acknowledged, fate, .. } = self;
        let len = body.len();
        write!(f, "{count} from {first}, {len} bytes, acknowledged {acknowledged}, {fate:?}")
    }
}

/// What a look at the log may find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Records that may be gone since the last look.
    pub(crate) lost: usize,
    /// They may be called unwitnessed: the end was not in order, and they were in the last group.
    pub(crate) unwitnessed: bool,
}

impl Allowed {
    pub(crate) const NOTHING: Self = Self { lost: 0, unwitnessed: false };

    /// At rest, of so many records.
    pub(crate) fn damage(lost: usize) -> Self {
        Self { lost, ..Self::NOTHING }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    given: BTreeMap<Lsn, Given>,
    pub(crate) serial: u64,
    /// Names that a durable record follows, and those of which it is not known.
    pub(crate) names: BTreeSet<u16>,
    pub(crate) unsure: BTreeSet<u16>,
    /// Names that the log did not take.
    pub(crate) doubtful: BTreeSet<u16>,
    /// The consumer's place, the highest that it ever was, and the one that the last snapshot that
    /// was said to be written kept.
    pub(crate) low: Lsn,
    pub(crate) passed: Lsn,
    pub(crate) kept: Lsn,
    /// The same of the snapshot before that one.
    pub(crate) kept_before: Lsn,
    /// When the log is full, what is oldest may go.
    pub(crate) drops_oldest: bool,
    /// Damage that an opening counted in a segment that was removed before anybody looked.
    unseen: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            given: BTreeMap::new(),
            serial: 0,
            names: BTreeSet::new(),
            unsure: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            low: 1,
            passed: 1,
            kept: 1,
            kept_before: 1,
            drops_oldest: false,
            unseen: 0,
        }
    }
}

impl Model {
    /// A record was numbered.
    pub(crate) fn give(&mut self, range: Range<Lsn>, body: &Bytes) {
        let (first, count) = (range.start, (range.end - range.start) as u16);
        assert!(first >= self.passed, "{first} is given, but the consumer was at {}", self.passed);
        for lsn in range {
            let given = Given {
                first,
                count,
                body: body.clone(),
                acknowledged: false,
                fate: None,
                kept: 0,
                unkept: false,
            };
            let before = self.given.insert(lsn, given);
            assert!(before.is_none_or(|before| !before.acknowledged), "{lsn} was given twice");
        }
    }

    /// Everything from `from`, where this run began, up to `end` was said to be on disk, but for what
    /// was said to be dropped.
    pub(crate) fn acknowledge(&mut self, from: Lsn, end: Lsn, dropped: impl Fn(Lsn) -> bool) {
        for (lsn, given) in self.given.range_mut(from..end.max(from)) {
            if dropped(*lsn) {
                assert!(!given.acknowledged, "{lsn} was acknowledged, and is said to be dropped");
            } else {
                given.acknowledged = true;
            }
        }
    }

    pub(crate) fn highest_acknowledged(&self) -> Lsn {
        let highest = self.given.iter().rev().find(|(_, given)| given.acknowledged);
        highest.map_or(0, |(lsn, _)| *lsn)
    }

    /// The LSN `part` 255ths into what the consumer has not passed below `end`.
    pub(crate) fn onward(&self, end: Lsn, part: u8) -> Lsn {
        let all = self.given.range(self.low.min(end)..end).count();
        let skip = all * usize::from(part) / 255;
        self.given.range(self.low.min(end)..end).nth(skip).map_or(end, |(lsn, _)| *lsn)
    }

    /// A snapshot was said to be written.
    pub(crate) fn snapshot(&mut self) {
        for given in self.given.values_mut().filter(|given| given.fate.is_some()) {
            given.kept = given.kept.saturating_add(1);
        }
    }

    /// The end comes. What was said to be dropped, and is in fewer snapshots than these, may be there
    /// again afterwards, or unwitnessed.
    pub(crate) fn end(&mut self, snapshots: u8) {
        use MissingCause::{Dropped, Void};
        for given in self.given.values_mut() {
            let dropped = matches!(given.fate, Some(Fate::Missing(Void | Dropped)));
            given.unkept |= dropped && given.kept < snapshots;
        }
    }

    /// A record was read by somebody who may have stood in front of it when its segment went.
    pub(crate) fn held(&mut self, record: &Record) {
        let end = record.header.end();
        let mut given = self.given.range(record.header.first..end);
        if given.all(|(_, given)| given.fate != Some(Fate::Expired)) {
            self.held_again(record);
        }
    }

    fn held_again(&mut self, record: &Record) {
        let (first, end) = (record.header.first, record.header.end());
        let given = self.given.get(&first).unwrap_or_else(|| panic!("{first} was never given"));
        assert_eq!((given.first, given.count), (first, record.header.count), "at {first}");
        assert!(given.body == record.body, "the body of {first} is another");
        for (lsn, given) in self.given.range_mut(first..end) {
            let may_be = match given.fate {
                None | Some(Fate::Held) => true,
                Some(_) => given.unkept,
            };
            assert!(may_be, "{lsn} is back: {given:?}");
            (given.fate, given.unkept) = (Some(Fate::Held), false);
            given.acknowledged = true;
        }
    }

    fn missing(&mut self, missing: &Missing, allowed: Allowed, lost: &mut BTreeSet<Lsn>) {
        let fate = Fate::Missing(missing.cause);
        let mut known = 0;
        for (lsn, given) in self.given.range_mut(missing.range.clone()) {
            known += 1;
            match given.fate {
                Some(before) if before == fate => continue,
                None | Some(Fate::Held) => {}
                Some(Fate::Missing(MissingCause::Void))
                    if missing.cause == MissingCause::Unwitnessed && given.unkept => {}
                Some(Fate::Expired)
                    if missing.cause == MissingCause::Damaged && self.unseen > 0 =>
                {
                    // What is known is said, though its segment went before anybody looked.
                    self.unseen -= 1;
                    given.fate = Some(fate);
                    continue;
                }
                Some(_) => panic!("{lsn} is {fate:?} now, and was {given:?}"),
            }
            if missing.cause == MissingCause::Dropped {
                assert!(self.drops_oldest, "{lsn} is dropped, and nobody asked for that");
            } else if given.acknowledged {
                let cause = missing.cause;
                let unwitnessed = cause == MissingCause::Unwitnessed && allowed.unwitnessed;
                assert!(
                    cause == MissingCause::Damaged || unwitnessed,
                    "{lsn} was acknowledged, and is said to be {cause:?}"
                );
                lost.insert(given.first);
            } else {
                assert!(
                    missing.cause != MissingCause::Damaged || allowed.lost > 0,
                    "{lsn} was never acknowledged, and is said to be damaged"
                );
            }
            (given.fate, given.kept) = (Some(fate), 0);
        }
        if missing.cause == MissingCause::Damaged {
            assert_eq!(known, missing.count(), "{missing:?}: never given, and said to be damaged");
        }
    }

    /// Says how many entries the largest of the records that are gone now had.
    fn expired(&mut self, range: Range<Lsn>) -> u16 {
        let mut most = 0;
        for (lsn, given) in self.given.range_mut(range) {
            if given.fate == Some(Fate::Held) || given.fate.is_none() && given.acknowledged {
                assert!(*lsn < self.passed, "{lsn} is gone, and was not passed: {given:?}");
                given.fate = Some(Fate::Expired);
                most = most.max(given.count);
            }
        }
        most
    }

    fn count(&self, is: impl Fn(Fate) -> bool) -> u64 {
        self.given.values().filter_map(|given| given.fate).filter(|fate| is(*fate)).count() as u64
    }

    /// Reads everything and compares, when nothing is in flight. An error of a reader that is not one
    /// of the device ends it.
    pub(crate) fn compare(&mut self, log: &Log, allowed: Allowed) -> io::Result<()> {
        let end = log.writer().synced_end();
        let mut reader = log.reader(1);
        let mut at = 1;
        let mut lost = BTreeSet::new();
        let mut gone = 0;
        loop {
            let item = match reader.next_item() {
                Ok(Some(item)) => item,
                Ok(None) => break,
                // An error of the device: the place is kept.
                Err(error) if error.raw_os_error() == Some(5) => continue,
                Err(error) => return Err(error),
            };
            assert_eq!(start(&item), at, "each LSN comes once and in order: {item:?}");
            at = item.end();
            match item {
                Item::Record(record) => self.held_again(&record),
                Item::Missing(missing) => self.missing(&missing, allowed, &mut lost),
                Item::Expired(range) => {
                    let known = log.missing();
                    let apart =
                        |gap: &&Missing| gap.range.end > range.start && gap.range.start < range.end;
                    assert_eq!(known.iter().find(apart), None, "{range:?} is said to be expired");
                    gone = gone.max(self.expired(range));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(at, end, "up to the last one that is durable");
        assert!(
            lost.len() <= allowed.lost,
            "the records at {lost:?} are lost, allowed: {allowed:?}"
        );
        self.given.values_mut().for_each(|given| given.unkept = false);
        let status = log.status();
        let accepted = self.count(|fate| {
            use MissingCause::{Damaged, Dropped};
            matches!(fate, Fate::Held | Fate::Expired | Fate::Missing(Damaged | Dropped))
        });
        assert_eq!(status.accepted, accepted, "{status:?}");
        assert_eq!(status.accepted, end - 1 - status.void - status.unwitnessed);
        let damaged = self.count(|fate| fate == Fate::Missing(MissingCause::Damaged));
        if allowed.lost > 0 && status.damaged > damaged + self.unseen {
            // What was damaged went before this look: all had passed it.
            let unseen = status.damaged - damaged - self.unseen;
            assert!(unseen <= u64::from(gone), "{unseen} of {gone}: {status:?}");
            self.unseen += unseen;
        }
        assert_eq!(status.damaged, damaged + self.unseen, "{status:?}");
        assert!(status.used_bytes <= status.limits.max_bytes, "{status:?}");
        Ok(())
    }
}

fn start(item: &Item) -> Lsn {
    match item {
        Item::Record(record) => record.header.first,
        Item::Missing(missing) => missing.range.start,
        Item::Expired(range) => range.start,
        other => panic!("{other:?}"),
    }
}
