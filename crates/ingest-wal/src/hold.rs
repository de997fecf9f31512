//! Holding a directory without opening its log: for looking at it in peace, and for changing what
//! is kept of the consumers while nobody writes.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Cursor;
use crate::directory::{self, CURSORS, LOCK, Opened};
use crate::error::OpenError;
use crate::format::{FORMAT, LockFile, SegmentName, Snapshot};
use crate::fs::{File, FileSystem, LockState, OpenMode, Space, write_all_at};
use crate::inspect::Holder;
use crate::offline::Directory;
use crate::opening::choose_log_id;
use crate::options::{Limits, Options};
use crate::picture::LockView;
use crate::quarantine;
use crate::scan::BadRange;

/// The lock of a directory whose log is not open. Given back by the drop.
#[derive(Debug)]
pub struct Hold {
    dir: Directory,
    /// `None`: there is no LOCK file, so there is nobody to keep out.
    file: Option<Arc<dyn File>>,
}

impl Directory {
    /// Takes the lock, waiting up to `wait`, and changes nothing: a directory without a LOCK file
    /// stays without one.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when a process holds it; what the operating system says, of a directory
    /// that does not exist for one.
    pub fn hold(&self, wait: Duration) -> Result<Hold, OpenError> {
        let fs = &**self.file_system();
        let path = self.path().join(LOCK);
        fs.list(self.path()).map_err(OpenError::io("cannot list", self.path()))?;
        let file = match open_lock(fs, &path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Hold { dir: self.held_here(), file: None });
            }
            Err(error) => return Err(OpenError::io("cannot open", &path)(error)),
        };
        let deadline = Instant::now() + wait;
        loop {
            match file.try_lock().map_err(OpenError::io("cannot lock", &path))? {
                LockState::Acquired => break,
                LockState::Held if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                LockState::Held => {
                    let holder = directory::read_lock(&*file).ok().and_then(|lock| lock.holder);
                    let (dir, pid) = (self.path().to_owned(), holder.map(|(pid, _)| pid));
                    return Err(OpenError::InUse { dir, pid });
                }
            }
        }
        Ok(Hold { dir: self.held_here(), file: Some(file) })
    }

    /// What [`Log::open`](crate::Log::open) would say to these options before it changes anything,
    /// without making or changing anything. That somebody holds the log is no error here.
    ///
    /// # Errors
    /// Those of [`Log::open`](crate::Log::open).
    pub fn check_opening(&self, options: &Options) -> Result<CheckedOpening, OpenError> {
        let (fs, dir) = (&**self.file_system(), self.path());
        let exists = fs.list(dir).is_ok();
        let ground = ground(fs, dir).map_err(OpenError::io("cannot make", dir))?;
        let space = fs.space(&ground).map_err(OpenError::io("cannot measure", dir))?;
        let limits = Limits::resolve(options, dir, space)?;
        let mut holder = Holder::Nobody;
        if exists {
            let io = |what| OpenError::io(what, dir);
            holder = LockView::take(self).map_err(io("cannot read LOCK in"))?.holder;
            for segment in self.segments().map_err(io("cannot list"))? {
                match directory::open_segment(fs, dir, segment.name) {
                    Ok(Opened::UnknownFormat(format)) => {
                        let path = dir.join(segment.name.file_name());
                        return Err(OpenError::UnknownFormat { path, format, known: FORMAT });
                    }
                    Ok(_) => {}
                    // Removed since it was listed.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(io("cannot read a segment in")(error)),
                }
            }
        }
        Ok(CheckedOpening { exists, holder, limits, space, ground })
    }
}

/// What [`Directory::check_opening`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckedOpening {
    /// The directory is there.
    pub exists: bool,
    /// Who holds it.
    pub holder: Holder,
    /// The limits that would be in force.
    pub limits: Limits,
    /// The file system.
    pub space: Space,
    /// The directory itself, or the nearest one above it that exists.
    pub ground: std::path::PathBuf,
}

/// The nearest directory at or above `dir` that exists.
pub(crate) fn ground(fs: &dyn FileSystem, dir: &Path) -> io::Result<std::path::PathBuf> {
    for level in dir.ancestors() {
        let level = if level.as_os_str().is_empty() { Path::new(".") } else { level };
        match fs.list(level) {
            Ok(_) => return Ok(level.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Path::new(".").to_owned())
}

fn open_lock(fs: &dyn FileSystem, path: &Path) -> io::Result<Arc<dyn File>> {
    match fs.open(path, OpenMode::ReadWrite) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            fs.open(path, OpenMode::Read)
        }
        other => other,
    }
}

impl Hold {
    /// The directory, as it is now that nobody writes to it. Of use as long as this is held.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.dir
    }

    /// Puts another state of the consumers in place of the newest one that is kept. Both cursor
    /// files know it afterwards, the log's own part of them as it was.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when no snapshot of this log is valid; what the operating system
    /// says. The state before holds, or the new one, as a whole.
    pub fn write_cursors(&self, cursors: &[Cursor]) -> io::Result<()> {
        let (fs, dir) = (&**self.dir.file_system(), self.dir.path());
        let lock = match &self.file {
            Some(file) => directory::read_lock(&**file)?,
            None => LockFile::default(),
        };
        let snapshots = directory::snapshots(fs, dir);
        let mut heads = Vec::new();
        for segment in self.dir.segments()? {
            if let Opened::Segment(file) = directory::open_segment(fs, dir, segment.name)? {
                heads.extend(file.header.map(|header| header.log_id));
            }
        }
        let known = snapshots.iter().map(|snapshot| snapshot.log_id);
        let log_id = choose_log_id(heads.into_iter(), known, lock.holder.map(|(_, id)| id));
        let newest = snapshots.into_iter().find(|snapshot| Some(snapshot.log_id) == log_id);
        let Some(newest) = newest else {
            let text = "no valid snapshot says who the outputs are";
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        };
        if let (Some(file), Some((_, id)), Some(synced)) = (&self.file, lock.holder, lock.synced) {
            // Who is kept out meanwhile is told by whom.
            let bytes = LockFile::encode(std::process::id(), id, synced);
            write_all_at(&**file, &mut [IoSlice::new(&bytes)], 0)?;
        }
        for more in 1..=2 {
            let sequence = newest.sequence + more;
            let snapshot = Snapshot { sequence, cursors: cursors.to_vec(), ..newest.clone() };
            let at = usize::from(!sequence.is_multiple_of(2));
            let path = dir.join(CURSORS.get(at).copied().unwrap_or("cursor-0"));
            let bytes = snapshot.encode();
            let file = fs.open(&path, OpenMode::Create)?;
            write_all_at(&*file, &mut [IoSlice::new(&bytes)], 0)?;
            file.set_len(bytes.len() as u64)?;
            file.sync_data()?;
        }
        fs.sync_dir(dir)
    }

    /// Copies bytes of a segment to the quarantine. Says how many that was: none when they are
    /// there already, or when the quarantine is full.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn put_aside(&self, segment: SegmentName, bytes: std::ops::Range<u64>) -> io::Result<u64> {
        let (fs, dir) = (&**self.dir.file_system(), self.dir.path());
        let file = fs.open(&dir.join(segment.file_name()), OpenMode::Read)?;
        let len = bytes.end.saturating_sub(bytes.start);
        let bad = BadRange { offset: bytes.start, len, header: None, blank: false };
        quarantine::put_aside(fs, dir, segment, &file, bad)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
    }
}
