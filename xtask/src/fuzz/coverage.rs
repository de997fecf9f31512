//! How much of a decoder's source its corpus reaches.
//!
//! The inputs run once more through programs built without optimisation, where no function is
//! part of another, and libFuzzer says of each function how many of its edges were taken. What
//! prints, compares or copies a value is not counted.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::tool::Tool;

/// Edges taken and edges there are, by file below `crates/`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    files: BTreeMap<String, (u64, u64)>,
}

impl Coverage {
    /// Reads what libFuzzer prints of the functions in these files.
    fn read(words: &str, files: &[&str]) -> Self {
        let mut coverage = Self::default();
        for line in words.lines() {
            let Some((file, edges)) = function(line) else { continue };
            if files.iter().any(|ours| file.starts_with(ours)) {
                let sum = coverage.files.entry(file.to_owned()).or_default();
                *sum = (sum.0 + edges.0, sum.1 + edges.1);
            }
        }
        coverage
    }

    fn total(&self) -> (u64, u64) {
        self.files.values().fold((0, 0), |sum, edges| (sum.0 + edges.0, sum.1 + edges.1))
    }
}

/// What is not part of decoding.
const PLAIN: [&str; 3] = [" as core::fmt::", " as core::cmp::", " as core::clone::"];

/// The file, and the edges taken and there, of a line `COVERED_FUNC: hits: 1 edges: 3/4 NAME
/// PATH:LINE`.
fn function(line: &str) -> Option<(&str, (u64, u64))> {
    let rest =
        line.strip_prefix("COVERED_FUNC: ").or_else(|| line.strip_prefix("UNCOVERED_FUNC: "))?;
    let (edges, place) = rest.split_once("edges: ")?.1.split_once(' ')?;
    let (taken, all) = edges.split_once('/')?;
    if PLAIN.iter().any(|plain| place.contains(plain)) {
        return None;
    }
    let path = place.rsplit_once(' ')?.1.split(':').next()?;
    let file = path.rsplit_once("/crates/")?.1;
    Some((file, (taken.parse().ok()?, all.parse().ok()?)))
}

/// Runs all inputs of a target once and adds up.
pub(crate) fn measure(tool: &Tool, target: &str, files: &[&str]) -> Result<Coverage> {
    let corpus = tool.folder("corpus", target)?;
    let (from, kept) = (tool.folder("seeds", target)?, tool.kept(target));
    let mut run = tool.start_for_coverage(target, &[&corpus, &from, &kept]);
    let output = run.args(["-runs=0", "-print_coverage=1"]).output().context("cannot start it")?;
    let words = String::from_utf8_lossy(&output.stderr);
    let log = tool.folder("logs", "")?.join(format!("{target}.coverage"));
    fs::write(&log, words.as_bytes())?;
    ensure!(output.status.success(), "{target} fails without optimisation: {}", log.display());
    let coverage = Coverage::read(&words, files);
    ensure!(
        coverage.total().1 > 0,
        "no function's source is known: coverage needs llvm-symbolizer or addr2line ({})",
        log.display()
    );
    Ok(coverage)
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |(taken, all): (u64, u64)| {
            format!("{taken:>5} of {all:>5} edges, {:>3} %", 100 * taken / all.max(1))
        };
        write!(f, "  {}  of the decoder:", line(self.total()))?;
        self.files.iter().try_for_each(|(file, edges)| write!(f, "\n    {}  {file}", line(*edges)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_added_up_by_file() {
        let words = "\
COVERED_FUNC: hits: 25 edges: 10/105 <a::B as c>::d /w/crates/x/src/a.rs:80
  UNCOVERED_PC: /w/crates/x/src/a.rs:0
UNCOVERED_FUNC: hits: 0 edges: 0/4 core::x<y, z> /w/crates/x/src/a.rs:805
COVERED_FUNC: hits: 25 edges: 1/1 x /w/crates/x/src/b/c.rs:1
COVERED_FUNC: hits: 25 edges: 1/1 x /w/crates/x/src/other.rs:1
COVERED_FUNC: hits: 25 edges: 1/9 <a::B as core::fmt::Debug>::fmt /w/crates/x/src/a.rs:7
UNCOVERED_FUNC: hits: 0 edges: 0/4 core::y /rustc/library/core/src/ptr/mod.rs:805
";
        let coverage = Coverage::read(words, &["x/src/a.rs", "x/src/b/"]);
        assert_eq!(coverage.total(), (11, 110));
        assert_eq!(coverage.files["x/src/a.rs"], (10, 109));
        assert!(coverage.to_string().contains("10 %"));
    }
}
