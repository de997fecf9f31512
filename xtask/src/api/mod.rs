//! `cargo xtask api`: the public interface of each library crate, item by item.

mod rules;
mod surface;

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use crate::flags::Api;
use crate::tidy::metadata::{Metadata, Package};
use crate::util;
use surface::Surface;

/// Where the types are listed that show another crate's.
const DOCUMENT: &str = "docs/crates.md";

/// What is as it is on purpose: the crate, the item and the fault, and why.
const MEANT: &[(&str, &str, &str, &str)] = &[
    (
        "graphite-proto",
        "RejectReason",
        "is an error by another name",
        "what is refused is an event with its reason, which is counted by that name",
    ),
    (
        "hydra-ws",
        "Failure",
        "is an error by another name",
        "what an ingestor answers with, and goes into a report",
    ),
    ("hydra-ws", "Flight", "is not Sync", "holds futures, which one task polls"),
    ("hydra-ws", "Outcome", "is not Sync", "holds a future, which one task polls"),
    ("hydra-ws", "Outcomes", "is not Sync", "holds futures, which one task polls"),
    (
        "hydra-ws",
        "http::begin",
        "fails with something that is no std::error::Error",
        "the answer to be sent",
    ),
    (
        "ingest-gateway",
        "map::graphite::Mapper::entry",
        "fails with something that is no std::error::Error",
        "a reason, which is counted and never shown",
    ),
    (
        "ingest-gateway",
        "map::kafka::Mapper::entry",
        "fails with something that is no std::error::Error",
        "a reason, which is counted and never shown",
    ),
    (
        "ingest-gateway",
        "map::kafka::Mapper::tag",
        "fails with something that is no std::error::Error",
        "a reason, which is counted and never shown",
    ),
    (
        "loggregator-consumer",
        "dropsonde::Error",
        "is no std::error::Error",
        "a message of the protocol, by its name there",
    ),
];

/// `Ok(false)`: something is wrong, and has been printed.
pub(crate) fn run(flags: &Api) -> Result<bool> {
    let shell = util::shell()?;
    let root = util::project_root()?;
    let metadata = Metadata::read(&shell)?;
    let wanted = |package: &&Package| flags.name.as_ref().is_none_or(|name| package.name == *name);
    let libraries = metadata.default_members().filter(|package| package.library().is_some());
    // The umbrella is nothing but re-exports.
    let packages: Vec<_> = libraries.filter(|package| package.name != "ingestry").collect();
    let packages: Vec<_> = packages.into_iter().filter(wanted).collect();
    ensure!(!packages.is_empty(), "there is no such library crate");
    let document = std::fs::read_to_string(root.join(DOCUMENT)).context(DOCUMENT)?;
    let mut wrong = Vec::new();
    for package in packages {
        let surface = surface(&shell, package)?;
        let items = surface.public().iter().filter(|one| one.item.kind != "impl").count();
        println!("{}: {items} public items", package.name);
        let mut rows = Vec::new();
        for (owner, shown) in rules::leaks(&surface) {
            let mut row = format!("| `{}` | `{owner}` |", package.name);
            for (index, path) in shown.iter().enumerate() {
                write!(row, "{} `{path}`", if index > 0 { "," } else { "" })?;
            }
            row.push_str(" |");
            println!("{row}");
            if !document.lines().any(|line| line == row) {
                wrong.push(format!("{DOCUMENT} has to say: {row}"));
            }
            rows.push(row);
        }
        let begin = format!("| `{}` | `", package.name);
        for line in document.lines().filter(|line| line.starts_with(&begin)) {
            if !rows.iter().any(|row| row == line) {
                wrong.push(format!("{DOCUMENT} says what is no more: {line}"));
            }
        }
        for (path, fault) in rules::faults(&surface) {
            let meant = |(name, item, text, _): &(&str, &str, &str, &str)| {
                *name == package.name && *item == path && *text == fault
            };
            if !MEANT.iter().any(meant) {
                wrong.push(format!("{}: {path} {fault}", package.name));
            }
        }
    }
    for text in &wrong {
        println!("WRONG: {text}");
    }
    println!("api: {} faults", wrong.len());
    Ok(wrong.is_empty())
}

/// Has rustdoc write its JSON, which a stable compiler does when it is asked to in this way.
fn surface(shell: &Shell, package: &Package) -> Result<Surface> {
    let name = &package.name;
    let target = cmd!(shell, "cargo metadata --no-deps --format-version 1").quiet().read()?;
    let target: serde_json::Value = serde_json::from_str(&target)?;
    let target = target.get("target_directory").and_then(serde_json::Value::as_str);
    let target = std::path::Path::new(target.context("cargo has no target directory")?).join("api");
    cmd!(shell, "cargo rustdoc --quiet --locked --package {name} --lib --all-features")
        .args(["--", "-Zunstable-options", "--output-format", "json", "--cap-lints", "allow"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &target)
        .quiet()
        .run()
        .with_context(|| format!("rustdoc cannot describe {name}"))?;
    let library = package.library().context("no library")?.replace('-', "_");
    let file = target.join("doc").join(format!("{library}.json"));
    Surface::parse(&shell.read_file(file)?)
}
