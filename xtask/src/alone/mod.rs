//! `cargo xtask alone`: each library crate as its users take it, in a project of its own outside this
//! workspace.

mod count;
mod project;
mod readme;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use xshell::Shell;

use crate::flags::Alone;
use crate::tidy::metadata::{Metadata, Package};
use crate::util;
use count::{Count, With};
use project::{Built, Project};

/// Where the figures stand for readers.
const DOCUMENT: &str = "docs/crates.md";
const TITLES: [&str; 2] = [
    "| crate | features | named | linked | compiled |",
    "| crate | features | clean build, s | its CPU, s | examples built | of them run |",
];

/// `Ok(false)`: something is over its limit, or does not build, and has been printed.
pub(crate) fn run(flags: &Alone) -> Result<bool> {
    let shell = util::shell()?;
    let root = util::project_root()?;
    let metadata = Metadata::read(&shell)?;
    let wanted = |package: &&Package| flags.name.as_ref().is_none_or(|name| package.name == *name);
    let libraries = metadata.default_members().filter(|package| package.library().is_some());
    let packages: Vec<_> = libraries.filter(wanted).collect();
    ensure!(!packages.is_empty(), "there is no such library crate");

    let mut wrong = Vec::new();
    let mut rows = Vec::new();
    for package in &packages {
        for with in ways(package) {
            let count = count::count(&shell, &package.name, with)?;
            wrong.extend(count::judge(&package.name, with, count));
            rows.push(counted(&package.name, with, count));
        }
    }
    println!("{}", TITLES[0]);
    rows.iter().for_each(|row| println!("{row}"));
    let document = std::fs::read_to_string(root.join(DOCUMENT)).context(DOCUMENT)?;
    for row in rows.iter().filter(|row| !document.lines().any(|line| line == row.as_str())) {
        wrong.push(format!("{DOCUMENT} has to say: {row}"));
    }
    if !flags.count {
        println!("{}", TITLES[1]);
        let folder = tempfile::Builder::new().prefix("ingestry-alone").tempdir()?;
        ensure!(
            !folder.path().starts_with(&root),
            "TMPDIR lies in the workspace: set it elsewhere"
        );
        for package in &packages {
            for with in ways(package) {
                match alone(&shell, &metadata, package, with, &root, folder.path()) {
                    Ok(built) => println!("{}", measured(&package.name, with, built)),
                    Err(error) => {
                        wrong.push(format!("{} ({}): {error:#}", package.name, with.as_str()));
                    }
                }
            }
        }
    }
    for text in &wrong {
        println!("WRONG: {text}");
    }
    println!("alone: {} crates, {} faults", packages.len(), wrong.len());
    Ok(wrong.is_empty())
}

/// With its default features and, where these are any, without.
fn ways(package: &Package) -> Vec<With> {
    match package.features.get("default") {
        Some(list) if !list.is_empty() => vec![With::Default, With::Nothing],
        _ => vec![With::Both],
    }
}

fn alone(
    shell: &Shell,
    metadata: &Metadata,
    package: &Package,
    with: With,
    root: &Path,
    folder: &Path,
) -> Result<Built> {
    let readme = format!("{}/README.md", metadata.directory(package));
    let readme = shell.read_file(root.join(readme))?;
    let manifest = readme::manifest(&readme).context("its README has no block of TOML")?;
    let examples = readme::examples(&readme);
    let can = |needs: &[String]| match with {
        With::Default => needs.iter().all(|name| brings(package, "default", name)),
        With::Nothing | With::Both => needs.is_empty(),
    };
    let examples: Vec<_> = examples.iter().filter(|example| can(&example.needs)).collect();
    // The umbrella without features is nothing at all.
    let empty = package.name == "ingestry" && with == With::Nothing;
    ensure!(empty || !examples.is_empty(), "its README has no example for that");
    let ours = |name: &str| -> Option<PathBuf> {
        metadata.package(name).map(|package| root.join(metadata.directory(package)))
    };
    let lock = root.join("Cargo.lock");
    let name = &package.name;
    Project::write(folder, name, with, &manifest, &ours, &lock, &examples)?.try_it(&examples)
}

/// Whether a feature switches another one on.
fn brings(package: &Package, feature: &str, wanted: &str) -> bool {
    let list = package.features.get(feature).map(Vec::as_slice).unwrap_or_default();
    feature == wanted || list.iter().any(|one| brings(package, one, wanted))
}

/// A row of the first table. A crate without default features has one row, for both.
fn counted(name: &str, with: With, count: Count) -> String {
    let Count { named, linked, compiled, tokio } = count;
    let with = with.as_str();
    let mark = if tokio { " with tokio" } else { "" };
    format!("| `{name}` | {with} | {named} | {linked}{mark} | {compiled} |")
}

/// A row of the second.
fn measured(name: &str, with: With, built: Built) -> String {
    let Built { wall, cpu, built, run } = built;
    let cpu = cpu.map_or_else(|| "?".to_owned(), |cpu| format!("{cpu:.0}"));
    let with = with.as_str();
    format!("| `{name}` | {with} | {:.0} | {cpu} | {built} | {run} |", wall.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(features: &serde_json::Value) -> Package {
        serde_json::from_value(serde_json::json!({
            "id": "1", "name": "ingest-wire", "edition": "2024", "license": "MIT",
            "manifest_path": "/w/crates/ingest-wire/Cargo.toml", "dependencies": [],
            "features": features, "targets": [],
        }))
        .unwrap()
    }

    #[test]
    fn features_bring_others() {
        let package = package(&serde_json::json!({
            "default": ["tls"], "tls": ["tokio", "dep:rustls"], "tokio": ["dep:tokio"], "more": [],
        }));
        assert_eq!(ways(&package), [With::Default, With::Nothing]);
        for (name, expected) in [("tls", true), ("tokio", true), ("more", false)] {
            assert_eq!(brings(&package, "default", name), expected, "{name}");
        }
    }

    #[test]
    fn without_default_features_there_is_one_way() {
        assert_eq!(ways(&package(&serde_json::json!({ "default": [] }))), [With::Both]);
        assert_eq!(ways(&package(&serde_json::json!({}))), [With::Both]);
    }

    #[test]
    fn rows_are_those_of_the_document() {
        let count = Count { named: 2, linked: 3, compiled: 8, tokio: true };
        let row = counted("a", With::Nothing, count);
        assert_eq!(row, "| `a` | none | 2 | 3 with tokio | 8 |");
        let cells = |text: &str| text.matches('|').count();
        assert_eq!(cells(&row), cells(TITLES[0]));
    }
}
