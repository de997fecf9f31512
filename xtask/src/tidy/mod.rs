//! `cargo xtask tidy`: the architecture and the rules of the house, as code.
//!
//! Every check is a function of in-memory values (a [`Tree`] of texts, the [`Metadata`] that cargo
//! prints), so that its tests can plant what it must find. Only [`run`] touches the disk.

mod architecture;
mod deps;
mod manifest;
mod messages;
pub(crate) mod metadata;
mod rooms;
mod rust;
mod symbols;
mod text;
mod tree;

use std::fmt;

use anyhow::Result;

use crate::util;
use metadata::Metadata;
use tree::Tree;

/// Something wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// What the checks have to say: findings fail the run, notices do not.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
    notices: Vec<Finding>,
}

impl Report {
    fn finding(&mut self, path: &str, line: usize, message: impl Into<String>) {
        self.findings.push(Finding { path: path.to_owned(), line, message: message.into() });
    }

    fn notice(&mut self, path: &str, line: usize, message: impl Into<String>) {
        self.notices.push(Finding { path: path.to_owned(), line, message: message.into() });
    }
}

/// Checks the project on disk and prints what was found. `Ok(false)` means that there are findings.
pub(crate) fn run() -> Result<bool> {
    let shell = util::shell()?;
    let root = util::project_root()?;
    let tree = Tree::read(&root, &util::project_files(&shell, &root)?)?;
    let metadata = Metadata::read(&shell)?;

    let report = check(&metadata, &tree);
    for notice in &report.notices {
        println!("notice: {notice}");
    }
    for finding in &report.findings {
        println!("{finding}");
    }
    println!(
        "tidy: {} files, {} packages: {} findings, {} notices",
        tree.paths().count(),
        metadata.packages.len(),
        report.findings.len(),
        report.notices.len()
    );
    Ok(report.findings.is_empty())
}

fn check(metadata: &Metadata, tree: &Tree) -> Report {
    let mut report = Report::default();
    deps::check(metadata, tree, &mut report);
    manifest::check(metadata, tree, &mut report);
    architecture::check(metadata, tree, &mut report);
    text::check(tree, &mut report);
    messages::check(tree, &mut report);
    report.findings.sort();
    report.findings.dedup();
    report.notices.sort();
    report
}

/// For the tests of the checks: what was found, as it is printed.
#[cfg(test)]
impl Report {
    fn lines(&self) -> Vec<String> {
        self.findings.iter().map(ToString::to_string).collect()
    }

    fn notice_lines(&self) -> Vec<String> {
        self.notices.iter().map(ToString::to_string).collect()
    }
}
