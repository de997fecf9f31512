//! Reading all of a log and saying everything that is not as it should be. Only reads.

use std::io;
use std::time::Duration;

use crate::directory::{self, OpenSegment, Opened};
use crate::finding::{Finding, FindingKind, Observer, Verified};
use crate::format::{Account, FLAG_PREAMBLE_TWICE, SEGMENT_HEADER_LEN, SegmentName};
use crate::fs::read_full_at;
use crate::inspect::{Inspection, SegmentHead, SegmentInfo, SegmentState, SnapshotState};
use crate::offline::{Directory, RecordRef};
use crate::opening::STEP;
use crate::picture::{Part, Picture};
use crate::scan::{BadRange, Found, Scanner, Step};
use crate::{Kind, Lsn, MissingCause, RangeSet};

/// Bytes between two reports of progress.
const REPORT_EVERY: u64 = 1 << 20;

impl Directory {
    /// Reads every record, and compares everything that says something with everything else:
    /// checksums, continuity of LSNs, accounts, snapshots, and what the observer looks at.
    ///
    /// Beside a process that writes, what was durable at the beginning is judged; what is removed
    /// meanwhile is left out.
    ///
    /// # Errors
    /// What the operating system says of the directory; of a single file it is a finding.
    pub fn verify(&self, observer: &mut dyn Observer) -> io::Result<Verified> {
        let mut picture = Picture::take(self)?;
        let parts = std::mem::take(&mut picture.parts);
        let total = parts.iter().map(|part| part.info.segment.len).sum();
        let mut verifier = Verifier {
            dir: self,
            picture: &picture,
            observer,
            verified: Verified::default(),
            done: 0,
            total,
            synced: picture.inspection.durable_end.saturating_sub(1),
        };
        for (at, part) in parts.iter().enumerate() {
            let next = parts.iter().skip(at + 1).find(|part| part.file.is_some());
            verifier.part(part, next.map(|next| next.info.segment.name))?;
        }
        verifier.beside();
        Ok(verifier.verified)
    }
}

struct Verifier<'a> {
    dir: &'a Directory,
    picture: &'a Picture,
    observer: &'a mut dyn Observer,
    verified: Verified,
    done: u64,
    total: u64,
    /// Highest LSN that anything read so far witnesses as durable.
    synced: Lsn,
}

/// The walk through one segment.
struct Walk {
    name: SegmentName,
    file: String,
    /// The LSN that comes next.
    at: Lsn,
    /// Damage since the last record of entries.
    pending: Vec<BadRange>,
    /// The last of it stands behind all records.
    trailing: bool,
    /// One after every LSN that a header mentions.
    top: Lsn,
    /// Highest LSN that a record of this segment witnesses as durable.
    synced: Lsn,
    /// Entries that the damage behind the last record seems to have held.
    torn: u64,
    findings: Vec<Finding>,
    found: Account,
    superseded: bool,
    unreadable: bool,
}

impl Walk {
    fn bad(&mut self, bad: Option<BadRange>) {
        let Some(bad) = bad else { return };
        self.trailing = bad.header.is_none();
        if let Some(header) = bad.header {
            self.top = self.top.max(header.end());
            self.synced = self.synced.max(header.synced);
        }
        self.pending.push(bad);
    }

    /// Asks the damage behind the last record how many entries it was. In a file that was another
    /// segment before stands what is left of that: it is left out, as an opening does.
    fn ask_the_tail(&mut self, open: &OpenSegment, scanner: &mut Scanner) -> io::Result<()> {
        let Some(bad) = self.pending.pop_if(|bad| !bad.blank && bad.header.is_none()) else {
            return Ok(());
        };
        if !self.trailing || self.unreadable {
            self.pending.push(bad);
        } else if open.may_hold_stale_bytes() {
            let (len, entries) = scanner.guess_among_stale(&bad, self.top, self.synced)?;
            if len > 0 {
                self.torn = entries;
                self.pending.push(BadRange { len, ..bad });
            }
        } else {
            self.torn = scanner.guess(&bad, self.top, self.synced)?;
            self.pending.push(bad);
        }
        Ok(())
    }
}

