//! The documents that describe the code must not describe code that is not there.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use super::metadata::Metadata;
use super::symbols::Symbols;
use super::tree::Tree;

/// The map. It must exist and name every crate.
const MAP: &str = "docs/architecture.md";

/// Documents whose paths and symbols are checked.
const DOCUMENTS: &[&str] = &[MAP, "CONTRIBUTING.md", "SECURITY.md"];

/// What makes a word in backticks a path.
const PLACES: &[&str] =
    &["crates/", "docs/", "xtask/", "testdata/", "examples/", "fuzz/", ".ci/", ".cargo/"];

/// First parts of symbols that belong to Rust itself.
const OUTSIDE: &[&str] = &["std", "core", "alloc"];

pub(crate) fn check(metadata: &Metadata, tree: &Tree, report: &mut Report) {
    let crates: BTreeMap<&str, Symbols> = metadata
        .packages
        .iter()
        .filter_map(|package| {
            let symbols = Symbols::read(tree, &metadata.directory(package));
            Some((package.library()?, symbols))
        })
        .collect();
    let foreign: BTreeSet<String> = metadata
        .packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .map(|dependency| dependency.name.replace('-', "_"))
        .collect();
    for path in DOCUMENTS {
        if let Some(text) = tree.text(path) {
            for (line, code) in spans(text) {
                if let Some(message) = wrong(code, tree, &crates, &foreign) {
                    report.finding(path, line, message);
                }
            }
        }
    }
    match tree.text(MAP) {
        None => report.finding(MAP, 1, "the map of the project is missing"),
        Some(text) => {
            for package in metadata.default_members() {
                if !spans(text).any(|(_, code)| code == package.name) {
                    let message = format!("the map does not name the crate `{}`", package.name);
                    report.finding(MAP, 1, message);
                }
            }
        }
    }
}

/// What is wrong with one word in backticks, if anything is.
fn wrong(
    code: &str,
    tree: &Tree,
    crates: &BTreeMap<&str, Symbols>,
    foreign: &BTreeSet<String>,
) -> Option<String> {
    if PLACES.iter().any(|place| code.starts_with(place)) {
        return (!tree.exists(code)).then(|| format!("`{code}` does not exist"));
    }
    let (first, rest) = code.split_once("::")?;
    if OUTSIDE.contains(&first) || !is_name(first) {
        return None;
    }
    let Some(symbols) = crates.get(first) else {
        let known = foreign.contains(first) || first == "crate";
        return (!known).then(|| format!("`{code}`: there is no crate `{first}`"));
    };
    let rest = rest.strip_suffix('!').unwrap_or(rest);
    let rest = rest.strip_suffix("()").unwrap_or(rest);
    let parts: Vec<&str> = rest.split("::").collect();
    if !parts.iter().all(|part| is_name(part)) {
        return Some(format!("`{code}` cannot be read: one path for each pair of backticks"));
    }
    symbols.find(&parts).err().map(|reason| format!("`{code}`: {reason}"))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// The inline code of a Markdown text with its lines, without fenced blocks.
fn spans(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    let lines = text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    });
    lines.flat_map(|(index, line)| {
        line.split('`').skip(1).step_by(2).map(move |code| (index + 1, code.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let package = serde_json::json!({
            "id": "1", "name": "ingest-wal", "edition": "2024", "license": "MIT",
            "manifest_path": "/w/crates/ingest-wal/Cargo.toml", "features": {},
            "dependencies": [{
                "name": "crossbeam-channel", "req": "^0.5", "source": null, "path": null,
                "kind": null, "rename": null, "optional": false,
            }],
            "targets": [{"name": "ingest_wal", "kind": ["lib"], "doc": true}],
        });
        serde_json::from_value(serde_json::json!({
            "packages": [package], "workspace_root": "/w", "workspace_default_members": ["1"],
        }))
        .unwrap()
    }

    fn findings(map: &str) -> Vec<String> {
        let map = format!("The crate `ingest-wal` is the log.\n{map}\n");
        let tree = Tree::from([
            (MAP, map.as_str()),
            ("crates/ingest-wal/src/lib.rs", "mod segment; pub struct Log; impl Log { fn a() {} }"),
            ("crates/ingest-wal/src/segment.rs", "pub struct Segment;"),
        ]);
        let mut report = Report::default();
        check(&metadata(), &tree, &mut report);
        report.lines()
    }

    #[test]
    fn right_names_pass() {
        for map in [
            "`crates/ingest-wal/src/lib.rs`, `crates/ingest-wal`, `crates/*/src/`, `docs/`",
            "`ingest_wal::Log`, `ingest_wal::segment::Segment`, `ingest_wal::Log::a()`",
            "`std::fs::File`, `crossbeam_channel::Sender`, `cargo xtask ci`, `a b::c`",
            "```\n`crates/nowhere`\n```",
        ] {
            assert_eq!(findings(map), Vec::<String>::new(), "{map}");
        }
    }

    #[track_caller]
    fn one(map: &str, part: &str) {
        let found = findings(map);
        assert!(found.len() == 1, "wanted `{part}`, got {found:#?}");
        assert!(found[0].starts_with("docs/architecture.md:2: "), "{found:#?}");
        assert!(found[0].contains(part), "wanted `{part}`, got {found:#?}");
    }

    #[test]
    fn wrong_paths_are_found() {
        one("`crates/ingest-wal/src/log.rs`", "does not exist");
        one("`crates/ingest-wall`", "does not exist");
        one("see `docs/nothing.md` there", "does not exist");
        one("`crates/*/lib.rs`", "does not exist");
    }

    #[test]
    fn wrong_symbols_are_found() {
        one("`ingest_wal::Logs`", "`Logs`");
        one("`ingest_wal::segments::Segment`", "`segments`");
        one("`ingest_wal::segment::Log`", "`Log`");
        one("`ingest_wal::Log::b`", "`Log` has no `b`");
        one("`ingest_wall::Log`", "no crate `ingest_wall`");
        one("`ingest_wal::{Log, Segment}`", "cannot be read");
    }

    #[test]
    fn the_map_is_there_and_complete() {
        let lines = |tree: &Tree| {
            let mut report = Report::default();
            check(&metadata(), tree, &mut report);
            report.lines()
        };
        let found = lines(&Tree::default());
        assert!(found.len() == 1 && found[0].contains("is missing"), "{found:#?}");
        let found = lines(&Tree::from([(MAP, "No crate.\n")]));
        assert!(found.len() == 1 && found[0].contains("`ingest-wal`"), "{found:#?}");
    }

    #[test]
    fn other_documents_are_checked_too() {
        let tree = Tree::from([(MAP, "`ingest-wal`\n"), ("CONTRIBUTING.md", "\n`docs/no`\n")]);
        let mut report = Report::default();
        check(&metadata(), &tree, &mut report);
        assert_eq!(report.lines(), ["CONTRIBUTING.md:2: `docs/no` does not exist"]);
    }
}
