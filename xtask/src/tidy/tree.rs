//! The project's files in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};

/// Paths relative to the root, and the content of those that people write by hand.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    paths: BTreeSet<String>,
    texts: BTreeMap<String, String>,
    not_utf8: Vec<String>,
}

impl Tree {
    /// Reads the listed files. Recorded data and the lock file are known by name only, and so are
    /// binary files (those with a zero byte).
    pub(crate) fn read(root: &Path, files: &[String]) -> Result<Self> {
        let mut tree = Self::default();
        for path in files {
            tree.paths.insert(path.clone());
            if path.starts_with("testdata/") || path == "Cargo.lock" {
                continue;
            }
            let bytes = std::fs::read(root.join(path)).with_context(|| format!("read {path}"))?;
            if bytes.contains(&0) {
                continue;
            }
            if let Ok(text) = String::from_utf8(bytes) {
                tree.texts.insert(path.clone(), text);
            } else {
                tree.not_utf8.push(path.clone());
            }
        }
        Ok(tree)
    }

    /// All files, whether their content is known or not.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// All files with their text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// All Rust files with their text.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| path.ends_with(".rs"))
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    pub(crate) fn not_utf8(&self) -> &[String] {
        &self.not_utf8
    }

    /// Whether a file or directory of that name exists; a part of the path may be `*`.
    pub(crate) fn exists(&self, path: &str) -> bool {
        let wanted: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        self.paths.iter().any(|file| {
            let mut parts = file.split('/');
            wanted.iter().all(|want| parts.next().is_some_and(|part| matches(want, part)))
        })
    }
}

/// One part of a path against a pattern in which the first `*` stands for anything.
fn matches(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        Some((head, tail)) => {
            part.len() >= head.len() + tail.len() && part.starts_with(head) && part.ends_with(tail)
        }
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Tree {
    fn from(files: [(&str, &str); N]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.paths.insert(path.to_owned());
            tree.texts.insert(path.to_owned(), text.to_owned());
        }
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_directories_and_patterns_exist_or_not() {
        let tree = Tree::from([("crates/a/src/lib.rs", ""), ("docs/x.md", "")]);
        for path in ["crates/a/src/lib.rs", "crates/a", "docs/", "crates/*/src", "docs/*.md"] {
            assert!(tree.exists(path), "{path}");
        }
        for path in ["crates/a/src/lib", "crates/b", "docs/x.md/y", "crates/*/tests", "docs/*.rs"] {
            assert!(!tree.exists(path), "{path}");
        }
    }
}
