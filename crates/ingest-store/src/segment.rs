//! One segment opened for search: which parts of it are to be read, and reading them.

use std::io;
use std::ops::{ControlFlow, Range};

use ingest_entry::{EntryRef, Timestamp};
use ingest_wal::{
    Account, Directory, Kind, Lsn, OfflineSegment, RecordHeader, Records, SegmentFile,
};

use crate::filter::Filter;
use crate::hit::Report;
use crate::sidecar::Sidecar;
use crate::stored::RawEntries;

/// An entry that matches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Match<'a> {
    pub(crate) lsn: Lsn,
    /// When its record arrived, nanoseconds since the Unix epoch.
    pub(crate) arrival: i64,
    /// The number of the configured source of its record.
    pub(crate) source: u16,
    pub(crate) entry: EntryRef<'a>,
}

/// Times that matter beside those of the filter, both inclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) min: Timestamp,
    pub(crate) max: Timestamp,
}

impl Times {
    pub(crate) const ALL: Self = Self { min: Timestamp::MIN, max: Timestamp::MAX };
}

/// An open segment with its account and sidecar, as far as it has them.
#[derive(Debug)]
pub(crate) struct Opened {
    segment: OfflineSegment,
    file: SegmentFile,
    account: Option<Account>,
    sidecar: Option<Sidecar>,
    records: Records,
}

impl Opened {
    /// Opens a segment; `None` when it is gone.
    pub(crate) fn open(dir: &Directory, segment: &OfflineSegment) -> io::Result<Option<Self>> {
        let Some(file) = dir.open(segment)? else { return Ok(None) };
        let account = file.account()?;
        let sidecar = Sidecar::load(dir, segment, &file, account.as_ref())?;
        let records = file.records();
        Ok(Some(Self { segment: *segment, file, account, sidecar, records }))
    }

    pub(crate) fn sidecar(&self) -> Option<&Sidecar> {
        self.sidecar.as_ref()
    }

    /// The parts of the file that may hold what is asked for, in order, and what was ruled out.
    pub(crate) fn parts(
        &self,
        filter: &Filter,
        times: Times,
        end: Lsn,
        report: &mut Report,
    ) -> Vec<Range<u64>> {
        if self.segment.end <= filter.from {
            return Vec::new();
        }
        let Some(sidecar) = &self.sidecar else {
            report.unindexed_segments += 1;
            let late = self
                .account
                .as_ref()
                .is_none_or(|account| account.entries == 0 || filter.arrival(account.max_arrival));
            return late.then_some(0..u64::MAX).into_iter().collect();
        };
        report.indexed_segments += 1;
        let (parts, pruned) = sidecar.select(filter, times, end);
        report.pruned_blocks += pruned;
        parts
    }

    /// Hands the matching entries of a part to `on` until that wants no more.
    pub(crate) fn scan(
        &mut self,
        dir: &Directory,
        part: &Range<u64>,
        filter: &Filter,
        end: Lsn,
        report: &mut Report,
        on: &mut dyn FnMut(Match<'_>) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        if part.start == 0 {
            self.records = self.file.records();
        } else {
            self.records.seek(part.start);
        }
        let end = end.min(self.segment.end);
        let (mut flow, mut damaged) = (ControlFlow::Continue(()), 0);
        while flow.is_continue() && self.records.offset() < part.end {
            let room = part.end - self.records.offset();
            let before = self.records.damaged_bytes();
            let found = self.records.next_record()?.is_some_and(|record| {
                if record.offset >= part.end {
                    return false;
                }
                report.scanned_bytes += record.header.stride();
                if record.header.kind == Kind::Entries {
                    if record.header.first >= end {
                        return false;
                    }
                    flow = entries(&record.header, record.body, filter, end, report, on);
                }
                true
            });
            let passed = (self.records.damaged_bytes() - before).min(room);
            // What is behind the last record of a segment without an end may never have been
            // written.
            if found || part.end < u64::MAX || self.account.is_some() {
                damaged += passed;
            }
            if !found {
                break;
            }
        }
        if damaged > 0 || self.records.is_expired() {
            if self.records.is_expired() || dir.open(&self.segment)?.is_none() {
                // Reused while it was read: what was there has expired.
                report.expired_segments += 1;
            } else {
                report.damaged_bytes += damaged;
            }
        }
        Ok(flow)
    }
}

/// Hands the matching entries of a record to `on`.
pub(crate) fn entries(
    header: &RecordHeader,
    body: &[u8],
    filter: &Filter,
    end: Lsn,
    report: &mut Report,
    on: &mut dyn FnMut(Match<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if header.end() <= filter.from || !filter.arrival(header.arrival) || !filter.body(body) {
        return ControlFlow::Continue(());
    }
    let count = header.count.min(u16::try_from(end - header.first).unwrap_or(u16::MAX));
    let mut raws = RawEntries::new(body);
    let mut read = 0;
    for (raw, position) in raws.by_ref().zip(0..count) {
        read = position + 1;
        let lsn = header.first + u64::from(position);
        if lsn < filter.from || !filter.raw(&raw) {
            continue;
        }
        let Some(entry) = raw.entry() else {
            report.undecodable += 1;
            continue;
        };
        on(Match { lsn, arrival: header.arrival, source: header.source, entry })?;
    }
    report.undecodable += u64::from(count - read);
    ControlFlow::Continue(())
}
