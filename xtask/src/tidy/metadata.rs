//! What `cargo metadata` says about the workspace, as far as the checks need it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use xshell::{Shell, cmd};

#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_root: String,
    pub(crate) workspace_default_members: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) edition: String,
    pub(crate) license: Option<String>,
    pub(crate) manifest_path: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) targets: Vec<Target>,
    #[serde(default)]
    pub(crate) version: String,
    pub(crate) description: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) readme: Option<String>,
    /// The registries that it may go to; `None`: any.
    publish: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) req: String,
    pub(crate) source: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) rename: Option<String>,
    pub(crate) optional: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
    pub(crate) doc: bool,
}

impl Metadata {
    /// Asks cargo. Needs no network: dependencies outside the workspace are not resolved.
    pub(crate) fn read(shell: &Shell) -> Result<Self> {
        let json = cmd!(shell, "cargo metadata --no-deps --format-version 1")
            .quiet()
            .read()
            .context("cargo metadata failed")?;
        serde_json::from_str(&json).context("cargo metadata printed something unexpected")
    }

    pub(crate) fn default_members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|p| self.workspace_default_members.contains(&p.id))
    }

    /// The packages that are published.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        let may = |package: &&Package| package.publish.as_ref().is_none_or(|to| !to.is_empty());
        self.packages.iter().filter(may)
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The manifest's path relative to the root, with `/` between the parts.
    pub(crate) fn manifest(&self, package: &Package) -> String {
        package
            .manifest_path
            .strip_prefix(&self.workspace_root)
            .unwrap_or(&package.manifest_path)
            .trim_start_matches(['/', '\\'])
            .replace('\\', "/")
    }

    /// The package's directory relative to the root, without a slash at the end.
    pub(crate) fn directory(&self, package: &Package) -> String {
        let manifest = self.manifest(package);
        manifest.rsplit_once('/').map_or_else(String::new, |(directory, _)| directory.to_owned())
    }
}

impl Package {
    /// The library's name as code writes it, if there is a library.
    pub(crate) fn library(&self) -> Option<&str> {
        let library = |kind: &String| kind == "proc-macro" || kind.ends_with("lib");
        self.targets.iter().find(|t| t.kind.iter().any(library)).map(|t| t.name.as_str())
    }

    pub(crate) fn binaries(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "bin"))
    }
}

impl Dependency {
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }

    /// The key under which the manifest names it.
    pub(crate) fn key(&self) -> &str {
        self.rename.as_deref().unwrap_or(&self.name)
    }
}
