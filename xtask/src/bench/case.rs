//! What a benchmark consists of: cases, what a run of one gives, and the bars that are set.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

/// What a run is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    /// How long to measure.
    pub(crate) time: Duration,
}

/// What one run of a case gave.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    /// In the case's unit.
    pub(crate) value: f64,
    /// CPU seconds, user and system, a million items, of each side.
    pub(crate) cpu: BTreeMap<&'static str, f64>,
    /// The largest peak of resident memory of our sides, in MiB.
    pub(crate) rss_mib: f64,
    /// Anything else, by name and with the unit in it.
    pub(crate) more: BTreeMap<&'static str, f64>,
    /// What adds up over the rounds, by name: a median would hide what is rare.
    pub(crate) sums: BTreeMap<&'static str, f64>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    /// The value itself.
    Value,
    /// CPU seconds a million of this side.
    Cpu(&'static str),
    /// Peak memory in MiB.
    Rss,
    /// One of [`Sample::more`].
    More(&'static str),
    /// One of [`Sample::sums`].
    #[allow(dead_code, reason = "for what is rare")]
    Sum(&'static str),
    /// The value as a share of another case's in the same round.
    Share(&'static str),
}

/// What a figure has to reach, and what it should.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    pub(crate) figure: Figure,
    /// More is better.
    pub(crate) rising: bool,
    pub(crate) floor: f64,
    pub(crate) goal: f64,
}

impl Bar {
    pub(crate) const fn at_least(figure: Figure, floor: f64, goal: f64) -> Self {
        Self { figure, rising: true, floor, goal }
    }

    pub(crate) const fn at_most(figure: Figure, floor: f64, goal: f64) -> Self {
        Self { figure, rising: false, floor, goal }
    }

    pub(crate) fn judge(&self, got: f64) -> Verdict {
        // A figure that is not a number reaches nothing.
        let reaches = |bar| if self.rising { got >= bar } else { got <= bar };
        match (reaches(self.floor), reaches(self.goal)) {
            (true, true) => Verdict::Goal,
            (true, false) => Verdict::Floor,
            (false, _) => Verdict::Missed,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The goal is reached.
    Goal,
    /// The floor is, the goal is not.
    Floor,
    /// Not even the floor.
    Missed,
}

/// One run of a case.
pub(crate) type Run = Box<dyn Fn(&Context) -> Result<Sample>>;

/// One row of a benchmark.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// Which side the case is about, and the other one: the keys of [`Sample::cpu`].
    pub(crate) us: &'static str,
    pub(crate) peer: Option<&'static str>,
    /// Names of the cases that it is compared to.
    pub(crate) beside: &'static [&'static str],
    pub(crate) bars: Vec<Bar>,
    pub(crate) run: Run,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_a_direction() {
        let rising = Bar::at_least(Figure::Value, 3.0, 6.0);
        assert_eq!(
            [2.9, 3.0, 6.0].map(|got| rising.judge(got)),
            [Verdict::Missed, Verdict::Floor, Verdict::Goal]
        );
        let falling = Bar::at_most(Figure::Rss, 16.0, 16.0);
        assert_eq!([16.0, 16.1].map(|got| falling.judge(got)), [Verdict::Goal, Verdict::Missed]);
        assert_eq!(rising.judge(f64::NAN), Verdict::Missed);
        assert_eq!(falling.judge(f64::NAN), Verdict::Missed);
    }
}
