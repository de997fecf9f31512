//! A file system in memory that knows what is durable, and does what disks do on bad days.
//!
//! * A write is durable, sector by sector of 512 bytes, once a sync of its file has returned; a name
//!   once a sync of its directory has.
//! * [`Disk::power_cut`] leaves what is durable and, of the rest, nothing, everything, what came
//!   before some moment, or any part in any order, with torn sectors. [`Disk::kill`] leaves
//!   everything as a process sees it, which is no more durable than before.
//! * [`Disk::arm`] lets the power go at the n-th operation that changes something. Everything that is
//!   asked of the disk after that fails, whoever asks, until [`Disk::mount`] is called again.
//! * [`Disk::faults`] are errors of one operation each, and habits.
//!
//! What happens is decided by the seed and by the order of the operations. The log's own threads may
//! change the latter a little; a failure prints the operations as they came.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ingest_wal::{DirEntry, File, FileSystem, LockState, OpenMode, Space};

use super::inode::Inode;
use super::rng::Rng;

/// What is left of what was not synced when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survival {
    Nothing,
    Everything,
    /// What was written up to some moment.
    InOrder,
    /// Any part in any order.
    Any,
}

/// What goes wrong without a cut. Counts are operations from now on, 1 being the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// This write fails after a part of it.
    pub(crate) write: Option<u64>,
    /// This sync of a file fails.
    pub(crate) sync: Option<u64>,
    /// This sync of a directory fails.
    pub(crate) sync_dir: Option<u64>,
    /// This read fails.
    pub(crate) read: Option<u64>,
    /// Bytes that all files may have together.
    pub(crate) room: Option<u64>,
    /// The file system says that there is room when there is none, as one with a quota does.
    pub(crate) room_is_a_secret: bool,
    /// Reads and writes do a part of the work or are interrupted.
    pub(crate) short: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(u64),
}

/// A change of names that no sync of a directory covers.
#[derive(Clone, Debug)]
enum NameOp {
    Put(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

impl NameOp {
    fn concerns(&self, dir: &Path) -> bool {
        match self {
            Self::Put(path, _) | Self::Remove(path) => path.parent() == Some(dir),
            Self::Rename(from, to, _) => from.parent() == Some(dir) || to.parent() == Some(dir),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Put(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

#[derive(Debug)]
struct State {
    rng: Rng,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    live: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    unsynced: Vec<NameOp>,
    mount: u64,
    handles: u64,
    powered: bool,
    operations: u64,
    cut_at: Option<u64>,
    faults: Faults,
    history: VecDeque<String>,
}

/// Operations that a failure prints.
const HISTORY: usize = 60;

/// The medium, and what the system keeps in memory of it. Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<State>>);

fn off() -> io::Error {
    io::Error::other("the power is off")
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} is not there", path.display()))
}

fn device() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: Rng::new(seed),
            inodes: BTreeMap::new(),
            next_inode: 1,
            live: BTreeMap::from([("/".into(), Node::Dir)]),
            durable: BTreeMap::from([("/".into(), Node::Dir)]),
            unsynced: Vec::new(),
            mount: 0,
            handles: 0,
            powered: true,
            operations: 0,
            cut_at: None,
            faults: Faults::default(),
            history: VecDeque::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The file system as a new process sees it. Those of before are dead.
    pub(crate) fn mount(&self) -> Arc<dyn FileSystem> {
        let mut state = self.lock();
        state.mount += 1;
        state.powered = true;
        state.cut_at = None;
        state.faults = Faults::default();
        Arc::new(Mount { disk: self.clone(), id: state.mount })
    }

    /// Lets the power go at the n-th operation from now on that changes something.
    pub(crate) fn arm(&self, n: u64) {
        let mut state = self.lock();
        state.cut_at = Some(state.operations + n);
    }

    /// The power goes now, if it has not gone already.
    pub(crate) fn freeze(&self) {
        self.lock().powered = false;
    }

    pub(crate) fn is_powered(&self) -> bool {
        self.lock().powered
    }

    /// Operations so far that changed something.
    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.lock().faults);
    }

    /// Whether a file whose name begins so has something that no sync covers.
    pub(crate) fn is_dirty(&self, prefix: &str) -> bool {
        let state = self.lock();
        let begins = |path: &Path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with(prefix))
        };
        state.live.iter().any(|(path, node)| match node {
            Node::File(number) => begins(path) && state.inodes[number].is_dirty(),
            Node::Dir => false,
        })
    }

