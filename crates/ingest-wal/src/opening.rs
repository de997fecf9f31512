//! Opening a directory: who holds it, what is in it, where numbering goes on. Reads everything,
//! changes nothing but the LOCK file and the quarantine; content never makes it fail.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::again::{self, Groups};
use crate::catalog::{Catalog, Tally};
use crate::directory::{self, LOCK, Listed, Listing, OpenSegment, Opened, QUARANTINE};
use crate::error::OpenError;
use crate::format::{
    Account, FORMAT, LockFile, Missing, MissingCause, Recovered, SegmentName, Snapshot, VoidBody,
};
use crate::fs::{File, FileSystem, LockState, OpenMode, write_all_at};
use crate::missing::{MissingTable, Totals};
use crate::options::Limits;
use crate::plant::Plant;
use crate::quarantine;
use crate::scan::{BadRange, Step};
use crate::shared::Segment;
use crate::spare::{self, Spares};
use crate::status::Recovery;
use crate::{Cursor, Kind, LogId, Lsn, RangeSet};

/// After an unclean end numbering goes on at the next multiple of this, so that no LSN that
/// anybody may have seen is given again.
pub(crate) const STEP: u64 = 1 << 20;
/// More LSNs than the last group can have used without leaving a trace of it.
const SLACK: u64 = 1 << 17;

/// Takes the directory's lock, waiting up to `wait`.
pub(crate) fn take_lock(
    fs: &dyn FileSystem,
    dir: &Path,
    wait: Duration,
) -> Result<Arc<dyn File>, OpenError> {
    let path = dir.join(LOCK);
    let file = fs.open(&path, OpenMode::Create).map_err(OpenError::io("cannot open", &path))?;
    let deadline = Instant::now() + wait;
    loop {
        match file.try_lock().map_err(OpenError::io("cannot lock", &path))? {
            LockState::Acquired => return Ok(file),
            LockState::Held if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            LockState::Held => {
                let holder = directory::read_lock(&*file).ok().and_then(|lock| lock.holder);
                let pid = holder.map(|(pid, _)| pid);
                return Err(OpenError::InUse { dir: dir.to_owned(), pid });
            }
        }
    }
}

/// What a directory holds, and where the log goes on.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) log_id: LogId,
    pub(crate) epoch: u32,
    pub(crate) next: Lsn,
    /// Everything below is durable.
    pub(crate) synced_end: Lsn,
    /// The highest LSN that anything found witnesses as durable.
    pub(crate) found_synced: Lsn,
    /// Sequence of the newest valid snapshot.
    pub(crate) last_sequence: Option<u64>,
    pub(crate) expired_total: u64,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) recovered: Vec<Recovered>,
    pub(crate) missing: MissingTable,
    /// Ranges that the new epoch's first record names.
    pub(crate) announce: Vec<Missing>,
    /// Segments without entries: to be removed once the new one is durable.
    pub(crate) empty: Vec<SegmentName>,
    pub(crate) cursors: Vec<Cursor>,
    pub(crate) other_bytes: u64,
    pub(crate) spares: Spares,
    pub(crate) report: Recovery,
}

/// What a scan of one segment found.
#[derive(Debug, Default)]
struct Scan {
    lsns: RangeSet,
    account: Account,
    synced: Lsn,
    /// One after every LSN that is mentioned.
    top: Lsn,
    end_offset: u64,
    void: Vec<VoidBody>,
    definitions: Vec<Vec<u8>>,
    bad: Vec<BadRange>,
    /// Entries that the damage behind the last valid record seems to have held.
    torn: u64,
    groups: Groups,
}

