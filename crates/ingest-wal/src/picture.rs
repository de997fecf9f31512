//! A directory at one moment, its segments open: what inspecting and verifying stand on.

use std::io;

use crate::directory::{self, CURSORS, LOCK, OpenSegment, Opened, QUARANTINE};
use crate::format::{Account, LockFile, SegmentName, Snapshot, VoidBody};
use crate::fs::{DirEntry, LockState, OpenMode};
use crate::inspect::{
    Holder, Inspection, SegmentHead, SegmentInfo, SegmentState, SnapshotInfo, SnapshotState,
};
use crate::missing::{MissingTable, Totals};
use crate::offline::{Directory, OfflineSegment, RecordRef};
use crate::opening::choose_log_id;
use crate::scan::Step;
use crate::{Kind, LogId, Lsn};

/// What LOCK says, and whether somebody holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockView {
    pub(crate) holder: Holder,
    pub(crate) exists: bool,
    pub(crate) says: LockFile,
}

impl LockView {
    pub(crate) fn take(dir: &Directory) -> io::Result<Self> {
        let path = dir.path().join(LOCK);
        let file = match dir.file_system().open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let says = LockFile::default();
                return Ok(Self { holder: Holder::Nobody, exists: false, says });
            }
            Err(error) => return Err(error),
        };
        if dir.is_held_here() {
            let says = directory::read_lock(&*file)?;
            return Ok(Self { holder: Holder::Nobody, exists: true, says });
        }
        if file.try_lock_shared()? == LockState::Acquired {
            file.unlock()?;
            let says = directory::read_lock(&*file)?;
            return Ok(Self { holder: Holder::Nobody, exists: true, says });
        }
        // Rewritten in place all the time: a torn read is read again.
        let mut says = directory::read_lock(&*file)?;
        for _ in 0..100 {
            if says.synced.is_some() {
                break;
            }
            std::thread::yield_now();
            says = directory::read_lock(&*file)?;
        }
        let pid = says.holder.map(|(pid, _)| pid);
        Ok(Self { holder: Holder::Process(pid), exists: true, says })
    }

    /// The LSN below which all is durable, while somebody holds the log.
    pub(crate) fn limit(&self) -> Option<Lsn> {
        self.holder.is_held().then(|| self.says.synced.map_or(0, |synced| synced.saturating_add(1)))
    }
}

/// A segment's file that could be opened, and what is known of it.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) info: SegmentInfo,
    /// `None` when it cannot be read as a segment of this log.
    pub(crate) file: Option<OpenSegment>,
    /// By its seal.
    pub(crate) sealed_next: Option<Lsn>,
}

/// A directory at one moment, its segments open.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) inspection: Inspection,
    pub(crate) log_id: LogId,
    pub(crate) parts: Vec<Part>,
    pub(crate) lock: LockView,
    pub(crate) table: MissingTable,
    /// The newest snapshot of this log.
    pub(crate) snapshot: Option<Snapshot>,
}

impl Picture {
    /// What is durable is in a segment that exists, so those are listed after LOCK was read; and
    /// when nobody holds the log after the listing, nobody writes to what was listed.
    pub(crate) fn take(dir: &Directory) -> io::Result<Self> {
        loop {
            let lock = LockView::take(dir)?;
            let picture = Self::look(dir, lock)?;
            if lock.holder.is_held() || !LockView::take(dir)?.holder.is_held() {
                return Ok(picture);
            }
        }
    }

