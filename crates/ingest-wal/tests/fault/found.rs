//! What the state machine found, in few ops. The log's threads share the disk, so each is done several
//! times, on disks that decide otherwise.

use ingest_wal::{Level, OnFull};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::disk::Survival;
use super::machine::{flip, perform};
use super::run::{Ending, Fault, Op, Setting};

const SETTING: Setting =
    Setting { forget: false, marks: false, no_tail: false, on_full: OnFull::Block };

fn append(records: &[(u16, usize)], level: Level) -> Op {
    Op::Append { records: records.to_vec(), level }
}

fn end(after: u64, cut: Option<Survival>) -> Op {
    Op::End { after, ending: Ending { cut, flip: None, attempts: Vec::new() } }
}

/// A group is written again to the next segment, and its end is dropped there. When the segment that it
/// was in at first goes, what was dropped stays known.
#[test]
fn a_segment_that_was_given_up_takes_only_its_own_with_it() {
    for disk in 0..16 {
        let ops = [
            append(&[(1, 41), (1, 3_225), (1, 409)], Level::Disk),
            Op::Reopen,
            append(&[(2, 0)], Level::Os),
            Op::Fault(Fault::Room(20_336, false)),
            Op::Move(153),
            Op::Settle,
            Op::Fault(Fault::Sync(2)),
            append(&[(1, 1_409)], Level::Os),
            append(&[(1, 0), (1, 0), (1, 593), (1, 17), (1, 393)], Level::Memory),
            Op::Move(96),
        ];
        perform(Setting { on_full: OnFull::DropNewest, ..SETTING }, disk, &ops);
    }
}

/// The front that names what was dropped is torn: what of it is whole does not say that what was dropped
/// is durable.
#[test]
fn a_torn_front_does_not_accept_what_was_dropped() {
    for after in 1..12 {
        for disk in 0..16 {
            let ops = [
                Op::Fault(Fault::Room(0, false)),
                append(&[(1, 0)], Level::Os),
                end(after, Some(Survival::Any)),
                append(&[(1, 0)], Level::Os),
                append(&[(1, 0)], Level::Disk),
            ];
            perform(Setting { on_full: OnFull::DropNewest, ..SETTING }, disk, &ops);
        }
    }
}

/// Several segments go at once and the power with them, and the directory forgets the removal of some:
/// whichever are back, what lay between them was passed.
#[test]
fn segments_go_one_after_the_other() {
    for after in 1..24 {
        for disk in 0..12 {
            let mut ops = vec![append(&[(2, 10)], Level::Disk)];
            for _ in 0..3 {
                ops.extend([end(1, None), append(&[(1, 10)], Level::Disk)]);
            }
            ops.extend([end(after, Some(Survival::Any)), Op::Move(255), Op::Move(255)]);
            perform(Setting { forget: true, ..SETTING }, disk, &ops);
        }
    }
}

/// A full log drops the record behind a name and keeps the name. When there is room, the name is a group
/// of its own: it names what is durable, so no mark follows, and a bit that flips then is counted.
#[test]
fn a_name_alone_is_a_witness() {
    // The same ones each time.
    let mut runner = TestRunner::deterministic();
    for disk in 0..200 {
        let flip = flip().new_tree(&mut runner).unwrap().current();
        let ops = [
            append(&[(2, 30)], Level::Disk),
            Op::Fault(Fault::Room(0, false)),
            Op::Define,
            Op::Decay { closed: false, flip },
            append(&[(1, 30)], Level::Disk),
        ];
        let setting = Setting { marks: true, on_full: OnFull::DropNewest, ..SETTING };
        perform(setting, disk, &ops);
    }
}
