//! The state machine: random ops, shrunk to the fewest that fail.
//!
//! A plain run takes the same cases each time, so that a red one is about the change that was made.
//! `INGESTRY_SEED` chooses others (`random`: new ones), `PROPTEST_CASES` raises their number; the
//! seed is printed with a failure.

use std::cell::Cell;

use ingest_wal::{Level, OnFull};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

use super::disk::Survival;
use super::rng::Rng;
use super::run::{Attempt, Ending, Fault, Flip, Op, Place, Run, Setting};

fn survival() -> impl Strategy<Value = Survival> {
    prop_oneof![
        2 => Just(Survival::Nothing),
        1 => Just(Survival::Everything),
        2 => Just(Survival::InOrder),
        3 => Just(Survival::Any),
    ]
}

pub(crate) fn flip() -> impl Strategy<Value = Flip> {
    // Most of what holds the log together stands at the ends of its files.
    let place = prop_oneof![
        any::<Index>().prop_map(Place::Any),
        (0usize..300).prop_map(Place::FromStart),
        (1usize..300).prop_map(Place::FromEnd),
    ];
    (any::<Index>(), place, 0u8..8).prop_map(|(file, place, bit)| Flip { file, place, bit })
}

fn fault() -> impl Strategy<Value = Fault> {
    let soon = 1u64..12;
    prop_oneof![
        soon.clone().prop_map(Fault::Write),
        soon.clone().prop_map(Fault::Sync),
        (1u64..4).prop_map(Fault::SyncDir),
        soon.prop_map(Fault::Read),
        (0u64..30_000, any::<bool>()).prop_map(|(left, secret)| Fault::Room(left, secret)),
        Just(Fault::Short),
    ]
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let soon = 1u64..30;
    prop_oneof![
        3 => (soon.clone(), survival()).prop_map(|(n, survival)| Attempt::Cut(n, survival)),
        2 => soon.clone().prop_map(Attempt::Killed),
        1 => soon.prop_map(Attempt::Write),
        1 => (1u64..4).prop_map(Attempt::SyncDir),
    ]
}

fn ending() -> impl Strategy<Value = Ending> {
    let cut = prop_oneof![1 => Just(None), 3 => survival().prop_map(Some)];
    let flip = prop_oneof![2 => Just(None), 1 => flip().prop_map(Some)];
    let attempts = prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(attempt(), 1..3)];
    (cut, flip, attempts).prop_map(|(cut, flip, attempts)| Ending { cut, flip, attempts })
}

fn op() -> impl Strategy<Value = Op> {
    let len = prop_oneof![0usize..40, 0usize..600, 0usize..6000];
    let record = (1u16..9, len);
    let level = prop_oneof![
        1 => Just(Level::Memory),
        1 => Just(Level::Os),
        3 => Just(Level::Disk),
    ];
    let append = (prop::collection::vec(record, 1..12), level)
        .prop_map(|(records, level)| Op::Append { records, level });
    let after = prop_oneof![1u64..8, 1u64..40];
    let end = (after, ending()).prop_map(|(after, ending)| Op::End { after, ending });
    let decay = (any::<bool>(), flip()).prop_map(|(closed, flip)| Op::Decay { closed, flip });
    prop_oneof![
        10 => append,
        1 => Just(Op::Define),
        1 => Just(Op::Settle),
        1 => Just(Op::Snapshot),
        3 => any::<u8>().prop_map(Op::Move),
        2 => Just(Op::Follow),
        4 => fault().prop_map(Op::Fault),
        1 => Just(Op::Reopen),
        6 => end,
        2 => decay,
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    let on_full = prop_oneof![
        2 => Just(OnFull::Block),
        1 => Just(OnFull::DropNewest),
        1 => Just(OnFull::DropOldest),
    ];
    (any::<(bool, bool, bool)>(), on_full).prop_map(|((forget, marks, no_tail), on_full)| Setting {
        forget,
        marks,
        no_tail,
        on_full,
    })
}

fn config() -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 300;
    }
    config.max_shrink_iters = 4000;
    // One that never ends may be among those that are tried.
    config.max_shrink_time = 120_000;
    config
}

/// From the environment, or always the same.
fn seed() -> u64 {
    match std::env::var("INGESTRY_SEED").as_deref() {
        Ok("random") => std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0),
        Ok(text) => text.parse().expect("INGESTRY_SEED is a number, or random"),
        Err(_) => 20_261_121,
    }
}

/// How often ops are tried that may be fewer than those that failed.
const TRIES: u32 = 8;

pub(crate) fn perform(setting: Setting, disk: u64, ops: &[Op]) {
    let mut run = Run::new(setting, disk);
    assert!(run.open(false).is_ok());
    for op in ops {
        run.perform(op);
    }
    run.finish();
}

#[test]
fn whatever_happens_what_was_acknowledged_is_there_or_counted() {
    let seed = seed();
    let mut bytes = [0; 32];
    let mut rng = Rng::new(seed);
    bytes.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&rng.next().to_le_bytes()));
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config(), rng);
    let ops = prop::collection::vec(op(), 1..24);
    // The log's threads share the disk: once something has failed, fewer ops that fail are looked
    // for with more patience than one try.
    let tries = Cell::new(1);
    let outcome = runner.run(&(setting(), any::<u64>(), ops), |(setting, disk, ops)| {
        for _ in 0..tries.get() {
            let before = tries.replace(TRIES);
            perform(setting, disk, &ops);
            tries.set(before);
        }
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, (setting, disk, ops))) => {
            let ops: Vec<_> = ops.iter().map(|op| format!("  {op:?}\n")).collect();
            let ops = ops.concat();
            panic!(
                "{reason}\nfewest ops that fail:\n  {setting:?}, disk {disk}\n{ops}to repeat: INGESTRY_SEED={seed}"
            );
        }
        Err(error) => panic!("{error}\nto repeat: INGESTRY_SEED={seed}"),
    }
}
