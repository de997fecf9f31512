//! cargo-fuzz, the programs that it builds, and where their files are.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The version that is installed where there is none.
const VERSION: &str = "0.13.2";

/// Flags for a build whose edges are those of its source.
const BARE: &[&str] = &[
    "-Cpanic=abort",
    "-Coverflow-checks=off",
    "-Cdebug-assertions=off",
    "-Cllvm-args=-asan-instrument-reads=0",
    "-Cllvm-args=-asan-instrument-writes=0",
    "-Cllvm-args=-asan-instrument-atomics=0",
    "-Cllvm-args=-asan-instrument-byval=0",
    "-Cllvm-args=-asan-stack=0",
];

/// How to build and start fuzz targets.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) root: PathBuf,
    /// Everything that fuzzing leaves behind.
    home: PathBuf,
    cargo_fuzz: PathBuf,
    host: String,
}

pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

impl Tool {
    /// Looks for cargo-fuzz, and installs it into the target directory if there is none.
    pub(crate) fn find(root: &Path) -> Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let home = root.join(target).join("fuzz");
        fs::create_dir_all(&home)?;
        let ours = home.join("tools");
        let candidates = [PathBuf::from("cargo-fuzz"), ours.join("bin/cargo-fuzz")];
        let works = |path: &&PathBuf| {
            Command::new(path)
                .args(["fuzz", "--version"])
                .output()
                .is_ok_and(|o| o.status.success())
        };
        let cargo_fuzz = match candidates.iter().find(works) {
            Some(found) => found.clone(),
            None => install(&ours)?,
        };
        let rustc = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
        let said = String::from_utf8(rustc.stdout)?;
        let host = said.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc does not say what its host is")?.to_owned();
        Ok(Self { root: root.to_owned(), home, cargo_fuzz, host })
    }

    /// Builds targets for fuzzing; those with a fault beside those without.
    pub(crate) fn build(&self, plant: bool, names: &[&str]) -> Result<()> {
        let features: &[&str] = if plant { &["--features", "plant"] } else { &[] };
        self.cargo_fuzz(built(plant), names, features, &[])
    }

    /// Builds targets so that each function's edges are its own and are those of its source:
    /// nothing is inlined, and nothing checked or unwound. The address sanitizer stays for its
    /// knowledge of lines, and checks nothing.
    pub(crate) fn build_for_coverage(&self, names: &[&str]) -> Result<()> {
        self.cargo_fuzz("coverage", names, &["--dev"], BARE)
    }

    /// Builds the one that is named, or all if there are more: cargo-fuzz takes a name or none.
    fn cargo_fuzz(&self, into: &str, names: &[&str], more: &[&str], flags: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.cargo_fuzz);
        command.current_dir(self.root.join("fuzz")).args(["fuzz", "build"]).args(more);
        if let [name] = names {
            command.arg(name);
        }
        command.arg("--target-dir").arg(self.home.join(into)).args(["--target", &self.host]);
        // Instrumentation has no stable flags. Here alone: all else is built as anyone builds it.
        command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", flags.join(" "));
        let status = command.status().context("cannot start cargo-fuzz")?;
        ensure!(status.success(), "the fuzz targets cannot be built");
        Ok(())
    }

    /// A target's program, with or without a fault, and what it reads: an input, or folders of them,
    /// the first of which takes what is new.
    pub(crate) fn start(&self, plant: bool, target: &str, reads: &[&Path]) -> Command {
        self.program(built(plant), "release", target, reads)
    }

    /// The same, as it was built for coverage.
    pub(crate) fn start_for_coverage(&self, target: &str, reads: &[&Path]) -> Command {
        self.program("coverage", "debug", target, reads)
    }

    fn program(&self, built: &str, profile: &str, target: &str, reads: &[&Path]) -> Command {
        let path = self.home.join(built).join(&self.host).join(profile).join(target);
        let mut command = Command::new(path);
        command.current_dir(&self.home).args(reads);
        command
    }

    /// A folder of a target, made if need be.
    pub(crate) fn folder(&self, kind: &str, target: &str) -> Result<PathBuf> {
        let folder = self.home.join(kind).join(target);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }

    /// A folder of a target, emptied.
    pub(crate) fn fresh(&self, kind: &str, target: &str) -> Result<PathBuf> {
        let folder = self.folder(kind, target)?;
        fs::remove_dir_all(&folder)?;
        self.folder(kind, target)
    }

    /// The inputs in the repository.
    pub(crate) fn kept(&self, target: &str) -> PathBuf {
        self.root.join("testdata/fuzz").join(target)
    }
}

/// The folder of a build.
fn built(plant: bool) -> &'static str {
    if plant { "plant" } else { "build" }
}

fn install(into: &Path) -> Result<PathBuf> {
    println!(
        "cargo-fuzz is not installed: version {VERSION} goes to {}, in some minutes",
        into.display()
    );
    let mut command = Command::new(cargo());
    command.args(["install", "--locked", "--version", VERSION, "cargo-fuzz", "--root"]).arg(into);
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "cargo-fuzz {VERSION} cannot be installed; fuzzing needs it");
    Ok(into.join("bin/cargo-fuzz"))
}
