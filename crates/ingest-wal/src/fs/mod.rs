//! The file system that the log stands on, as a trait, so that tests can put a faulty one in its
//! place. Everything the crate does to a disk goes through here.

#[cfg(feature = "plants")]
mod power;
mod std_fs;

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "plants")]
pub use power::PowerCut;
pub use std_fs::StdFileSystem;

/// What a log stands on unless it is told otherwise.
pub(crate) fn default_file_system() -> Arc<dyn FileSystem> {
    #[cfg(feature = "plants")]
    return PowerCut::from_environment();
    #[cfg(not(feature = "plants"))]
    Arc::new(StdFileSystem)
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenMode {
    /// Read only; the file must exist.
    Read,
    /// Read and write; the file must exist.
    ReadWrite,
    /// Read and write; the file is made when it is missing.
    Create,
    /// Read and write; the file must not exist.
    CreateNew,
}

/// A name in a directory and the length of the file behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// File name without its directory.
    pub name: String,
    /// Length in bytes.
    pub len: u64,
}

/// Size of the file system that holds a directory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All blocks.
    pub total: u64,
    /// What an ordinary user may still write.
    pub available: u64,
}

/// What came of an attempt to lock a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockState {
    /// The lock is ours until the file is closed or unlocked.
    Acquired,
    /// Another process (or another handle) holds it.
    Held,
}

/// One open file. Offsets are explicit: there is no cursor.
pub trait File: Send + Sync + Debug {
    /// Reads at most `buf.len()` bytes at `offset`; 0 means end of file.
    ///
    /// # Errors
    /// What the operating system says.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes a prefix of `bufs` at `offset` and says how many bytes that was.
    ///
    /// # Errors
    /// What the operating system says.
    fn write_vectored_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Makes the contents durable (`fdatasync`).
    ///
    /// # Errors
    /// What the operating system says. After an error nothing is known of what was written.
    fn sync_data(&self) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends the file.
    ///
    /// # Errors
    /// What the operating system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Tries to take the exclusive advisory lock.
    ///
    /// # Errors
    /// What the operating system says.
    fn try_lock(&self) -> io::Result<LockState>;

    /// Tries to take the shared advisory lock.
    ///
    /// # Errors
    /// What the operating system says.
    fn try_lock_shared(&self) -> io::Result<LockState>;

    /// Gives the lock back.
    ///
    /// # Errors
    /// What the operating system says.
    fn unlock(&self) -> io::Result<()>;

    /// Tells the system that it need not keep the contents, which are durable, in memory: they will
    /// hardly be read soon. A hint, which changes nothing that anybody reads; by default nothing is
    /// done.
    ///
    /// # Errors
    /// What the operating system says.
    fn uncache(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The operations on names that the log needs.
pub trait FileSystem: Send + Sync + Debug {
    /// Makes a directory and its parents.
    ///
    /// # Errors
    /// What the operating system says.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Regular files of a directory, in no order.
    ///
    /// # Errors
    /// What the operating system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Opens a file.
    ///
    /// # Errors
    /// What the operating system says.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// Renames within a directory, replacing the target.
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names of a directory durable.
    ///
    /// # Errors
    /// What the operating system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Size and free room of the file system that holds `dir`.
    ///
    /// # Errors
    /// What the operating system says.
    fn space(&self, dir: &Path) -> io::Result<Space>;
}

/// Reads until `buf` is full or the file ends; says how much there was.
pub(crate) fn read_full_at(file: &dyn File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all of `bufs` at `offset`.
pub(crate) fn write_all_at(
    file: &dyn File,
    mut bufs: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut bufs, 0);
    while !bufs.is_empty() {
        match file.write_vectored_at(bufs, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                offset = offset.saturating_add(n as u64);
                IoSlice::advance_slices(&mut bufs, n);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