/// Reads the directory and decides. The lock is held.
pub(crate) fn plan(
    fs: &dyn FileSystem,
    dir: &Path,
    (limits, keep_all): (&Limits, bool),
    lock_file: &dyn File,
    catalog: &dyn Catalog,
) -> Result<Plan, OpenError> {
    let io = |what| OpenError::io(what, dir);
    let lock = directory::read_lock(lock_file).map_err(io("cannot read LOCK in"))?;
    let listing = directory::list(fs, dir).map_err(io("cannot list"))?;
    let (mut opened, mut misnamed) = (Vec::new(), Vec::new());
    for listed @ Listed { name, .. } in &listing.segments {
        match directory::open_segment(fs, dir, *name).map_err(io("cannot read a segment in"))? {
            Opened::Segment(segment) => opened.push(segment),
            Opened::Misnamed => misnamed.push(listed.clone()),
            Opened::UnknownFormat(format) => {
                let path = dir.join(name.file_name());
                return Err(OpenError::UnknownFormat { path, format, known: FORMAT });
            }
        }
    }
    let fits = |len| keep_all || spare::fits(len, limits.segment_bytes());
    let spares = keep_spares(fs, dir, fits, &listing, &misnamed).map_err(io("cannot clear"))?;
    let snapshots = directory::snapshots(fs, dir);
    let heads = opened.iter().filter_map(|segment| Some(segment.header?.log_id));
    let known = snapshots.iter().map(|snapshot| snapshot.log_id);
    let log_id = match choose_log_id(heads, known, lock.holder.map(|(_, id)| id)) {
        Some(log_id) => log_id,
        None => LogId::random().map_err(io("cannot make an identity for"))?,
    };
    set_foreign_aside(fs, dir, &mut opened, log_id).map_err(io("cannot put aside a file of"))?;
    let snapshot = snapshots.into_iter().find(|snapshot| snapshot.log_id == log_id);
    if let Some(snapshot) = &snapshot {
        // A killed process may have written it and not synced it. It has to be durable before the
        // other file, which is, is written over.
        let path = dir.join(directory::cursor_file(snapshot.sequence));
        if let Err(error) = again::write_again(fs, &path, 0..snapshot.encode().len() as u64) {
            tracing::warn!(path = %path.display(), %error, "Cannot sync the consumers' state.");
        }
    }
    let lock_synced = lock.synced.filter(|_| lock.holder.is_some_and(|(_, id)| id == log_id));
    let plan = Recoverer { fs, dir, catalog, log_id }
        .run(opened, snapshot, lock_synced, listing.other_bytes)
        .map_err(io("cannot recover"))?;
    Ok(Plan { spares, ..plan })
}

/// Takes over the files that may be used again: spare ones, whatever is in them, and those whose
/// header says that they are not the segment of their name. What cannot be used goes.
fn keep_spares(
    fs: &dyn FileSystem,
    dir: &Path,
    fits: impl Fn(u64) -> bool,
    listing: &Listing,
    misnamed: &[Listed],
) -> io::Result<Spares> {
    let mut spares = Spares::default();
    for (name, len) in &listing.spares {
        match spare::number(name).filter(|_| fits(*len)) {
            Some(n) => spares.know(n, *len),
            None => fs.remove(&dir.join(name))?,
        }
    }
    for Listed { name, len } in misnamed {
        let path = dir.join(name.file_name());
        match spares.vacant().filter(|_| fits(*len)) {
            Some(n) => {
                fs.rename(&path, &dir.join(spare::file_name(n)))?;
                spares.renamed(n, *len);
            }
            None => fs.remove(&path)?,
        }
    }
    if spares.unsettled() {
        fs.sync_dir(dir)?;
        spares.settle();
    }
    Ok(spares)
}

/// The newest snapshot's, if a segment agrees or none can speak; else what most segments say; else
/// the LOCK file's.
pub(crate) fn choose_log_id(
    segments: impl Iterator<Item = LogId>,
    known: impl Iterator<Item = LogId> + Clone,
    lock: Option<LogId>,
) -> Option<LogId> {
    let mut votes: HashMap<LogId, usize> = HashMap::new();
    for log_id in segments {
        *votes.entry(log_id).or_default() += 1;
    }
    known
        .clone()
        .find(|id| votes.contains_key(id))
        .or_else(|| votes.iter().max_by_key(|(_, count)| **count).map(|(id, _)| *id))
        .or_else(|| known.clone().next())
        .or(lock)
}

