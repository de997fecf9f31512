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

/// The names of what is in a folder, without what follows a dot, in order.
fn names(folder: &Path) -> Vec<String> {
    let found = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut found: Vec<_> = found.map(|entry| stem(entry.unwrap().path())).collect();
    found.sort();
    found
}

/// Programs, kept inputs, words and the manifest of the fuzz crate speak of these targets and no
/// others, so that none is left out here or there.
#[test]
fn every_target_is_replayed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut targets: Vec<_> = targets::TARGETS.map(|(name, _)| name.to_owned()).into();
    targets.sort();
    assert_eq!(names(&root.join("fuzz/fuzz_targets")), targets);
    assert_eq!(names(&root.join("testdata/fuzz")), targets);
    let manifest = std::fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    for target in &targets {
        let named = format!("path = \"fuzz_targets/{target}.rs\"");
        assert!(manifest.contains(&named), "fuzz/Cargo.toml has no program for {target}");
    }
    for words in names(&root.join("fuzz/words")) {
        assert!(words == "wire" || targets.contains(&words), "{words}.dict is for no target");
    }
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
