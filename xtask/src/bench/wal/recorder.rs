//! A file system that notes what is written to segments between two syncs.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ingest_wal::{DirEntry, File, FileSystem, LockState, OpenMode, Space, StdFileSystem};

/// The real file system, and the chunks since [`Recorder::begin`].
#[derive(Debug, Clone, Default)]
pub(super) struct Recorder {
    chunks: Arc<Mutex<Vec<u32>>>,
}

impl Recorder {
    /// Forgets what was written so far.
    pub(super) fn begin(&self) {
        self.lock().clear();
    }

    /// Bytes of each chunk, in their order.
    pub(super) fn chunks(&self) -> Vec<u32> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file of a segment, by this or its former name.
#[derive(Debug)]
struct Segment {
    file: Arc<dyn File>,
    recorder: Recorder,
    unsynced: AtomicU64,
}

impl File for Segment {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_vectored_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let written = self.file.write_vectored_at(bufs, offset)?;
        self.unsynced.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()?;
        let bytes = self.unsynced.swap(0, Ordering::Relaxed);
        if let Some(bytes) = u32::try_from(bytes).ok().filter(|&bytes| bytes > 0) {
            self.recorder.lock().push(bytes);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn try_lock(&self) -> io::Result<LockState> {
        self.file.try_lock()
    }

    fn try_lock_shared(&self) -> io::Result<LockState> {
        self.file.try_lock_shared()
    }

    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }

    fn uncache(&self) -> io::Result<()> {
        self.file.uncache()
    }
}

impl FileSystem for Recorder {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        StdFileSystem.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        StdFileSystem.list(dir)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = StdFileSystem.open(path, mode)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("seg-") && !name.starts_with("free-") {
            return Ok(file);
        }
        let (recorder, unsynced) = (self.clone(), AtomicU64::new(0));
        Ok(Arc::new(Segment { file, recorder, unsynced }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        StdFileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        StdFileSystem.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        StdFileSystem.sync_dir(dir)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        StdFileSystem.space(dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_what_lies_between_two_syncs() {
        let dir = tempfile::tempdir().unwrap();
        let recorder = Recorder::default();
        let segment = recorder.open(&dir.path().join("seg-x"), OpenMode::Create).unwrap();
        let other = recorder.open(&dir.path().join("LOCK"), OpenMode::Create).unwrap();
        for (file, sizes) in
            [(&segment, &[3, 5][..]), (&segment, &[7]), (&other, &[9]), (&segment, &[])]
        {
            for &size in sizes {
                let bytes = vec![1; size];
                assert_eq!(file.write_vectored_at(&[IoSlice::new(&bytes)], 0).unwrap(), size);
            }
            file.sync_data().unwrap();
        }
        assert_eq!(recorder.chunks(), [8, 7]);
        recorder.begin();
        assert!(recorder.chunks().is_empty());
    }
}
