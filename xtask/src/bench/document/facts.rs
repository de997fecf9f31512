//! The circumstances of a run: machine, day, commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::kept::Machine;
use crate::util;

/// The device and the file system of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bench) struct Disk {
    pub(in crate::bench) kind: String,
    device: String,
}

pub(in crate::bench) fn machine() -> Result<Machine> {
    let processors = std::fs::read_to_string("/proc/cpuinfo")?;
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let disk = Disk::of(&std::env::temp_dir())?;
    Ok(Machine {
        processor: field(&processors, "model name").unwrap_or("an unnamed processor").to_owned(),
        cores: std::thread::available_parallelism()?.get(),
        memory_gib: gib(&memory).context("the system does not say how much memory it has")?,
        system: output("uname", &["-sr"])?,
        disk: format!("{} on {}", disk.kind, disk.device),
        compiler: output("rustc", &["--version"])?,
    })
}

pub(in crate::bench) fn today() -> Result<String> {
    output("date", &["-u", "+%Y-%m-%d"])
}

/// The commit, and whether anything but kept figures differs from it.
pub(in crate::bench) fn commit() -> Result<String> {
    let commit = output("git", &["rev-parse", "--short=10", "HEAD"])?;
    let changes = output(
        "git",
        &["status", "--porcelain", "--", ":/", ":!/docs/benchmarks", ":!/docs/benchmarks.md"],
    )?;
    Ok(if changes.is_empty() { commit } else { format!("{commit} with changes") })
}

impl Disk {
    pub(in crate::bench) fn of(dir: &Path) -> Result<Self> {
        let dir = dir.canonicalize()?;
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        Self::among(&mounts, &dir).context("the system does not say where temporary files are")
    }

    /// That of the deepest mount above the directory.
    fn among(mounts: &str, dir: &Path) -> Option<Self> {
        let rows = mounts.lines().filter_map(|line| {
            let mut fields = line.split(' ');
            let (device, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
            let at = PathBuf::from(at);
            dir.starts_with(&at).then_some((at, device, kind))
        });
        // Of two mounts at one place the later one is seen.
        let (_, device, kind) = rows.max_by_key(|(at, ..)| at.components().count())?;
        Some(Self { kind: kind.to_owned(), device: device.to_owned() })
    }
}

/// A field of the first processor.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

fn gib(memory: &str) -> Option<f64> {
    let kib: f64 = field(memory, "MemTotal")?.strip_suffix(" kB")?.parse().ok()?;
    Some((kib / 1024.0 / 1024.0 * 10.0).round() / 10.0)
}

fn output(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).current_dir(util::project_root()?).output();
    let output = output.with_context(|| format!("cannot start {program}"))?;
    ensure!(output.status.success(), "{program} {args:?} ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_counts() {
        let mounts =
            "/dev/vda / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n/dev/vdb /tmp xfs rw 0 0\n";
        let at =
            |dir: &str| Disk::among(mounts, Path::new(dir)).map(|disk| (disk.kind, disk.device));
        let pair = |kind: &str, device: &str| Some((kind.to_owned(), device.to_owned()));
        assert_eq!(at("/tmp/a/b"), pair("xfs", "/dev/vdb"));
        assert_eq!(at("/tmpfile"), pair("ext4", "/dev/vda"));
        assert_eq!(at("/dev/shm"), pair("tmpfs", "tmpfs"));
        assert_eq!(Disk::among("", Path::new("/")), None);
    }

    #[test]
    fn the_machine_has_a_name_and_a_size() {
        assert_eq!(field("a: 1\nmodel name\t: X 7\nmodel name\t: Y\n", "model name"), Some("X 7"));
        assert_eq!(gib("MemTotal:       25165824 kB\n"), Some(24.0));
        let machine = machine().unwrap();
        assert!(machine.cores > 0 && machine.memory_gib > 0.0, "{machine:?}");
        assert_eq!(today().unwrap().len(), 10);
    }
}
