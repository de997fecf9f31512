//! Reading vectors, and counting what was done with them.

use std::collections::BTreeMap;
use std::path::Path;

/// One row of a file.
pub(crate) type Row = serde_json::Map<String, serde_json::Value>;

/// The rows of a file, `None` when there is no such file.
pub(crate) fn read(path: &Path) -> Option<Vec<Row>> {
    let text = std::fs::read_to_string(path).ok()?;
    let rows = text.lines().filter(|line| !line.trim().is_empty());
    Some(rows.map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The bytes that a hexadecimal string stands for.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd hex");
    let digits = text.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// The bytes in a field of a row.
pub(crate) fn bytes(row: &Row, field: &str) -> Option<Vec<u8>> {
    row.get(field).and_then(|value| value.as_str()).map(hex)
}

/// What became of the rows.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) checks: usize,
    pub(crate) failures: Vec<String>,
    counts: BTreeMap<String, usize>,
}

impl Report {
    /// Counts a check, and keeps the failure it ended in.
    pub(crate) fn check(&mut self, row: &Row, what: &str, result: Result<(), String>) {
        self.checks += 1;
        *self.counts.entry(format!("{what} checked")).or_default() += 1;
        if let Err(failure) = result {
            let id = row.get("id").map(ToString::to_string).unwrap_or_default();
            self.failures.push(format!("{id} {what}: {failure}"));
        }
    }

    /// Counts something worth knowing, such as an absent column.
    pub(crate) fn count(&mut self, what: &str, note: &str) {
        *self.counts.entry(format!("{what} {note}")).or_default() += 1;
    }

    pub(crate) fn print(&self) {
        for (what, count) in &self.counts {
            println!("  {what}: {count}");
        }
    }
}

/// Fails with both sides unless they are equal.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    ours: &T,
    theirs: &T,
) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: ours {ours:?}, expected {theirs:?}")) }
}
