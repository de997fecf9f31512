//! `cargo xtask dist`: the program and all that belongs to it as one archive, the same bytes for the
//! same commit and compiler.

mod archive;
mod contents;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::flags::Dist;
use crate::tidy::metadata::Metadata;
use crate::util;
use archive::Archive;
use contents::Contents;

/// The package with the program, and the program.
const PACKAGE: &str = "ingest-gateway";
const PROGRAM: &str = "ingestry";

/// Builds the archive, unpacks it somewhere else, and tries what is in it.
pub(crate) fn run(flags: &Dist) -> Result<bool> {
    let shell = util::shell()?;
    let root = util::project_root()?;
    let metadata = Metadata::read(&shell)?;
    let version =
        metadata.package(PACKAGE).context("the workspace has no program")?.version.clone();
    let target = target(&shell)?;
    let out = flags.out.clone().unwrap_or_else(|| root.join("target/dist"));
    let binary = match &flags.binary {
        Some(binary) => binary.clone(),
        None => build(&shell, &root)?,
    };

    let name = format!("{PROGRAM}-{version}-{target}");
    let contents = Contents::gather(&shell, &root, &binary)?;
    let archive = Archive { name, mtime: mtime(&shell)?, contents };
    let path = archive.write(&shell, &out)?;
    let sum = sum(&shell, &path)?;
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    std::fs::write(out.join(format!("{file}.sha256")), format!("{sum}  {file}\n"))?;

    let unpacked = tempfile::tempdir()?;
    try_out(&shell, &archive, &path, unpacked.path())?;
    let bytes = std::fs::metadata(&path)?.len();
    println!(
        "dist: {} ({:.1} MB, {} files)",
        path.display(),
        mega(bytes),
        archive.contents.len() + 1
    );
    println!("dist: SHA-256 {sum}");
    Ok(true)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The program with everything it can do, without symbols, and without the names of this machine's
/// directories.
fn build(shell: &Shell, root: &Path) -> Result<PathBuf> {
    let cargo_home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    let from = root.display();
    let flags = format!(
        "--remap-path-prefix={cargo_home}=/cargo --remap-path-prefix={from}=/ingestry -C strip=symbols"
    );
    let began = std::time::Instant::now();
    // A directory of its own: the flags would have every other build begin anew.
    cmd!(shell, "cargo build --locked --release --package {PACKAGE} --features full --target-dir target/dist/build")
        .env("RUSTFLAGS", flags)
        .env("CARGO_INCREMENTAL", "0")
        .run()?;
    println!("dist: built in {}", util::human(began.elapsed().max(Duration::from_millis(1))));
    Ok(root.join("target/dist/build/release").join(PROGRAM))
}

/// What this compiler builds for.
fn target(shell: &Shell) -> Result<String> {
    let version = cmd!(shell, "rustc -vV").quiet().read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what it builds for")
}

/// The time of every file in the archive: `SOURCE_DATE_EPOCH`, or that of the last commit.
fn mtime(shell: &Shell) -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => cmd!(shell, "git log -1 --format=%ct").quiet().read()?,
    };
    text.trim().parse().with_context(|| format!("{text:?} is no time in seconds"))
}

fn sum(shell: &Shell, path: &Path) -> Result<String> {
    let line = cmd!(shell, "sha256sum {path}").quiet().read()?;
    line.split_whitespace().next().map(str::to_owned).context("sha256sum printed nothing")
}

/// Unpacks an archive, compares it with its sums, and runs what is in it.
fn try_out(shell: &Shell, archive: &Archive, path: &Path, into: &Path) -> Result<()> {
    cmd!(shell, "tar -xzf {path} -C {into}").quiet().run()?;
    let top = into.join(&archive.name);
    let unpacked = shell.clone();
    unpacked.change_dir(&top);
    cmd!(unpacked, "sha256sum --check --strict --quiet SHA256SUMS").quiet().run()?;
    let program = top.join("bin").join(PROGRAM);
    let version = cmd!(shell, "{program} --version").quiet().read()?;
    ensure!(
        archive.name.starts_with(&version.replace(' ', "-")),
        "the program says {version:?}, the archive {:?}",
        archive.name
    );
    // The packaged configuration has a directory that is not there for whoever builds.
    let config = top.join("etc/ingestry/ingestry.toml");
    let data = into.join("data");
    cmd!(shell, "{program} check {config} --data-dir {data}").quiet().ignore_stdout().run()?;
    verify_units(shell, &top)
}

/// What systemd says about the units, where there is one.
fn verify_units(shell: &Shell, top: &Path) -> Result<()> {
    if cmd!(shell, "systemd-analyze --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .is_err()
    {
        println!("dist: systemd-analyze is not here: the units were not verified");
        return Ok(());
    }
    let units = top.join("lib/systemd/system");
    let service = units.join("ingestry.service");
    let verdict = cmd!(shell, "systemd-analyze security --offline=true --no-pager {service}")
        .quiet()
        .read()?;
    let last = verdict.lines().last().unwrap_or_default().trim_start_matches('→').trim();
    println!("dist: systemd-analyze security: {last}");
    let socket = units.join("ingestry.socket");
    let output = std::process::Command::from(
        cmd!(shell, "systemd-analyze verify --man=no {service} {socket}").quiet(),
    )
    .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    // The program is not installed where it is built.
    let found = said.lines().filter(|line| !line.contains("is not executable")).collect::<Vec<_>>();
    if !found.is_empty() {
        bail!("systemd-analyze verify: {}", found.join("; "));
    }
    println!("dist: systemd-analyze verify: nothing to say");
    Ok(())
}
