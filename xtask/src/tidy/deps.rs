//! Who depends on whom, and which foreign crates have no place where.

use super::metadata::{Dependency, Metadata, Package};
use super::rooms::{self, Kind, Room};
use super::tree::Tree;
use super::{Report, manifest};

/// Nowhere, not even in tests: there is one TLS stack, rustls with ring.
const OTHER_TLS: &[&str] =
    &["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys", "boring"];

/// Not in a library, where they would decide for its user. In its tests they decide nothing.
const PROGRAMS_ONLY: &[&str] = &["anyhow", "clap", "tracing-subscriber", "env_logger"];

/// Not even in the program: it has another crate for the purpose.
const REPLACED: &[(&str, &str)] = &[("env_logger", "tracing-subscriber")];

pub(crate) fn check(metadata: &Metadata, tree: &Tree, report: &mut Report) {
    for package in &metadata.packages {
        let path = metadata.manifest(package);
        let Some(room) = rooms::find(&package.name) else {
            report.finding(
                &path,
                1,
                format!("crate `{}` has no room: add it to the table in xtask", package.name),
            );
            continue;
        };
        let text = tree.text(&path).unwrap_or_default();
        for dependency in &package.dependencies {
            let line = manifest::dependency_line(text, dependency.key());
            for message in judge(metadata, package, room, dependency) {
                report.finding(&path, line, message);
            }
        }
    }
}

/// Everything that is wrong with one dependency.
fn judge(
    metadata: &Metadata,
    package: &Package,
    room: &Room,
    dependency: &Dependency,
) -> Vec<String> {
    let (from, to) = (package.name.as_str(), dependency.name.as_str());
    let mut wrong = Vec::new();
    if metadata.package(to).is_some() && dependency.path.is_some() {
        wrong.extend(arrow(room, dependency));
    } else {
        wrong.extend(foreign(room, dependency));
        if dependency.path.is_some() {
            wrong.push(format!("`{from}` takes `{to}` from a path outside the workspace"));
        }
    }
    if dependency.source.as_deref().is_some_and(|source| source.starts_with("git+")) {
        wrong.push(format!("`{from}` takes `{to}` from git: use a published version"));
    }
    if dependency.req == "*" && dependency.path.is_none() {
        wrong.push(format!("`{from}` takes any version of `{to}`: name one"));
    }
    wrong
}

fn arrow(room: &Room, dependency: &Dependency) -> Option<String> {
    let (from, to) = (room.name, dependency.name.as_str());
    if rooms::find(to).is_some_and(|target| target.kind == Kind::Beside) {
        return Some(format!("`{from}` depends on `{to}`, on which nothing may depend"));
    }
    if room.kind == Kind::Beside || room.needs.contains(&to) {
        return None;
    }
    if !room.may_add.contains(&to) {
        return Some(format!("`{from}` depends on `{to}`: the architecture has no such arrow"));
    }
    let behind_feature = dependency.optional || dependency.is_dev();
    (!behind_feature).then(|| format!("`{from}` may depend on `{to}` behind a feature only"))
}

