//! Replays what fuzzing begins with and what it has found worth keeping: the seeds of the vectors
//! and the inputs in `testdata/fuzz/`. No fuzzer is needed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a broken promise is a panic")]
#![allow(dead_code, unreachable_pub, reason = "parts of these modules are for others")]

use std::path::{Path, PathBuf};
use std::time::Instant;

#[path = "../src/fuzz/seeds.rs"]
mod seeds;
#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// The files of a target, in the order of their names.
fn kept(root: &Path, target: &str) -> Vec<PathBuf> {
    let folder = root.join("testdata/fuzz").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// One test for all: what is allocated is counted for the whole program.
#[test]
fn kept_inputs_and_seeds_keep_every_promise() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = seeds::folder(root);
    let seeds = seeds::read(&folder).unwrap();
    for (target, run) in targets::TARGETS {
        let began = Instant::now();
        let (files, seeds) = (kept(root, target), &seeds[target]);
        assert!(!files.is_empty(), "no inputs are kept for {target}");
        assert!(!seeds.is_empty(), "{} has no seed for {target}", folder.display());
        for (number, seed) in seeds.iter().enumerate() {
            println!("{target}: seed {number}");
            run(seed);
        }
        for file in &files {
            println!("{target}: {}", file.display());
            run(&std::fs::read(file).unwrap());
        }
        let (seeds, files, took) = (seeds.len(), files.len(), began.elapsed().as_millis());
        eprintln!("{target}: {seeds} seeds and {files} kept inputs in {took} ms");
    }
}
