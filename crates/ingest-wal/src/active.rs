//! The segment that is being written.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::Lsn;
use crate::catalog::Tally;
use crate::format::{
    Account, FLAG_PREAMBLE_TWICE, FLAG_REUSED, Kind, RECORD_HEADER_LEN, RecordHeader, Seal, Seed,
    SegmentHeader, SegmentName, VoidBody,
};
use crate::fs::{File, OpenMode, write_all_at};
use crate::shared::{Counters, Segment, Shared, lock};
use crate::spare::Spare;

#[derive(Debug)]
pub(crate) struct ActiveSegment {
    shared: Arc<Shared>,
    segment: Arc<Segment>,
    file: Arc<dyn File>,
    /// The spare file that it is written to, until its first group is durable and it has its name.
    spare: Option<Spare>,
    /// What stands before the first group and goes into the same write.
    front: Vec<u8>,
    seed: Seed,
    at: u64,
    /// Length of the file: a spare one may reach beyond what is written.
    len: u64,
    /// Something was written and not yet synced.
    dirty: bool,
    account: Account,
    tally: Tally,
}

fn unix_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Opens the next spare file. One that cannot be opened is none.
fn open_spare(shared: &Shared) -> Option<(Spare, Arc<dyn File>, u64)> {
    loop {
        let spare = lock(&shared.spares).take()?;
        let opened = shared.fs.open(&shared.spare_path(spare.n), OpenMode::ReadWrite);
        match opened.and_then(|file| file.len().map(|len| (file, len))) {
            Ok((file, len)) => return Some((spare, file, len)),
            Err(error) => {
                tracing::warn!(%error, n = spare.n, "A spare file cannot be used.");
                give_up_spare(shared, spare);
            }
        }
    }
}

/// A spare file that failed is not tried again.
fn give_up_spare(shared: &Shared, spare: Spare) {
    if let Err(error) = shared.remove_spare(spare.n) {
        // It keeps its number, and its bytes count.
        tracing::warn!(%error, n = spare.n, "Cannot remove a spare file that failed.");
    }
}