fn foreign(room: &Room, dependency: &Dependency) -> Option<String> {
    let (from, to) = (room.name, dependency.name.as_str());
    if OTHER_TLS.contains(&to) {
        return Some(format!("`{from}` depends on `{to}`: the one TLS stack is rustls with ring"));
    }
    if dependency.is_dev() || room.kind == Kind::Beside {
        return None;
    }
    if let Some((_, instead)) = REPLACED.iter().find(|(name, _)| *name == to) {
        return Some(format!("`{from}` depends on `{to}`: the project uses `{instead}`"));
    }
    if room.kind != Kind::Program && PROGRAMS_ONLY.contains(&to) {
        return Some(format!("`{from}` is a library: `{to}` belongs in the program"));
    }
    if room.kind == Kind::Core && to == "tokio" && !dependency.optional {
        return Some(format!("`{from}` has a core without tokio: make `tokio` optional"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of crates by name; each dependency is `name`, with marks behind it: `?` optional,
    /// `~` for tests, `@git`, `@any`, `@path`. Members of the workspace are found by themselves.
    fn workspace(crates: &[(&str, &[&str])]) -> Metadata {
        let packages: Vec<serde_json::Value> = crates
            .iter()
            .map(|(name, dependencies)| {
                let dependencies: Vec<_> = dependencies
                    .iter()
                    .map(|written| {
                        let name = written.trim_end_matches(['?', '~']);
                        let name = name.split('@').next().unwrap();
                        let inside = crates.iter().any(|(member, _)| *member == name);
                        let path = inside || written.contains("@path");
                        serde_json::json!({
                            "name": name,
                            "req": if written.contains("@any") { "*" } else { "^1" },
                            "source": written.contains("@git").then_some("git+https://git.invalid/x"),
                            "path": path.then_some("/somewhere"),
                            "kind": written.contains('~').then_some("dev"),
                            "rename": null,
                            "optional": written.contains('?'),
                        })
                    })
                    .collect();
                serde_json::json!({
                    "id": name, "name": name, "edition": "2024", "license": "MIT",
                    "manifest_path": format!("/w/crates/{name}/Cargo.toml"),
                    "dependencies": dependencies, "features": {}, "targets": [],
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({
            "packages": packages, "workspace_root": "/w", "workspace_default_members": [],
        }))
        .unwrap()
    }

    fn findings(crates: &[(&str, &[&str])]) -> Vec<String> {
        let mut report = Report::default();
        check(&workspace(crates), &Tree::default(), &mut report);
        report.lines()
    }

    #[track_caller]
    fn one(crates: &[(&str, &[&str])], part: &str) {
        let found = findings(crates);
        assert!(found.len() == 1 && found[0].contains(part), "wanted `{part}`, got {found:#?}");
    }

    #[test]
    fn the_intended_workspace_is_fine() {
        let found = findings(&[
            ("ingest-entry", &["bytes", "serde?"]),
            ("ingest-wal", &["rustix", "tempfile~"]),
            ("graphite-proto", &["tokio?", "tokio~"]),
            ("hydra-ws", &[]),
            ("ingest-wire", &["ingest-entry", "tokio"]),
            ("ingest-store", &["ingest-entry", "ingest-wal"]),
            ("ingest-kafka", &["hydra-ws?"]),
            ("ingest-mux", &["ingest-entry", "ingest-wal", "ingest-wire?", "tokio"]),
            ("ingest-gateway", &["ingest-mux", "graphite-proto", "anyhow", "clap"]),
            ("ingestry", &["ingest-entry?", "ingest-gateway?"]),
            ("xtask", &["ingest-wal", "anyhow"]),
            ("examples", &["ingestry", "anyhow"]),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn arrows_outside_the_table_are_found() {
        one(&[("ingest-wal", &["ingest-entry"]), ("ingest-entry", &[])], "no such arrow");
        one(&[("ingest-wal", &["ingest-entry~"]), ("ingest-entry", &[])], "no such arrow");
        one(&[("ingest-entry", &["ingest-mux?"]), ("ingest-mux", &[])], "no such arrow");
        one(&[("ingest-gateway", &["ingestry"]), ("ingestry", &[])], "no such arrow");
        one(&[("graphite-proto", &["hydra-ws"]), ("hydra-ws", &[])], "no such arrow");
    }

    #[test]
    fn nothing_depends_on_the_tools() {
        one(&[("ingest-gateway", &["xtask"]), ("xtask", &[])], "nothing may depend");
        one(&[("xtask", &["examples"]), ("examples", &[])], "nothing may depend");
    }

    #[test]
    fn some_arrows_need_a_feature() {
        let wire = ("ingest-wire", &[][..]);
        one(&[("ingest-mux", &["ingest-wire"]), wire], "behind a feature only");
        one(&[("ingestry", &["ingest-wire"]), wire], "behind a feature only");
        assert_eq!(findings(&[("ingest-mux", &["ingest-wire~"]), wire]), Vec::<String>::new());
    }

    #[test]
    fn an_unknown_crate_is_found() {
        one(&[("ingest-shed", &[])], "has no room");
    }

    #[test]
    fn crates_for_programs_are_found_in_libraries() {
        for name in PROGRAMS_ONLY {
            one(&[("ingest-mux", &[name])], name);
            one(&[("ingestry", &[name])], name);
        }
        one(&[("ingest-gateway", &["env_logger"])], "uses `tracing-subscriber`");
        assert_eq!(findings(&[("ingest-mux", &["tracing-subscriber~"])]), Vec::<String>::new());
    }

    #[test]
    fn another_tls_stack_is_found_everywhere() {
        for name in OTHER_TLS {
            one(&[("ingest-gateway", &[name])], "one TLS stack");
            one(&[("xtask", &[name])], "one TLS stack");
        }
        one(&[("ingest-wire", &["openssl~"])], "one TLS stack");
    }

    #[test]
    fn tokio_in_a_core_is_found() {
        for name in ["ingest-entry", "ingest-wal", "ingest-store", "graphite-proto", "hydra-ws"] {
            one(&[(name, &["tokio"])], "core without tokio");
            assert_eq!(findings(&[(name, &["tokio?", "tokio~"])]), Vec::<String>::new());
        }
    }

    #[test]
    fn git_wildcards_and_strange_paths_are_found() {
        one(&[("ingest-wire", &["bytes@git"])], "from git");
        one(&[("ingest-wire", &["bytes@any"])], "any version");
        one(&[("ingest-wire", &["bytes@path"])], "outside the workspace");
    }

    #[test]
    fn the_line_is_that_of_the_dependency() {
        let metadata = workspace(&[("ingest-wal", &["anyhow"])]);
        let text = "[package]\nname = \"ingest-wal\"\n\n[dependencies]\nanyhow.workspace = true\n";
        let tree = Tree::from([("crates/ingest-wal/Cargo.toml", text)]);
        let mut report = Report::default();
        check(&metadata, &tree, &mut report);
        assert!(report.lines()[0].starts_with("crates/ingest-wal/Cargo.toml:5: "));
    }
}
