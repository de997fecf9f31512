//! The program that measures: this one with the feature `bench`, in release.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::crash::executable;
use crate::flags::Bench;
use crate::util;

/// Builds it and runs it with the same wishes: whether no floor was missed.
pub(crate) fn run(flags: &Bench) -> Result<bool> {
    let status = Command::new(build()?).args(args(flags)).status();
    Ok(status.context("cannot start the program that measures")?.success())
}

fn build() -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(util::project_root()?);
    cargo.args(["build", "--locked", "--quiet", "--release", "--package", "xtask"]);
    cargo.args(["--features", "bench", "--message-format", "json-render-diagnostics"]);
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the program that measures does not build: {cargo:?}");
    let text = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    executable(messages).context("cargo did not say where the program is")
}

/// The command line that says the same.
fn args(flags: &Bench) -> Vec<std::ffi::OsString> {
    let mut args: Vec<std::ffi::OsString> = vec!["bench".into()];
    args.extend(flags.name.as_ref().map(Into::into));
    if let Some(text) = &flags.only {
        args.extend(["--only".into(), text.into()]);
    }
    if let Some(runs) = flags.runs {
        args.extend(["--runs".into(), runs.to_string().into()]);
    }
    if let Some(seconds) = flags.seconds {
        args.extend(["--seconds".into(), seconds.to_string().into()]);
    }
    if flags.peers {
        args.push("--peers".into());
    }
    if let Some(file) = &flags.json {
        args.extend(["--json".into(), file.into()]);
    }
    if let Some(page) = &flags.write {
        args.extend(["--write".into(), page.into()]);
    }
    if flags.resume {
        args.push("--resume".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Xtask, XtaskCmd};

    #[test]
    fn the_command_line_is_handed_on_whole() {
        for line in [
            "bench",
            "bench wire",
            "bench all --only a --runs 7 --seconds 2 --peers --json out/file.json",
            "bench all --write docs/benchmarks.md --resume",
        ] {
            let words: Vec<std::ffi::OsString> = line.split(' ').map(Into::into).collect();
            let Ok(Xtask { subcommand: XtaskCmd::Bench(flags) }) = Xtask::from_vec(words.clone())
            else {
                panic!("{line}");
            };
            assert_eq!(args(&flags), words);
        }
    }
}
