//! Every byte of a small log damaged in turn, and its last segment cut at every offset.

use std::path::{Path, PathBuf};

use ingest_wal::{Level, OnFull, SegmentName};

use super::disk::Disk;
use super::model::{Allowed, Model};
use super::run::{Ending, Op, Run, Setting};

const SETTING: Setting =
    Setting { forget: false, marks: true, no_tail: true, on_full: OnFull::Block };

fn append(records: &[(u16, usize)]) -> Op {
    Op::Append { records: records.to_vec(), level: Level::Disk }
}

fn kill() -> Op {
    Op::End { after: u64::MAX / 2, ending: Ending { cut: None, flip: None, attempts: vec![] } }
}

/// A log at rest, and what is known of it.
struct Rest {
    disk: Disk,
    model: Model,
    setting: Setting,
}

impl Rest {
    /// What `ops` leave; `closed` in order, or killed when everything was witnessed.
    fn after(setting: Setting, ops: &[Op], closed: bool) -> Self {
        let mut run = Run::new(setting, 1);
        assert!(run.open(false).is_ok());
        for op in ops {
            run.perform(op);
        }
        let disk = run.rest(closed);
        Self { disk, model: run.model.clone(), setting }
    }

    /// Opens a copy of which a file has other bytes, now and then twice, and compares everything.
    fn check(&self, number: usize, path: &Path, bytes: Vec<u8>, allowed: Allowed, names: bool) {
        let openings = if number.is_multiple_of(16) { 2 } else { 1 };
        let disk = self.disk.copy(7);
        disk.replace(path, bytes);
        let mut run = Run::on(disk, self.setting, self.model.clone());
        for allowed in [allowed, Allowed::NOTHING].into_iter().take(openings) {
            assert!(run.open(true).is_ok());
            if names {
                run.check_names();
            }
            assert!(run.verify(allowed).is_ok());
            run.close();
        }
    }

    /// Flips a bit of each byte that is chosen.
    fn flip_each(&self, chosen: impl Fn(&str, usize, usize) -> bool) -> usize {
        let mut flipped = 0;
        for (path, whole) in self.disk.files() {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            for at in (0..whole.len()).filter(|at| chosen(&name, *at, whole.len())) {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << (at * 5 % 8);
                self.disk.note(format!("a bit of byte {at} of {name} flips"));
                self.check(at, &path, bytes, Allowed::damage(1), true);
                flipped += 1;
            }
        }
        flipped
    }
}

/// Three runs, names, a consumer, a gap.
fn small() -> Vec<Op> {
    vec![
        append(&[(2, 30), (1, 9)]),
        Op::Define,
        append(&[(3, 17)]),
        Op::Move(128),
        kill(),
        append(&[(1, 24), (4, 40)]),
        Op::Define,
        Op::Reopen,
        append(&[(2, 11)]),
        Op::Snapshot,
        append(&[(1, 50)]),
    ]
}

#[test]
fn a_flipped_byte_costs_its_record_at_most_and_is_counted() {
    for closed in [false, true] {
        let flipped = Rest::after(SETTING, &small(), closed).flip_each(|_, _, _| true);
        assert!(flipped > 2_000, "{flipped} bytes");
    }
}

#[test]
fn a_flipped_byte_of_a_log_that_uses_its_files_again() {
    let setting = Setting { forget: true, ..SETTING };
    let full = [(1, 33_000), (2, 20), (1, 33_000)];
    let ops = [
        append(&full),
        append(&full),
        append(&full),
        Op::Move(255),
        append(&full),
        append(&[(1, 30)]),
        Op::Move(200),
        append(&[(2, 12)]),
    ];
    let rest = Rest::after(setting, &ops, false);
    let names: Vec<_> = rest.disk.files().into_keys().collect();
    let spare = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("free-");
    assert!(names.iter().any(spare), "{names:?}");
    // Both ends of each file, and some of what is between.
    let flipped = rest.flip_each(|_, at, len| at < 160 || at + 160 > len || at % 1_999 == 0);
    assert!(flipped > 500, "{flipped} bytes");
}

/// Where the bodies of a segment's records of entries end. Of this layout `docs/log-format.md` 3 and 4
/// speak.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let copies = if bytes[10] & 1 == 0 { 1 } else { 2 };
    let mut at = (64 + copies * word(12)).next_multiple_of(8);
    let mut ends = Vec::new();
    while at < bytes.len() {
        let end = at + 48 + word(at);
        if bytes[at + 6] == 1 {
            ends.push(end);
        }
        at = end.next_multiple_of(8);
    }
    ends
}

/// Cuts a segment at each offset: what is whole in front of the cut is read, what is not is counted.
fn cut_each(rest: &Rest, path: &Path, whole: &[u8], unwitnessed: bool) {
    let ends = ends(whole);
    assert!(ends.len() > 1 && whole.len() > 300, "{ends:?} of {}", whole.len());
    for cut in 0..whole.len() {
        rest.disk.note(format!("{} is cut at {cut}", path.display()));
        let lost = ends.iter().filter(|end| **end > cut).count();
        let allowed = Allowed { unwitnessed, ..Allowed::damage(lost) };
        // Names go with what is cut.
        rest.check(cut, path, whole[..cut].to_vec(), allowed, false);
    }
}

#[test]
fn a_tail_torn_at_each_offset_leaves_the_rest() {
    for closed in [false, true] {
        let rest = Rest::after(SETTING, &small(), closed);
        let files = rest.disk.files();
        let name = |path: &PathBuf| SegmentName::parse(path.file_name()?.to_str()?);
        let mut segments: Vec<_> =
            files.iter().filter_map(|(path, bytes)| Some((name(path)?, path, bytes))).collect();
        segments.sort();
        let (newest, path, whole) = segments.pop().unwrap();
        // The last snapshot of a log that was closed witnesses all of it; of one that was killed, the
        // mark that is cut off did.
        cut_each(&rest, path, whole, !closed);
        // What is cut off a segment that others follow is damage at rest.
        assert!(segments.iter().any(|(name, _, _)| name.epoch < newest.epoch));
        for (_, path, whole) in segments {
            cut_each(&rest, path, whole, false);
        }
    }
}

#[test]
fn a_cursor_file_or_lock_cut_at_each_offset_costs_no_entry() {
    for closed in [false, true] {
        let rest = Rest::after(SETTING, &small(), closed);
        let files = rest.disk.files();
        let kept = |path: &&PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name == "LOCK" || name.starts_with("cursor-")
        };
        assert_eq!(files.keys().filter(kept).count(), 3);
        for path in files.keys().filter(kept) {
            for cut in 0..files[path].len() {
                rest.disk.note(format!("{} is cut at {cut}", path.display()));
                let bytes = files[path][..cut].to_vec();
                rest.check(cut, path, bytes, Allowed::NOTHING, true);
            }
        }
    }
}
