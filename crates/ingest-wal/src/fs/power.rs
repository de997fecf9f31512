//! A file system in front of the real one that makes SIGKILL a power cut.
//!
//! What is written, made, renamed and removed stays in this process's memory until the sync of the
//! file, or of the directory, that covers it; then it is done to the real file system, and synced
//! there. A process that is killed takes with it what no sync covered.
//!
//! Write-back also comes early and in any order: by the seed, some sectors of 512 bytes get through
//! before their sync, and some names, in order, before that of their directory.
//!
//! Covered are the files of the log itself: segments, cursor files, spare files, what is in quarantine.
//! Not covered:
//! * `LOCK`, which processes beside this one read: it is written through, and at the next start may be
//!   as it was, cut, or empty, because nobody syncs it;
//! * the making of directories;
//! * the companions of segments, which others write: they are derived, and a cut is no worse for
//!   them than a kill.
//!
//! In a program with the feature `plants` the environment variable `INGESTRY_POWER` (a seed) makes it
//! the default of [`crate::Options`], and `INGESTRY_POWER_BEACON` names a file for the beacon.
//!
//! Whoever looks at the directory from beside sees what a cut would leave, `LOCK` apart.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    DirEntry, File, FileSystem, LockState, OpenMode, Space, StdFileSystem, read_full_at,
    write_all_at,
};
use crate::plant::Plant;

/// What the medium takes at once.
const SECTOR: u64 = 512;
/// One in so many writes lets something through early.
const EARLY: u64 = 6;
/// One in so many syncs takes long, as on a busy disk: whoever aims at one meets it, and what must
/// wait for it, and does not, is seen.
const SLOW: u64 = 4;
const LONG: Duration = Duration::from_millis(3);
const LOCK: &str = "LOCK";
/// The environment variable that asks for the layer: a number, the seed.
const SEED: &str = "INGESTRY_POWER";
/// The one that names the beacon's file.
const BEACON: &str = "INGESTRY_POWER_BEACON";

/// The file system; see the module.
#[derive(Debug)]
pub struct PowerCut {
    state: Arc<Mutex<State>>,
    beacon: Arc<Option<Beacon>>,
    plant: Option<Plant>,
}

/// Says, in a file that outlives the process, how much a cut at this moment would take.
#[derive(Debug)]
struct Beacon(Arc<dyn File>);

#[derive(Debug)]
struct State {
    chance: u64,
    /// Names that differ from those of the real file system, or whose files are known: `None` is
    /// one that was removed.
    names: BTreeMap<PathBuf, Option<Arc<Mutex<Node>>>>,
    /// Changes of names that no sync covers, in order.
    changes: Vec<Change>,
    /// Sectors that no sync covers: of cursor files, and of others.
    cursors: u64,
    others: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Make(PathBuf, Arc<Mutex<Node>>),
    Rename(PathBuf, PathBuf, Arc<Mutex<Node>>),
    Remove(PathBuf),
}

/// A file.
#[derive(Debug)]
struct Node {
    base: Base,
    /// Sectors that no sync covers.
    dirty: BTreeMap<u64, Vec<u8>>,
    len: u64,
    is_cursor: bool,
}

/// What syncs have covered.
#[derive(Debug)]
enum Base {
    /// The name is not durable yet.
    Memory(Vec<u8>),
    Real(Arc<dyn File>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// SplitMix64.
    fn below(&mut self, end: u64) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }

    fn counter(&mut self, node: &Node) -> &mut u64 {
        if node.is_cursor { &mut self.cursors } else { &mut self.others }
    }

    /// The file of that name, if there is one.
    fn node(&mut self, path: &Path) -> io::Result<Option<Arc<Mutex<Node>>>> {
        if let Some(known) = self.names.get(path) {
            return Ok(known.clone());
        }
        let file = match StdFileSystem.open(path, OpenMode::ReadWrite) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let len = file.len()?;
        let node = Node::new(path, Base::Real(file), len);
        self.names.insert(path.to_owned(), Some(Arc::clone(&node)));
        Ok(Some(node))
    }

