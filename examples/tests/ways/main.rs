//! Every example, run as a program: against a real gateway, a server of ours, or another example.
//!
//! `cargo test -p examples` builds the programs first; with `--test ways` alone it does not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "../../../crates/loggregator-consumer/tests/fake/mod.rs"]
#[allow(dead_code, reason = "that crate's own tests use the rest")]
mod fake;
mod graphite;
mod gravwell;
mod hydra;
mod local;
mod loggregator;
mod support;

/// None is left out, and none is run that is not there.
#[test]
fn every_example_is_run() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str, end: &str| -> Vec<String> {
        let files = std::fs::read_dir(here.join(folder)).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| Some(name.strip_suffix(end)?.to_owned())).collect()
    };
    let tests: String = ["graphite", "gravwell", "hydra", "local", "loggregator"]
        .map(|name| std::fs::read_to_string(here.join(format!("tests/ways/{name}.rs"))).unwrap())
        .concat();
    let programs = names("examples", ".rs");
    assert!(programs.len() >= 15, "{programs:?}");
    for name in programs {
        assert!(tests.contains(&format!("example(\"{name}\")")), "no test runs {name}");
    }
}
