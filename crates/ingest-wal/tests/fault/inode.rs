//! The bytes of one file: what a process sees, and what is on the medium.

use std::collections::BTreeMap;

use super::disk::Survival;
use super::rng::Rng;

/// The unit that reaches the medium whole, unless the power goes just then.
pub(crate) const SECTOR: u64 = 512;

/// A file without its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inode {
    /// What a process reads.
    live: Vec<u8>,
    /// What is on the medium.
    durable: Vec<u8>,
    /// Every state of each sector since the last sync, with the number of the write that made it.
    dirty: BTreeMap<u64, Vec<(u64, Vec<u8>)>>,
    /// Every length since the last sync, likewise.
    lens: Vec<(u64, u64)>,
    /// Mount and handle that hold the exclusive lock.
    pub(crate) holder: Option<(u64, u64)>,
}

impl Inode {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self { durable: bytes.clone(), live: bytes, ..Self::default() }
    }

    pub(crate) fn live(&self) -> &[u8] {
        &self.live
    }

    /// Whether a sync has something to do.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || !self.lens.is_empty()
    }

    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8], number: u64) {
        if bytes.is_empty() {
            return;
        }
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        if self.live.len() < to {
            self.live.resize(to, 0);
            self.lens.push((number, to as u64));
        }
        self.live[from..to].copy_from_slice(bytes);
        self.touch(offset, to as u64, number);
    }

    pub(crate) fn set_len(&mut self, len: u64, number: u64) {
        let before = self.live.len() as u64;
        if before == len {
            return;
        }
        self.live.resize(len as usize, 0);
        self.lens.push((number, len));
        if len < before {
            // What is cut off does not come back when the file grows again.
            self.touch(len, before, number);
        }
    }

    fn touch(&mut self, from: u64, to: u64, number: u64) {
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            let state = sector_of(&self.live, sector);
            self.dirty.entry(sector).or_default().push((number, state));
        }
    }

    /// `fdatasync`, as it should be.
    pub(crate) fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for (sector, states) in std::mem::take(&mut self.dirty) {
            if let Some((_, state)) = states.last() {
                put_sector(&mut self.durable, sector, state);
            }
        }
        self.lens.clear();
    }

    /// `fdatasync` that failed: each sector got there or not, and no later sync tries again. A
    /// process may go on to see what it wrote, or what is on the medium.
    pub(crate) fn fail_sync(&mut self, rng: &mut Rng) {
        let before = self.durable.clone();
        self.durable.resize(self.live.len(), 0);
        let evicts = rng.one_in(2);
        for (sector, states) in std::mem::take(&mut self.dirty) {
            let Some((_, state)) = states.last() else { continue };
            if rng.one_in(2) {
                put_sector(&mut self.durable, sector, state);
            } else if evicts {
                let old = sector_of(&before, sector);
                put_sector(&mut self.live, sector, &old);
            }
        }
        self.lens.clear();
    }

    /// What the medium holds after the power went, `numbers` writes after the beginning.
    pub(crate) fn cut(&mut self, survival: Survival, numbers: u64, rng: &mut Rng) {
        let until = rng.below(numbers + 1);
        let mut len = self.durable.len() as u64;
        for &(number, changed) in &self.lens {
            len = match survival {
                Survival::Nothing => len,
                Survival::Everything => changed,
                Survival::InOrder if number <= until => changed,
                Survival::InOrder => len,
                // Lengths in between exist as well: a file grows by pages.
                Survival::Any if rng.one_in(4) => {
                    len.min(changed) + rng.below(changed.abs_diff(len) + 1)
                }
                Survival::Any if rng.one_in(2) => changed,
                Survival::Any => len,
            };
        }
        let mut bytes = std::mem::take(&mut self.durable);
        let most = bytes.len().max(self.live.len()).next_multiple_of(SECTOR as usize);
        bytes.resize(most.max(len as usize), 0);
        for (sector, states) in std::mem::take(&mut self.dirty) {
            let kept = match survival {
                Survival::Nothing => None,
                Survival::Everything => states.last(),
                Survival::InOrder => states.iter().rev().find(|(number, _)| *number <= until),
                Survival::Any => {
                    let which = rng.below(states.len() as u64 + 1) as usize;
                    which.checked_sub(1).and_then(|which| states.get(which))
                }
            };
            let Some((_, state)) = kept else { continue };
            let mut state = state.clone();
            if survival == Survival::Any && rng.one_in(4) {
                // Torn: the medium got the front of it.
                let torn = rng.below(SECTOR) as usize;
                let old = sector_of(&bytes, sector);
                state[torn..].copy_from_slice(&old[torn..]);
            }
            put_sector(&mut bytes, sector, &state);
        }
        bytes.truncate(len as usize);
        *self = Self::of(bytes);
    }
}

/// A sector's bytes, with zeros behind the end of the file.
fn sector_of(bytes: &[u8], sector: u64) -> Vec<u8> {
    let from = ((sector * SECTOR) as usize).min(bytes.len());
    let to = (from + SECTOR as usize).min(bytes.len());
    let mut state = bytes[from..to].to_vec();
    state.resize(SECTOR as usize, 0);
    state
}

/// As much of a sector as the file has.
fn put_sector(bytes: &mut [u8], sector: u64, state: &[u8]) {
    let from = ((sector * SECTOR) as usize).min(bytes.len());
    let to = (from + SECTOR as usize).min(bytes.len());
    bytes[from..to].copy_from_slice(&state[..to - from]);
}
