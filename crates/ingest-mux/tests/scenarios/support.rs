//! A destination that can be shut, break and forget, a directory as a kill leaves it, and a disk
//! that loses what was not synced.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest_entry::{EntryRef, Source as Address, TagId, Timestamp};
use ingest_mux::{
    Builder, Destination, Durability, Leases, LinkError, LinkFuture, Muxer, Options, Output, Sender,
};
use ingest_wal::{DirEntry, File, FileSystem, LockState, OpenMode, Space, StdFileSystem};
use tokio::sync::Notify;

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Prints what came of a scenario here, and what comes of it with the Go library (measured, but
/// where its source says so alone).
pub(crate) fn report(scenario: &str, ours: &str, theirs: &str) {
    println!("{scenario}: ours: {ours}; the Go library: {theirs}");
}

/// Keeps what it gets.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// It takes leases, and confirms nothing.
    pub(crate) shut: AtomicBool,
    /// The link breaks after so many more leases, without confirming the last.
    pub(crate) breaks: AtomicUsize,
    pub(crate) changed: Notify,
    got: Mutex<Vec<(String, String)>>,
}

impl Place {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn shut() -> Arc<Self> {
        Arc::new(Self { shut: true.into(), ..Self::default() })
    }

    pub(crate) fn open(&self) {
        self.shut.store(false, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Tag and data, in the order of their arrival.
    pub(crate) fn got(&self) -> Vec<(String, String)> {
        self.got.lock().unwrap().clone()
    }

    /// How many there are of `expected`, and how many copies beyond.
    pub(crate) fn count(&self, expected: usize) -> (usize, usize) {
        let got = self.got();
        let known: std::collections::BTreeSet<_> = got.iter().map(|(_, data)| data).collect();
        let there = (0..expected).filter(|n| known.contains(&text(*n))).count();
        assert_eq!(known.len(), there, "nothing that was not sent");
        (there, got.len() - there)
    }

    pub(crate) async fn has(&self, count: usize) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.got.lock().unwrap().len() >= count {
                return;
            }
            changed.await;
        }
    }
}

impl Destination for Place {
    fn run<'a>(&'a self, leases: &'a Leases) -> LinkFuture<'a> {
        Box::pin(async move {
            leases.connected();
            while let Some(lease) = leases.next().await {
                for (_, entry) in lease.entries() {
                    let tag = leases.tag_name(entry.tag).map(|tag| tag.as_str().to_owned());
                    let data = String::from_utf8_lossy(entry.data).into_owned();
                    self.got.lock().unwrap().push((tag.unwrap_or_default(), data));
                }
                self.changed.notify_waiters();
                if self.breaks.load(Ordering::Relaxed) > 0
                    && self.breaks.fetch_sub(1, Ordering::Relaxed) == 1
                {
                    return Err(LinkError::passing("broke before it confirmed"));
                }
                loop {
                    let mut changed = std::pin::pin!(self.changed.notified());
                    changed.as_mut().enable();
                    if !self.shut.load(Ordering::Relaxed) {
                        break;
                    }
                    changed.await;
                }
                lease.confirm();
            }
            Ok(())
        })
    }
}

pub(crate) fn text(n: usize) -> String {
    format!("entry {n:06}")
}

pub(crate) fn options(max_bytes: u64) -> Options {
    let mut options = Options::default();
    options.max_bytes = Some(max_bytes);
    options.min_free = Some(0);
    options
}

pub(crate) fn on(dir: &Path) -> Builder {
    Muxer::builder().dir(dir).log(options(64 << 20)).longest_wait(Duration::from_millis(200))
}

pub(crate) fn to(place: &Arc<Place>) -> Output {
    Output::new("out").link(Arc::clone(place) as _)
}

pub(crate) fn front(muxer: &Muxer) -> (Sender, TagId) {
    let sender = muxer.sender("test").unwrap();
    let tag = sender.tag("tag").unwrap();
    (sender, tag)
}

/// Sends numbered entries, a hundred in each record.
pub(crate) async fn send(muxer: &Muxer, numbers: std::ops::Range<usize>) {
    let (sender, tag) = front(muxer);
    let texts: Vec<_> = numbers.map(text).collect();
    for texts in texts.chunks(100) {
        let entry =
            |text| EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, str::as_bytes(text));
        let entries: Vec<_> = texts.iter().map(|text| entry(text)).collect();
        sender.send_all(&entries, Durability::Disk).await.unwrap();
    }
}

/// The directory as a kill at this instant leaves it.
pub(crate) fn killed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    // Written before what they speak of, so they are read before it: a kill knows no order.
    let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for path in names.iter().filter(|path| path.is_file()) {
        std::fs::copy(path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

/// The segments' files, oldest first.
pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "log");
    let mut segments: Vec<_> = paths.filter(is_segment).collect();
    segments.sort();
    segments
}

/// A disk that remembers what a power cut would leave: of each file what it held at its last sync,
/// under the names that its directory had at its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cut {
    names: Arc<Mutex<BTreeMap<PathBuf, Durable>>>,
    kept: Arc<Mutex<BTreeMap<PathBuf, Durable>>>,
}

/// The synced content of a file.
type Durable = Arc<Mutex<Vec<u8>>>;

#[derive(Debug)]
struct CutFile {
    inner: Arc<dyn File>,
    durable: Durable,
}

impl Cut {
    /// What is there after the cut.
    pub(crate) fn left(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, durable) in self.kept.lock().unwrap().iter() {
            let to = dir.path().join(path.file_name().unwrap());
            std::fs::write(to, &*durable.lock().unwrap()).unwrap();
        }
        dir
    }
}

impl File for CutFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }

    fn write_vectored_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.inner.write_vectored_at(bufs, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()?;
        let mut content = vec![0; usize::try_from(self.inner.len()?).unwrap()];
        let mut done = 0;
        while done < content.len() {
            match self.inner.read_at(&mut content[done..], done as u64)? {
                0 => break,
                read => done += read,
            }
        }
        *self.durable.lock().unwrap() = content;
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn try_lock(&self) -> io::Result<LockState> {
        self.inner.try_lock()
    }

    fn try_lock_shared(&self) -> io::Result<LockState> {
        self.inner.try_lock_shared()
    }

    fn unlock(&self) -> io::Result<()> {
        self.inner.unlock()
    }
}

impl FileSystem for Cut {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        StdFileSystem.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        StdFileSystem.list(dir)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let inner = StdFileSystem.open(path, mode)?;
        let mut names = self.names.lock().unwrap();
        let durable = Arc::clone(names.entry(path.to_owned()).or_default());
        Ok(Arc::new(CutFile { inner, durable }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        StdFileSystem.rename(from, to)?;
        let mut names = self.names.lock().unwrap();
        if let Some(durable) = names.remove(from) {
            names.insert(to.to_owned(), durable);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        StdFileSystem.remove(path)?;
        self.names.lock().unwrap().remove(path);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        StdFileSystem.sync_dir(dir)?;
        self.kept.lock().unwrap().clone_from(&self.names.lock().unwrap());
        Ok(())
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        StdFileSystem.space(dir)
    }
}
