//! What is kept of a benchmark: its runs, and in each the cases that no later run has replaced.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The file of one benchmark.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Kept {
    pub(super) runs: Vec<Run>,
}

/// One call of the command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Run {
    /// What was typed, without where it was kept.
    pub(in crate::bench) command: String,
    /// The day, in UTC.
    pub(in crate::bench) date: String,
    /// The commit that was built, and whether files differed from it.
    pub(in crate::bench) commit: String,
    /// How often each case ran.
    pub(in crate::bench) rounds: u32,
    /// Seconds of one run of a case that goes by time.
    pub(in crate::bench) seconds: u32,
    /// The load of the machine over the minute before.
    pub(in crate::bench) load: Option<f64>,
    pub(in crate::bench) machine: Machine,
    /// Versions of the foreign programs.
    pub(in crate::bench) programs: BTreeMap<String, String>,
    pub(in crate::bench) cases: Vec<Figures>,
}

/// Where it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Machine {
    pub(in crate::bench) processor: String,
    pub(in crate::bench) cores: usize,
    pub(in crate::bench) memory_gib: f64,
    pub(in crate::bench) system: String,
    /// The file system of the directory for temporary files, and its device.
    pub(in crate::bench) disk: String,
    pub(in crate::bench) compiler: String,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Figures {
    pub(in crate::bench) name: String,
    pub(in crate::bench) unit: String,
    /// The side that the case is about; `program` is a foreign one.
    pub(in crate::bench) side: String,
    /// The median, and the value of each round.
    pub(in crate::bench) value: f64,
    pub(in crate::bench) runs: Vec<f64>,
    /// CPU seconds a million, by side.
    pub(in crate::bench) cpu_s_per_million: BTreeMap<String, f64>,
    pub(in crate::bench) rss_mib: f64,
    /// Medians of other figures, by name.
    pub(in crate::bench) more: BTreeMap<String, f64>,
    /// Sums of other figures over all rounds, by name.
    #[serde(default)]
    pub(in crate::bench) sums: BTreeMap<String, f64>,
    /// Medians of what it is compared to.
    pub(in crate::bench) beside: BTreeMap<String, f64>,
    pub(in crate::bench) bars: Vec<Height>,
}

/// A bar, and what was reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Height {
    pub(in crate::bench) figure: String,
    /// Nothing, when it is not a number.
    pub(in crate::bench) got: Option<f64>,
    /// More is better.
    pub(in crate::bench) rising: bool,
    pub(in crate::bench) floor: f64,
    pub(in crate::bench) goal: f64,
}

impl Height {
    fn reaches(&self, bar: f64) -> bool {
        self.got.is_some_and(|got| if self.rising { got >= bar } else { got <= bar })
    }

    pub(super) fn meets_floor(&self) -> bool {
        self.reaches(self.floor)
    }

    pub(super) fn meets_goal(&self) -> bool {
        self.reaches(self.goal)
    }
}

impl Figures {
    /// Whether it is about a program that was not written here.
    pub(super) fn is_foreign(&self) -> bool {
        self.side == "program"
    }

    /// The lowest and the highest of the rounds.
    pub(super) fn range(&self) -> (f64, f64) {
        let lowest = self.runs.iter().copied().fold(f64::INFINITY, f64::min);
        (lowest, self.runs.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }
}

impl Kept {
    /// Adds a run, whose cases take the place of older ones of the same names.
    #[cfg(any(test, feature = "bench"))]
    pub(super) fn add(&mut self, run: Run) {
        let again = |name: &str| run.cases.iter().any(|case| case.name == name);
        for old in &mut self.runs {
            old.cases.retain(|case| !again(&case.name));
        }
        self.runs.retain(|old| !old.cases.is_empty());
        self.runs.push(run);
    }

    /// Whether a case was measured at this commit.
    #[cfg(feature = "bench")]
    pub(in crate::bench) fn has(&self, commit: &str, case: &str) -> bool {
        let runs = self.runs.iter().filter(|run| run.commit == commit);
        runs.flat_map(|run| &run.cases).any(|kept| kept.name == case)
    }

    pub(super) fn cases(&self) -> impl Iterator<Item = &Figures> {
        self.runs.iter().flat_map(|run| &run.cases)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::bench::document) fn run(commit: &str, names: &[&str]) -> Run {
        let case = |name: &&str| Figures {
            name: (*name).to_owned(),
            unit: "lines/s".to_owned(),
            side: "gateway".to_owned(),
            value: 2e6,
            runs: vec![1e6, 3e6, 2e6],
            cpu_s_per_million: [("gateway".to_owned(), 0.25)].into(),
            rss_mib: 12.0,
            more: BTreeMap::new(),
            sums: BTreeMap::new(),
            beside: BTreeMap::new(),
            bars: vec![Height {
                figure: "lines/s".to_owned(),
                got: Some(2e6),
                rising: true,
                floor: 1e6,
                goal: 4e6,
            }],
        };
        Run {
            command: "cargo xtask bench wire".to_owned(),
            date: "2026-01-02".to_owned(),
            commit: commit.to_owned(),
            rounds: 3,
            seconds: 3,
            load: Some(0.5),
            machine: Machine {
                processor: "a processor".to_owned(),
                cores: 2,
                memory_gib: 24.0,
                system: "Linux 6".to_owned(),
                disk: "ext4".to_owned(),
                compiler: "rustc 1.89".to_owned(),
            },
            programs: BTreeMap::new(),
            cases: names.iter().map(case).collect(),
        }
    }

    #[test]
    fn a_later_run_replaces_its_cases_alone() {
        let mut kept = Kept::default();
        kept.add(run("1", &["a", "b", "c"]));
        kept.add(run("2", &["b"]));
        let names = |kept: &Kept| -> Vec<(String, String)> {
            let pairs = |run: &Run| -> Vec<_> {
                run.cases.iter().map(|case| (run.commit.clone(), case.name.clone())).collect()
            };
            kept.runs.iter().flat_map(pairs).collect()
        };
        let pair = |commit: &str, name: &str| (commit.to_owned(), name.to_owned());
        assert_eq!(names(&kept), [pair("1", "a"), pair("1", "c"), pair("2", "b")]);
        kept.add(run("3", &["a", "c"]));
        assert_eq!(kept.runs.len(), 2, "a run without cases is gone");
        assert_eq!(names(&kept), [pair("2", "b"), pair("3", "a"), pair("3", "c")]);
    }

    #[test]
    fn what_is_no_number_reaches_nothing() {
        let bar =
            |got, rising| Height { figure: String::new(), got, rising, floor: 2.0, goal: 2.0 };
        assert!(!bar(None, true).meets_floor() && !bar(None, false).meets_goal());
        assert!(bar(Some(2.0), true).meets_goal() && bar(Some(2.0), false).meets_goal());
        assert!(!bar(Some(1.9), true).meets_floor() && bar(Some(1.9), false).meets_floor());
    }
}