    /// Does the first `count` changes of `dir` to the real file system.
    fn apply(&mut self, dir: &Path, count: usize) -> io::Result<()> {
        let mut left = count;
        let mut later = Vec::new();
        for change in std::mem::take(&mut self.changes) {
            if left == 0 || !change.concerns(dir) {
                later.push(change);
                continue;
            }
            left -= 1;
            if let Err(error) = change.apply() {
                later.push(change);
                self.changes.extend(later);
                return Err(error);
            }
        }
        self.changes = later;
        Ok(())
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        match &change {
            Change::Make(path, node) => {
                self.names.insert(path.clone(), Some(Arc::clone(node)));
            }
            Change::Rename(from, to, node) => {
                self.names.insert(from.clone(), None);
                self.names.insert(to.clone(), Some(Arc::clone(node)));
            }
            Change::Remove(path) => {
                self.names.insert(path.clone(), None);
            }
        }
        let dir = change.dir();
        self.changes.push(change);
        if self.below(EARLY) == 0
            && let Some(dir) = dir
        {
            let count = self.below(self.changes.len() as u64 + 1);
            self.apply(&dir, usize::try_from(count).unwrap_or(0))?;
        }
        Ok(())
    }
}

impl Change {
    fn dir(&self) -> Option<PathBuf> {
        let (Self::Make(path, _) | Self::Rename(_, path, _) | Self::Remove(path)) = self;
        path.parent().map(Path::to_owned)
    }

    fn concerns(&self, dir: &Path) -> bool {
        self.dir().is_some_and(|own| own == dir)
    }

    fn apply(&self) -> io::Result<()> {
        match self {
            Self::Make(path, node) => {
                let mut node = lock(node);
                if let Base::Memory(bytes) = &node.base {
                    let file = StdFileSystem.open(path, OpenMode::Create)?;
                    file.set_len(0)?;
                    write_all_at(&*file, &mut [IoSlice::new(bytes)], 0)?;
                    file.sync_data()?;
                    node.base = Base::Real(file);
                }
                Ok(())
            }
            Self::Rename(from, to, _) => StdFileSystem.rename(from, to),
            Self::Remove(path) => match StdFileSystem.remove(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }
}

impl Node {
    fn new(path: &Path, base: Base, len: u64) -> Arc<Mutex<Self>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_cursor = name.starts_with("cursor-");
        Arc::new(Mutex::new(Self { base, dirty: BTreeMap::new(), len, is_cursor }))
    }

    fn base_len(&self) -> io::Result<u64> {
        match &self.base {
            Base::Memory(bytes) => Ok(bytes.len() as u64),
            Base::Real(file) => file.len(),
        }
    }

    /// A sector as the process sees it.
    fn sector(&self, number: u64) -> io::Result<Vec<u8>> {
        if let Some(dirty) = self.dirty.get(&number) {
            return Ok(dirty.clone());
        }
        let mut bytes = vec![0; SECTOR as usize];
        let at = number * SECTOR;
        match &self.base {
            Base::Memory(base) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX).min(base.len());
                let there = base.get(from..).unwrap_or_default();
                bytes.iter_mut().zip(there).for_each(|(to, from)| *to = *from);
            }
            Base::Real(file) => {
                read_full_at(&**file, &mut bytes, at)?;
            }
        }
        Ok(bytes)
    }

    /// Puts a part of one sector into memory. Says whether that made one more that is not synced.
    fn put(&mut self, at: u64, part: &[u8]) -> io::Result<bool> {
        let (number, from) = (at / SECTOR, usize::try_from(at % SECTOR).unwrap_or(0));
        let mut sector = self.sector(number)?;
        for (to, from) in sector.iter_mut().skip(from).zip(part) {
            *to = *from;
        }
        self.len = self.len.max(at + part.len() as u64);
        Ok(self.dirty.insert(number, sector).is_none())
    }

    /// Writes sectors back, as far as the file goes.
    fn write_back(&mut self, numbers: &[u64]) -> io::Result<u64> {
        let mut done = 0;
        for number in numbers {
            let Some(sector) = self.dirty.remove(number) else { continue };
            done += 1;
            let at = number * SECTOR;
            let len = usize::try_from(self.len.saturating_sub(at).min(SECTOR)).unwrap_or(0);
            let bytes = sector.get(..len).unwrap_or_default();
            match &mut self.base {
                Base::Memory(base) => {
                    let from = usize::try_from(at).unwrap_or(usize::MAX);
                    if base.len() < from + len {
                        base.resize(from + len, 0);
                    }
                    base.iter_mut().skip(from).zip(bytes).for_each(|(to, from)| *to = *from);
                }
                Base::Real(file) => write_all_at(&**file, &mut [IoSlice::new(bytes)], at)?,
            }
        }
        Ok(done)
    }

    fn set_base_len(&mut self, len: u64) -> io::Result<()> {
        match &mut self.base {
            Base::Memory(base) => base.resize(usize::try_from(len).unwrap_or(usize::MAX), 0),
            Base::Real(file) => file.set_len(len)?,
        }
        Ok(())
    }
}

