//! What every manifest must say, and the one binary.

use toml::de::{DeTable, DeValue};

use super::Report;
use super::metadata::{Metadata, Package};
use super::tree::Tree;

const EDITION: &str = "2024";
const PROGRAM: &str = "ingestry";
const TABLES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

pub(crate) fn check(metadata: &Metadata, tree: &Tree, report: &mut Report) {
    program(metadata, tree, report);
    root(tree, report);
    for package in &metadata.packages {
        fields(metadata, package, tree, report);
        let path = metadata.manifest(package);
        if let Some(text) = tree.text(&path) {
            inherited(&path, text, report);
        }
    }
}

/// Exactly one binary among the default members: `cargo run` then needs no choice. Without pages of
/// its own: they would overwrite those of the umbrella, which has the same name.
fn program(metadata: &Metadata, tree: &Tree, report: &mut Report) {
    let mut binaries = Vec::new();
    for package in metadata.default_members() {
        let path = metadata.manifest(package);
        let line = tree.text(&path).map_or(1, |text| heading_line(text, "bin"));
        binaries.extend(package.binaries().map(|target| (path.clone(), line, target)));
    }
    if binaries.is_empty() {
        report.finding("Cargo.toml", 1, format!("no default member has the binary `{PROGRAM}`"));
    }
    for (index, (path, line, target)) in binaries.iter().enumerate() {
        if index > 0 || target.name != PROGRAM {
            let message =
                format!("binary `{}`: the default members have one, `{PROGRAM}`", target.name);
            report.finding(path, *line, message);
        }
        if target.doc {
            report.finding(path, *line, format!("binary `{}` must say `doc = false`", target.name));
        }
    }
}

fn fields(metadata: &Metadata, package: &Package, tree: &Tree, report: &mut Report) {
    let (path, directory) = (metadata.manifest(package), metadata.directory(package));
    if package.edition != EDITION {
        let message =
            format!("`{}` is of edition {}, not {EDITION}", package.name, package.edition);
        report.finding(&path, 1, message);
    }
    if package.license.as_deref().is_none_or(str::is_empty) {
        report.finding(&path, 1, format!("`{}` names no licence", package.name));
    }
    if directory.starts_with("crates/") && !tree.exists(&format!("{directory}/README.md")) {
        report.finding(&path, 1, format!("`{}` has no README.md", package.name));
    }
}

/// Versions live in the root's table: published ones, each with a number.
fn root(tree: &Tree, report: &mut Report) {
    let path = "Cargo.toml";
    let text = tree.text(path).unwrap_or_default();
    let Some(manifest) = parse(path, text, report) else { return };
    let table = |name| manifest.get(name).and_then(DeValue::as_table);
    for name in ["patch", "replace"] {
        if table(name).is_some() {
            let message = format!("`[{name}]` changes where dependencies come from");
            report.finding(path, heading_line(text, name), message);
        }
    }
    let shared = table("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(|value| value.as_ref().as_table());
    for (key, value) in shared.into_iter().flatten() {
        let line = line_at(text, key.span().start);
        let (key, value) = (key.as_ref(), value.as_ref());
        let field = |name| value.get(name).map(|value| value.as_ref());
        if field("git").is_some() {
            report.finding(path, line, format!("`{key}` comes from git"));
        }
        let version = value.as_str().or_else(|| field("version").and_then(DeValue::as_str));
        if version.is_none_or(|version| version.contains('*')) {
            report.finding(path, line, format!("`{key}` must name a version, and no wildcard"));
        }
    }
}

/// `[lints] workspace = true`, and every dependency from the workspace's table.
fn inherited(path: &str, text: &str, report: &mut Report) {
    let Some(manifest) = parse(path, text, report) else { return };
    let lints = manifest.get("lints").and_then(DeValue::as_table);
    if !lints.is_some_and(says_workspace) {
        let message = "`[lints] workspace = true` is missing";
        report.finding(path, heading_line(text, "lints"), message);
    }
    let targets = manifest.get("target").and_then(DeValue::as_table);
    let per_target =
        targets.into_iter().flat_map(DeTable::values).filter_map(|v| v.as_ref().as_table());
    for holder in std::iter::once(&manifest.0).chain(per_target) {
        for dependencies in TABLES.iter().filter_map(|name| holder.get(*name)) {
            for (key, value) in dependencies.as_ref().as_table().into_iter().flatten() {
                if !value.as_ref().as_table().is_some_and(says_workspace) {
                    let line = line_at(text, key.span().start);
                    let message = format!(
                        "`{}` must say `workspace = true`: versions live in the root",
                        key.as_ref()
                    );
                    report.finding(path, line, message);
                }
            }
        }
    }
}

fn says_workspace(table: &DeTable<'_>) -> bool {
    table.get("workspace").and_then(|value| value.as_ref().as_bool()) == Some(true)
}

/// The line on which a manifest names a dependency; 1 when it does not.
pub(crate) fn dependency_line(text: &str, name: &str) -> usize {
    let Some(manifest) = parse("", text, &mut Report::default()) else { return 1 };
    let mut holders = vec![&manifest.0];
    if let Some(targets) = manifest.get("target").and_then(DeValue::as_table) {
        holders.extend(targets.values().filter_map(|value| value.as_ref().as_table()));
    }
    holders
        .iter()
        .flat_map(|holder| TABLES.iter().filter_map(|table| holder.get(*table)))
        .filter_map(|value| value.as_ref().as_table()?.get_key_value(name))
        .map(|(key, _)| line_at(text, key.span().start))
        .min()
        .unwrap_or(1)
}

struct Manifest<'a>(DeTable<'a>);

impl<'a> Manifest<'a> {
    fn get(&self, name: &str) -> Option<&DeValue<'a>> {
        self.0.get(name).map(|value| value.as_ref())
    }
}

