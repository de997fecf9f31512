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
                self.check(at, &path, bytes, Allowed { lost: 1, unwitnessed: false }, true);
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

#[test]
fn a_tail_torn_at_each_offset_leaves_the_rest() {
    for closed in [false, true] {
        let rest = Rest::after(SETTING, &small(), closed);
        let files = rest.disk.files();
        let name = |path: &PathBuf| SegmentName::parse(path.file_name()?.to_str()?);
        let newest =
            files.iter().filter_map(|(path, bytes)| Some((name(path)?, path, bytes))).max();
        let (_, path, whole) = newest.unwrap();
        assert!(whole.len() > 300);
        for cut in 0..whole.len() {
            rest.disk.note(format!("cut at {cut}"));
            // What LOCK remembers is lost and counted, and names go with it.
            let allowed = Allowed { lost: usize::MAX, unwitnessed: true };
            rest.check(cut, path, whole[..cut].to_vec(), allowed, false);
        }
    }
}