/// Files of another log that were copied into the directory are moved out of the way, whole.
fn set_foreign_aside(
    fs: &dyn FileSystem,
    dir: &Path,
    segments: &mut Vec<OpenSegment>,
    log_id: LogId,
) -> io::Result<()> {
    let mut kept = Vec::with_capacity(segments.len());
    for segment in segments.drain(..) {
        if segment.header.is_some_and(|header| header.log_id != log_id) {
            let quarantine = dir.join(QUARANTINE);
            fs.create_dir_all(&quarantine)?;
            let target = quarantine.join(format!("{}.foreign", segment.name));
            fs.rename(&segment.path, &target)?;
            tracing::warn!(path = %target.display(), "Put aside a segment of another log.");
        } else {
            kept.push(segment);
        }
    }
    *segments = kept;
    Ok(())
}

struct Recoverer<'a> {
    fs: &'a dyn FileSystem,
    dir: &'a Path,
    catalog: &'a dyn Catalog,
    log_id: LogId,
}

/// What is known of each segment after the walk.
struct Known {
    name: SegmentName,
    account: Account,
    records_at: u64,
    end_offset: u64,
    size: u64,
    /// One after every LSN that was given while this was the last segment, as far as it says.
    next: Lsn,
    scan: Option<Scan>,
}