fn parse<'a>(path: &str, text: &'a str, report: &mut Report) -> Option<Manifest<'a>> {
    match DeTable::parse(text) {
        Ok(table) => Some(Manifest(table.into_inner())),
        Err(error) => {
            let line = error.span().map_or(1, |span| line_at(text, span.start));
            report.finding(path, line, format!("not TOML: {}", error.message()));
            None
        }
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The first line that opens the table (or array of tables) of that name.
fn heading_line(text: &str, name: &str) -> usize {
    let opens = |line: &str| {
        let inner = line.trim_start().trim_start_matches('[');
        line.trim_start().starts_with('[') && inner.starts_with(name)
    };
    text.lines().position(opens).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "[workspace.dependencies]\nbytes = \"1\"\nnom = { version = \"8\" }\n";
    const GOOD: &str = "[package]\nname = \"ingest-wal\"\n\n[lints]\nworkspace = true\n\n\
        [dependencies]\nbytes.workspace = true\n\n\
        [target.'cfg(unix)'.dependencies]\nrustix = { workspace = true, features = [\"fs\"] }\n";

    /// One default member, `ingest-wal`, with the given binaries.
    fn metadata(edition: &str, license: Option<&str>, binaries: &[(&str, bool)]) -> Metadata {
        let targets: Vec<_> = binaries
            .iter()
            .map(|(name, doc)| serde_json::json!({"name": name, "kind": ["bin"], "doc": doc}))
            .collect();
        serde_json::from_value(serde_json::json!({
            "packages": [{
                "id": "1", "name": "ingest-wal", "edition": edition, "license": license,
                "manifest_path": "/w/crates/ingest-wal/Cargo.toml",
                "dependencies": [], "features": {}, "targets": targets,
            }],
            "workspace_root": "/w", "workspace_default_members": ["1"],
        }))
        .unwrap()
    }

    fn good() -> Metadata {
        metadata("2024", Some("MIT"), &[("ingestry", false)])
    }

    fn findings(metadata: &Metadata, root: &str, manifest: &str, readme: &str) -> Vec<String> {
        let tree = Tree::from([
            ("Cargo.toml", root),
            ("crates/ingest-wal/Cargo.toml", manifest),
            (readme, ""),
        ]);
        let mut report = Report::default();
        check(metadata, &tree, &mut report);
        report.lines()
    }

    #[track_caller]
    fn one(found: &[String], expected: &str) {
        assert!(found.len() == 1 && found[0].contains(expected), "got {found:#?}");
    }

    const README: &str = "crates/ingest-wal/README.md";

    #[test]
    fn a_good_workspace_has_no_findings() {
        assert_eq!(findings(&good(), ROOT, GOOD, README), Vec::<String>::new());
    }

    #[test]
    fn there_is_one_binary_without_pages() {
        let check = |binaries: &[(&str, bool)]| {
            findings(&metadata("2024", Some("MIT"), binaries), ROOT, GOOD, README)
        };
        one(&check(&[]), "no default member");
        one(&check(&[("ingestry", false), ("helper", false)]), "binary `helper`");
        one(&check(&[("gateway", false)]), "binary `gateway`");
        one(&check(&[("ingestry", true)]), "doc = false");
    }

    #[test]
    fn fields_are_checked() {
        let bins = &[("ingestry", false)];
        let check = |metadata: &Metadata| findings(metadata, ROOT, GOOD, README);
        one(&check(&metadata("2021", Some("MIT"), bins)), "edition 2021");
        one(&check(&metadata("2024", None, bins)), "names no licence");
        one(&findings(&good(), ROOT, GOOD, "README.md"), "has no README.md");
    }

    #[test]
    fn lints_must_be_inherited() {
        let without = GOOD.replace("[lints]\nworkspace = true\n", "");
        one(&findings(&good(), ROOT, &without, README), "`[lints] workspace = true`");
        let own = GOOD.replace("[lints]\nworkspace = true", "[lints]\nworkspace = false");
        one(&findings(&good(), ROOT, &own, README), "Cargo.toml:4: `[lints]");
    }

    #[test]
    fn versions_outside_the_root_are_found() {
        let own = GOOD.replace("bytes.workspace = true", "bytes = \"1\"");
        one(&findings(&good(), ROOT, &own, README), "Cargo.toml:8: `bytes`");
        let own = GOOD.replace("{ workspace = true, features", "{ version = \"1\", features");
        one(&findings(&good(), ROOT, &own, README), "Cargo.toml:11: `rustix`");
        let dev = format!("{GOOD}[dev-dependencies]\nproptest = \"1\"\n");
        one(&findings(&good(), ROOT, &dev, README), "`proptest`");
    }

    #[test]
    fn the_root_names_published_versions() {
        let check = |line: &str| findings(&good(), &format!("{ROOT}{line}\n"), GOOD, README);
        one(&check("x = \"*\""), "Cargo.toml:4: `x` must name a version");
        one(&check("x = { path = \"crates/x\" }"), "`x` must name a version");
        one(&check("x = { version = \"1\", git = \"https://git.invalid/x\" }"), "from git");
        one(&check("[patch.crates-io]\nx = { path = \"x\" }"), "Cargo.toml:4: `[patch]`");
    }

    #[test]
    fn a_broken_manifest_is_found_with_its_line() {
        one(&findings(&good(), ROOT, "[package]\nname = \n", README), "Cargo.toml:2: not TOML");
    }

    #[test]
    fn dependencies_have_lines() {
        assert_eq!(dependency_line(GOOD, "bytes"), 8);
        assert_eq!(dependency_line(GOOD, "rustix"), 11);
        assert_eq!(dependency_line(GOOD, "nom"), 1);
    }
}
