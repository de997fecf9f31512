//! `cargo xtask release --dry-run`: everything that can be known before a release, and the order of
//! its steps. It publishes nothing.

mod changelog;
mod order;
mod packages;

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

use crate::flags::Release;
use crate::tidy::metadata::Metadata;
use crate::util;

/// What would stop a release, and what somebody should know.
#[derive(Debug, Default)]
struct Verdict {
    faults: Vec<String>,
    notes: Vec<String>,
}

impl Verdict {
    fn fault(&mut self, text: impl Into<String>) {
        self.faults.push(text.into());
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

/// `Ok(false)`: something is wrong, and has been printed.
pub(crate) fn run(flags: &Release) -> Result<bool> {
    if !flags.dry_run {
        bail!("releases are published by hand, in the order that --dry-run prints");
    }
    let shell = util::shell()?;
    let root = util::project_root()?;
    let metadata = Metadata::read(&shell)?;
    let mut verdict = Verdict::default();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml"))?;
    let version = packages::versions(&metadata, &manifest, &mut verdict)?;
    packages::metadata(&metadata, &mut verdict);
    let changes = std::fs::read_to_string(root.join("CHANGELOG.md"))?;
    let tag = changelog::check(&changes, &version, &metadata, &mut verdict);
    let order = order::order(&metadata, &mut verdict);
    println!("release {version}");
    for name in &order {
        let files = listing(&shell, name)?;
        packages::contents(name, &files, &mut verdict);
        println!("  {name}: {} files in the package", files.len());
    }
    println!("publish in this order: {}", order.join(", "));
    println!("tag v{version}:");
    for line in tag.lines() {
        println!("    {line}");
    }
    for note in &verdict.notes {
        println!("to be decided: {note}");
    }
    for fault in &verdict.faults {
        println!("WRONG: {fault}");
    }
    println!("release: {} faults, {} open questions", verdict.faults.len(), verdict.notes.len());
    Ok(verdict.faults.is_empty())
}

/// The files of a package as cargo would pack them.
fn listing(shell: &Shell, name: &str) -> Result<Vec<String>> {
    let text = cmd!(shell, "cargo package --quiet --list --allow-dirty --locked --package {name}")
        .quiet()
        .read()
        .with_context(|| format!("cargo cannot pack {name}"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// A workspace in memory, for the tests of every check.
#[cfg(test)]
mod testing {
    use super::*;

    /// Packages `b`, which needs `a`, and a third that is not published.
    pub(super) fn metadata(change: impl FnOnce(&mut serde_json::Value)) -> Metadata {
        let package = |name: &str, needs: serde_json::Value| {
            serde_json::json!({
                "id": name, "name": name, "edition": "2024", "license": "MIT", "version": "1.2.3",
                "description": "What it is.", "repository": "https://example.org",
                "readme": "README.md", "manifest_path": format!("/w/crates/{name}/Cargo.toml"),
                "dependencies": needs, "features": {}, "targets": [], "publish": null
            })
        };
        let need = |name: &str, kind: Option<&str>| {
            serde_json::json!({
                "name": name, "req": "^1.2.3", "source": null, "path": format!("/w/crates/{name}"),
                "kind": kind, "rename": null, "optional": false
            })
        };
        let mut tool = package("tool", serde_json::json!([]));
        tool["publish"] = serde_json::json!([]);
        let mut value = serde_json::json!({
            "packages": [
                package("b", serde_json::json!([need("a", None)])),
                package("a", serde_json::json!([])),
                tool
            ],
            "workspace_root": "/w", "workspace_default_members": []
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    pub(super) fn need(name: &str, req: &str, kind: Option<&str>) -> serde_json::Value {
        serde_json::json!({
            "name": name, "req": req, "source": null, "path": format!("/w/crates/{name}"),
            "kind": kind, "rename": null, "optional": false
        })
    }
}