    /// Bytes of all files.
    pub(crate) fn used(&self) -> u64 {
        self.lock().used()
    }

    /// What was in the machine's memory is gone.
    pub(crate) fn power_cut(&self, survival: Survival) {
        let mut state = self.lock();
        let state = &mut *state;
        state.powered = false;
        state.note(format!("the power goes; of what was not synced: {survival:?}"));
        let unsynced = std::mem::take(&mut state.unsynced);
        let until = state.rng.below(unsynced.len() as u64 + 1);
        for (at, op) in unsynced.iter().enumerate() {
            let survives = match survival {
                Survival::Nothing => false,
                Survival::Everything => true,
                Survival::InOrder => (at as u64) < until,
                Survival::Any => state.rng.one_in(2),
            };
            if survives {
                op.apply(&mut state.durable);
            }
        }
        // A file is as durable as the directories above it.
        let all = state.durable.clone();
        let is_dir = |path: &Path| all.get(path) == Some(&Node::Dir);
        state.durable.retain(|path, _| path.ancestors().skip(1).all(is_dir));
        state.live = state.durable.clone();
        let named: Vec<_> = state.durable.values().copied().collect();
        state.inodes.retain(|number, _| named.contains(&Node::File(*number)));
        for inode in state.inodes.values_mut() {
            inode.cut(survival, state.operations, &mut state.rng);
        }
    }

    /// Names and contents, as a process sees them.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.lock();
        let files = state.live.iter().filter_map(|(path, node)| match node {
            Node::Dir => None,
            Node::File(number) => Some((path.clone(), state.inodes[number].live().to_vec())),
        });
        files.collect()
    }

    /// Puts durable bytes under a name: damage at rest.
    pub(crate) fn replace(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.lock();
        let number = match state.live.get(path) {
            Some(Node::File(number)) => *number,
            _ => {
                let number = state.next_inode;
                state.next_inode += 1;
                number
            }
        };
        state.inodes.insert(number, Inode::of(bytes));
        state.live.insert(path.to_owned(), Node::File(number));
        state.durable.insert(path.to_owned(), Node::File(number));
    }

    /// Another disk with the same on it, everything durable.
    pub(crate) fn copy(&self, seed: u64) -> Self {
        let copy = Self::new(seed);
        {
            let (from, mut to) = (self.lock(), copy.lock());
            to.next_inode = from.next_inode;
            to.live = from.live.clone();
            to.durable = from.live.clone();
            let inode =
                |(number, inode): (&u64, &Inode)| (*number, Inode::of(inode.live().to_vec()));
            to.inodes = from.inodes.iter().map(inode).collect();
        }
        copy
    }

    /// The last operations.
    pub(crate) fn history(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).history.iter().cloned().collect()
    }

    /// A line of its own between them.
    pub(crate) fn note(&self, line: String) {
        self.lock().note(line);
    }
}

/// Whether an operation is done, or is the one during which the power goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Done,
    Last,
}

