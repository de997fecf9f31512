//! The power goes, or the process is killed, at each operation of a short script in turn; and at each
//! operation of the opening that follows.

use ingest_wal::{Level, OnFull};

use super::disk::Survival;
use super::run::{Attempt, Ending, Fault, Op, Run, Setting};

const SETTING: Setting =
    Setting { forget: true, marks: true, no_tail: true, on_full: OnFull::Block };

/// Names, cursors, rotations, the removal of what was passed, and files used again.
fn script() -> Vec<Op> {
    let append = |records: &[(u16, usize)], level| Op::Append { records: records.to_vec(), level };
    vec![
        append(&[(2, 100), (1, 700), (3, 0)], Level::Disk),
        Op::Define,
        append(&[(5, 40)], Level::Os),
        Op::Move(255),
        append(&[(4, 33_000), (1, 33_000), (1, 20)], Level::Disk),
        append(&[(4, 33_000), (1, 33_000), (1, 20)], Level::Disk),
        Op::Move(255),
        append(&[(1, 33_000), (7, 33_000), (1, 20)], Level::Disk),
        append(&[(2, 33_000), (7, 3_000), (1, 20)], Level::Memory),
        Op::Define,
        Op::Move(128),
        Op::Follow,
        append(&[(1, 300)], Level::Os),
    ]
}

/// Runs the script up to its n-th operation. Says how many there were.
fn run(after: u64, seed: u64, ending: Ending) -> u64 {
    let mut run = Run::new(SETTING, seed);
    assert!(run.open(false).is_ok());
    let before = run.disk.operations();
    run.perform(&Op::End { after, ending });
    for op in script() {
        run.perform(&op);
    }
    let operations = run.disk.operations() - before;
    run.finish();
    operations
}

fn ending(cut: Option<Survival>) -> Ending {
    Ending { cut, flip: None, attempts: Vec::new() }
}

const ENDINGS: [Option<Survival>; 6] = [
    None,
    Some(Survival::Nothing),
    Some(Survival::Everything),
    Some(Survival::InOrder),
    Some(Survival::Any),
    Some(Survival::Any),
];

#[test]
fn at_each_operation_of_a_script() {
    let operations = run(u64::MAX / 2, 1, ending(None));
    assert!(operations > 40, "the script has become short: {operations}");
    for after in 1..=operations {
        for (seed, cut) in (after * 10..).zip(ENDINGS) {
            run(after, seed, ending(cut));
        }
    }
}

#[test]
fn at_each_operation_of_an_opening() {
    // An opening of what the script leaves has about a dozen; one more is one too many.
    for n in 1..16 {
        for (seed, cut) in (n * 10..).zip(ENDINGS) {
            let attempt = match cut {
                None => Attempt::Killed(n),
                Some(survival) => Attempt::Cut(n, survival),
            };
            for first in [None, Some(Survival::Any)] {
                let attempts = vec![attempt, Attempt::Killed(n / 2 + 1)];
                run(60, seed, Ending { cut: first, flip: None, attempts });
            }
        }
    }
}

/// A sync fails, and the process is killed before it can write the group again somewhere else. The
/// system goes on to show the group, and says of the next sync that it went well, for there is nothing
/// left that it would write. Then the power goes, at each operation of the opening that believes this
/// or later. Found by the state machine: 62 was never acknowledged, and is said to be damaged.
#[test]
fn a_sync_that_failed_before_a_kill_is_not_believed_by_the_next_process() {
    let append =
        |records: &[(u16, usize)]| Op::Append { records: records.to_vec(), level: Level::Disk };
    let setting = Setting { forget: false, marks: false, no_tail: false, on_full: OnFull::Block };
    for n in 1..32 {
        for (seed, cut) in (n * 100..n * 100 + 8).zip(ENDINGS.into_iter().cycle()) {
            let mut run = Run::new(setting, seed);
            assert!(run.open(false).is_ok());
            run.perform(&append(&[(3, 1), (6, 535), (5, 5_375)]));
            let attempts = match cut {
                None => vec![Attempt::Killed(n), Attempt::Cut(16, Survival::Nothing)],
                Some(survival) => vec![Attempt::Cut(n, survival)],
            };
            // The write; the sync, which fails; and the next segment: made, written, synced, not named
            // for good, and so removed.
            run.perform(&Op::End { after: 7, ending: Ending { cut: None, flip: None, attempts } });
            run.disk.faults(|faults| (faults.sync, faults.sync_dir) = (Some(1), Some(1)));
            run.perform(&append(&[(4, 218), (2, 2_100), (8, 13), (6, 184)]));
            run.perform(&append(&[(1, 9)]));
            run.perform(&Op::End { after: 40, ending: ending(Some(Survival::Nothing)) });
            run.finish();
        }
    }
}

/// A full log drops what arrives, a reader passes over it, and the power goes at each operation that
/// follows: before the void LSNs are written down for good, nothing says of them more than that nobody
/// was told that they were accepted. Found by the state machine.
#[test]
fn what_was_dropped_just_before_a_cut_is_void_or_unwitnessed() {
    let setting =
        Setting { forget: false, marks: false, no_tail: false, on_full: OnFull::DropNewest };
    for after in 1..24 {
        for (seed, cut) in (after * 10..).zip(ENDINGS) {
            let mut run = Run::new(setting, seed);
            assert!(run.open(false).is_ok());
            run.perform(&Op::Fault(Fault::Room(5_507, true)));
            let records = vec![(1, 1_513), (1, 3_889)];
            run.perform(&Op::Append { records, level: Level::Os });
            run.perform(&Op::Follow);
            run.perform(&Op::End { after, ending: ending(cut) });
            run.perform(&Op::Move(0));
            run.perform(&Op::Append { records: vec![(2, 100)], level: Level::Disk });
            run.finish();
        }
    }
}

/// The device fails once more while there is no room: whoever waits is told that the log has failed, and
/// then waits for room, as with any full log. Found by the state machine: never settled.
#[test]
fn a_log_that_had_failed_and_is_full_waits_for_room() {
    let setting = Setting { forget: false, marks: false, no_tail: false, on_full: OnFull::Block };
    let mut run = Run::new(setting, 1);
    assert!(run.open(false).is_ok());
    run.perform(&Op::Append { records: vec![(3, 100)], level: Level::Disk });
    // A part of the group finds room, the rest does not, and the next segment meets an error.
    run.perform(&Op::Fault(Fault::Room(100, true)));
    run.disk.faults(|faults| faults.write = Some(3));
    run.perform(&Op::Append { records: vec![(2, 3_000)], level: Level::Disk });
    run.perform(&Op::Settle);
    run.finish();
}
