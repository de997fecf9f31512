//! Writing sidecars, and finding those that are missing.

use std::io::{self, IoSlice};
use std::path::PathBuf;

use ingest_wal::{Directory, File, Kind, OfflineSegment, OpenMode};

use super::build::Builder;
use super::digest::Digests;
use super::read::{Binding, Sidecar};
use super::{ENDING, TEMPORARY};

/// A sidecar that could not be written. What was there before is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SidecarError {
    /// The segment could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The segment's file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The sidecar could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The sidecar's file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Whether nothing will be written to a segment any more.
pub(super) fn is_over(segment: &OfflineSegment, sealed: bool) -> bool {
    sealed || segment.end != u64::MAX
}

/// The segments to which nothing is written any more and which have no valid sidecar, oldest
/// first. Reads all sidecars; a directory that does not exist has no segments.
///
/// # Errors
/// What the operating system says.
pub fn missing_sidecars(dir: &Directory) -> io::Result<Vec<OfflineSegment>> {
    missing_sidecars_but(dir, &mut |_| false)
}

/// As [`missing_sidecars`], leaving out the segments whose sidecars are `known` to be valid: for
/// who asks again and again, and remembers those that have not changed since. Neither these
/// segments nor their sidecars are opened.
///
/// # Errors
/// What the operating system says.
pub fn missing_sidecars_but(
    dir: &Directory,
    known: &mut dyn FnMut(&OfflineSegment) -> bool,
) -> io::Result<Vec<OfflineSegment>> {
    let segments = match dir.segments() {
        Ok(segments) => segments,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut missing = Vec::new();
    for segment in segments {
        if known(&segment) {
            continue;
        }
        let Some(file) = dir.open(&segment)? else { continue };
        let account = file.account()?;
        if is_over(&segment, account.is_some())
            && Sidecar::load(dir, &segment, &file, account.as_ref())?.is_none()
        {
            missing.push(segment);
        }
    }
    Ok(missing)
}

/// Reads a segment once and writes its sidecar, replacing what is there; says how many bytes that
/// took. `None` when there is nothing to write for: the segment is gone, or is still written to.
///
/// The sidecar appears whole or not at all, under its name only when it is finished. It is not
/// synced: a torn one is ignored by searches and listed by [`missing_sidecars`]. Memory is bounded
/// by the size of the segment and does not exceed a few per cent of it.
///
/// # Errors
/// [`SidecarError`], which names the file.
pub fn write_sidecar(
    dir: &Directory,
    segment: &OfflineSegment,
) -> Result<Option<u64>, SidecarError> {
    write_sidecar_with(dir, segment, None)
}

/// As [`write_sidecar`], but reads only the headers of records that have a digest. The sidecar is
/// the same. The digests are used up.
///
/// # Errors
/// [`SidecarError`], which names the file.
pub fn write_sidecar_with(
    dir: &Directory,
    segment: &OfflineSegment,
    digests: Option<&Digests>,
) -> Result<Option<u64>, SidecarError> {
    let log = dir.path().join(segment.name.file_name());
    let read = |source| SidecarError::Read { path: log.clone(), source };
    let Some(bytes) = build(dir, segment, digests).map_err(read)? else { return Ok(None) };
    let path = dir.path().join(segment.name.companion(ENDING));
    let temporary = dir.path().join(segment.name.companion(TEMPORARY));
    let fs = dir.file_system();
    let written = fs
        .open(&temporary, OpenMode::Create)
        .and_then(|file| write_whole(&*file, &bytes))
        .and_then(|()| fs.rename(&temporary, &path));
    if let Err(source) = written {
        let _ = fs.remove(&temporary);
        return Err(SidecarError::Write { path, source });
    }
    if dir.open(segment).map_err(read)?.is_none() {
        // Retention was faster: nothing is left beside a segment that is gone.
        let _ = fs.remove(&path);
        return Ok(None);
    }
    Ok(Some(bytes.len() as u64))
}

fn build(
    dir: &Directory,
    segment: &OfflineSegment,
    digests: Option<&Digests>,
) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = dir.open(segment)? else { return Ok(None) };
    let account = file.account()?;
    if !is_over(segment, account.is_some()) {
        return Ok(None);
    }
    let mut builder = Builder::new(segment.len);
    let mut records = file.records();
    loop {
        let mut digest = None;
        let passed = records.pass_if(|header| {
            let is_whole = header.end() <= segment.end;
            digest = digests.filter(|_| is_whole).and_then(|digests| digests.take(header));
            digest.is_some()
        })?;
        if let (Some((offset, header)), Some(digest)) = (passed, digest) {
            builder.add_digest(offset, &header, &digest);
            continue;
        }
        let Some(record) = records.next_record()? else { break };
        match record.header.kind {
            Kind::Entries => {
                builder.add(record.offset, &record.header, record.body, segment.end);
            }
            _ => builder.pass(record.offset, &record.header),
        }
    }
    if dir.open(segment)?.is_none() {
        return Ok(None);
    }
    Ok(Some(builder.finish(&Binding::of(segment, &file, account.as_ref()))))
}

fn write_whole(file: &dyn File, mut bytes: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    let mut at = 0;
    while !bytes.is_empty() {
        match file.write_vectored_at(&[IoSlice::new(bytes)], at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                at += n as u64;
                bytes = bytes.get(n..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
