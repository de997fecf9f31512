//! `cargo xtask ci`: the gates, in the order in which they fail fastest.
//!
//! Output of the commands goes straight to the terminal: the test results are part of the log.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use crate::tidy::metadata::Metadata;
use crate::{codegen, tidy, util};

/// The bugs that can be planted in the log and in what delivers from it: `cargo xtask crash` has to
/// see each.
const PLANTS: [&str; 8] = [
    "ack-before-write",
    "no-fsync",
    "ack-before-fsync",
    "no-dir-sync",
    "drop-tail",
    "reuse-lsn",
    "cursor-before-ack",
    "skip-resend",
];

/// One gate: a cargo command, or the checks of this very program.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    name: String,
    work: Work,
}

#[derive(Debug, PartialEq, Eq)]
enum Work {
    Cargo { args: Vec<String>, env: Option<(&'static str, &'static str)> },
    Codegen,
    Tidy,
}

impl Step {
    fn cargo(name: impl Into<String>, args: &str) -> Self {
        let args = args.split_whitespace().map(str::to_owned).collect();
        Self { name: name.into(), work: Work::Cargo { args, env: None } }
    }

    fn env(mut self, key: &'static str, value: &'static str) -> Self {
        if let Work::Cargo { env, .. } = &mut self.work {
            *env = Some((key, value));
        }
        self
    }

    fn command(&self) -> String {
        match &self.work {
            Work::Tidy => "cargo xtask tidy".to_owned(),
            Work::Codegen => "cargo xtask codegen --check".to_owned(),
            Work::Cargo { args, env: None } => format!("cargo {}", args.join(" ")),
            Work::Cargo { args, env: Some((key, value)) } => {
                format!("{key}='{value}' cargo {}", args.join(" "))
            }
        }
    }
}

/// Runs the steps. `Ok(false)` means that one of them failed, and has said why.
pub(crate) fn run(quick: bool) -> Result<bool> {
    let shell = util::shell()?;
    let steps = steps(&Metadata::read(&shell)?, quick);
    let start = Instant::now();
    let mut done: Vec<(&str, Duration)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        println!("\nci [{}/{}] {}: {}", number + 1, steps.len(), step.name, step.command());
        let began = Instant::now();
        let passed = execute(&shell, step)?;
        let took = began.elapsed();
        if !passed {
            println!("\nci: FAILED at `{}` after {}", step.name, util::human(took));
            println!("ci: to run it alone: {}", step.command());
            return Ok(false);
        }
        println!("ci [{}/{}] {}: ok in {}", number + 1, steps.len(), step.name, util::human(took));
        done.push((&step.name, took));
    }
    println!("\nci: all {} steps passed in {}", done.len(), util::human(start.elapsed()));
    for (name, took) in done {
        println!("  {:>12}  {name}", util::human(took));
    }
    Ok(true)
}

fn execute(shell: &Shell, step: &Step) -> Result<bool> {
    match &step.work {
        Work::Tidy => tidy::run(),
        Work::Codegen => codegen::run(true),
        Work::Cargo { args, env } => {
            let mut command = cmd!(shell, "cargo {args...}").quiet().ignore_status();
            if let Some((key, value)) = env {
                command = command.env(key, value);
            }
            let status = std::process::Command::from(command)
                .status()
                .with_context(|| format!("cannot start `{}`", step.command()))?;
            Ok(status.success())
        }
    }
}

fn steps(metadata: &Metadata, quick: bool) -> Vec<Step> {
    let mut steps = vec![
        // First: with the lock file known to be complete, no later step can change it, and the
        // test step can be the very command that the README names.
        Step::cargo("lock file", "fetch --locked --quiet"),
        Step::cargo("format", "fmt --all -- --check"),
        Step::cargo("clippy", "clippy --locked --workspace --all-targets -- -D warnings"),
    ];
    if !quick {
        steps.push(Step::cargo(
            "clippy, all features",
            "clippy --locked --workspace --all-targets --all-features -- -D warnings",
        ));
    }
    steps.push(Step { name: "codegen".to_owned(), work: Work::Codegen });
    steps.push(Step { name: "tidy".to_owned(), work: Work::Tidy });
    steps.push(Step::cargo("test", "test --workspace"));
    if !quick {
        // What measures is not built without being asked for.
        steps.push(Step::cargo("bench", "test --locked --package xtask --all-features bench::"));
        // Every order of the threads' steps, in a build of its own.
        let loom = "test --locked --package ingest-wal --lib --target-dir target/loom loom";
        steps.push(Step::cargo("loom", loom).env("RUSTFLAGS", "--cfg loom"));
        // The program as it is keeps its promises, and one that does not is noticed.
        let crash = "xtask crash --profile dev --seed 1 --rounds";
        steps.push(Step::cargo("crash", &format!("{crash} 12")));
        steps.push(Step::cargo("power cuts", &format!("{crash} 12 --power")));
        // A run ends when it is noticed. How many rounds that takes is chance: 10 to 30, as a rule.
        for plant in PLANTS {
            let args = format!("{crash} 150 --plant {plant}");
            steps.push(Step::cargo(format!("plant {plant}"), &args));
        }
        // The same through reports instead of an end of file.
        steps.push(Step::cargo("crash hydra", &format!("{crash} 12 --source hydra")));
        let planted = format!("{crash} 150 --source hydra --plant ack-before-write");
        steps.push(Step::cargo("plant through hydra", &planted));
        let doc = "doc --locked --workspace --no-deps --all-features";
        steps.push(Step::cargo("docs", doc).env("RUSTDOCFLAGS", "-Dwarnings"));
        steps.push(Step::cargo("dependencies", "xtask alone --count"));
        steps.push(Step::cargo("release", "xtask release --dry-run"));
        steps.extend(single_features(metadata));
    }
    steps
}