impl PowerCut {
    /// The layer. What gets through early is decided by `seed`. `beacon`: a file in which a line says
    /// at every moment how many sectors of cursor files, how many others, and how many changes of
    /// names are not synced.
    ///
    /// # Errors
    /// What the operating system says of the beacon's file.
    pub fn new(seed: u64, beacon: Option<&Path>) -> io::Result<Self> {
        let beacon = match beacon {
            Some(path) => Some(Beacon(StdFileSystem.open(path, OpenMode::Create)?)),
            None => None,
        };
        let state = State {
            chance: seed,
            names: BTreeMap::new(),
            changes: Vec::new(),
            cursors: 0,
            others: 0,
        };
        let layer = Self {
            state: Arc::new(Mutex::new(state)),
            beacon: Arc::new(beacon),
            plant: Plant::active(),
        };
        layer.say(&lock(&layer.state));
        Ok(layer)
    }

    /// The file system of this process: this layer, if the environment asks for it.
    pub(crate) fn from_environment() -> Arc<dyn FileSystem> {
        let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let beacon = std::env::var_os(BEACON).map(PathBuf::from);
        match seed.map(|seed| Self::new(seed, beacon.as_deref())) {
            None => Arc::new(StdFileSystem),
            Some(Ok(layer)) => Arc::new(layer),
            Some(Err(error)) => {
                // A proof that goes on without its faults would prove nothing.
                tracing::error!(%error, "Cannot write the beacon of the power layer.");
                std::process::abort();
            }
        }
    }

    fn say(&self, state: &State) {
        say(&self.beacon, state);
    }

    /// Nobody syncs it: after a cut it may be anything that it was.
    fn forget_lock(&self, path: &Path, file: &dyn File) -> io::Result<()> {
        let mut state = lock(&self.state);
        if state.names.contains_key(path) {
            return Ok(());
        }
        state.names.insert(path.to_owned(), None);
        let len = file.len()?;
        // Somebody may hold it.
        if len > 0 && file.try_lock()? == LockState::Acquired {
            match state.below(4) {
                0 => file.set_len(0)?,
                1 => file.set_len(state.below(len))?,
                _ => {}
            }
            file.unlock()?;
        }
        Ok(())
    }
}

fn say(beacon: &Option<Beacon>, state: &State) {
    let Some(Beacon(file)) = beacon else { return };
    let changes = state.changes.len();
    let line = format!("{:>10} {:>10} {changes:>10}\n", state.cursors, state.others);
    // The test misses a moment, nothing else.
    let _ = write_all_at(&**file, &mut [IoSlice::new(line.as_bytes())], 0);
}

fn is_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == LOCK)
}

impl FileSystem for PowerCut {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        StdFileSystem.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = lock(&self.state);
        let mut entries = StdFileSystem.list(dir)?;
        entries.retain(|entry| {
            entry.name == LOCK || !state.names.contains_key(&dir.join(&entry.name))
        });
        for (path, node) in &state.names {
            if let Some(node) = node
                && path.parent() == Some(dir)
                && let Some(name) = path.file_name()
            {
                let (name, len) = (name.to_string_lossy().into_owned(), lock(node).len);
                entries.push(DirEntry { name, len });
            }
        }
        Ok(entries)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if is_lock(path) {
            let file = StdFileSystem.open(path, mode)?;
            if mode != OpenMode::Read {
                self.forget_lock(path, &*file)?;
            }
            return Ok(file);
        }
        let mut state = lock(&self.state);
        let node = match (state.node(path)?, mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(node), _) => node,
            (None, OpenMode::Read | OpenMode::ReadWrite) => {
                return Err(io::ErrorKind::NotFound.into());
            }
            (None, OpenMode::Create | OpenMode::CreateNew) => {
                let node = Node::new(path, Base::Memory(Vec::new()), 0);
                state.change(Change::Make(path.to_owned(), Arc::clone(&node)))?;
                self.say(&state);
                node
            }
        };
        let (state, beacon) = (Arc::clone(&self.state), Arc::clone(&self.beacon));
        Ok(Arc::new(PowerFile { node, state, beacon, plant: self.plant }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        let node = state.node(from)?.ok_or(io::ErrorKind::NotFound)?;
        state.change(Change::Rename(from.to_owned(), to.to_owned(), node))?;
        self.say(&state);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.node(path)?.ok_or(io::ErrorKind::NotFound)?;
        state.change(Change::Remove(path.to_owned()))?;
        self.say(&state);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.plant == Some(Plant::NoDirSync) {
            return Ok(());
        }
        if lock(&self.state).below(SLOW) == 0 {
            std::thread::sleep(LONG);
        }
        let mut state = lock(&self.state);
        state.apply(dir, usize::MAX)?;
        self.say(&state);
        StdFileSystem.sync_dir(dir)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        StdFileSystem.space(dir)
    }
}