impl Verifier<'_> {
    fn say(&mut self, finding: Finding) {
        let counter =
            if finding.note { &mut self.verified.notes } else { &mut self.verified.problems };
        *counter += 1;
        self.observer.finding(finding);
    }

    fn part(&mut self, part: &Part, next: Option<SegmentName>) -> io::Result<()> {
        let (info, file) = (&part.info, part.info.segment.name.file_name());
        let wrong = match info.head {
            SegmentHead::OtherName => Some(Finding::new(FindingKind::OtherName, &file)),
            SegmentHead::UnknownFormat(format) => {
                let known = crate::format::FORMAT;
                let text = format!("format {format}; this version reads {known}");
                Some(Finding::new(FindingKind::UnknownFormat, &file).with(text))
            }
            SegmentHead::Valid { log_id, .. } if part.file.is_none() => {
                let finding = Finding::new(FindingKind::ForeignSegment, &file);
                Some(finding.with(format!("of log {log_id}")))
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.say(wrong);
        }
        if let Some(open) = &part.file {
            self.verified.segments += 1;
            self.observer.begin(info);
            let mut walk = self.walk(part, open, next);
            let held = self.picture.lock.holder.is_held();
            let damaged = !walk.findings.is_empty();
            // A writer may have changed or removed the file meanwhile.
            if damaged && held && self.expired(open)? {
                self.verified.expired_segments += 1;
            } else {
                let whole = !damaged && !self.is_active(info);
                walk.findings.extend(self.observer.end(info, whole));
                walk.findings.into_iter().for_each(|finding| self.say(finding));
            }
        }
        self.done += info.segment.len;
        self.observer.progress(self.done, self.total);
        Ok(())
    }

    /// Whether the writer may be adding to it.
    fn is_active(&self, info: &SegmentInfo) -> bool {
        self.picture.lock.holder.is_held()
            && info.segment.end == Lsn::MAX
            && info.state == SegmentState::Unsealed
    }

    fn expired(&self, open: &OpenSegment) -> io::Result<bool> {
        if open.is_reused()? {
            return Ok(true);
        }
        match directory::open_segment(&**self.dir.file_system(), self.dir.path(), open.name) {
            Ok(Opened::Segment(now)) => Ok(now.header != open.header),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn walk(&mut self, part: &Part, open: &OpenSegment, next: Option<SegmentName>) -> Walk {
        let info = &part.info;
        let name = info.segment.name;
        let mut walk = Walk {
            name,
            file: name.file_name(),
            at: name.first,
            pending: Vec::new(),
            trailing: false,
            top: name.first,
            synced: name.first.saturating_sub(1),
            torn: 0,
            findings: Vec::new(),
            found: Account::empty(name.first),
            superseded: false,
            unreadable: false,
        };
        self.head(open, &mut walk);
        let limit = self.picture.lock.limit().unwrap_or(Lsn::MAX);
        let end = info.segment.end.min(limit);
        let active = self.is_active(info);
        let mut scanner = open.scanner(self.picture.log_id, open.len);
        let mut reported = 0;
        loop {
            let offset = scanner.offset();
            if offset >= reported + REPORT_EVERY {
                reported = offset;
                self.observer.progress(self.done + offset, self.total);
            }
            if active && walk.at >= limit {
                // What is behind it is being written.
                break;
            }
            match scanner.next() {
                Err(error) => {
                    walk.unreadable = true;
                    let finding = Finding::new(FindingKind::Unreadable, &walk.file);
                    walk.findings.push(finding.at(offset..open.len).with(error.to_string()));
                    break;
                }
                Ok(None) => break,
                Ok(Some(Step::Bad(bad))) if active && bad.offset > 0 => {
                    match looked_again(&mut scanner, bad) {
                        Ok(bad) => walk.bad(bad),
                        Err(error) => {
                            walk.unreadable = true;
                            let finding = Finding::new(FindingKind::Unreadable, &walk.file);
                            walk.findings
                                .push(finding.at(offset..open.len).with(error.to_string()));
                            break;
                        }
                    }
                }
                // A header that is damaged has been found already.
                Ok(Some(Step::Bad(bad))) if bad.offset == 0 && open.header.is_none() => {
                    if let Some(finding) = walk.findings.first_mut() {
                        finding.bytes = 0..bad.len;
                    }
                }
                Ok(Some(Step::Bad(bad))) => walk.bad(Some(bad)),
                Ok(Some(Step::Record { offset, header, body })) => {
                    self.verified.records += 1;
                    self.synced = self.synced.max(header.synced);
                    walk.trailing = false;
                    walk.top = walk.top.max(header.end());
                    walk.synced = walk.synced.max(header.synced);
                    if header.kind == Kind::Entries {
                        if header.first >= end {
                            // Written again in the next segment, or not durable yet.
                            walk.superseded = true;
                            if header.first >= limit {
                                break;
                            }
                            continue;
                        }
                        let bytes = offset..offset + header.stride();
                        if header.first < walk.at {
                            let finding = Finding::new(FindingKind::Repeated, &walk.file);
                            let text = format!("LSN {} again", header.first);
                            walk.findings.push(finding.at(bytes.clone()).with(text));
                        }
                        self.explain(&mut walk, header.first, false);
                        walk.at = walk.at.max(header.end());
                        let (count, len) = (header.count, header.body_len);
                        walk.found.add(header.first, count, len, header.arrival);
                        self.verified.entries += header.end().min(end).saturating_sub(header.first);
                    }
                    if matches!(header.kind, Kind::Entries | Kind::Definitions)
                        && let Err(text) = self.observer.record(RecordRef { offset, header, body })
                    {
                        let finding = Finding::new(FindingKind::Content, &walk.file);
                        let bytes = offset..offset + header.stride();
                        let mut finding = finding.at(bytes).with(text);
                        finding.lsns = header.first..header.end();
                        walk.findings.push(finding);
                    }
                }
            }
        }
        if let Err(error) = walk.ask_the_tail(open, &mut scanner) {
            walk.unreadable = true;
            let finding = Finding::new(FindingKind::Unreadable, &walk.file);
            walk.findings.push(finding.with(error.to_string()));
        }
        self.verified.bytes += scanner.offset().min(open.len);
        self.end(&mut walk, part, next, end);
        walk
    }

    /// Header and preamble.
    fn head(&mut self, open: &OpenSegment, walk: &mut Walk) {
        let Some(header) = open.header else {
            let finding = Finding::new(FindingKind::SegmentHeader, &walk.file);
            walk.findings.push(self.aside(finding.at(0..SEGMENT_HEADER_LEN), walk.name));
            return;
        };
        let len = u64::from(header.preamble_len);
        let copies = if header.flags & FLAG_PREAMBLE_TWICE == 0 { 1 } else { 2 };
        let mut told = false;
        for copy in 0..copies {
            let at = SEGMENT_HEADER_LEN + copy * len;
            let mut bytes = vec![0; usize::try_from(len.min(open.len)).unwrap_or(0)];
            let have = match read_full_at(&*open.file, &mut bytes, at) {
                Ok(have) => have,
                Err(error) => {
                    let finding = Finding::new(FindingKind::Unreadable, &walk.file);
                    walk.findings.push(finding.at(at..at + len).with(error.to_string()));
                    continue;
                }
            };
            if have as u64 != len || crc32c::crc32c(&bytes) != header.preamble_crc {
                let finding = Finding::new(FindingKind::Preamble, &walk.file).at(at..at + len);
                let text = format!("copy {} of {copies}", copy + 1);
                walk.findings.push(self.aside(finding.with(text), walk.name));
            } else if !told {
                told = true;
                if let Err(text) = self.observer.preamble(&bytes) {
                    let finding = Finding::new(FindingKind::Content, &walk.file);
                    walk.findings.push(finding.at(at..at + len).with(text));
                }
            }
        }
    }

    /// What has been put aside needs nobody's attention, as long as it costs no entry.
    fn aside(&self, finding: Finding, name: SegmentName) -> Finding {
        let copy = format!("{name}-{:x}.bad", finding.bytes.start);
        let aside = self.picture.inspection.quarantine.iter().any(|file| file.name == copy);
        if aside { finding.noted() } else { finding }
    }

    /// What the damage before the entry `until` is, and what there should be and is not.
    fn explain(&self, walk: &mut Walk, until: Lsn, tail: bool) {
        let gap = walk.at..until.max(walk.at);
        let mut left = RangeSet::new();
        left.insert(gap.clone());
        let mut nameless = Vec::new();
        for bad in std::mem::take(&mut walk.pending) {
            let bytes = bad.offset..bad.offset + bad.len;
            let Some(header) = bad.header else {
                nameless.push((bytes, bad.blank));
                continue;
            };
            let mut finding = Finding::new(FindingKind::RecordBody, &walk.file).at(bytes);
            if header.kind == Kind::Entries {
                // Behind all else its header alone says that its numbers were given.
                let end = if tail { header.end() } else { gap.end };
                finding.lsns = header.first.max(gap.start)..header.end().min(end);
                left.remove(&finding.lsns);
            }
            walk.findings.push(self.judged(finding, walk.name));
        }
        let mut left = left.as_slice().iter().cloned();
        for (bytes, blank) in nameless {
            let lsns = left.next();
            // Zeros behind the last record were never written.
            if tail && blank && lsns.is_none() {
                continue;
            }
            let kind = if tail { FindingKind::TornTail } else { FindingKind::Bytes };
            let mut finding = Finding::new(kind, &walk.file).at(bytes);
            finding.lsns = lsns.unwrap_or(0..0);
            walk.findings.push(self.judged(finding, walk.name));
        }
        for range in left {
            for lsns in self.picture.table.unknown_in(&range) {
                let mut finding = Finding::new(FindingKind::MissingEntries, &walk.file);
                finding.lsns = lsns;
                walk.findings.push(self.judged(finding, walk.name));
            }
        }
    }

    /// Whether somebody has counted it, or put it aside, before.
    fn judged(&self, mut finding: Finding, name: SegmentName) -> Finding {
        if finding.lsns.is_empty() {
            finding.lsns = 0..0;
            return self.aside(finding, name);
        }
        let table = &self.picture.table;
        let unknown = table.unknown_in(&finding.lsns);
        if let (Some(first), Some(last)) = (unknown.first(), unknown.last()) {
            finding.lsns = first.start..last.end;
            let durable = first.start <= self.synced;
            let cause = if durable { MissingCause::Damaged } else { MissingCause::Unwitnessed };
            finding.cause = Some(cause);
        } else {
            finding.note = true;
            finding.cause = table.at(finding.lsns.start).map(|missing| missing.cause);
        }
        finding
    }

    /// One after the LSN that LOCK says is durable, if that is this log's.
    fn by_lock(&self) -> Lsn {
        let says = self.picture.lock.says;
        let own = says.holder.is_some_and(|(_, id)| id == self.picture.log_id);
        says.synced.filter(|_| own).map_or(0, |synced| synced.saturating_add(1))
    }

    /// What is behind the last record, and whether the account agrees.
    fn end(&self, walk: &mut Walk, part: &Part, next: Option<SegmentName>, end: Lsn) {
        let Picture { lock, snapshot, table, .. } = self.picture;
        let held = lock.holder.is_held();
        let until = match next {
            Some(next) => {
                // An epoch that begins at such a number followed an unclean end: what lies before
                // it was never given.
                let passed_over = next.epoch > walk.name.epoch && next.first.is_multiple_of(STEP);
                let account = part.info.account.as_ref().map_or(0, |account| account.end);
                let by_records = walk.top.max(walk.synced.saturating_add(1)) + walk.torn;
                let by_itself = part.sealed_next.map_or(account, |next| next.max(account));
                let by_itself = if by_itself == 0 { by_records } else { by_itself };
                let snapshot = snapshot
                    .as_ref()
                    .map_or([0, 0], |snapshot| [snapshot.next, snapshot.synced.saturating_add(1)]);
                let said = snapshot.into_iter().chain([self.by_lock()]);
                let said = said.filter(|&lsn| lsn < next.first);
                let given = said.fold(by_itself.max(walk.name.first), Lsn::max);
                let gap = given..next.first;
                let never = passed_over && given < end && table.unknown_in(&gap) == [gap];
                if never { given.max(walk.at) } else { end }
            }
            None if held => end,
            None => match (part.sealed_next, &part.info.account) {
                (Some(next), _) => next,
                (None, Some(recovered)) => recovered.end,
                (None, None) => {
                    let snapshot = snapshot.as_ref().map_or(0, |snapshot| snapshot.synced + 1);
                    let top = self.by_lock().max(snapshot);
                    // Where nothing speaks of more than the records do, the damage behind them is
                    // asked.
                    if top <= walk.top { walk.top + walk.torn } else { top }
                }
            },
        };
        if walk.unreadable {
            let gap = walk.at..until.max(walk.at);
            if let Some(finding) = walk.findings.last_mut().filter(|_| !gap.is_empty()) {
                finding.lsns = gap;
                finding.cause = None;
            }
            return;
        }
        let unsealed = part.sealed_next.is_none();
        if held && next.is_none() && unsealed {
            self.explain(walk, until, false);
            return;
        }
        self.explain(walk, until, unsealed);
        let Some(account) = part.info.account.as_ref().filter(|_| !walk.superseded) else { return };
        let numbers = |account: &Account| {
            (account.entries, account.bytes, account.start, account.end, account.max_arrival)
        };
        if walk.findings.is_empty() && numbers(account) != numbers(&walk.found) {
            let text = format!(
                "it says {} entries up to LSN {}, there are {} up to {}",
                account.entries,
                account.end.saturating_sub(1),
                walk.found.entries,
                walk.found.end.saturating_sub(1)
            );
            walk.findings.push(Finding::new(FindingKind::Account, &walk.file).with(text));
        }
    }

    /// The files beside the segments.
    fn beside(&mut self) {
        let Inspection { snapshots, strangers, holder, lock_valid, .. } = &self.picture.inspection;
        for snapshot in snapshots {
            let file = &snapshot.file.name;
            let finding = match snapshot.state {
                SnapshotState::Valid { .. } => continue,
                SnapshotState::Damaged => Finding::new(FindingKind::Cursor, file),
                SnapshotState::Foreign(log_id) => {
                    let finding = Finding::new(FindingKind::Cursor, file);
                    finding.with(format!("of log {log_id}"))
                }
                SnapshotState::UnknownFormat(format) => {
                    Finding::new(FindingKind::UnknownFormat, file).with(format!("format {format}"))
                }
            };
            self.say(finding);
        }
        if self.picture.lock.exists && !lock_valid && !holder.is_held() {
            self.say(Finding::new(FindingKind::Lock, directory::LOCK).noted());
        }
        for file in strangers {
            if self.observer.knows(&file.name) {
                continue;
            }
            let finding = Finding::new(FindingKind::Stranger, &file.name).noted();
            let bytes = if file.len == 1 { "byte" } else { "bytes" };
            self.say(finding.with(format!("{} {bytes}", file.len)));
        }
    }
}

/// Damage in a file that is being written may be a group on its way: it is looked at again. What
/// is damaged still comes back.
fn looked_again(scanner: &mut Scanner, mut bad: BadRange) -> io::Result<Option<BadRange>> {
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(2));
        scanner.reread(bad.offset);
        match scanner.step()? {
            Some(Found::Bad(again)) => bad = again,
            Some(Found::Record { offset, .. }) => {
                scanner.reread(offset);
                return Ok(None);
            }
            None => break,
        }
    }
    Ok(Some(bad))
}