/// Features must be additive, and each crate must build without those that others switch on.
fn single_features(metadata: &Metadata) -> Vec<Step> {
    let mut steps = Vec::new();
    for package in metadata.default_members().filter(|package| package.library().is_some()) {
        let name = &package.name;
        let base = format!("check --locked --package {name} --no-default-features");
        steps.push(Step::cargo(format!("{name} alone"), &base));
        // `default` is what every other step builds; `__` marks a feature as private.
        for feature in package.features.keys().filter(|f| *f != "default" && !f.starts_with("__")) {
            let args = format!("{base} --features {feature}");
            steps.push(Step::cargo(format!("{name} with {feature}"), &args));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let json = r#"{
            "workspace_root": "/w",
            "workspace_members": ["a", "x"],
            "workspace_default_members": ["a"],
            "packages": [
                {"id": "a", "name": "ingest-wal", "edition": "2024", "license": "MIT",
                 "manifest_path": "/w/crates/ingest-wal/Cargo.toml", "dependencies": [],
                 "features": {"default": [], "plants": [], "__test": []},
                 "targets": [{"name": "ingest_wal", "kind": ["lib"], "doc": true}]},
                {"id": "x", "name": "xtask", "edition": "2024", "license": "MIT",
                 "manifest_path": "/w/xtask/Cargo.toml", "dependencies": [],
                 "features": {"odd": []},
                 "targets": [{"name": "xtask", "kind": ["bin"], "doc": true}]}
            ]
        }"#;
        serde_json::from_str(json).unwrap()
    }

    fn commands(quick: bool) -> Vec<String> {
        steps(&metadata(), quick).iter().map(Step::command).collect()
    }

    #[test]
    fn all_gates_are_there() {
        let commands = commands(false);
        let expected = [
            "cargo fetch --locked --quiet",
            "cargo fmt --all -- --check",
            "cargo clippy --locked --workspace --all-targets -- -D warnings",
            "cargo clippy --locked --workspace --all-targets --all-features -- -D warnings",
            "cargo xtask codegen --check",
            "cargo xtask tidy",
            "cargo test --workspace",
            "cargo test --locked --package xtask --all-features bench::",
            "RUSTFLAGS='--cfg loom' cargo test --locked --package ingest-wal --lib --target-dir \
             target/loom loom",
            "cargo xtask crash --profile dev --seed 1 --rounds 12",
            "cargo xtask crash --profile dev --seed 1 --rounds 12 --power",
            "cargo xtask crash --profile dev --seed 1 --rounds 150 --plant ack-before-write",
            "cargo xtask crash --profile dev --seed 1 --rounds 150 --plant no-fsync",
            "cargo xtask crash --profile dev --seed 1 --rounds 150 --plant ack-before-fsync",
            "cargo xtask crash --profile dev --seed 1 --rounds 150 --plant no-dir-sync",
            "cargo xtask crash --profile dev --seed 1 --rounds 150 --plant drop-tail",
            "cargo xtask crash --profile dev --seed 1 --rounds 150 --plant reuse-lsn",
            "cargo xtask crash --profile dev --seed 1 --rounds 150 --plant cursor-before-ack",
            "cargo xtask crash --profile dev --seed 1 --rounds 150 --plant skip-resend",
            "cargo xtask crash --profile dev --seed 1 --rounds 12 --source hydra",
            "cargo xtask crash --profile dev --seed 1 --rounds 150 --source hydra --plant \
             ack-before-write",
            "RUSTDOCFLAGS='-Dwarnings' cargo doc --locked --workspace --no-deps --all-features",
            "cargo xtask alone --count",
            "cargo xtask release --dry-run",
            "cargo check --locked --package ingest-wal --no-default-features",
            "cargo check --locked --package ingest-wal --no-default-features --features plants",
        ];
        assert_eq!(commands, expected);
    }

    #[test]
    fn every_plant_is_run() {
        let all: Vec<_> = ingest_wal::Plant::ALL.iter().map(|plant| plant.as_str()).collect();
        assert_eq!(PLANTS.as_slice(), all, "each of them");
    }

    #[test]
    fn quick_keeps_the_tests() {
        let commands = commands(true);
        assert!(commands.contains(&"cargo test --workspace".to_owned()));
        assert!(!commands.iter().any(|c| c.contains("--all-features") || c.contains("doc ")));
        assert!(!commands.iter().any(|c| c.contains("crash")));
    }
}
