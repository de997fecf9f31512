//! Comparing a sidecar with what it would be if it were written now.

use std::io;

use ingest_wal::{Directory, Kind, OfflineSegment, OpenMode, RecordRef};

use super::build::Builder;
use super::file::is_over;
use super::read::{Binding, Sidecar, read_whole};
use super::{ENDING, TEMPORARY};

/// What a sidecar is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SidecarState {
    /// It says what the segment holds.
    Valid,
    /// There is none, and there should be.
    Missing,
    /// There is none, and there should not be: the segment is not finished, or is gone.
    NotYet,
    /// It is torn, damaged, of another version or of another segment, and searches ignore it.
    Ignored,
    /// Its checksum is right, and it says something else than the segment holds: searches believe
    /// it and may miss entries.
    Wrong,
}

/// Builds the sidecar of a segment from its records as somebody else reads them, to compare it
/// with the one that is there. Memory: as for [`write_sidecar`](crate::write_sidecar).
#[derive(Debug)]
pub struct SidecarCheck {
    segment: OfflineSegment,
    builder: Builder,
}

impl SidecarCheck {
    /// For this segment.
    #[must_use]
    pub fn new(segment: &OfflineSegment) -> Self {
        Self { segment: *segment, builder: Builder::new(segment.len) }
    }

    /// Takes a valid record of entries or definitions that belongs to the segment; they come in
    /// the order of the file.
    pub fn record(&mut self, record: &RecordRef<'_>) {
        match record.header.kind {
            Kind::Entries => {
                let end = self.segment.end;
                self.builder.add(record.offset, &record.header, record.body, end);
            }
            _ => self.builder.pass(record.offset, &record.header),
        }
    }

    /// Compares. With `whole` all records were handed over; else some are damaged, and a valid
    /// sidecar that still knows of them is no wrong one.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(self, dir: &Directory, whole: bool) -> io::Result<SidecarState> {
        let segment = &self.segment;
        let Some(file) = dir.open(segment)? else { return Ok(SidecarState::NotYet) };
        let account = file.account()?;
        let path = dir.path().join(segment.name.companion(ENDING));
        let there = match dir.file_system().open(&path, OpenMode::Read) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let over = is_over(segment, account.is_some());
                return Ok(if over { SidecarState::Missing } else { SidecarState::NotYet });
            }
            Err(error) => return Err(error),
        };
        let Some(bytes) = read_whole(&*there)? else { return Ok(SidecarState::Ignored) };
        let binding = Binding::of(segment, &file, account.as_ref());
        if whole && self.builder.finish(&binding) == bytes {
            return Ok(SidecarState::Valid);
        }
        Ok(match Sidecar::decode(bytes, &binding) {
            None => SidecarState::Ignored,
            Some(_) if whole => SidecarState::Wrong,
            Some(_) => SidecarState::Valid,
        })
    }

    /// The ending of a sidecar's name, and of that under which it is written.
    pub const ENDINGS: [&'static str; 2] = [ENDING, TEMPORARY];
}
