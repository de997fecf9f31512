//! The real file system, with a say in its syncs and its room.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingest_wal::{DirEntry, File, FileSystem, LockState, OpenMode, Space, StdFileSystem};

/// What a test wants to know of, or to decide.
pub(crate) trait Hooks: Debug + Send + Sync + 'static {
    /// Before a sync of the file that was opened by this path: it may wait, or fail.
    fn before_sync(&self, path: &Path) -> io::Result<()>;

    /// Before the system is told not to keep the file in memory.
    fn before_uncache(&self, _path: &Path) {}

    /// The bytes that are said to be free.
    fn available(&self) -> u64 {
        1 << 30
    }
}

#[derive(Debug)]
pub(crate) struct Hooked<H>(pub(crate) Arc<H>);

#[derive(Debug)]
struct HookedFile<H> {
    file: Arc<dyn File>,
    path: PathBuf,
    hooks: Arc<H>,
}

impl<H: Hooks> File for HookedFile<H> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_vectored_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.file.write_vectored_at(bufs, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.hooks.before_sync(&self.path)?;
        self.file.sync_data()
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
        self.hooks.before_uncache(&self.path);
        self.file.uncache()
    }
}

impl<H: Hooks> FileSystem for Hooked<H> {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        StdFileSystem.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        StdFileSystem.list(dir)
    }
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = StdFileSystem.open(path, mode)?;
        Ok(Arc::new(HookedFile { file, path: path.to_owned(), hooks: Arc::clone(&self.0) }))
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
    fn space(&self, _dir: &Path) -> io::Result<Space> {
        Ok(Space { total: 1 << 30, available: self.0.available() })
    }
}

/// Whether the name of a file begins so.
pub(crate) fn is_named(path: &Path, start: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start))
}
