//! Bytes that an earlier process wrote and that nothing says to be durable.
//!
//! A sync that follows one that failed says nothing of what the failed one was to cover: the kernel
//! may have marked the pages clean, and go on to show what is not on the medium. Who died between the
//! two cannot be asked. So what an opening goes on from is written again, the same bytes at the same
//! place, and then the sync is one of these bytes.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;

use crate::Lsn;
use crate::commit::is_no_room;
use crate::directory::OpenSegment;
use crate::fs::{File, FileSystem, OpenMode, read_full_at, write_all_at};
use crate::scan::{Found, Scanner};

/// Bytes at a time.
const CHUNK: u64 = 1 << 20;

/// Writes `range` of a file again as it is, and syncs the file. A file system that needs room for that
/// and has none is only asked for the sync.
pub(crate) fn write_again(fs: &dyn FileSystem, path: &Path, range: Range<u64>) -> io::Result<()> {
    let file = fs.open(path, OpenMode::ReadWrite)?;
    match copy_onto_itself(&*file, range) {
        Err(error) if is_no_room(&error) => {
            tracing::warn!(path = %path.display(), "No room to write the last records again.");
        }
        written => written?,
    }
    file.sync_data()
}

fn copy_onto_itself(file: &dyn File, range: Range<u64>) -> io::Result<()> {
    let mut at = range.start;
    let mut bytes = Vec::new();
    while at < range.end {
        let len = (range.end - at).min(CHUNK);
        bytes.resize(usize::try_from(len).unwrap_or_default(), 0);
        let have = read_full_at(file, &mut bytes, at)?;
        if have == 0 {
            break;
        }
        let bytes = bytes.get(..have).unwrap_or_default();
        write_all_at(file, &mut [IoSlice::new(bytes)], at)?;
        at = at.saturating_add(have as u64);
    }
    Ok(())
}

/// Follows the groups of a segment while it is scanned.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Where the last group begins that a later one does not witness, and the synced LSN that its
    /// headers say.
    last: Option<(u64, Lsn)>,
}

impl Groups {
    /// A record stands at `offset`; `end` is one after every LSN in front of it. A synced LSN that has
    /// risen to all of these is said by the first record behind a sync.
    pub(crate) fn record(&mut self, offset: u64, synced: Lsn, end: Lsn) {
        if self.last.is_none_or(|(_, last)| synced > last && synced.saturating_add(1) >= end) {
            self.last = Some((offset, synced));
        }
    }

    /// Writes again what lies behind the last record that `synced`, or the segment itself, says to be
    /// durable, up to `end`, and syncs the file.
    pub(crate) fn write_again(
        &self,
        fs: &dyn FileSystem,
        segment: &OpenSegment,
        mut scanner: Scanner,
        synced: Lsn,
        end: u64,
    ) -> io::Result<()> {
        let records_at = scanner.offset();
        let (mut from, _) = self.last.unwrap_or((records_at, 0));
        scanner.seek(from);
        while let Some(found) = scanner.step()? {
            if let Found::Record { header, .. } = found
                && header.count > 0
                && header.end().saturating_sub(1) <= synced
            {
                from = scanner.offset();
            }
        }
        if from == records_at {
            from = 0; // Nor do its header and preamble have a witness.
        }
        write_again(fs, &segment.path, from..end)
    }
}
