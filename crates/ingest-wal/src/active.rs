//! The segment that is being written.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Lsn;
use crate::catalog::Tally;
use crate::format::{
    Account, FLAG_PREAMBLE_TWICE, Kind, RECORD_HEADER_LEN, RecordHeader, Seal, Seed, SegmentHeader,
    SegmentName, VoidBody,
};
use crate::fs::{File, OpenMode, write_all_at};
use crate::shared::{Counters, Segment, Shared, lock};

#[derive(Debug)]
pub(crate) struct ActiveSegment {
    shared: Arc<Shared>,
    segment: Arc<Segment>,
    file: Arc<dyn File>,
    seed: Seed,
    at: u64,
    account: Account,
    tally: Tally,
}

fn unix_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

impl ActiveSegment {
    /// Makes the file and everything in front of its records durable, its name included. `synced`:
    /// what the records in front say was durable.
    pub(crate) fn create(
        shared: &Arc<Shared>,
        first: Lsn,
        void: Option<&VoidBody>,
        synced: Lsn,
    ) -> io::Result<Self> {
        let epoch = u32::try_from(shared.epoch.load(Ordering::Acquire)).unwrap_or(u32::MAX);
        let name = SegmentName { first, epoch };
        let path = shared.dir.join(name.file_name());
        let preamble = shared.catalog.preamble();
        let copies = if shared.segments().is_empty() { 2 } else { 1 };
        let header = SegmentHeader {
            flags: if copies == 2 { FLAG_PREAMBLE_TWICE } else { 0 },
            preamble_len: u32::try_from(preamble.len()).map_err(|_| io::ErrorKind::FileTooLarge)?,
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
        let file = shared.fs.open(&path, OpenMode::CreateNew)?;
        let seed = Seed::new(shared.log_id, first, epoch);
        let records_at = header.records_at();
        let segment = Arc::new(Segment::new(name, records_at, records_at, front.len() as u64));
        let (account, tally) = (Account::empty(first), Tally::new());
        let shared_again = Arc::clone(shared);
        let mut active = Self { shared: shared_again, segment, file, seed, at: 0, account, tally };
        let begun = active.begin(&front, void, synced);
        if let Err(error) = begun {
            // Nothing was accepted into it: it need not stay.
            let _ = shared.fs.remove(&path);
            return Err(error);
        }
        Counters::add(&shared.counters.segments_created, 1);
        shared.add_segment(Arc::clone(&active.segment));
        Ok(active)
    }

    fn begin(&mut self, front: &[u8], void: Option<&VoidBody>, synced: Lsn) -> io::Result<()> {
        write_all_at(&*self.file, &mut [IoSlice::new(front)], 0)?;
        self.at = front.len() as u64;
        if let Some(void) = void {
            let body = void.encode();
            for _ in 0..2 {
                self.control(Kind::Void, self.account.start, synced, &body)?;
            }
        }
        // The names once more, as a record: found even when the header in front is damaged.
        let names = self.shared.catalog.definitions();
        if !names.is_empty() {
            self.note_definitions(self.at);
            self.control(Kind::Definitions, self.account.start, synced, &names)?;
        }
        self.sync()?;
        self.shared.fs.sync_dir(&self.shared.dir)
    }

    pub(crate) fn name(&self) -> SegmentName {
        self.segment.name
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.segment.name.epoch
    }

    /// Whether it is time for the next one.
    pub(crate) fn is_over(&self) -> bool {
        self.at >= self.shared.limits.segment_bytes()
    }

    /// Bytes until then.
    pub(crate) fn left(&self) -> u64 {
        self.shared.limits.segment_bytes().saturating_sub(self.at)
    }

    pub(crate) fn encode(&self, header: &RecordHeader) -> [u8; RECORD_HEADER_LEN as usize] {
        header.encode(self.seed)
    }

    /// Appends.
    pub(crate) fn write(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let bytes: u64 = slices.iter().map(|slice| slice.len() as u64).sum();
        write_all_at(&*self.file, slices, self.at)?;
        self.at += bytes;
        self.segment.set_size(self.at);
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

    /// Appends a record of the log's own.
    pub(crate) fn control(
        &mut self,
        kind: Kind,
        next: Lsn,
        synced: Lsn,
        body: &[u8],
    ) -> io::Result<()> {
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
        let header = self.encode(&header);
        let padding = [0; 8];
        let pad = padding.get(..body.len().wrapping_neg() % 8).unwrap_or_default();
        self.write(&mut [IoSlice::new(&header), IoSlice::new(body), IoSlice::new(pad)])
    }

    /// Makes everything written durable and readable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.segment.commit(self.at);
        Ok(())
    }

    /// Ends the segment: its account, at its end.
    pub(crate) fn seal(&mut self, synced: Lsn, next: Lsn, clean: bool) -> io::Result<()> {
        self.account.summary = self.shared.catalog.summary(&self.tally);
        let (totals, missing) = {
            let table = lock(&self.shared.missing);
            (table.totals(), table.newest())
        };
        let seal = Seal {
            synced,
            next,
            clean,
            void_total: totals.void,
            unwitnessed_total: totals.unwitnessed,
            damaged_total: totals.damaged,
            account: self.account.clone(),
            missing,
        };
        let records_end = self.at;
        let body = seal.encode();
        self.control(Kind::Seal, next, synced, &body)?;
        self.sync()?;
        // Readers have nothing to do with what is behind the records.
        self.segment.commit(records_end);
        self.segment.finish(&self.account);
        Ok(())
    }

    /// Gives the segment up as it is.
    pub(crate) fn abandon(self) {
        self.segment.finish(&self.account);
    }
}
