//! A file system whose syncs of segments wait, or fail, as a test says.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use ingest_wal::{DirEntry, File, FileSystem, LockState, OpenMode, Space, StdFileSystem};

/// What becomes of syncs.
#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// Syncs that wait.
    waiting: usize,
    /// Every so many fails; 0: none.
    fail_every: u64,
    syncs: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Gated(Arc<(Mutex<State>, Condvar)>);

impl Gated {
    /// Lets no sync pass, or lets them all.
    pub(crate) fn close(&self, closed: bool) {
        self.0.0.lock().unwrap().closed = closed;
        self.0.1.notify_all();
    }

    pub(crate) fn fail_every(&self, syncs: u64) {
        self.0.0.lock().unwrap().fail_every = syncs;
    }

    /// Waits until a sync waits.
    pub(crate) fn until_one_waits(&self) {
        let (state, moved) = &*self.0;
        drop(moved.wait_while(state.lock().unwrap(), |state| state.waiting == 0).unwrap());
    }

    fn pass(&self) -> io::Result<()> {
        let (state, moved) = &*self.0;
        let mut state = state.lock().unwrap();
        state.waiting += 1;
        moved.notify_all();
        state = moved.wait_while(state, |state| state.closed).unwrap();
        state.waiting -= 1;
        state.syncs += 1;
        if state.fail_every > 0 && state.syncs.is_multiple_of(state.fail_every) {
            return Err(io::Error::other("planted"));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct GatedFile {
    file: Arc<dyn File>,
    gate: Option<Gated>,
}

impl File for GatedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_vectored_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.file.write_vectored_at(bufs, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.gate.as_ref().map_or(Ok(()), Gated::pass)?;
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
}

impl FileSystem for Gated {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        StdFileSystem.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        StdFileSystem.list(dir)
    }
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let name = path.file_name().map(|name| name.to_string_lossy());
        let segment = name.is_some_and(|name| name.starts_with("seg-"));
        let gate = segment.then(|| self.clone());
        Ok(Arc::new(GatedFile { file: StdFileSystem.open(path, mode)?, gate }))
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
        Ok(Space { total: 1 << 30, available: 1 << 30 })
    }
}
