//! What a registry wants to know of each crate, and what is in its package.

use anyhow::{Context as _, Result};
use toml::de::DeTable;

use super::Verdict;
use crate::tidy::metadata::Metadata;

/// The version of all, which every crate and every dependency on one has to have.
pub(super) fn versions(
    metadata: &Metadata,
    manifest: &str,
    verdict: &mut Verdict,
) -> Result<String> {
    let manifest = DeTable::parse(manifest).context("the workspace's manifest")?;
    let version = table(manifest.get_ref(), "workspace")
        .and_then(|own| table(own, "package"))
        .and_then(|own| own.get("version")?.get_ref().as_str().map(str::to_owned))
        .context("the workspace's manifest has no package.version")?;
    for package in metadata.published() {
        if package.version != version {
            verdict
                .fault(format!("{} is {}, the workspace {version}", package.name, package.version));
        }
        for need in package.dependencies.iter().filter(|need| need.path.is_some()) {
            // A test's own dependency needs no version.
            if need.req != format!("^{version}") && !(need.is_dev() && need.req == "*") {
                let (name, needs, req) = (&package.name, &need.name, &need.req);
                verdict.fault(format!("{name} needs {needs} {req}, not {version}"));
            }
        }
    }
    Ok(version)
}

fn table<'t, 'a>(table: &'t DeTable<'a>, key: &str) -> Option<&'t DeTable<'a>> {
    table.get(key).and_then(|value| value.get_ref().as_table())
}

/// What stands on a crate's page.
pub(super) fn metadata(metadata: &Metadata, verdict: &mut Verdict) {
    let mut homeless = Vec::new();
    for package in metadata.published() {
        let texts = [
            ("description", &package.description),
            ("license", &package.license),
            ("readme", &package.readme),
        ];
        for (key, text) in texts {
            if text.as_deref().is_none_or(|text| text.trim().is_empty()) {
                verdict.fault(format!("{} has no {key}", package.name));
            }
        }
        if package.repository.is_none() {
            homeless.push(package.name.as_str());
        }
    }
    // All or none: one crate that was forgotten is a mistake.
    let all = metadata.published().count();
    match homeless.len() {
        0 => {}
        some if some == all => {
            verdict.note("no crate names a repository: `workspace.package.repository`");
        }
        _ => verdict.fault(format!("{} name no repository, others do", homeless.join(", "))),
    }
}

/// What has to be in a package, and what must not.
pub(super) fn contents(name: &str, files: &[String], verdict: &mut Verdict) {
    for wanted in ["Cargo.toml", "README.md"] {
        if !files.iter().any(|file| file == wanted) {
            verdict.fault(format!("the package of {name} has no {wanted}"));
        }
    }
    if !files.iter().any(|file| file == "src/lib.rs" || file == "src/main.rs") {
        verdict.fault(format!("the package of {name} has no source"));
    }
    for file in files {
        let hidden =
            file.split('/').any(|part| part.starts_with('.')) && file != ".cargo_vcs_info.json";
        let made = ["target/", "ingestry-data/"].iter().any(|dir| file.starts_with(dir));
        let key = file.ends_with(".pem") || file.ends_with(".key");
        if hidden || made || key {
            verdict.fault(format!("the package of {name} has {file}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::testing::metadata as workspace;
    use super::super::testing::need;
    use super::*;

    const MANIFEST: &str = "[workspace.package]\nversion = \"1.2.3\"\n";

    /// The faults that a planted one brings about.
    fn faults(plant: impl FnOnce(&mut Value)) -> (Vec<String>, usize) {
        let mut verdict = Verdict::default();
        let planted = workspace(plant);
        assert_eq!(versions(&planted, MANIFEST, &mut verdict).unwrap(), "1.2.3");
        metadata(&planted, &mut verdict);
        (verdict.faults, verdict.notes.len())
    }

    #[test]
    fn a_sound_workspace_has_no_fault_and_each_planted_one_is_found() {
        assert_eq!(faults(|_| {}), (Vec::new(), 0));
        let one = |plant: fn(&mut Value), text: &str| {
            let (found, _) = faults(plant);
            assert_eq!(found, [text]);
        };
        one(|v| v["packages"][0]["version"] = "1.2.4".into(), "b is 1.2.4, the workspace 1.2.3");
        one(
            |v| v["packages"][0]["dependencies"] = serde_json::json!([need("a", "^1.2.2", None)]),
            "b needs a ^1.2.2, not 1.2.3",
        );
        one(|v| v["packages"][1]["description"] = Value::Null, "a has no description");
        one(|v| v["packages"][1]["license"] = Value::Null, "a has no license");
        one(|v| v["packages"][1]["readme"] = " ".into(), "a has no readme");
        one(|v| v["packages"][1]["repository"] = Value::Null, "a name no repository, others do");
    }

    #[test]
    fn that_no_crate_has_an_address_is_a_question() {
        let nobody = |v: &mut Value| {
            v["packages"][0]["repository"] = Value::Null;
            v["packages"][1]["repository"] = Value::Null;
        };
        assert_eq!(faults(nobody), (Vec::new(), 1));
    }

    #[test]
    fn packages_hold_what_they_should() {
        let faults = |files: &[&str]| {
            let mut verdict = Verdict::default();
            let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
            contents("a", &files, &mut verdict);
            verdict.faults
        };
        assert_eq!(faults(&["Cargo.toml", "README.md", "src/lib.rs"]), Vec::<String>::new());
        assert_eq!(
            faults(&["Cargo.toml", "src/.secret", "tests/server.key"]),
            [
                "the package of a has no README.md",
                "the package of a has no source",
                "the package of a has src/.secret",
                "the package of a has tests/server.key"
            ]
        );
    }
}
