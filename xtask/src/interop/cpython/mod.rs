//! The pickle decoder against CPython's own, and against carbon's receiver: 100,000 pickles of a seed
//! (`INGESTRY_SEED`), of which at least 30 % are damaged and at least 1,000 hold each opcode.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::programs::python;
use crate::util;

const COMPARE: &str = include_str!("compare.py");

pub(crate) fn run() -> Result<()> {
    let python = python(&[("carbon", "carbon")])?;
    let dir = tempfile::tempdir()?;
    let (dump, script) = (dir.path().join("cases"), dir.path().join("compare.py"));
    // The test that compares with serde-pickle makes the cases, and counts opcodes and damage.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(util::project_root()?).env("INGESTRY_DUMP", &dump);
    cargo.args(["test", "--locked", "--package", "graphite-proto", "--test", "differential"]);
    let status = cargo.args(["--", "--nocapture"]).status().context("cannot start cargo")?;
    ensure!(status.success(), "the test that makes the cases failed");
    std::fs::write(&script, COMPARE)?;
    let status = Command::new(python).arg(script).arg(&dump).status()?;
    ensure!(status.success(), "the decoders differ");
    Ok(())
}
