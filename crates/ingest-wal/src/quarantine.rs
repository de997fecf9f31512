//! Damaged bytes are put aside, up to a bound, and never deleted by the log.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use crate::directory::QUARANTINE;
use crate::format::SegmentName;
use crate::fs::{File, FileSystem, OpenMode, read_full_at, write_all_at};
use crate::scan::BadRange;

/// Most bytes kept in quarantine; past it damage is only counted.
const LIMIT: u64 = 1 << 30;
const CHUNK: usize = 256 * 1024;

/// Copies a damaged range of a segment to `quarantine/seg-<first>-<epoch>-<offset>.bad`. Says how
/// many bytes that was; none when it is there already, or when the quarantine is full.
pub(crate) fn put_aside(
    fs: &dyn FileSystem,
    dir: &Path,
    name: SegmentName,
    file: &Arc<dyn File>,
    bad: BadRange,
) -> io::Result<u64> {
    if bad.blank || bad.len == 0 {
        return Ok(0);
    }
    let quarantine = dir.join(QUARANTINE);
    fs.create_dir_all(&quarantine)?;
    let kept: u64 = fs.list(&quarantine)?.iter().map(|entry| entry.len).sum();
    if kept.saturating_add(bad.len) > LIMIT {
        return Ok(0);
    }
    let target = quarantine.join(format!("{name}-{:x}.bad", bad.offset));
    let out = match fs.open(&target, OpenMode::CreateNew) {
        Ok(out) => out,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut buf = vec![0; CHUNK.min(usize::try_from(bad.len).unwrap_or(CHUNK))];
    let mut done = 0;
    while done < bad.len {
        let want = usize::try_from(bad.len - done).unwrap_or(usize::MAX).min(buf.len());
        let chunk = buf.get_mut(..want).unwrap_or_default();
        let have = read_full_at(&**file, chunk, bad.offset + done)?;
        if have == 0 {
            break;
        }
        let chunk = chunk.get(..have).unwrap_or_default();
        write_all_at(&*out, &mut [IoSlice::new(chunk)], done)?;
        done += have as u64;
    }
    Ok(done)
}
