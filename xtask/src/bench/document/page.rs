//! The page, in Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::kept::{Kept, Machine, Run};
use super::tables;
use super::texts::{self, Text};

const HEAD: &str = "\
# Benchmarks

Do not edit this page. `cargo xtask bench NAME --peers --write docs/benchmarks.md` measures one
benchmark, keeps what came of it in `docs/benchmarks/NAME.json`, and writes this page from those files;
`cargo xtask bench page` writes it without measuring, and a test compares it with the files. The command
above each table is the one that gave its figures.

## How to read it

* Every case of a benchmark runs once in each round, in turn with the others and with what it is compared
  to, so that a slow minute of the machine is shared. The median of the rounds is the figure; the lowest
  and the highest say how far to trust it.
* CPU seconds, user and system, are those of each side's process for a million items, peak memory is its
  largest resident set. On two cores the wall clock tells who got which core; CPU seconds say what it cost.
* A floor must be met, a goal should be. *Share of X* is taken within a round.
* Foreign programs run in the same rounds, on the same streams. What they promise is said beside them: a
  buffer in memory is not a synced disk.
";

/// The page; its plots are in the folder of this name beside it.
pub(super) fn page(folder: &str, kept: &BTreeMap<String, Kept>) -> String {
    let mut page = HEAD.to_owned();
    let machines = machines(kept);
    page.push_str("\n## Machines\n\n");
    for (number, machine) in machines.iter().enumerate() {
        let _ = writeln!(page, "{}. {}", number + 1, described(machine));
    }
    page.push_str(&summary(kept));
    for text in texts::SUITES {
        if let Some(kept) = kept.get(text.name) {
            page.push_str(&section(folder, text, kept, &machines));
        }
    }
    let missing = texts::SUITES.iter().filter(|text| !kept.contains_key(text.name));
    let missing: Vec<_> = missing.map(|text| format!("`{}`", text.name)).collect();
    if !missing.is_empty() {
        let _ =
            write!(page, "\n## Not measured yet\n\nNothing is kept of {}.\n", missing.join(", "));
    }
    page.push_str(texts::ABSENT);
    page
}

fn machines(kept: &BTreeMap<String, Kept>) -> Vec<&Machine> {
    let mut machines: Vec<&Machine> = Vec::new();
    for run in kept.values().flat_map(|kept| &kept.runs) {
        if !machines.contains(&&run.machine) {
            machines.push(&run.machine);
        }
    }
    machines
}

fn described(machine: &Machine) -> String {
    let Machine { processor, cores, memory_gib, system, disk, compiler } = machine;
    format!(
        "{processor}, {cores} cores, {memory_gib:.1} GiB; {system}; temporary files on {disk}; \
         {compiler}, release profile"
    )
}

/// How many bars each benchmark has met, and which it has not.
fn summary(kept: &BTreeMap<String, Kept>) -> String {
    let mut text = String::from(
        "\n## Floors and goals\n\n| benchmark | bars | goal met | floor met, goal missed | floor missed |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    let mut below = String::new();
    for suite in texts::SUITES {
        let Some(kept) = kept.get(suite.name) else { continue };
        let bars = || kept.cases().flat_map(|case| case.bars.iter().map(move |bar| (case, bar)));
        let goals = bars().filter(|(_, bar)| bar.meets_goal()).count();
        let floors = bars().filter(|(_, bar)| bar.meets_floor() && !bar.meets_goal()).count();
        let missed = bars().filter(|(_, bar)| !bar.meets_floor()).count();
        let _ = writeln!(
            text,
            "| [{}](#{}) | {} | {goals} | {floors} | {missed} |",
            suite.name,
            suite.name,
            bars().count()
        );
        for (case, bar) in bars().filter(|(_, bar)| !bar.meets_floor()) {
            let _ = writeln!(below, "* floor missed: `{}`, {}", case.name, bar.figure);
        }
        if goals < bars().count()
            && let Some((path, title)) = suite.profile
        {
            let _ = writeln!(
                below,
                "* {}: where the time goes and what was tried is in [{title}]({path}).",
                suite.name
            );
        }
    }
    if !below.is_empty() {
        let _ = write!(text, "\n{below}");
    }
    text
}

fn section(folder: &str, suite: &Text, kept: &Kept, machines: &[&Machine]) -> String {
    let mut text = format!("\n## {}\n\n{}\n", suite.name, suite.about);
    if super::plot::has_panels(kept) {
        let _ =
            write!(text, "\n![{}: medians and ranges]({folder}/{}.svg)\n", suite.name, suite.name);
    }
    for run in &kept.runs {
        text.push_str(&told(run, machines));
        let _ = write!(text, "\n{}", tables::figures(run));
        let bars = tables::bars(run);
        if !bars.is_empty() {
            let _ = write!(text, "\n{bars}");
        }
    }
    text
}

/// The circumstances of a run.
fn told(run: &Run, machines: &[&Machine]) -> String {
    let machine =
        machines.iter().position(|machine| **machine == run.machine).map_or(0, |at| at + 1);
    let load = run.load.map_or_else(String::new, |load| format!(", load before {load:.2}"));
    let rounds =
        if run.rounds == 1 { "1 round".to_owned() } else { format!("{} rounds", run.rounds) };
    let claim = if run.rounds < 5 { "; fewer than 5 rounds: no claim" } else { "" };
    let mut text = format!(
        "\n`{}`\n\n{}, commit {}, machine {machine}{load}; {rounds} in turn, {} s a run where time decides{claim}.\n",
        run.command, run.date, run.commit, run.seconds
    );
    if !run.programs.is_empty() {
        let programs = run.programs.iter().map(|(name, version)| format!("{name} {version}"));
        let _ = writeln!(text, "Beside it: {}.", programs.collect::<Vec<_>>().join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::document::kept::tests::run;

    #[test]
    fn no_figure_is_without_its_command() {
        let mut kept = Kept::default();
        kept.add(run("abc", &["wire/a", "wire/b"]));
        let mut only = run("def", &["wire/b"]);
        only.command.push_str(" --only b");
        only.programs.insert("nc".to_owned(), "1.2".to_owned());
        only.cases[0].bars[0].got = Some(1.0);
        kept.add(only);
        let page = page("figures", &[("wire".to_owned(), kept)].into());
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} in {page}"));
        let places = [
            at("## Floors"),
            at("* floor missed: `wire/b`, lines/s"),
            at("## wire"),
            at("(figures/wire.svg)"),
            at("`cargo xtask bench wire`\n"),
            at("2026-01-02, commit abc, machine 1, load before 0.50; 3 rounds"),
            at("| `wire/a` |"),
            at("`cargo xtask bench wire --only b`"),
            at("Beside it: nc 1.2."),
            at("| `wire/b` | 2.00 M"),
            at("## Not measured yet"),
        ];
        assert!(places.is_sorted(), "{places:?}");
        assert!(page.contains("| [wire](#wire) | 2 | 0 | 1 | 1 |"), "{page}");
        assert!(page.ends_with('\n') && !page.ends_with("\n\n"));
        assert!(page.lines().all(|line| line.trim_end() == line), "{page}");
    }
}
