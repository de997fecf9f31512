//! A file system in memory: what a muxer without a directory stands on. The log above it is the
//! bounded ring: its segments are given free when every output has passed them, and when none are
//! left writers wait.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ingest_wal::{DirEntry, File, FileSystem, LockState, OpenMode, Space};

use crate::sync::lock;

/// Memory is taken in pieces of this size, so that growing copies nothing.
const PAGE: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct MemoryFileSystem {
    total: u64,
    files: Mutex<BTreeMap<PathBuf, Arc<MemoryFile>>>,
}

#[derive(Debug, Default)]
struct MemoryFile {
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    pages: Vec<Box<[u8]>>,
    len: u64,
}

impl MemoryFileSystem {
    pub(crate) fn new(total: u64) -> Self {
        Self { total, files: Mutex::default() }
    }
}

/// A page and the place in it.
fn place(offset: u64) -> (usize, usize) {
    let page = usize::try_from(offset / PAGE as u64).unwrap_or(usize::MAX);
    (page, (offset % PAGE as u64) as usize)
}

impl Content {
    fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(left);
        let mut done = 0;
        while done < wanted {
            let (page, at) = place(offset + done as u64);
            let Some(from) = self.pages.get(page).and_then(|page| page.get(at..)) else { break };
            let len = from.len().min(wanted - done);
            let (Some(to), Some(from)) = (buf.get_mut(done..done + len), from.get(..len)) else {
                break;
            };
            to.copy_from_slice(from);
            done += len;
        }
        done
    }

    fn write(&mut self, buf: &[u8], offset: u64) {
        let end = offset.saturating_add(buf.len() as u64);
        if end > self.len {
            self.set_len(end);
        }
        let mut done = 0;
        while let Some(from) = buf.get(done..).filter(|from| !from.is_empty()) {
            let (page, at) = place(offset + done as u64);
            let Some(to) = self.pages.get_mut(page).and_then(|page| page.get_mut(at..)) else {
                break;
            };
            let len = to.len().min(from.len());
            if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
                to.copy_from_slice(from);
            }
            done += len;
        }
    }

    fn set_len(&mut self, len: u64) {
        let pages = usize::try_from(len.div_ceil(PAGE as u64)).unwrap_or(usize::MAX);
        self.pages.resize_with(pages, || vec![0; PAGE].into_boxed_slice());
        if len < self.len {
            let (page, at) = place(len);
            if let Some(rest) = self.pages.get_mut(page).and_then(|page| page.get_mut(at..)) {
                rest.fill(0);
            }
        }
        self.len = len;
    }
}

impl File for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(lock(&self.content).read(buf, offset))
    }

    fn write_vectored_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut content = lock(&self.content);
        let mut done = 0;
        for buf in bufs {
            content.write(buf, offset + done as u64);
            done += buf.len();
        }
        Ok(done)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.content).len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        lock(&self.content).set_len(len);
        Ok(())
    }

    fn try_lock(&self) -> io::Result<LockState> {
        Ok(LockState::Acquired)
    }

    fn try_lock_shared(&self) -> io::Result<LockState> {
        Ok(LockState::Acquired)
    }

    fn unlock(&self) -> io::Result<()> {
        Ok(())
    }
}

impl FileSystem for MemoryFileSystem {
    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let files = lock(&self.files);
        let of_dir = files.iter().filter(|(path, _)| path.parent() == Some(dir));
        let named = of_dir.filter_map(|(path, file)| {
            let name = path.file_name()?.to_str()?.to_owned();
            Some(DirEntry { name, len: lock(&file.content).len })
        });
        Ok(named.collect())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut files = lock(&self.files);
        let there = files.get(path).cloned();
        let file = match (there, mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(file), _) => file,
            (None, OpenMode::Create | OpenMode::CreateNew) => {
                let file = Arc::new(MemoryFile::default());
                files.insert(path.to_owned(), Arc::clone(&file));
                file
            }
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = lock(&self.files);
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let gone = lock(&self.files).remove(path);
        gone.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let used: u64 = lock(&self.files).values().map(|file| lock(&file.content).len).sum();
        Ok(Space { total: self.total, available: self.total.saturating_sub(used) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_what_was_written_across_pages() {
        let fs = MemoryFileSystem::new(1 << 20);
        let (dir, path) = (Path::new("d"), Path::new("d/a"));
        assert!(fs.open(path, OpenMode::Read).is_err());
        let file = fs.open(path, OpenMode::CreateNew).unwrap();
        assert!(fs.open(path, OpenMode::CreateNew).is_err());
        let (one, two) = (vec![1; PAGE - 3], vec![2; PAGE + 10]);
        let bufs = [IoSlice::new(&one), IoSlice::new(&two)];
        assert_eq!(file.write_vectored_at(&bufs, 5).unwrap(), 2 * PAGE + 7);
        assert_eq!(file.len().unwrap(), 2 * PAGE as u64 + 12);
        let mut read = vec![9; 3 * PAGE];
        assert_eq!(file.read_at(&mut read, 0).unwrap(), 2 * PAGE + 12);
        assert_eq!(&read[..5], [0; 5]);
        assert!(read[5..PAGE + 2].iter().all(|byte| *byte == 1));
        assert!(read[PAGE + 2..2 * PAGE + 12].iter().all(|byte| *byte == 2));
        assert_eq!(file.read_at(&mut read, 2 * PAGE as u64 + 12).unwrap(), 0);
        // Cut and extended, there are zeros.
        file.set_len(PAGE as u64 + 4).unwrap();
        file.set_len(PAGE as u64 + 8).unwrap();
        assert_eq!(file.read_at(&mut read[..10], PAGE as u64 + 2).unwrap(), 6);
        assert_eq!(&read[..6], [2, 2, 0, 0, 0, 0]);
        fs.rename(path, Path::new("d/b")).unwrap();
        assert_eq!(fs.list(dir).unwrap(), [DirEntry { name: "b".into(), len: PAGE as u64 + 8 }]);
        let left = (1 << 20) - PAGE as u64 - 8;
        assert_eq!(fs.space(dir).unwrap(), Space { total: 1 << 20, available: left });
        fs.remove(Path::new("d/b")).unwrap();
        assert!(fs.remove(Path::new("d/b")).is_err() && fs.list(dir).unwrap().is_empty());
    }
}