impl Recoverer<'_> {
    fn run(
        &self,
        mut opened: Vec<OpenSegment>,
        snapshot: Option<Snapshot>,
        lock_synced: Option<Lsn>,
        other_bytes: u64,
    ) -> io::Result<Plan> {
        if Plant::DropTail.is_active()
            && let Some(last) = opened.last_mut()
        {
            self.drop_tail(last)?;
        }
        let mut report = Recovery {
            // A LOCK that says how far it was is a log whose files somebody took away.
            new: opened.is_empty() && snapshot.is_none() && lock_synced.unwrap_or(0) == 0,
            snapshot: snapshot.is_some(),
            ..Recovery::default()
        };
        let had_snapshot = report.snapshot;
        let snapshot = snapshot.unwrap_or_default();
        let mut missing = MissingTable::default();
        missing.raise(Totals {
            void: snapshot.void_total,
            unwitnessed: snapshot.unwitnessed_total,
            damaged: snapshot.damaged_total,
        });
        missing.know(&snapshot.missing);
        let mut synced_end = snapshot.synced.saturating_add(1);
        // One after every LSN that was given, as far as anything says; and the highest that a
        // name says, which need not have been given.
        let mut top = snapshot.next.max(1);
        let mut named = 0;
        let mut epoch = snapshot.epoch;
        // The next LSN, when the log was closed in order.
        let mut clean_next = None;
        let mut known: Vec<Known> = Vec::new();

        let domains: Vec<Lsn> = opened.iter().skip(1).map(|segment| segment.name.first).collect();
        for (at, segment) in opened.iter().enumerate() {
            let domain_end = domains.get(at).copied().unwrap_or(Lsn::MAX);
            let last = at + 1 == opened.len();
            epoch = epoch.max(segment.name.epoch);
            top = top.max(segment.name.first);
            named = named.max(segment.name.first);
            let before = snapshot.recovered.iter().find(|have| have.name == segment.name);
            let entry = if let Some(before) = before {
                top = top.max(before.account.end);
                Known {
                    name: segment.name,
                    account: before.account.clone(),
                    records_at: segment.records_at(),
                    end_offset: before.end_offset,
                    size: segment.len,
                    next: before.account.end,
                    scan: None,
                }
            } else if let Some((seal, _)) = segment.seal(self.log_id)? {
                synced_end = synced_end.max(seal.synced.saturating_add(1));
                top = top.max(seal.next).max(seal.account.end);
                missing.raise(Totals {
                    void: seal.void_total,
                    unwitnessed: seal.unwitnessed_total,
                    damaged: seal.damaged_total,
                });
                clean_next = (last && seal.clean).then_some(seal.next);
                // What was found since the snapshot, and is in the totals.
                if seal.synced >= snapshot.synced {
                    missing.know(&seal.missing);
                }
                // An older snapshot, or none, does not know what a later epoch began with.
                if segment.name.epoch > snapshot.epoch || segment.name.first >= snapshot.next {
                    missing.know(&self.announced(segment)?);
                }
                Known {
                    name: segment.name,
                    next: seal.next.max(seal.account.end),
                    account: seal.account,
                    records_at: segment.records_at(),
                    end_offset: segment.len,
                    size: segment.len,
                    scan: None,
                }
            } else {
                let scan = self.scan(segment, domain_end)?;
                // What a killed process wrote may be nowhere but in memory; from here on it counts
                // as durable.
                let said = scan.synced.max(snapshot.synced).max(lock_synced.unwrap_or(0));
                let scanner = segment.scanner(self.log_id, scan.end_offset);
                scan.groups.write_again(self.fs, segment, scanner, said, scan.end_offset)?;
                report.scanned_segments += 1;
                report.scanned_bytes += segment.len;
                synced_end = synced_end.max(scan.synced.saturating_add(1));
                top = top.max(scan.top);
                for void in &scan.void {
                    missing.raise(Totals {
                        void: void.void_total,
                        unwitnessed: void.unwitnessed_total,
                        damaged: void.damaged_total,
                    });
                    missing.know(&void.missing);
                }
                for bad in &scan.bad {
                    let file = &segment.file;
                    let put = quarantine::put_aside(self.fs, self.dir, segment.name, file, *bad);
                    match put {
                        Ok(bytes) => report.quarantined_bytes += bytes,
                        Err(error) => tracing::warn!(%error, "Cannot put damaged bytes aside."),
                    }
                }
                Known {
                    name: segment.name,
                    account: scan.account.clone(),
                    records_at: segment.records_at(),
                    end_offset: scan.end_offset,
                    size: segment.len,
                    next: scan.top.max(scan.synced.saturating_add(1)).saturating_add(scan.torn),
                    scan: Some(scan),
                }
            };
            known.push(entry);
        }
        // Up to here the previous holder said, after a sync, that it had come.
        top = top.max(lock_synced.map_or(0, |synced| synced.saturating_add(1)));
        // Where nothing speaks of more than the last segment's valid records do (a power cut takes
        // the last words of LOCK), damage behind them is asked.
        if let Some(scan) = known.last().and_then(|last| last.scan.as_ref())
            && top <= scan.top
        {
            top = top.saturating_add(scan.torn);
        }
        let clean = report.new || clean_next == Some(top);

        self.restore_names(&opened, &known)?;
        let witnesses = [
            snapshot.next,
            snapshot.synced.saturating_add(1),
            lock_synced.map_or(0, |lsn| lsn.saturating_add(1)),
        ];
        self.count_missing(&known, synced_end, top, &witnesses, &mut missing, &mut report);
        let next = if report.new {
            1
        } else if clean || Plant::ReuseLsn.is_active() {
            top
        } else {
            let above = (top - 1).max(named).saturating_add(SLACK);
            let next = (above / STEP + 1).saturating_mul(STEP);
            report.void = missing.count(top..next, MissingCause::Void);
            next
        };
        report.clean = clean;
        report.next = next;
        report.epoch = epoch.saturating_add(1);

        let empty: Vec<SegmentName> =
            known.iter().filter(|have| have.account.entries == 0).map(|have| have.name).collect();
        let last_entries = known.iter().rev().find(|have| have.account.entries > 0);
        let announce_from = last_entries.map_or(0, |have| have.name.first);
        let announce = missing.list_from(announce_from);
        let recovered = recovered_list(&snapshot, &known);
        let segments = known
            .iter()
            .map(|have| {
                let segment = Segment::new(have.name, have.records_at, have.end_offset, have.size);
                segment.finish(&have.account);
                Arc::new(segment)
            })
            .collect();
        Ok(Plan {
            log_id: self.log_id,
            epoch: report.epoch,
            next,
            synced_end: next,
            found_synced: synced_end.saturating_sub(1),
            last_sequence: had_snapshot.then_some(snapshot.sequence),
            expired_total: snapshot.expired_total,
            segments,
            recovered,
            missing,
            announce,
            empty,
            cursors: snapshot.cursors,
            other_bytes,
            spares: Spares::default(),
            report,
        })
    }

    fn scan(&self, segment: &OpenSegment, domain_end: Lsn) -> io::Result<Scan> {
        let mut scan = Scan {
            account: Account::empty(segment.name.first),
            end_offset: segment.records_at().min(segment.len),
            top: segment.name.first,
            ..Scan::default()
        };
        let mut tally = Tally::new();
        // Bytes behind the last valid record: nothing else tells how many entries they were.
        let mut torn: Option<BadRange> = None;
        let mut scanner = segment.scanner(self.log_id, segment.len);
        while let Some(step) = scanner.next()? {
            match step {
                Step::Record { offset, header, body } => {
                    torn = None;
                    scan.groups.record(offset, header.synced, scan.top);
                    scan.synced = scan.synced.max(header.synced);
                    scan.top = scan.top.max(header.end());
                    scan.end_offset = offset.saturating_add(header.stride()).min(segment.len);
                    match header.kind {
                        Kind::Entries if header.first < domain_end => {
                            scan.lsns.insert(header.first..header.end());
                            let (count, len) = (header.count, header.body_len);
                            scan.account.add(header.first, count, len, header.arrival);
                            self.catalog.tally(body, &mut tally);
                        }
                        Kind::Definitions => {
                            scan.account.definitions.push(offset);
                            scan.definitions.push(body.to_vec());
                        }
                        Kind::Void => scan.void.extend(VoidBody::decode(body)),
                        _ => {}
                    }
                }
                Step::Bad(bad) => {
                    if let Some(header) = bad.header {
                        // The header is sound: its numbers were given.
                        scan.top = scan.top.max(header.end());
                        scan.synced = scan.synced.max(header.synced);
                    }
                    torn = (bad.header.is_none() && !bad.blank).then_some(bad);
                    scan.bad.push(bad);
                }
            }
        }
        if let Some(torn) = torn {
            let synced = scan.synced.max(segment.name.first.saturating_sub(1));
            if segment.may_hold_stale_bytes() {
                let (len, entries) = scanner.guess_among_stale(&torn, scan.top, synced)?;
                scan.torn = entries;
                scan.bad.pop();
                if len > 0 {
                    scan.bad.push(BadRange { len, ..torn });
                }
            } else {
                scan.torn = scanner.guess(&torn, scan.top, synced)?;
            }
        }
        scan.account.summary = self.catalog.summary(&tally);
        Ok(scan)
    }

    /// The planted bug: cuts the entries of the last valid group off a segment without a seal.
    fn drop_tail(&self, segment: &mut OpenSegment) -> io::Result<()> {
        if segment.seal(self.log_id)?.is_some() {
            return Ok(());
        }
        let mut group: Option<(Lsn, u64)> = None;
        let mut scanner = segment.scanner(self.log_id, segment.len);
        while let Some(step) = scanner.next()? {
            if let Step::Record { offset, header, .. } = step
                && header.kind == Kind::Entries
                && group.is_none_or(|(synced, _)| synced != header.synced)
            {
                group = Some((header.synced, offset));
            }
        }
        if let Some((_, offset)) = group {
            let file = self.fs.open(&segment.path, OpenMode::ReadWrite)?;
            file.set_len(offset)?;
            file.sync_data()?;
            segment.len = offset;
        }
        Ok(())
    }

    /// The ranges that a sealed segment's first records name.
    fn announced(&self, segment: &OpenSegment) -> io::Result<Vec<Missing>> {
        let mut scanner = segment.scanner(self.log_id, segment.len);
        for _ in 0..2 {
            match scanner.next()? {
                Some(Step::Record { header, body, .. }) if header.kind == Kind::Void => {
                    if let Some(void) = VoidBody::decode(body) {
                        return Ok(void.missing);
                    }
                }
                Some(Step::Bad(_)) => {}
                _ => break,
            }
        }
        Ok(Vec::new())
    }

    /// Gives the log's user its names back: the newest valid preamble, then what was defined since.
    fn restore_names(&self, opened: &[OpenSegment], known: &[Known]) -> io::Result<()> {
        let mut from = 0;
        for (at, segment) in opened.iter().enumerate().rev() {
            if let Some(preamble) = segment.preamble()? {
                self.catalog.restore(&preamble);
                from = at;
                break;
            }
        }
        for (segment, known) in opened.iter().zip(known).skip(from) {
            if let Some(scan) = &known.scan {
                scan.definitions.iter().for_each(|body| self.catalog.define(body));
                continue;
            }
            let mut scanner = segment.scanner(self.log_id, segment.len);
            for &offset in &known.account.definitions {
                scanner.seek(offset);
                if let Some(Step::Record { header, body, .. }) = scanner.next()?
                    && header.kind == Kind::Definitions
                {
                    self.catalog.define(body);
                }
            }
        }
        Ok(())
    }

    /// Every LSN that a scanned segment should hold and does not. `witnesses` are LSNs from which
    /// on, when they were written down, none was given.
    fn count_missing(
        &self,
        known: &[Known],
        synced_end: Lsn,
        top: Lsn,
        witnesses: &[Lsn],
        missing: &mut MissingTable,
        report: &mut Recovery,
    ) {
        for (at, segment) in known.iter().enumerate() {
            let next = known.get(at + 1).map(|next| next.name);
            let mut end = next.map_or(top, |next| next.first);
            // An epoch that begins at a multiple of the step followed an unclean end; should its
            // own record of that be lost, what lies between was still never given.
            if let Some(next) = next
                && next.epoch > segment.name.epoch
                && next.first.is_multiple_of(STEP)
            {
                let said = witnesses.iter().copied().filter(|&lsn| lsn < next.first);
                let given = said.fold(segment.next.max(segment.name.first), Lsn::max);
                let passed_over = given..next.first;
                if given < next.first && missing.unknown_in(&passed_over) == [passed_over.clone()] {
                    report.void += missing.count(passed_over, MissingCause::Void);
                    end = given;
                }
            }
            let gaps = match &segment.scan {
                Some(scan) => scan.lsns.gaps_in(&(segment.name.first..end)),
                // Its own gaps are found by whoever reads it. But behind the last one lies what
                // something else speaks of: a segment that is gone, what was passed over, or both.
                // And what lies behind another one, and nothing says to be durable, was dropped by
                // a full log whose end came before that was written down.
                None => {
                    let from = if next.is_none() { 0 } else { synced_end };
                    let behind = segment.next.max(from)..end;
                    std::iter::once(behind).filter(|behind| !behind.is_empty()).collect()
                }
            };
            for gap in gaps {
                let split = synced_end.clamp(gap.start, gap.end);
                report.damaged += missing.count(gap.start..split, MissingCause::Damaged);
                report.unwitnessed += missing.count(split..gap.end, MissingCause::Unwitnessed);
            }
        }
    }
}

/// Segments that this opening or an earlier one scanned, with their accounts.
fn recovered_list(snapshot: &Snapshot, known: &[Known]) -> Vec<Recovered> {
    known
        .iter()
        .filter_map(|have| {
            if have.scan.is_some() {
                let (name, end_offset) = (have.name, have.end_offset);
                return Some(Recovered { name, end_offset, account: have.account.clone() });
            }
            snapshot.recovered.iter().find(|before| before.name == have.name).cloned()
        })
        .collect()
}

/// Writes the LOCK file for this process.
pub(crate) fn write_lock(file: &dyn File, log_id: LogId, synced: Lsn) -> io::Result<()> {
    let bytes = LockFile::encode(std::process::id(), log_id, synced);
    write_all_at(file, &mut [IoSlice::new(&bytes)], 0)
}