#[derive(Debug)]
struct PowerFile {
    node: Arc<Mutex<Node>>,
    state: Arc<Mutex<State>>,
    beacon: Arc<Option<Beacon>>,
    plant: Option<Plant>,
}

impl File for PowerFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let node = lock(&self.node);
        let most = node.len.saturating_sub(offset).min(buf.len() as u64);
        if most == 0 {
            return Ok(0);
        }
        let sectors = offset / SECTOR..(offset + most).div_ceil(SECTOR);
        if node.dirty.range(sectors.clone()).next().is_none()
            && let Base::Real(file) = &node.base
        {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let len = file.read_at(buf.get_mut(..most).unwrap_or_default(), offset)?;
            // A file that was made longer has nothing there yet.
            if len > 0 {
                return Ok(len);
            }
        }
        let mut bytes = Vec::new();
        for number in sectors {
            bytes.extend(node.sector(number)?);
        }
        let from = usize::try_from(offset % SECTOR).unwrap_or(0);
        let there = bytes.iter().skip(from).take(usize::try_from(most).unwrap_or(0));
        Ok(buf.iter_mut().zip(there).map(|(to, from)| *to = *from).count())
    }

    fn write_vectored_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut state = lock(&self.state);
        let mut node = lock(&self.node);
        let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        let (mut at, mut rest) = (offset, &bytes[..]);
        let mut new = 0;
        while !rest.is_empty() {
            let most = usize::try_from(SECTOR - at % SECTOR).unwrap_or(0).min(rest.len());
            let (part, behind) = rest.split_at(most);
            new += u64::from(node.put(at, part)?);
            at += most as u64;
            rest = behind;
        }
        if state.below(EARLY) == 0 {
            let all: Vec<u64> = node.dirty.keys().copied().collect();
            let early: Vec<u64> = all.into_iter().filter(|_| state.below(2) == 0).collect();
            let done = node.write_back(&early)?;
            let counter = state.counter(&node);
            *counter = counter.saturating_sub(done);
        }
        *state.counter(&node) += new;
        say(&self.beacon, &state);
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.plant == Some(Plant::NoFsync) {
            return Ok(());
        }
        // A reader, or a writer of another file, does not wait for it.
        if lock(&self.state).below(SLOW) == 0 {
            std::thread::sleep(LONG);
        }
        let mut state = lock(&self.state);
        let mut node = lock(&self.node);
        let all: Vec<u64> = node.dirty.keys().copied().collect();
        let done = node.write_back(&all)?;
        let len = node.len;
        if node.base_len()? != len {
            node.set_base_len(len)?;
        }
        let counter = state.counter(&node);
        *counter = counter.saturating_sub(done);
        say(&self.beacon, &state);
        match &node.base {
            Base::Memory(_) => Ok(()),
            Base::Real(file) => file.sync_data(),
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.node).len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        let mut node = lock(&self.node);
        let known = node.dirty.len();
        let before = std::mem::replace(&mut node.len, len);
        // What was cut off does not come back when the file grows again.
        let (from, to) = (len, before.max(len).min(len.next_multiple_of(SECTOR)));
        if from < to {
            let zeros = vec![0; usize::try_from(to - from).unwrap_or(0)];
            node.put(from, &zeros)?;
            node.len = len;
        }
        if len < before {
            let first = len.div_ceil(SECTOR);
            for number in first..before.div_ceil(SECTOR) {
                node.dirty.insert(number, vec![0; SECTOR as usize]);
            }
        }
        *state.counter(&node) += (node.dirty.len() - known) as u64;
        say(&self.beacon, &state);
        Ok(())
    }

    fn try_lock(&self) -> io::Result<LockState> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn try_lock_shared(&self) -> io::Result<LockState> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn unlock(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
