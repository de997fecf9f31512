//! What is in the archive: every file with its place, its mode and its bytes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

/// Files of the repository, and where they go.
const FILES: &[(&str, &str)] = &[
    ("packaging/ingestry.service", "lib/systemd/system/ingestry.service"),
    ("packaging/ingestry.socket", "lib/systemd/system/ingestry.socket"),
    ("packaging/ingestry.sysusers", "lib/sysusers.d/ingestry.conf"),
    ("README.md", "share/doc/ingestry/README.md"),
    ("CHANGELOG.md", "share/doc/ingestry/CHANGELOG.md"),
    ("SECURITY.md", "share/doc/ingestry/SECURITY.md"),
    ("LICENSE-APACHE", "share/doc/ingestry/LICENSE-APACHE"),
    ("LICENSE-MIT", "share/doc/ingestry/LICENSE-MIT"),
    ("docs/install.md", "share/doc/ingestry/install.md"),
    ("docs/first-ten-minutes.md", "share/doc/ingestry/first-ten-minutes.md"),
    ("docs/logs.md", "share/doc/ingestry/logs.md"),
    ("docs/operating-the-log.md", "share/doc/ingestry/operating-the-log.md"),
    ("docs/reload.md", "share/doc/ingestry/reload.md"),
];

/// What the program prints about itself, and where that goes.
const PRINTED: &[(&str, &str)] = &[
    ("completions bash", "share/bash-completion/completions/ingestry"),
    ("completions fish", "share/fish/vendor_completions.d/ingestry.fish"),
    ("completions zsh", "share/zsh/site-functions/_ingestry"),
];

/// The configuration that is installed: the example, with a log where a service has it.
const CONFIG: &str = "etc/ingestry/ingestry.toml";
const EXAMPLE_DIR: &str = "dir = \"ingestry-data\"       # relative to the working directory";
const SERVICE_DIR: &str = "dir = \"/var/lib/ingestry\"";

/// The manual pages, and one without which they are none.
const MAN: &str = "share/man/man1";
const FIRST_PAGE: &str = "share/man/man1/ingestry.1";

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) executable: bool,
    pub(super) bytes: Vec<u8>,
}

/// Every file by its path below the archive's only directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents(BTreeMap<String, File>);

impl Contents {
    /// Everything for a program, which is asked for what it can print about itself.
    pub(super) fn gather(shell: &Shell, root: &Path, program: &Path) -> Result<Self> {
        let mut contents = Self::default();
        let bytes = std::fs::read(program).with_context(|| program.display().to_string())?;
        contents.put("bin/ingestry", true, bytes);
        for (from, to) in FILES {
            let bytes = std::fs::read(root.join(from)).with_context(|| (*from).to_owned())?;
            contents.put(to, false, bytes);
        }
        for (words, to) in PRINTED {
            let words = words.split(' ');
            let text = cmd!(shell, "{program} {words...}").quiet().read()?;
            contents.put(to, false, (text + "\n").into_bytes());
        }
        let example = cmd!(shell, "{program} config example").quiet().read()?;
        ensure!(
            example.matches(EXAMPLE_DIR).count() == 1,
            "the example configuration has no line {EXAMPLE_DIR:?}"
        );
        let config = example.replace(EXAMPLE_DIR, SERVICE_DIR) + "\n";
        contents.put(CONFIG, false, config.into_bytes());

        let pages = tempfile::tempdir()?;
        let dir = pages.path();
        cmd!(shell, "{program} man {dir}").quiet().run()?;
        for page in std::fs::read_dir(dir)? {
            let page = page?;
            let name = page.file_name().into_string().ok().context("a page with an odd name")?;
            contents.put(&format!("{MAN}/{name}"), false, std::fs::read(page.path())?);
        }
        ensure!(
            contents.0.contains_key(FIRST_PAGE),
            "the program writes no manual page of its own"
        );
        Ok(contents)
    }

    fn put(&mut self, path: &str, executable: bool, bytes: Vec<u8>) {
        self.0.insert(path.to_owned(), File { executable, bytes });
    }

    /// The files, by rising path.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        self.0.iter().map(|(path, file)| (path.as_str(), file))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::util;

    /// A program that answers what the real one does, in a few words.
    pub(crate) fn stand_in(dir: &Path) -> std::path::PathBuf {
        let script = format!(
            "#!/bin/sh\ncase \"$1\" in\n--version) echo ingestry 1.2.3;;\n\
             config) printf '[log]\\n{EXAMPLE_DIR}\\n';;\ncompletions) echo \"$2\";;\n\
             man) mkdir -p \"$2\"; for page in ingestry ingestry-run; do echo page > \"$2/$page.1\"; done;;\n\
             check) exit 0;;\nesac\n"
        );
        let path = dir.join("ingestry");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn everything_has_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let program = stand_in(dir.path());
        let root = util::project_root().unwrap();
        let shell = Shell::new().unwrap();
        let contents = Contents::gather(&shell, &root, &program).unwrap();
        // The program, its configuration, two pages.
        assert_eq!(contents.len(), FILES.len() + PRINTED.len() + 4);
        let file = |path: &str| contents.0.get(path).unwrap_or_else(|| panic!("{path}"));
        assert!(file("bin/ingestry").executable);
        assert!(!file("share/doc/ingestry/LICENSE-MIT").executable);
        assert_eq!(file("share/zsh/site-functions/_ingestry").bytes, b"zsh\n");
        assert_eq!(file(CONFIG).bytes, b"[log]\ndir = \"/var/lib/ingestry\"\n");
        // What the unit starts is what is in the archive, below /usr.
        let unit = fs::read_to_string(root.join("packaging/ingestry.service")).unwrap();
        assert!(
            unit.contains("ExecStart=/usr/bin/ingestry run --config /etc/ingestry/ingestry.toml")
        );
        assert!(unit.contains("StateDirectory=ingestry\n"));
    }

    #[test]
    fn a_program_without_the_line_of_the_example_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let program = stand_in(dir.path());
        let script = fs::read_to_string(&program).unwrap().replace("ingestry-data", "elsewhere");
        fs::write(&program, script).unwrap();
        let shell = Shell::new().unwrap();
        let error = Contents::gather(&shell, &util::project_root().unwrap(), &program).unwrap_err();
        assert!(error.to_string().contains("has no line"), "{error}");
    }
}
