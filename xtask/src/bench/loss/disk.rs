//! A file system of its own, whose power can be cut.
//!
//! ext4 in an image file behind a loop device. A cut is the shutdown that the tests of file systems
//! use (`xfs_io -x -c shutdown`): from that instant on nothing more reaches the device, neither data nor
//! journal. Mounted again, the journal is replayed, and what was written and not synced is gone unless
//! the system had written it back by itself. What has reached the image stays: a device whose own cache
//! is lost as well is not modelled. It takes root, and the programs named below.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// The size of the image, of which only what is written takes room.
const SIZE: u64 = 2 << 30;

/// A mounted file system; dropping it unmounts.
#[derive(Debug)]
pub(super) struct OwnDisk {
    _home: TempDir,
    image: PathBuf,
    mount: PathBuf,
}

impl OwnDisk {
    pub(super) fn new() -> Result<Self> {
        let home = tempfile::Builder::new().prefix("ingestry-bench-").tempdir()?;
        let (image, mount) = (home.path().join("image"), home.path().join("mount"));
        File::create(&image)?.set_len(SIZE)?;
        std::fs::create_dir(&mount)?;
        done(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image), "e2fsprogs")?;
        let disk = Self { _home: home, image, mount };
        disk.mounted()?;
        Ok(disk)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.mount
    }

    fn mounted(&self) -> Result<()> {
        let mut mount = Command::new("mount");
        done(mount.args(["-t", "ext4", "-o", "loop"]).arg(&self.image).arg(&self.mount), "mount")
    }

    /// The power is gone: nothing more is written.
    pub(super) fn cut(&self) -> Result<()> {
        done(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.mount), "xfsprogs")
    }

    /// It is back. Nothing may have files open any more.
    pub(super) fn back(&self) -> Result<()> {
        done(Command::new("umount").arg(&self.mount), "mount")?;
        self.mounted()
    }
}

impl Drop for OwnDisk {
    fn drop(&mut self) {
        // A mount that is not there cannot be taken away, and that is all that can be wrong.
        let _ = Command::new("umount").arg("--lazy").arg(&self.mount).status();
    }
}

/// A cut takes what was not synced and leaves what was, or nothing that it shows would count.
pub(super) fn prove() -> Result<()> {
    let disk = OwnDisk::new()?;
    let (kept, gone) = (disk.dir().join("kept"), disk.dir().join("gone"));
    let mut file = File::create(&kept)?;
    file.write_all(b"synced")?;
    file.sync_all()?;
    File::open(disk.dir())?.sync_all()?;
    let mut lost = File::create(&gone)?;
    lost.write_all(b"not synced")?;
    file.write_all(b", and not")?;
    disk.cut()?;
    drop((file, lost));
    disk.back()?;
    let text = std::fs::read_to_string(&kept).context("what was synced is gone")?;
    ensure!(text == "synced", "a cut left {text:?} of what was synced as \"synced\"");
    let left = std::fs::read(&gone).unwrap_or_default();
    ensure!(left.is_empty(), "a cut left {} bytes that were not synced", left.len());
    Ok(())
}

/// Runs a tool of the system's.
fn done(command: &mut Command, package: &str) -> Result<()> {
    let output = command.output().with_context(|| {
        format!("needed, and not there: {command:?} (Debian's package {package})")
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}; power cuts need root and loop devices",
        output.status,
        said.trim()
    );
    Ok(())
}