impl State {
    fn note(&mut self, line: String) {
        self.history.push_back(line);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    fn used(&self) -> u64 {
        let named = self.live.values().filter_map(|node| match node {
            Node::Dir => None,
            Node::File(number) => self.inodes.get(number),
        });
        named.map(|inode| inode.live().len() as u64).sum()
    }

    fn alive(&self, mount: u64) -> io::Result<()> {
        if self.powered && self.mount == mount { Ok(()) } else { Err(off()) }
    }

    /// Counts an operation that changes something.
    fn turn(&mut self, mount: u64, what: impl FnOnce() -> String) -> io::Result<Turn> {
        self.alive(mount)?;
        self.operations += 1;
        let line = format!("{:>5} {}", self.operations, what());
        self.note(line);
        if self.cut_at.is_some_and(|at| self.operations >= at) {
            self.note("      the power goes".to_owned());
            self.powered = false;
            return Ok(Turn::Last);
        }
        Ok(Turn::Done)
    }

    fn change(&mut self, op: NameOp) {
        op.apply(&mut self.live);
        self.unsynced.push(op);
    }
}

/// Whether this operation is the one that a fault waits for.
fn strikes(countdown: &mut Option<u64>) -> bool {
    match countdown {
        Some(1) => {
            *countdown = None;
            true
        }
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

#[derive(Debug)]
struct Mount {
    disk: Disk,
    id: u64,
}

impl Mount {
    fn change(&self, what: String, op: NameOp) -> io::Result<()> {
        let mut state = self.disk.lock();
        let turn = state.turn(self.id, || what)?;
        state.change(op);
        if turn == Turn::Last { Err(off()) } else { Ok(()) }
    }

    fn node(&self, path: &Path) -> io::Result<Option<Node>> {
        let state = self.disk.lock();
        state.alive(self.id)?;
        Ok(state.live.get(path).copied())
    }
}

impl FileSystem for Mount {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let levels: Vec<_> = dir.ancestors().collect();
        for level in levels.into_iter().rev() {
            if self.node(level)?.is_none() {
                let what = format!("make the directory {}", level.display());
                self.change(what, NameOp::Put(level.to_owned(), Node::Dir))?;
            }
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.disk.lock();
        state.alive(self.id)?;
        if state.live.get(dir) != Some(&Node::Dir) {
            return Err(not_found(dir));
        }
        let files = state.live.iter().filter(|(path, _)| path.parent() == Some(dir));
        let entries = files.filter_map(|(path, node)| match node {
            Node::Dir => None,
            Node::File(number) => Some(DirEntry {
                name: path.file_name()?.to_str()?.to_owned(),
                len: state.inodes.get(number)?.live().len() as u64,
            }),
        });
        Ok(entries.collect())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.disk.lock();
        state.alive(self.id)?;
        let there = match state.live.get(path) {
            Some(Node::Dir) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(Node::File(number)) => Some(*number),
            None => None,
        };
        let inode = match (there, mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(number), _) => number,
            (None, OpenMode::Create | OpenMode::CreateNew) => {
                let parent = path.parent().ok_or_else(|| not_found(path))?;
                if state.live.get(parent) != Some(&Node::Dir) {
                    return Err(not_found(parent));
                }
                let turn = state.turn(self.id, || format!("make {}", path.display()))?;
                let number = state.next_inode;
                state.next_inode += 1;
                state.inodes.insert(number, Inode::default());
                state.change(NameOp::Put(path.to_owned(), Node::File(number)));
                if turn == Turn::Last {
                    return Err(off());
                }
                number
            }
            (None, _) => return Err(not_found(path)),
        };
        state.handles += 1;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (disk, mount, id) = (self.disk.clone(), self.id, state.handles);
        Ok(Arc::new(Handle { disk, mount, id, inode, name }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.node(from)?.ok_or_else(|| not_found(from))?;
        let what = format!("rename {} to {}", from.display(), to.display());
        self.change(what, NameOp::Rename(from.to_owned(), to.to_owned(), node))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.node(path)?.ok_or_else(|| not_found(path))?;
        self.change(format!("remove {}", path.display()), NameOp::Remove(path.to_owned()))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.disk.lock();
        let state = &mut *state;
        let turn = state.turn(self.id, || format!("sync the directory {}", dir.display()))?;
        if strikes(&mut state.faults.sync_dir) {
            state.note("      fails".to_owned());
            return Err(device());
        }
        // The last thing that happens may have happened.
        if turn == Turn::Done || state.rng.one_in(2) {
            let durable = &mut state.durable;
            state.unsynced.retain(|op| {
                let covered = op.concerns(dir);
                if covered {
                    op.apply(durable);
                }
                !covered
            });
        }
        if turn == Turn::Last { Err(off()) } else { Ok(()) }
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        const TOTAL: u64 = 1 << 30;
        let state = self.disk.lock();
        state.alive(self.id)?;
        let room = state.faults.room.filter(|_| !state.faults.room_is_a_secret).unwrap_or(TOTAL);
        Ok(Space { total: TOTAL, available: room.saturating_sub(state.used()) })
    }
}

#[derive(Debug)]
struct Handle {
    disk: Disk,
    mount: u64,
    id: u64,
    inode: u64,
    name: String,
}

impl Handle {
    fn lock(&self, exclusive: bool) -> io::Result<LockState> {
        let mut state = self.disk.lock();
        state.alive(self.mount)?;
        let (me, now) = ((self.mount, self.id), state.mount);
        let Some(inode) = state.inodes.get_mut(&self.inode) else { return Err(device()) };
        // Locks end with their process.
        if inode.holder.is_some_and(|holder| holder != me && holder.0 == now) {
            return Ok(LockState::Held);
        }
        if exclusive {
            inode.holder = Some(me);
        }
        Ok(LockState::Acquired)
    }

    fn release(&self) {
        let mut state = self.disk.lock();
        if let Some(inode) = state.inodes.get_mut(&self.inode)
            && inode.holder == Some((self.mount, self.id))
        {
            inode.holder = None;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.release();
    }
}

impl File for Handle {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        let state = &mut *state;
        state.alive(self.mount)?;
        if strikes(&mut state.faults.read) {
            return Err(device());
        }
        let mut most = buf.len();
        if state.faults.short && most > 0 {
            if state.rng.one_in(8) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            most = 1 + state.rng.below(most as u64) as usize;
        }
        let Some(inode) = state.inodes.get(&self.inode) else { return Err(device()) };
        let from = (offset as usize).min(inode.live().len());
        let there = &inode.live()[from..];
        let len = there.len().min(most);
        buf[..len].copy_from_slice(&there[..len]);
        Ok(len)
    }

    fn write_vectored_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        let state = &mut *state;
        let mut bytes = bufs.iter().flat_map(|buf| buf.iter().copied()).collect::<Vec<_>>();
        if state.powered && state.faults.short && !bytes.is_empty() {
            if state.rng.one_in(8) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            bytes.truncate(1 + state.rng.below(bytes.len() as u64) as usize);
        }
        let what = || format!("write {} bytes at {offset} of {}", bytes.len(), self.name);
        let turn = state.turn(self.mount, what)?;
        let number = state.operations;
        let mut outcome = Ok(bytes.len());
        if turn == Turn::Last {
            // A kill comes in the middle of it, too.
            bytes.truncate(state.rng.below(bytes.len() as u64 + 1) as usize);
            outcome = Err(off());
        }
        if turn == Turn::Done && strikes(&mut state.faults.write) {
            bytes.truncate(state.rng.below(bytes.len() as u64 + 1) as usize);
            state.note("      fails".to_owned());
            outcome = Err(device());
        }
        let used = state.used();
        let Some(inode) = state.inodes.get_mut(&self.inode) else { return Err(device()) };
        if let Some(room) = state.faults.room {
            let len = inode.live().len() as u64;
            let end = len.max(offset) + room.saturating_sub(used);
            let fits = end.saturating_sub(offset).min(bytes.len() as u64) as usize;
            if fits < bytes.len() {
                bytes.truncate(fits);
                outcome = match outcome {
                    Ok(_) if fits > 0 => Ok(fits),
                    Ok(_) => Err(io::ErrorKind::StorageFull.into()),
                    error => error,
                };
            }
        }
        inode.write(offset, &bytes, number);
        outcome
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let state = &mut *state;
        let turn = state.turn(self.mount, || format!("sync {}", self.name))?;
        let Some(inode) = state.inodes.get_mut(&self.inode) else { return Err(device()) };
        if strikes(&mut state.faults.sync) {
            inode.fail_sync(&mut state.rng);
            state.note("      fails".to_owned());
            return Err(device());
        }
        if turn == Turn::Done || state.rng.one_in(2) {
            inode.sync();
        }
        if turn == Turn::Last { Err(off()) } else { Ok(()) }
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.lock();
        state.alive(self.mount)?;
        state.inodes.get(&self.inode).map(|inode| inode.live().len() as u64).ok_or_else(device)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let turn =
            state.turn(self.mount, || format!("set the length of {} to {len}", self.name))?;
        let number = state.operations;
        let Some(inode) = state.inodes.get_mut(&self.inode) else { return Err(device()) };
        inode.set_len(len, number);
        if turn == Turn::Last { Err(off()) } else { Ok(()) }
    }

    fn try_lock(&self) -> io::Result<LockState> {
        self.lock(true)
    }

    fn try_lock_shared(&self) -> io::Result<LockState> {
        self.lock(false)
    }

    fn unlock(&self) -> io::Result<()> {
        self.release();
        Ok(())
    }
}
