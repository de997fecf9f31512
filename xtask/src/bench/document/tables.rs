//! Tables in Markdown, and how numbers are written.

use std::fmt::Write as _;

use super::kept::{Figures, Height, Run};

/// Three digits and a unit of thousands.
pub(crate) fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e4 => format!("{:.1} k", v / 1e3),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.3}"),
    }
}

/// What was measured in a run.
pub(super) fn figures(run: &Run) -> String {
    let mut text = String::from(
        "| case | median | lowest to highest | CPU s a million | peak MiB | beside it |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for case in &run.cases {
        let (lowest, highest) = case.range();
        let cpu = case.cpu_s_per_million.iter().map(|(side, cpu)| format!("{side} {cpu:.3}"));
        let cpu: Vec<_> = cpu.collect();
        let _ = writeln!(
            text,
            "| `{}` | {} {} | {} to {} | {} | {:.1} | {} |",
            case.name,
            number(case.value),
            case.unit,
            number(lowest),
            number(highest),
            cpu.join(", "),
            case.rss_mib,
            also(case)
        );
    }
    text
}

/// What else is known of a case.
fn also(case: &Figures) -> String {
    let beside = case.beside.iter().map(|(other, value)| {
        format!("`{other}` {} ({:.2} of it)", number(*value), case.value / value)
    });
    let named = |(name, value): (&String, &f64)| format!("{name}: {}", number(*value));
    let (more, sums) = (case.more.iter().map(named), case.sums.iter().map(named));
    beside.chain(more).chain(sums).collect::<Vec<_>>().join("; ")
}

/// What had to be reached, and was or not; nothing, if no bar is set.
pub(super) fn bars(run: &Run) -> String {
    let rows = run.cases.iter().flat_map(|case| case.bars.iter().map(move |bar| (case, bar)));
    let rows: String = rows.map(|(case, bar)| row(case, bar)).collect();
    if rows.is_empty() {
        return rows;
    }
    format!(
        "| case | figure | reached | floor | goal | |\n| --- | --- | --- | --- | --- | --- |\n{rows}"
    )
}

fn row(case: &Figures, bar: &Height) -> String {
    let least = if bar.rising { "at least" } else { "at most" };
    let verdict = match (bar.meets_floor(), bar.meets_goal()) {
        (true, true) => "goal met",
        (true, false) => "floor met",
        (false, _) => "**missed**",
    };
    format!(
        "| `{}` | {} | {} | {least} {} | {} | {verdict} |\n",
        case.name,
        bar.figure,
        bar.got.map_or_else(|| "nothing".to_owned(), number),
        number(bar.floor),
        number(bar.goal)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::document::kept::tests::run;

    #[test]
    fn numbers_have_three_digits() {
        let expected = [
            (0.0, "0"),
            (0.0123, "0.012"),
            (3.0, "3.000"),
            (12.34, "12.3"),
            (345.6, "346"),
            (9_999.0, "9999"),
            (23_456.0, "23.5 k"),
            (4_560_000.0, "4.56 M"),
        ];
        for (value, text) in expected {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_row_has_the_range_and_the_verdict() {
        let mut run = run("1", &["wire/a"]);
        let case = &mut run.cases[0];
        case.beside.insert("raw".to_owned(), 4e6);
        case.sums.insert("lines lost".to_owned(), 0.0);
        let expected = "| `wire/a` | 2.00 M lines/s | 1.00 M to 3.00 M | gateway 0.250 | 12.0 | \
                        `raw` 4.00 M (0.50 of it); lines lost: 0 |\n";
        assert!(figures(&run).ends_with(expected), "{}", figures(&run));
        let expected = "| `wire/a` | lines/s | 2.00 M | at least 1.00 M | 4.00 M | floor met |\n";
        assert!(bars(&run).ends_with(expected), "{}", bars(&run));
        run.cases[0].bars[0].got = None;
        assert!(bars(&run).contains("| nothing | at least 1.00 M | 4.00 M | **missed** |"));
        run.cases[0].bars.clear();
        assert_eq!(bars(&run), "");
    }
}