    fn look(dir: &Directory, lock: LockView) -> io::Result<Self> {
        let fs = &**dir.file_system();
        let files = fs.list(dir.path())?;
        let used_bytes = files.iter().map(|file| file.len).sum();
        let read = snapshot_files(dir, &files, lock.holder.is_held())?;
        let mut opened = Vec::new();
        for segment in dir.segments()? {
            let found = match directory::open_segment(fs, dir.path(), segment.name) {
                Ok(found) => found,
                // Gone since it was listed: it has expired.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            opened.push((segment, found));
        }
        let (log_id, known_id) = identity(&opened, &read, &lock);
        let mut snapshots: Vec<&Snapshot> =
            read.iter().filter_map(|(_, read)| read.snapshot()).collect();
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.sequence));
        let snapshot = snapshots.into_iter().find(|snapshot| snapshot.log_id == log_id).cloned();
        let mut picture = Self {
            inspection: Inspection {
                log_id: known_id,
                holder: lock.holder,
                lock_valid: lock.says.holder.is_some() && lock.says.synced.is_some(),
                epoch: snapshot.as_ref().map_or(0, |snapshot| snapshot.epoch),
                segments: Vec::new(),
                snapshots: read.iter().map(|(file, read)| read.info(file, log_id)).collect(),
                cursors: snapshot.as_ref().map(|snapshot| snapshot.cursors.clone()),
                missing: Vec::new(),
                void: 0,
                unwitnessed: 0,
                damaged: 0,
                expired: snapshot.as_ref().map_or(0, |snapshot| snapshot.expired_total),
                durable_end: snapshot.as_ref().map_or(1, |snapshot| snapshot.synced + 1),
                clean: false,
                spare: named(&files, |name| name.starts_with("free-")),
                quarantine: match fs.list(&dir.path().join(QUARANTINE)) {
                    Ok(files) => files,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                    Err(error) => return Err(error),
                },
                strangers: Vec::new(),
                used_bytes,
                space: fs.space(dir.path())?,
            },
            log_id,
            parts: Vec::new(),
            lock,
            table: MissingTable::default(),
            snapshot,
        };
        if let Some(snapshot) = &picture.snapshot {
            let totals = Totals {
                void: snapshot.void_total,
                unwitnessed: snapshot.unwitnessed_total,
                damaged: snapshot.damaged_total,
            };
            picture.table.raise(totals);
            picture.table.know(&snapshot.missing);
        }
        for (segment, found) in opened {
            picture.add(segment, found, &files)?;
        }
        picture.settle(&files);
        Ok(picture)
    }

    /// Takes a segment in: its state, and what it says of others.
    fn add(
        &mut self,
        segment: OfflineSegment,
        found: Opened,
        files: &[DirEntry],
    ) -> io::Result<()> {
        let companions = named(files, |name| {
            SegmentName::split(name).is_some_and(|(of, end)| of == segment.name && end != "log")
        });
        let (head, file) = match found {
            Opened::Misnamed => (SegmentHead::OtherName, None),
            Opened::UnknownFormat(format) => (SegmentHead::UnknownFormat(format), None),
            Opened::Segment(file) => match file.header {
                None => (SegmentHead::Damaged, Some(file)),
                Some(header) => {
                    let (created, log_id) = (header.created, header.log_id);
                    let format = crate::format::FORMAT;
                    let own = log_id == self.log_id;
                    (SegmentHead::Valid { format, created, log_id }, own.then_some(file))
                }
            },
        };
        let mut info =
            SegmentInfo { segment, head, state: SegmentState::Foreign, account: None, companions };
        let mut sealed_next = None;
        if let Some(file) = &file {
            self.inspection.epoch = self.inspection.epoch.max(segment.name.epoch);
            let recovered = self.snapshot.as_ref().and_then(|snapshot| {
                snapshot.recovered.iter().find(|have| have.name == segment.name).cloned()
            });
            let since = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.epoch);
            if segment.name.epoch > since || self.snapshot.is_none() {
                for void in front(file, self.log_id)? {
                    self.raise(&void);
                }
            }
            info.state = SegmentState::Unsealed;
            if let Some(recovered) = recovered {
                info.state = SegmentState::Recovered;
                info.account = Some(recovered.account);
            } else if let Some((seal, _)) = file.seal(self.log_id)? {
                info.state = SegmentState::Sealed { clean: seal.clean };
                sealed_next = Some(seal.next);
                self.table.raise(Totals {
                    void: seal.void_total,
                    unwitnessed: seal.unwitnessed_total,
                    damaged: seal.damaged_total,
                });
                // What was found since the snapshot, and is in the totals.
                if seal.synced >= self.snapshot.as_ref().map_or(0, |snapshot| snapshot.synced) {
                    self.table.know(&seal.missing);
                }
                let end = &mut self.inspection.durable_end;
                *end = (*end).max(seal.synced.saturating_add(1));
                info.account = Some(seal.account);
            }
        }
        self.parts.push(Part { info, file, sealed_next });
        Ok(())
    }

    fn raise(&mut self, void: &VoidBody) {
        self.table.raise(Totals {
            void: void.void_total,
            unwitnessed: void.unwitnessed_total,
            damaged: void.damaged_total,
        });
        self.table.know(&void.missing);
    }

    /// What follows from all segments together.
    fn settle(&mut self, files: &[DirEntry]) {
        // A segment of another log, or of none, takes over from nobody.
        let mut end = Lsn::MAX;
        for part in self.parts.iter_mut().rev() {
            part.info.segment.end = end;
            if part.file.is_some() {
                end = part.info.segment.name.first;
            }
        }
        let last = self.parts.iter().rev().find(|part| part.file.is_some());
        let clean =
            last.is_some_and(|part| part.info.state == SegmentState::Sealed { clean: true });
        let names: Vec<SegmentName> =
            self.parts.iter().map(|part| part.info.segment.name).collect();
        let inspection = &mut self.inspection;
        inspection.clean = clean && !self.lock.holder.is_held();
        let known = |name: &str| {
            let of_segment = SegmentName::split(name).is_some_and(|(of, _)| names.contains(&of));
            of_segment || name == LOCK || CURSORS.contains(&name) || name.starts_with("free-")
        };
        inspection.strangers = named(files, |name| !known(name));
        (inspection.void, inspection.unwitnessed, inspection.damaged) = {
            let Totals { void, unwitnessed, damaged } = self.table.totals();
            (void, unwitnessed, damaged)
        };
        inspection.missing = self.table.list_from(0);
        if let Some(limit) = self.lock.limit() {
            inspection.durable_end = limit.max(1);
        } else if let Some(next) = last.and_then(|part| part.sealed_next).filter(|_| clean) {
            inspection.durable_end = next;
        }
    }

    /// Counts what nobody has counted: the segments without an end. Hands every valid record of
    /// theirs that is durable to `on`.
    pub(crate) fn count(&mut self, on: &mut dyn FnMut(RecordRef<'_>)) -> io::Result<()> {
        let limit = self.lock.limit();
        for part in &mut self.parts {
            let Some(file) = part.file.as_ref().filter(|_| part.info.account.is_none()) else {
                continue;
            };
            let end = part.info.segment.end.min(limit.unwrap_or(Lsn::MAX));
            let mut account = Account::empty(part.info.segment.name.first);
            let mut scanner = file.scanner(self.log_id, file.len);
            while let Some(step) = scanner.next()? {
                let Step::Record { offset, header, body } = step else { continue };
                match header.kind {
                    Kind::Entries if header.first < end => {
                        account.add(header.first, header.count, header.body_len, header.arrival);
                    }
                    Kind::Entries => break,
                    Kind::Definitions => account.definitions.push(offset),
                    _ => {}
                }
                on(RecordRef { offset, header, body });
            }
            part.info.account = Some(account);
        }
        let ends = self.parts.iter().filter_map(|part| part.info.account.as_ref());
        let last = ends.filter(|account| account.entries > 0).map(|account| account.end).max();
        if limit.is_none() && !self.inspection.clean {
            let end = &mut self.inspection.durable_end;
            *end = (*end).max(last.unwrap_or(1));
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Inspection {
        let segments = self.parts.into_iter().map(|part| part.info).collect();
        Inspection { segments, ..self.inspection }
    }
}

fn named(files: &[DirEntry], is: impl Fn(&str) -> bool) -> Vec<DirEntry> {
    let mut found: Vec<_> = files.iter().filter(|file| is(&file.name)).cloned().collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// A cursor file that was read.
#[derive(Debug)]
enum ReadSnapshot {
    Valid(Box<Snapshot>),
    Damaged,
    UnknownFormat(u16),
}

impl ReadSnapshot {
    fn snapshot(&self) -> Option<&Snapshot> {
        match self {
            Self::Valid(snapshot) => Some(snapshot),
            _ => None,
        }
    }

    fn info(&self, file: &DirEntry, log_id: LogId) -> SnapshotInfo {
        let state = match self {
            Self::Valid(snapshot) if snapshot.log_id != log_id => {
                SnapshotState::Foreign(snapshot.log_id)
            }
            Self::Valid(snapshot) => {
                SnapshotState::Valid { sequence: snapshot.sequence, synced: snapshot.synced }
            }
            Self::Damaged => SnapshotState::Damaged,
            Self::UnknownFormat(format) => SnapshotState::UnknownFormat(*format),
        };
        SnapshotInfo { file: file.clone(), state }
    }
}

/// The cursor files. One of them may be being written: then it is looked at again.
fn snapshot_files(
    dir: &Directory,
    files: &[DirEntry],
    held: bool,
) -> io::Result<Vec<(DirEntry, ReadSnapshot)>> {
    let mut found = Vec::new();
    for file in named(files, |name| CURSORS.contains(&name)) {
        let mut tries = if held { 20 } else { 1 };
        let read = loop {
            let read = read_snapshot(dir, &file.name)?;
            tries -= 1;
            if tries == 0 || read.as_ref().is_none_or(|read| read.snapshot().is_some()) {
                break read;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        found.extend(read.map(|read| (file, read)));
    }
    Ok(found)
}

fn read_snapshot(dir: &Directory, name: &str) -> io::Result<Option<ReadSnapshot>> {
    let bytes = match directory::read_cursor_file(&**dir.file_system(), dir.path(), name) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Some(ReadSnapshot::Damaged)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(match Snapshot::decode(&bytes) {
        Some(snapshot) => ReadSnapshot::Valid(Box::new(snapshot)),
        None => match Snapshot::unknown_format(&bytes) {
            Some(format) => ReadSnapshot::UnknownFormat(format),
            None => ReadSnapshot::Damaged,
        },
    }))
}

/// The log's identity, as an opening would choose it; `None` beside it when nothing says it.
fn identity(
    opened: &[(OfflineSegment, Opened)],
    read: &[(DirEntry, ReadSnapshot)],
    lock: &LockView,
) -> (LogId, Option<LogId>) {
    let heads = opened.iter().filter_map(|(_, found)| match found {
        Opened::Segment(file) => file.header.map(|header| header.log_id),
        _ => None,
    });
    let mut snapshots: Vec<&Snapshot> =
        read.iter().filter_map(|(_, read)| read.snapshot()).collect();
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.sequence));
    let snapshots = snapshots.iter().map(|snapshot| snapshot.log_id);
    let found = choose_log_id(heads, snapshots, lock.says.holder.map(|(_, id)| id));
    (found.unwrap_or_default(), found)
}

/// What a segment's first records say of LSNs that hold no entry.
fn front(file: &OpenSegment, log_id: LogId) -> io::Result<Vec<VoidBody>> {
    let mut found = Vec::new();
    let mut scanner = file.scanner(log_id, file.len);
    for _ in 0..2 {
        match scanner.next()? {
            Some(Step::Record { header, body, .. }) if header.kind == Kind::Void => {
                found.extend(VoidBody::decode(body));
            }
            Some(Step::Bad(_)) => {}
            _ => break,
        }
    }
    Ok(found)
}
