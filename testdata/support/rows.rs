//! Files of vectors: where they are, their rows, and the count of what was done with them.

use std::collections::BTreeMap;

use serde_json::Value;

/// The text of a format's file; `None`, printed, if there is none.
pub(crate) fn text(file: &str) -> Option<String> {
    let path = super::folder::folder("gravwell").join(file);
    if !path.exists() {
        println!("{file}: absent");
        return None;
    }
    Some(std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

/// What became of a row.
pub(crate) enum Row {
    /// It was compared.
    Checked,
    /// A rule on its fields says that it is not ours to compare.
    Skipped(&'static str),
}

/// Counts rows and remembers what was absent.
#[derive(Default)]
pub(crate) struct Tally {
    absent: BTreeMap<String, usize>,
    skipped: BTreeMap<&'static str, usize>,
    differences: BTreeMap<&'static str, usize>,
    checked: usize,
}

impl Tally {
    /// The column, or `None` and a note.
    pub(crate) fn column<'r>(&mut self, row: &'r Value, name: &str) -> Option<&'r Value> {
        let column = row.get(name);
        if column.is_none() {
            *self.absent.entry(name.to_owned()).or_default() += 1;
        }
        column
    }

    /// Notes that a row differs on purpose, by one of the rules in `DIFFERENCES`.
    pub(crate) fn differs(&mut self, rule: &'static str) {
        *self.differences.entry(rule).or_default() += 1;
    }
}

/// Runs `check` over every row of a file of JSON lines and accounts for each. `None` from `check`
/// is a row that lacks a column without which nothing more can be compared.
pub(crate) fn each_row(file: &str, mut check: impl FnMut(&Value, &mut Tally) -> Option<Row>) {
    let Some(text) = text(file) else { return };
    let (mut read, mut incomplete, mut tally) = (0, 0, Tally::default());
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row: Value = serde_json::from_str(line)
            .unwrap_or_else(|e| panic!("{file}:{}: not JSON: {e}", index + 1));
        read += 1;
        println!("{file}:{}", index + 1);
        match check(&row, &mut tally) {
            Some(Row::Checked) => tally.checked += 1,
            Some(Row::Skipped(rule)) => *tally.skipped.entry(rule).or_default() += 1,
            None => incomplete += 1,
        }
    }
    let Tally { absent, skipped, differences, checked } = tally;
    println!("{file}: {read} rows read, {checked} checked in full, {incomplete} as far as they go");
    println!("{file}: skipped {skipped:?}");
    println!("{file}: absent columns {absent:?}, different on purpose {differences:?}");
    assert!(read > 0, "{file} holds no row");
    let accounted = checked + incomplete + skipped.values().sum::<usize>();
    assert_eq!(accounted, read, "{file}: rows checked are not the rows read");
    assert!(checked + incomplete > 0, "{file}: a rule skipped every row");
}