impl ActiveSegment {
    /// Begins a segment: in a spare file if there is one and `reuse` allows it, else in a new one.
    ///
    /// A new file and everything in front of its records are durable when this returns, its name
    /// included. A spare file is not touched before the first group is written, and is a segment
    /// only after [`ActiveSegment::publish`]. `synced`: what the records in front say was durable.
    pub(crate) fn create(
        shared: &Arc<Shared>,
        first: Lsn,
        void: Option<&VoidBody>,
        synced: Lsn,
        reuse: bool,
    ) -> io::Result<Self> {
        let epoch = u32::try_from(shared.epoch.load(Ordering::Acquire)).unwrap_or(u32::MAX);
        let name = SegmentName { first, epoch };
        let preamble = shared.catalog.preamble();
        let preamble_len =
            u32::try_from(preamble.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let copies = if shared.segments().is_empty() { 2 } else { 1 };
        let spare = reuse.then(|| open_spare(shared)).flatten();
        let mut flags = if copies == 2 { FLAG_PREAMBLE_TWICE } else { 0 };
        if spare.is_some() {
            flags |= FLAG_REUSED;
        }
        let header = SegmentHeader {
            flags,
            preamble_len,
            log_id: shared.log_id,
            first,
            epoch,
            created: unix_nanos(),
            preamble_crc: crc32c::crc32c(&preamble),
        };
        let mut front = header.encode().to_vec();
        for _ in 0..copies {
            front.extend_from_slice(&preamble);
        }
        front.resize(front.len().next_multiple_of(8), 0);
        let path = shared.dir.join(name.file_name());
        let (spare, file, len) = match spare {
            Some((spare, file, len)) => (Some(spare), file, len),
            None => (None, shared.fs.open(&path, OpenMode::CreateNew)?, 0),
        };
        let records_at = header.records_at();
        let mut active = Self {
            shared: Arc::clone(shared),
            segment: Arc::new(Segment::new(name, records_at, records_at, len)),
            file,
            spare,
            front,
            seed: Seed::new(shared.log_id, first, epoch),
            at: 0,
            len,
            dirty: false,
            account: Account::empty(first),
            tally: Tally::new(),
        };
        let begun = active.begin(void, synced).and_then(|()| active.settle());
        if let Err(error) = begun {
            // Nothing was accepted into it: it need not stay.
            match active.spare {
                Some(spare) => give_up_spare(shared, spare),
                None => drop(shared.fs.remove(&path)),
            }
            return Err(error);
        }
        Ok(active)
    }

    /// Puts the log's own records behind the preamble.
    fn begin(&mut self, void: Option<&VoidBody>, synced: Lsn) -> io::Result<()> {
        if let Some(void) = void {
            let body = void.encode();
            for _ in 0..2 {
                self.in_front(Kind::Void, synced, &body)?;
            }
        }
        // The names once more, as a record: found even when the header in front is damaged.
        let names = self.shared.catalog.definitions();
        if !names.is_empty() {
            self.note_definitions(self.front.len() as u64);
            self.in_front(Kind::Definitions, synced, &names)?;
        }
        Ok(())
    }

    fn in_front(&mut self, kind: Kind, synced: Lsn, body: &[u8]) -> io::Result<()> {
        let header = self.control_header(kind, self.account.start, synced, body)?;
        self.front.extend_from_slice(&header);
        self.front.extend_from_slice(body);
        self.front.resize(self.front.len().next_multiple_of(8), 0);
        Ok(())
    }

    /// Of a new file: writes the front and makes it durable, with its name.
    fn settle(&mut self) -> io::Result<()> {
        if self.spare.is_some() {
            self.at = self.front.len() as u64;
            return Ok(());
        }
        let front = std::mem::take(&mut self.front);
        self.write(&mut [IoSlice::new(&front)])?;
        self.sync()?;
        self.shared.fs.sync_dir(&self.shared.dir)?;
        Counters::add(&self.shared.counters.segments_created, 1);
        self.shared.add_segment(Arc::clone(&self.segment));
        Ok(())
    }

    /// Makes a spare file with its first group a segment: synced, renamed, the name durable.
    pub(crate) fn publish(&mut self) -> io::Result<()> {
        let Some(spare) = self.spare else { return Ok(()) };
        let shared = Arc::clone(&self.shared);
        self.sync_file()?;
        let path = shared.dir.join(self.segment.name.file_name());
        shared.fs.rename(&shared.spare_path(spare.n), &path)?;
        self.spare = None;
        {
            let mut spares = lock(&shared.spares);
            spares.forget(spare.n);
            shared.add_segment(Arc::clone(&self.segment));
        }
        shared.fs.sync_dir(&shared.dir)?;
        Counters::add(&shared.counters.segments_created, 1);
        Counters::add(&shared.counters.spares_used, 1);
        self.segment.commit(self.at);
        Ok(())
    }

    /// Whether nothing of it is durable: it is written to a spare file, and the first group is to come.
    pub(crate) fn awaits_its_name(&self) -> bool {
        self.spare.is_some()
    }

    pub(crate) fn name(&self) -> SegmentName {
        self.segment.name
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.segment.name.epoch
    }

    /// Whether it is time for the next one: `next` bytes would make it longer than it is to be, and
    /// it is half of that at least.
    pub(crate) fn is_over(&self, next: u64) -> bool {
        self.left() < next.max(1) && self.is_half()
    }

    /// Whether it has reached half its size.
    pub(crate) fn is_half(&self) -> bool {
        self.at >= self.shared.limits.segment_bytes() / 2
    }

    /// Bytes until then.
    pub(crate) fn left(&self) -> u64 {
        self.shared.limits.segment_bytes().saturating_sub(self.at)
    }

    pub(crate) fn encode(&self, header: &RecordHeader) -> [u8; RECORD_HEADER_LEN as usize] {
        header.encode(self.seed)
    }

    /// Bytes that the file has beyond what is written: writing there takes no room.
    pub(crate) fn slack(&self) -> u64 {
        self.len.saturating_sub(self.at)
    }

    /// Appends.
    pub(crate) fn write(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let bytes: u64 = slices.iter().map(|slice| slice.len() as u64).sum();
        self.dirty = true;
        if self.front.is_empty() {
            write_all_at(&*self.file, slices, self.at)?;
        } else {
            let front = std::mem::take(&mut self.front);
            let mut all = Vec::with_capacity(slices.len() + 1);
            all.push(IoSlice::new(&front));
            all.extend_from_slice(slices);
            write_all_at(&*self.file, &mut all, 0)?;
        }
        self.at += bytes;
        self.len = self.len.max(self.at);
        self.segment.set_size(self.len);
        Ok(())
    }

    /// Takes a record that was written into the account, in the order of writing.
    pub(crate) fn note(&mut self, header: &RecordHeader, tally: &Tally) {
        if header.kind == Kind::Entries {
            self.account.add(header.first, header.count, header.body_len, header.arrival);
            for (number, count) in tally {
                *self.tally.entry(*number).or_default() += count;
            }
        }
    }

    /// Remembers where definitions stand.
    pub(crate) fn note_definitions(&mut self, offset: u64) {
        self.account.definitions.push(offset);
    }

    /// Offset of the next record.
    pub(crate) fn offset(&self) -> u64 {
        self.at
    }

    fn control_header(
        &self,
        kind: Kind,
        next: Lsn,
        synced: Lsn,
        body: &[u8],
    ) -> io::Result<[u8; RECORD_HEADER_LEN as usize]> {
        let header = RecordHeader {
            body_len: u32::try_from(body.len()).map_err(|_| io::ErrorKind::FileTooLarge)?,
            count: 0,
            kind,
            flags: 0,
            first: next,
            synced,
            arrival: unix_nanos(),
            source: 0,
            epoch: self.epoch(),
            body_crc: crc32c::crc32c(body),
        };
        Ok(self.encode(&header))
    }

    /// Appends a record of the log's own.
    pub(crate) fn control(
        &mut self,
        kind: Kind,
        next: Lsn,
        synced: Lsn,
        body: &[u8],
    ) -> io::Result<()> {
        let header = self.control_header(kind, next, synced, body)?;
        let padding = [0; 8];
        let pad = padding.get(..body.len().wrapping_neg() % 8).unwrap_or_default();
        self.write(&mut [IoSlice::new(&header), IoSlice::new(body), IoSlice::new(pad)])
    }

    /// Makes everything written durable and readable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.spare.is_some() {
            return self.publish();
        }
        self.sync_file()?;
        self.segment.commit(self.at);
        Ok(())
    }

    fn sync_file(&mut self) -> io::Result<()> {
        if !self.dirty {
            return Ok(());
        }
        let started = Instant::now();
        self.file.sync_data()?;
        self.dirty = false;
        let nanos = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Counters::add(&self.shared.counters.syncs, 1);
        Counters::add(&self.shared.counters.sync_nanos, nanos);
        Ok(())
    }

    /// Ends the segment: its account, at its end. `void` LSNs are not to be in its totals: they lie
    /// behind it, from `next` on.
    pub(crate) fn seal(
        &mut self,
        synced: Lsn,
        next: Lsn,
        clean: bool,
        void: u64,
    ) -> io::Result<()> {
        self.account.summary = self.shared.catalog.summary(&self.tally);
        let (totals, mut missing) = {
            let table = lock(&self.shared.missing);
            (table.totals(), table.newest())
        };
        missing.iter_mut().for_each(|part| part.range.end = part.range.end.min(next));
        missing.retain(|part| !part.range.is_empty());
        let seal = Seal {
            synced,
            next,
            clean,
            void_total: totals.void.saturating_sub(void),
            unwitnessed_total: totals.unwitnessed,
            damaged_total: totals.damaged,
            account: self.account.clone(),
            missing,
        };
        let records_end = self.at;
        let body = seal.encode();
        self.control(Kind::Seal, next, synced, &body)?;
        if self.slack() > 0 {
            // The seal is the end of the file, and what was there before it is gone.
            self.file.set_len(self.at)?;
            self.len = self.at;
            self.segment.set_size(self.len);
        }
        self.sync()?;
        // Readers have nothing to do with what is behind the records.
        self.segment.commit(records_end);
        self.segment.finish(&self.account);
        Ok(())
    }

    /// Gives the segment up as it is. One that is none yet is gone. `again`: records that are written
    /// again in the next one.
    pub(crate) fn abandon(mut self, again: &[RecordHeader]) {
        for header in again.iter().filter(|header| header.kind == Kind::Entries) {
            self.account.take_back(header.first, header.count, header.body_len);
        }
        match self.spare {
            Some(spare) => give_up_spare(&self.shared, spare),
            None => self.segment.finish(&self.account),
        }
    }
}
