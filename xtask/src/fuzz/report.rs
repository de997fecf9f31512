//! What a run came to, from the words of libFuzzer.

use std::fmt;
use std::time::Duration;

use super::coverage::Coverage;
use crate::util;

/// libFuzzer's own numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) executions: u64,
    /// Edges of the whole program, and edges with their counts: the last that were printed.
    pub(crate) edges: u64,
    pub(crate) features: u64,
    pub(crate) peak_mib: u64,
}

impl Stats {
    pub(crate) fn read(words: &str) -> Self {
        let mut stats = Self::default();
        for line in words.lines() {
            let number = |name: &str| {
                let rest = line.split_once(name)?.1.trim_start();
                rest.split(' ').next()?.parse().ok()
            };
            if let Some(executions) = number("stat::number_of_executed_units:") {
                stats.executions = executions;
            }
            if let Some(mib) = number("stat::peak_rss_mb:") {
                stats.peak_mib = mib;
            }
            if let (Some(edges), Some(features)) = (number(" cov: "), number(" ft: ")) {
                (stats.edges, stats.features) = (edges, features);
            }
        }
        stats
    }
}

/// One target's run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) target: &'static str,
    pub(crate) stats: Stats,
    /// Inputs at the start, those of the vectors and the repository among them, and at the end.
    pub(crate) before: usize,
    pub(crate) after: usize,
    pub(crate) took: Duration,
    pub(crate) crash: Option<String>,
    pub(crate) coverage: Option<Coverage>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { executions, edges, features, peak_mib } = self.stats;
        let rate = super::rate(executions, self.took);
        let (before, after, took) = (self.before, self.after, util::human(self.took));
        write!(f, "{}: {executions} executions in {took} ({rate:.0} a second); ", self.target)?;
        write!(f, "corpus {before} -> {after} inputs (+{}); ", after.saturating_sub(before))?;
        write!(f, "{edges} edges, {features} features; peak {peak_mib} MiB")?;
        if let Some(coverage) = &self.coverage {
            write!(f, "\n{coverage}")?;
        }
        if let Some(crash) = &self.crash {
            write!(f, "\n  BROKEN: {crash}")?;
        }
        Ok(())
    }
}

/// What a target said when it broke: the panic, or libFuzzer's own summary.
pub(crate) fn said(words: &str) -> String {
    let mut lines = words.lines();
    if lines.by_ref().any(|line| line.contains("panicked at")) {
        let message =
            lines.take_while(|line| !line.is_empty() && !line.contains("stack backtrace"));
        return message.take(4).collect::<Vec<_>>().join("; ");
    }
    let summary = words.lines().find(|line| line.starts_with("SUMMARY:"));
    summary.unwrap_or("it ended without a word").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "\
#38\tINITED cov: 1223 ft: 1702 corp: 26/104b exec/s: 0 rss: 50Mb
#585\tDONE   cov: 1300 ft: 1800 corp: 30/200b lim: 4 exec/s: 0 rss: 50Mb
stat::number_of_executed_units: 585
stat::peak_rss_mb:              178
";

    #[test]
    fn the_last_numbers_count() {
        let stats = Stats { executions: 585, edges: 1300, features: 1800, peak_mib: 178 };
        assert_eq!(Stats::read(WORDS), stats);
        assert_eq!(Stats::read(""), Stats::default());
    }

    #[test]
    fn a_panic_is_told_by_its_message() {
        let words = "thread '<unnamed>' panicked at src/server.rs:91:5:\nassertion failed\n  left: 1\nstack backtrace:\n 0: x";
        assert_eq!(said(words), "assertion failed;   left: 1");
        assert_eq!(said("x\nSUMMARY: libFuzzer: timeout"), "SUMMARY: libFuzzer: timeout");
    }
}
