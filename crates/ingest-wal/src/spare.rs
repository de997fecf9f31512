//! Files that every consumer has passed and that wait to be used again: `free-0` to `free-3`.

use std::io;
use std::path::PathBuf;

use crate::shared::{Shared, lock};

/// Most spare files of a directory.
pub(crate) const MOST: u32 = 4;

/// Whether a name is one of a spare file, in the range of those that are used or not.
pub(crate) fn is_spare(name: &str) -> bool {
    name.strip_prefix("free-")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The number of a spare file, if its name is one that the log gives.
pub(crate) fn number(name: &str) -> Option<u32> {
    (0..MOST).find(|n| name == file_name(*n))
}

pub(crate) fn file_name(n: u32) -> String {
    format!("free-{n}")
}

/// Whether a file of this length is worth keeping for segments of that size: one much longer would
/// hold room that nobody uses, and one much shorter has few blocks to offer.
pub(crate) fn fits(len: u64, segment_bytes: u64) -> bool {
    (segment_bytes / 2..=segment_bytes.saturating_mul(2)).contains(&len)
}

/// How far a spare file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Renamed; the directory is not synced yet, so the old name may come back.
    Renamed,
    /// It may be written.
    Ready,
    /// The next segment is being written to it.
    Taken,
}

/// A spare file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spare {
    pub(crate) n: u32,
    pub(crate) len: u64,
    state: State,
}

/// The spare files of a running log. Their bytes count in its limits until they are segments again.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    files: Vec<Spare>,
    /// Bytes of segments that are no more in the list, while their files are being removed.
    pub(crate) going: u64,
}

impl Spares {
    /// Takes a file over that an opening has found.
    pub(crate) fn know(&mut self, n: u32, len: u64) {
        self.files.push(Spare { n, len, state: State::Ready });
    }

    /// A number that is free.
    pub(crate) fn vacant(&self) -> Option<u32> {
        (0..MOST).find(|n| self.files.iter().all(|file| file.n != *n))
    }

    /// A file has got the name; it may be taken after [`Spares::settle`].
    pub(crate) fn renamed(&mut self, n: u32, len: u64) {
        self.files.push(Spare { n, len, state: State::Renamed });
    }

    /// Whether there is a file whose name is not durable.
    pub(crate) fn unsettled(&self) -> bool {
        self.files.iter().any(|file| file.state == State::Renamed)
    }

    /// The directory was synced.
    pub(crate) fn settle(&mut self) {
        for file in &mut self.files {
            if file.state == State::Renamed {
                file.state = State::Ready;
            }
        }
    }

    /// A file for the next segment. It stays counted until [`Spares::forget`].
    pub(crate) fn take(&mut self) -> Option<Spare> {
        let file = self.files.iter_mut().find(|file| file.state == State::Ready)?;
        file.state = State::Taken;
        Some(*file)
    }

    /// Whether there is a file for the next segment.
    pub(crate) fn any_ready(&self) -> bool {
        self.files.iter().any(|file| file.state == State::Ready)
    }

    /// It is no spare file any more.
    pub(crate) fn forget(&mut self, n: u32) {
        self.files.retain(|file| file.n != n);
    }

    /// One that nobody writes to, to be removed.
    pub(crate) fn idle(&self) -> Option<u32> {
        self.files.iter().rev().find(|file| file.state != State::Taken).map(|file| file.n)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.files.len() as u64
    }

    /// Their numbers.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.files.iter().map(|file| file.n).collect()
    }

    /// Bytes of all.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum()
    }

    /// Bytes of those that wait: room for what comes next.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        let waiting = self.files.iter().filter(|file| file.state != State::Taken);
        waiting.map(|file| file.len).sum()
    }
}

impl Shared {
    pub(crate) fn spare_path(&self, n: u32) -> PathBuf {
        self.dir.join(file_name(n))
    }

    /// Removes a spare file for good. Its number is not used again while the file stays.
    pub(crate) fn remove_spare(&self, n: u32) -> io::Result<()> {
        self.fs.remove(&self.spare_path(n))?;
        lock(&self.spares).forget(n);
        Ok(())
    }

    /// Removes one spare file that nobody writes to; says whether there was one.
    pub(crate) fn give_back_spare(&self) -> bool {
        let Some(n) = lock(&self.spares).idle() else { return false };
        match self.remove_spare(n) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, file = file_name(n), "Cannot remove a spare file.");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert_eq!((0..MOST).map(|n| number(&file_name(n))).collect::<Vec<_>>().len(), 4);
        assert_eq!(number("free-3"), Some(3));
        for other in ["free-4", "free-03", "free-17"] {
            assert!(is_spare(other) && number(other).is_none(), "{other}");
        }
        for other in ["free-", "free-x", "free-1.log", "afree-1"] {
            assert!(!is_spare(other), "{other}");
        }
    }

    #[test]
    fn a_file_is_taken_only_when_its_name_is_durable_and_only_once() {
        let mut spares = Spares::default();
        assert_eq!((spares.vacant(), spares.take()), (Some(0), None));
        spares.renamed(0, 100);
        assert_eq!((spares.take(), spares.vacant(), spares.unsettled()), (None, Some(1), true));
        spares.settle();
        assert_eq!((spares.any_ready(), spares.unsettled()), (true, false));
        assert_eq!(spares.take().map(|spare| spare.n), Some(0));
        assert_eq!((spares.take(), spares.idle()), (None, None));
        assert_eq!((spares.bytes(), spares.waiting_bytes()), (100, 0));
        spares.forget(0);
        assert_eq!((spares.bytes(), spares.count(), spares.vacant()), (0, 0, Some(0)));
        for n in 0..MOST {
            spares.know(n, 1);
        }
        assert_eq!((spares.vacant(), spares.idle()), (None, Some(3)));
    }

    #[test]
    fn only_files_of_about_the_right_length_are_kept() {
        assert!(fits(64, 64) && fits(32, 64) && fits(128, 64));
        assert!(!fits(31, 64) && !fits(129, 64) && !fits(0, 64));
    }
}
