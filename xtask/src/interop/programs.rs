//! Programs that were not written here: where they are, and those that come from Python's registry.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::util;

/// A program in the path.
pub(crate) fn find(program: &str, package: &str) -> Result<PathBuf> {
    find_in(&[], program, package)
}

/// A program in the path, or in one of these directories: daemons are often where only root looks.
pub(crate) fn find_in(others: &[&str], program: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = others.iter().map(PathBuf::from);
    let found = std::env::split_paths(&path).chain(others).map(|dir| dir.join(program));
    let found = found.into_iter().find(|at| at.is_file());
    match found {
        Some(found) => Ok(found),
        None => bail!("{program} is not installed (Debian's package {package}): nothing was tried"),
    }
}

/// A folder of the target directory for what is installed for these runs.
fn folder() -> Result<PathBuf> {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => PathBuf::from(target),
        None => util::project_root()?.join("target"),
    };
    Ok(target.join("interop"))
}

/// A Python with these packages, each with the module that shows that it is there. They are installed
/// from the registry into an environment of their own, once.
pub(crate) fn python(packages: &[(&str, &str)]) -> Result<PathBuf> {
    let environment = folder()?.join("python");
    let program = environment.join("bin/python3");
    if !program.is_file() {
        let python = find("python3", "python3")?;
        let status = Command::new(python).args(["-m", "venv"]).arg(&environment).status()?;
        ensure!(status.success(), "python3 -m venv failed (Debian's package python3-venv)");
    }
    for (package, module) in packages {
        let there = Command::new(&program).args(["-c", &format!("import {module}")]).output()?;
        if there.status.success() {
            continue;
        }
        let mut pip = Command::new(&program);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]);
        let status = pip.status().context("cannot start pip")?;
        ensure!(status.success(), "pip install {package} failed: nothing was tried");
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_peer_is_an_error_with_a_package() {
        let error = find("no-such-peer", "some-package").unwrap_err().to_string();
        assert!(error.contains("some-package"), "{error}");
    }
}
