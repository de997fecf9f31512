//! Plots: a panel for each unit, a row for each case, its median and the range of its rounds.
//!
//! The colours follow what the reader's system asks for, light or dark; the picture brings its own
//! ground with it, so that it can be read on any page.

use std::fmt::Write as _;

use super::kept::{Figures, Kept};
use super::tables::number;

const WIDTH: f64 = 860.0;
/// Where the bars begin, and how wide the longest is.
const LEFT: f64 = 330.0;
const SPAN: f64 = 380.0;
const ROW: f64 = 20.0;
const TITLE: f64 = 34.0;
/// From this ratio of the largest to the smallest on, the axis is one of powers of ten.
const WIDE: f64 = 60.0;

const STYLE: &str = "\
<style>
.ground{fill:#ffffff}.ink{fill:#1f2328}.faint{fill:#59636e}.line{stroke:#d1d9e0}
.ours{fill:#2f6fb0}.theirs{fill:#a0a8b0}.range{stroke:#1f2328}.floor{stroke:#c0392b}.goal{stroke:#2e8b57}
@media (prefers-color-scheme:dark){
.ground{fill:#0d1117}.ink{fill:#e6edf3}.faint{fill:#9198a1}.line{stroke:#3d444d}
.ours{fill:#5aa2e6}.theirs{fill:#6e7681}.range{stroke:#e6edf3}.floor{stroke:#ff7b72}.goal{stroke:#56d364}}
text{font:12px ui-monospace,monospace}
</style>
";

/// Whether there is anything to draw.
pub(super) fn has_panels(kept: &Kept) -> bool {
    !panels(kept).is_empty()
}

/// The picture of a benchmark; none, when no unit has two cases to compare.
pub(super) fn plot(suite: &str, kept: &Kept) -> Option<String> {
    let panels = panels(kept);
    if panels.is_empty() {
        return None;
    }
    let (mut body, mut y) = (String::new(), 10.0);
    for (unit, cases) in &panels {
        y = panel(&mut body, suite, unit, cases, y);
    }
    let key = "bar: median; thin line: lowest to highest; red: floor; green: goal; grey: foreign programs";
    let _ = writeln!(body, "<text class=\"faint\" x=\"10\" y=\"{:.0}\">{key}</text>", y + 14.0);
    let height = y + 26.0;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\">\n<title>{}</title>\n{STYLE}\
         <rect class=\"ground\" width=\"{WIDTH:.0}\" height=\"{height:.0}\"/>\n{body}</svg>\n",
        escaped(suite)
    ))
}

/// Cases of a unit, where there are two at least.
fn panels(kept: &Kept) -> Vec<(&str, Vec<&Figures>)> {
    let mut panels: Vec<(&str, Vec<&Figures>)> = Vec::new();
    for case in kept.cases().filter(|case| case.value.is_finite()) {
        match panels.iter_mut().find(|(unit, _)| *unit == case.unit) {
            Some((_, cases)) => cases.push(case),
            None => panels.push((&case.unit, vec![case])),
        }
    }
    panels.retain(|(_, cases)| cases.len() > 1);
    panels
}

/// Where on the axis a value is, from 0 to 1.
#[derive(Debug, Clone, Copy)]
enum Axis {
    Linear { most: f64 },
    Powers { least: f64, most: f64 },
}

impl Axis {
    fn of(cases: &[&Figures]) -> Self {
        let marks = |case: &&Figures| {
            let bar = value_bar(case).map_or([f64::NAN; 2], |(floor, goal)| [floor, goal]);
            let (low, high) = case.range();
            [low, high, bar[0], bar[1]]
        };
        let all = cases.iter().flat_map(marks).filter(|value| value.is_finite());
        let most = all.clone().fold(0.0, f64::max);
        let least = all.filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let zero = cases.iter().any(|case| case.value <= 0.0);
        if !zero && most / least >= WIDE {
            Self::Powers { least: least.log10().floor(), most: most.log10().ceil() }
        } else {
            Self::Linear { most: if most > 0.0 { most } else { 1.0 } }
        }
    }

    fn at(self, value: f64) -> f64 {
        let part = match self {
            Self::Linear { most } => value / most,
            Self::Powers { least, most } => (value.log10() - least) / (most - least),
        };
        LEFT + SPAN * part.clamp(0.0, 1.0)
    }

    /// The values with a line.
    fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear { most } => {
                let step = 10_f64.powf((most / 4.0).log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * step);
                let step = step.into_iter().find(|step| most / step <= 5.0).unwrap_or(most);
                (0..=5).map(|n| f64::from(n) * step).filter(|tick| *tick <= most).collect()
            }
            Self::Powers { least, most } => {
                let mut ticks = Vec::new();
                let mut power = least;
                while power <= most {
                    ticks.push(10_f64.powf(power));
                    power += 1.0;
                }
                ticks
            }
        }
    }
}

/// Floor and goal of the value itself.
fn value_bar(case: &Figures) -> Option<(f64, f64)> {
    let bar = case.bars.iter().find(|bar| bar.figure == case.unit)?;
    Some((bar.floor, bar.goal))
}

/// Draws one panel and says where the next begins.
fn panel(body: &mut String, suite: &str, unit: &str, cases: &[&Figures], top: f64) -> f64 {
    let axis = Axis::of(cases);
    let scale = if matches!(axis, Axis::Powers { .. }) { ", by powers of ten" } else { "" };
    let _ = writeln!(
        body,
        "<text class=\"ink\" x=\"10\" y=\"{:.0}\" font-weight=\"bold\">{}{scale}</text>",
        top + 14.0,
        escaped(unit)
    );
    let (first, last) = (top + TITLE, top + TITLE + ROW * cases.len() as f64);
    for tick in axis.ticks() {
        let x = axis.at(tick);
        let _ = writeln!(
            body,
            "<line class=\"line\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{first:.1}\" y2=\"{last:.1}\"/>\
             <text class=\"faint\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            first - 4.0,
            short(tick)
        );
    }
    for (row, case) in cases.iter().enumerate() {
        drawn(body, suite, case, axis, first + ROW * row as f64);
    }
    last + 16.0
}

fn drawn(body: &mut String, suite: &str, case: &Figures, axis: Axis, top: f64) {
    let name = case.name.strip_prefix(suite).and_then(|name| name.strip_prefix('/'));
    let middle = top + ROW / 2.0;
    let x = axis.at(case.value);
    let class = if case.is_foreign() { "theirs" } else { "ours" };
    let (low, high) = case.range();
    let _ = writeln!(
        body,
        "<text class=\"ink\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
         <rect class=\"{class}\" x=\"{LEFT:.0}\" y=\"{:.1}\" width=\"{:.1}\" height=\"11\"/>\
         <line class=\"range\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
         <text class=\"ink\" x=\"{:.0}\" y=\"{:.1}\">{}</text>",
        LEFT - 8.0,
        middle + 4.0,
        escaped(name.unwrap_or(&case.name)),
        middle - 5.5,
        (x - LEFT).max(1.0),
        axis.at(low),
        axis.at(high),
        LEFT + SPAN + 26.0,
        middle + 4.0,
        number(case.value)
    );
    if let Some((floor, goal)) = value_bar(case) {
        for (class, value) in [("floor", floor), ("goal", goal)] {
            let x = axis.at(value);
            let _ = writeln!(
                body,
                "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke-width=\"2\"/>",
                middle - 8.0,
                middle + 8.0
            );
        }
    }
}

/// A tick's number, without digits that say nothing.
fn short(value: f64) -> String {
    let (value, unit) = match value {
        v if v >= 1e6 => (v / 1e6, " M"),
        v if v >= 1e3 => (v / 1e3, " k"),
        v => (v, ""),
    };
    // As many places as tell neighbours apart, rounded: 0.1 + 0.2 is 0.3 here.
    format!("{}{unit}", (value * 1e4).round() / 1e4)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::document::kept::tests::run;

    fn kept(values: &[f64]) -> Kept {
        let names: Vec<String> = (0..values.len()).map(|n| format!("wire/{n}")).collect();
        let mut run = run("1", &names.iter().map(String::as_str).collect::<Vec<_>>());
        for (case, value) in run.cases.iter_mut().zip(values) {
            (case.value, case.runs) = (*value, vec![*value]);
            case.bars.clear();
        }
        let mut kept = Kept::default();
        kept.add(run);
        kept
    }

    /// Widths of the bars.
    fn widths(plot: &str) -> Vec<f64> {
        let bars = plot.split("<rect class=\"ours\"").skip(1);
        let width = |bar: &str| bar.split("width=\"").nth(1)?.split('"').next()?.parse().ok();
        bars.map(|bar| width(bar).unwrap()).collect()
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let plot = plot("wire", &kept(&[100.0, 50.0, 0.0])).unwrap();
        assert_eq!(widths(&plot), [SPAN, SPAN / 2.0, 1.0]);
        assert!(
            plot.contains(">1</text>") && !plot.contains("powers"),
            "the names are short: {plot}"
        );
    }

    #[test]
    fn what_is_far_apart_is_drawn_by_powers_of_ten() {
        let plot = plot("wire", &kept(&[10.0, 1_000.0, 1e6])).unwrap();
        assert!(plot.contains("lines/s, by powers of ten"), "{plot}");
        let widths = widths(&plot);
        assert!((widths[1] / SPAN - 2.0 / 5.0).abs() < 1e-3, "{widths:?}");
        assert!(plot.contains(">100 k</text>"), "{plot}");
    }

    #[test]
    fn one_case_is_no_picture_and_texts_are_escaped() {
        assert!(plot("wire", &kept(&[1.0])).is_none());
        let mut kept = kept(&[1.0, 2.0]);
        kept.runs[0].cases[0].name = "a<b&c".to_owned();
        let plot = plot("wire", &kept).unwrap();
        assert!(plot.contains("a&lt;b&amp;c") && !plot.contains("a<b"), "{plot}");
    }
}
