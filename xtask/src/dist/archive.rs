//! The archive: sorted, owned by nobody in particular, of one time. The same contents are the same
//! bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use super::contents::Contents;

/// The sums of all other files, which are thereby the list of what is in the archive.
const SUMS: &str = "SHA256SUMS";

/// An archive with one directory in it.
#[derive(Debug)]
pub(super) struct Archive {
    /// The name of that directory, and of the file without its ending.
    pub(super) name: String,
    /// When everything in it was changed last, in unix seconds.
    pub(super) mtime: u64,
    pub(super) contents: Contents,
}

impl Archive {
    /// Writes `NAME.tar.gz` into a directory, and says where it is.
    pub(super) fn write(&self, shell: &Shell, out: &Path) -> Result<PathBuf> {
        let stage = tempfile::tempdir()?;
        let top = stage.path().join(&self.name);
        let mut names = Vec::new();
        for (path, file) in self.contents.files() {
            let to = top.join(path);
            fs::create_dir_all(to.parent().context("a file without a directory")?)?;
            fs::write(&to, &file.bytes)?;
            let mode = if file.executable { 0o755 } else { 0o644 };
            fs::set_permissions(&to, fs::Permissions::from_mode(mode))?;
            names.push(path);
        }
        let staged = shell.clone();
        staged.change_dir(&top);
        let sums = cmd!(staged, "sha256sum {names...}").quiet().read()?;
        fs::write(top.join(SUMS), sums + "\n")?;
        fs::set_permissions(top.join(SUMS), fs::Permissions::from_mode(0o644))?;

        fs::create_dir_all(out)?;
        let path = out.join(format!("{}.tar.gz", self.name));
        let tar = stage.path().join("tar");
        let (dir, name, mtime) = (stage.path(), &self.name, self.mtime.to_string());
        cmd!(
            shell,
            "tar --create --file {tar} --directory {dir} --format=ustar --sort=name --owner=0
             --group=0 --numeric-owner --mtime=@{mtime} --mode=u=rwX,go=rX {name}"
        )
        .env("LC_ALL", "C")
        .quiet()
        .run()?;
        // No name and no time of its own.
        cmd!(shell, "gzip -9 --no-name {tar}").quiet().run()?;
        fs::copy(stage.path().join("tar.gz"), &path)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::super::contents::tests::stand_in;
    use super::*;
    use crate::util;

    fn archive(dir: &Path) -> Archive {
        let shell = Shell::new().unwrap();
        let contents =
            Contents::gather(&shell, &util::project_root().unwrap(), &stand_in(dir)).unwrap();
        Archive { name: "ingestry-1.2.3-here".to_owned(), mtime: 1_700_000_000, contents }
    }

    #[test]
    fn it_holds_what_its_sums_say_and_nothing_else() {
        let (shell, work) = (Shell::new().unwrap(), tempfile::tempdir().unwrap());
        let archive = archive(work.path());
        let path = archive.write(&shell, &work.path().join("out")).unwrap();
        let listing = cmd!(shell, "tar -tzvf {path}").env("TZ", "UTC").quiet().read().unwrap();
        let mut listed = Vec::new();
        for line in listing.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [mode, owner, _, date, time, name] = fields[..] else { panic!("{line}") };
            assert_eq!((owner, date, time), ("0/0", "2023-11-14", "22:13"), "{line}");
            let runs = name.ends_with("/bin/ingestry") || name.ends_with('/');
            assert_eq!(&mode[1..], if runs { "rwxr-xr-x" } else { "rw-r--r--" }, "{line}");
            if !name.ends_with('/') {
                listed.push(name.strip_prefix("ingestry-1.2.3-here/").unwrap().to_owned());
            }
        }
        let into = work.path().join("unpacked");
        fs::create_dir(&into).unwrap();
        cmd!(shell, "tar -xzf {path} -C {into}").quiet().run().unwrap();
        let top = into.join(&archive.name);
        let sums = fs::read_to_string(top.join(SUMS)).unwrap();
        let mut summed: Vec<String> =
            sums.lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect();
        let planned: Vec<String> =
            archive.contents.files().map(|(path, _)| path.to_owned()).collect();
        assert_eq!(summed, planned);
        summed.push(SUMS.to_owned());
        summed.sort();
        listed.sort();
        assert_eq!(listed, summed);
        shell.change_dir(&top);
        cmd!(shell, "sha256sum --check --strict --quiet SHA256SUMS").quiet().run().unwrap();
        // A file that was changed is seen.
        fs::write(top.join("share/doc/ingestry/README.md"), "changed").unwrap();
        let check = cmd!(shell, "sha256sum --check --strict --quiet SHA256SUMS");
        assert!(check.quiet().ignore_stdout().ignore_stderr().run().is_err());
    }

    #[test]
    fn the_same_contents_are_the_same_bytes() {
        let (shell, work) = (Shell::new().unwrap(), tempfile::tempdir().unwrap());
        let write = |to: &str| {
            let to = work.path().join(to);
            fs::create_dir_all(&to).unwrap();
            fs::read(archive(&to).write(&shell, &to.join("out")).unwrap()).unwrap()
        };
        let (one, two) = (write("one"), write("two"));
        assert!(one == two, "{} and {} bytes", one.len(), two.len());
        let mut later = archive(work.path());
        later.mtime += 1;
        let later = later.write(&shell, &work.path().join("later")).unwrap();
        assert!(fs::read(later).unwrap() != one);
    }
}
