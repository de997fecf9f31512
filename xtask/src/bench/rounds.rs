//! The rounds: every case once, again and again, so that a slow minute of the machine is shared.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::case::{Bar, Case, Context, Figure, Sample, Verdict};

/// What came of a case.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) us: &'static str,
    pub(crate) peer: Option<&'static str>,
    /// The values of all runs, in their order.
    pub(crate) runs: Vec<f64>,
    pub(crate) value: f64,
    pub(crate) cpu: BTreeMap<&'static str, f64>,
    pub(crate) rss_mib: f64,
    pub(crate) more: BTreeMap<&'static str, f64>,
    pub(crate) sums: BTreeMap<&'static str, f64>,
    /// The medians of the cases that it is compared to.
    pub(crate) beside: BTreeMap<&'static str, f64>,
    pub(crate) judged: Vec<Judged>,
}

/// A bar, and how high it was jumped.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) bar: Bar,
    pub(crate) got: f64,
    pub(crate) verdict: Verdict,
}

/// Runs all cases so many times.
pub(crate) fn run(cases: &[Case], context: &Context, runs: u32) -> Result<Vec<Outcome>> {
    let mut samples: Vec<Vec<Sample>> = cases.iter().map(|_| Vec::new()).collect();
    for round in 0..runs {
        eprintln!("round {} of {runs}", round + 1);
        for (case, samples) in cases.iter().zip(&mut samples) {
            let sample = (case.run)(context).with_context(|| case.name.to_owned())?;
            eprintln!("  {}: {} {}", case.name, super::report::number(sample.value), case.unit);
            samples.push(sample);
        }
    }
    Ok(judge(cases, &samples))
}

fn judge(cases: &[Case], samples: &[Vec<Sample>]) -> Vec<Outcome> {
    let of = |name: &str| {
        let found = cases.iter().zip(samples).find(|(case, _)| case.name == name);
        found.map_or(&[][..], |(_, samples)| samples)
    };
    cases
        .iter()
        .zip(samples)
        .map(|(case, samples)| {
            let mut outcome = summary(case, samples);
            for other in case.beside {
                outcome.beside.insert(other, median(of(other).iter().map(|sample| sample.value)));
            }
            for &bar in &case.bars {
                let got = match bar.figure {
                    Figure::Value => outcome.value,
                    Figure::Cpu(side) => outcome.cpu.get(side).copied().unwrap_or(f64::NAN),
                    Figure::Rss => outcome.rss_mib,
                    Figure::More(name) => outcome.more.get(name).copied().unwrap_or(f64::NAN),
                    Figure::Sum(name) => outcome.sums.get(name).copied().unwrap_or(f64::NAN),
                    // Of the same round: what slows the machine down slows both.
                    Figure::Share(other) => {
                        let pairs = samples.iter().zip(of(other));
                        median(pairs.map(|(ours, other)| ours.value / other.value))
                    }
                };
                outcome.judged.push(Judged { bar, got, verdict: bar.judge(got) });
            }
            outcome
        })
        .collect()
}

fn summary(case: &Case, samples: &[Sample]) -> Outcome {
    let runs: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
    let medians = |map: fn(&Sample) -> &BTreeMap<&'static str, f64>| {
        let names = samples.first().map(map).into_iter().flat_map(BTreeMap::keys);
        let values = |name| samples.iter().filter_map(move |sample| map(sample).get(name).copied());
        names.map(|name| (*name, median(values(name)))).collect()
    };
    let mut sums = BTreeMap::new();
    for (name, value) in samples.iter().flat_map(|sample| &sample.sums) {
        *sums.entry(*name).or_insert(0.0) += value;
    }
    Outcome {
        name: case.name,
        unit: case.unit,
        us: case.us,
        peer: case.peer,
        value: median(runs.iter().copied()),
        cpu: medians(|sample| &sample.cpu),
        rss_mib: median(samples.iter().map(|sample| sample.rss_mib)),
        more: medians(|sample| &sample.more),
        sums,
        beside: BTreeMap::new(),
        judged: Vec::new(),
        runs,
    }
}

/// The value in the middle, the mean of two if there are two; not a number if there is none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |n: usize| values.get(n).copied().unwrap_or(f64::NAN);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half.wrapping_sub(1)), at(half)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0].into_iter()) - 2.5).abs() < 1e-9);
        assert!(median(std::iter::empty()).is_nan());
    }

    #[test]
    fn what_is_rare_is_added_up() {
        let case = Case {
            name: "loss",
            unit: "lines",
            us: "us",
            peer: None,
            beside: &[],
            bars: vec![Bar::at_most(Figure::Sum("lost"), 0.0, 0.0)],
            run: Box::new(|_| Ok(Sample::default())),
        };
        let sample = |lost| Sample { sums: [("lost", lost)].into(), ..Sample::default() };
        let samples = [0.0, 2.0, 0.0].map(sample).to_vec();
        let outcomes = judge(std::slice::from_ref(&case), &[samples]);
        assert_eq!(outcomes[0].sums["lost"], 2.0);
        assert_eq!(outcomes[0].judged[0].verdict, Verdict::Missed);
    }

    #[test]
    fn shares_are_taken_within_a_round() {
        let case = |name, beside, bars| Case {
            name,
            unit: "items/s",
            us: "us",
            peer: None,
            beside,
            bars,
            run: Box::new(|_| Ok(Sample::default())),
        };
        let bars = vec![
            Bar::at_least(Figure::Share("other"), 0.4, 0.6),
            Bar::at_most(Figure::Cpu("us"), 2.0, 1.0),
            Bar::at_most(Figure::More("absent"), 2.0, 1.0),
        ];
        let cases = [case("ours", &["other"], bars), case("other", &[], Vec::new())];
        let sample = |value, cpu| Sample { value, cpu: [("us", cpu)].into(), ..Sample::default() };
        // The machine gets slower and slower; the share stays one half.
        let ours = vec![sample(50.0, 1.0), sample(25.0, 1.5), sample(10.0, 9.0)];
        let other = vec![sample(100.0, 1.0), sample(50.0, 1.0), sample(20.0, 1.0)];
        let outcomes = judge(&cases, &[ours, other]);
        let ours = &outcomes[0];
        assert!((ours.value - 25.0).abs() < 1e-9 && (ours.beside["other"] - 50.0).abs() < 1e-9);
        let verdicts: Vec<_> = ours.judged.iter().map(|judged| judged.verdict).collect();
        assert_eq!(verdicts, [Verdict::Floor, Verdict::Floor, Verdict::Missed]);
        assert!((ours.judged[0].got - 0.5).abs() < 1e-9);
    }
}
