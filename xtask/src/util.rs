//! What several sub-commands need: where the project is, which files it has, how long things took.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

/// The workspace's root directory.
pub(crate) fn project_root() -> Result<PathBuf> {
    // Cargo sets the variable for `cargo run`; the binary started by hand knows where it was built.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = manifest.parent().context("xtask's directory has no parent")?;
    Ok(root.to_path_buf())
}

/// A shell that stands in the workspace's root and prints no commands by itself.
pub(crate) fn shell() -> Result<Shell> {
    let shell = Shell::new()?;
    shell.change_dir(project_root()?);
    Ok(shell)
}

/// Every file that git tracks or would add, relative to the root, with `/` between the parts.
pub(crate) fn project_files(shell: &Shell, root: &Path) -> Result<Vec<String>> {
    let listing = cmd!(shell, "git ls-files -z --cached --others --exclude-standard")
        .quiet()
        .read()
        .context("the list of files comes from git: is this a git work tree?")?;
    let mut files: Vec<String> = listing
        .split('\0')
        .filter(|path| !path.is_empty() && root.join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// A duration as a person reads it: `0.4 s`, `2 min 05 s`.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(human(Duration::from_millis(440)), "0.4 s");
        assert_eq!(human(Duration::from_secs(59)), "59.0 s");
        assert_eq!(human(Duration::from_secs(125)), "2 min 05 s");
    }

    #[test]
    fn the_root_holds_this_crate() {
        let root = project_root().unwrap();
        assert!(root.join("xtask/src/util.rs").is_file());
    }
}
