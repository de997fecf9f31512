//! `docs/benchmarks.md`: the page, and what it is made of.
//!
//! Beside the page stands a folder of its name with one file of JSON for each benchmark: what was
//! measured, when, where, and with which command. The page and its plots are written from these files
//! and from nothing else, so that they can be made again without measuring, and a test says when they
//! are not what the files give. A benchmark that runs again replaces the cases that it ran, and those
//! alone: a page grows run by run.

#[cfg(feature = "bench")]
mod facts;
mod kept;
mod page;
mod plot;
mod tables;
mod texts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

#[cfg(feature = "bench")]
pub(super) use self::facts::{commit, machine, today};
use self::kept::Kept;
#[cfg(feature = "bench")]
pub(super) use self::kept::{Figures, Height, Run};
#[cfg(feature = "bench")]
pub(crate) use self::tables::number;

/// The page of the project.
const PAGE: &str = "docs/benchmarks.md";

/// `bench page`: the page again, from what is kept.
pub(super) fn again(page: Option<&Path>) -> Result<bool> {
    let page = match page {
        Some(page) => page.to_owned(),
        None => crate::util::project_root()?.join(PAGE),
    };
    let kept = read(&page)?;
    ensure!(!kept.is_empty(), "{}: nothing is kept", folder(&page).display());
    write(&page, &kept)?;
    println!("{}: written from {} files of what was measured", page.display(), kept.len());
    Ok(true)
}

/// Keeps a run, and writes the page anew.
#[cfg(feature = "bench")]
pub(super) fn keep(page: &Path, suite: &str, run: Run) -> Result<()> {
    ensure!(texts::SUITES.iter().any(|text| text.name == suite), "no text says what {suite} is");
    let mut kept = read(page)?;
    let of_suite = kept.entry(suite.to_owned()).or_default();
    of_suite.add(run);
    let mut text = serde_json::to_string_pretty(of_suite)?;
    text.push('\n');
    std::fs::create_dir_all(folder(page))?;
    let file = folder(page).join(format!("{suite}.json"));
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    write(page, &kept)
}

/// What is kept of one benchmark.
#[cfg(feature = "bench")]
pub(super) fn kept(page: &Path, suite: &str) -> Result<Kept> {
    Ok(read(page)?.remove(suite).unwrap_or_default())
}

/// Where the files of a page are.
fn folder(page: &Path) -> PathBuf {
    page.with_extension("")
}

/// Everything that is kept beside a page, by benchmark.
fn read(page: &Path) -> Result<BTreeMap<String, Kept>> {
    let mut kept = BTreeMap::new();
    let folder = folder(page);
    if !folder.exists() {
        return Ok(kept);
    }
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name =
            path.file_stem().and_then(|name| name.to_str()).context("a name that is no text")?;
        let text = std::fs::read_to_string(&path)?;
        let found = serde_json::from_str(&text)
            .with_context(|| format!("{}: not what a benchmark keeps", path.display()))?;
        kept.insert(name.to_owned(), found);
    }
    Ok(kept)
}

/// The texts of the page and of its plots, by path.
fn render(page: &Path, kept: &BTreeMap<String, Kept>) -> Result<BTreeMap<PathBuf, String>> {
    let folder = folder(page);
    let name =
        folder.file_name().and_then(|name| name.to_str()).context("a page without a name")?;
    let mut files = BTreeMap::new();
    for (suite, of_suite) in kept {
        if let Some(plot) = plot::plot(suite, of_suite) {
            files.insert(folder.join(format!("{suite}.svg")), plot);
        }
    }
    files.insert(page.to_owned(), page::page(name, kept));
    Ok(files)
}

fn write(page: &Path, kept: &BTreeMap<String, Kept>) -> Result<()> {
    for (path, text) in render(page, kept)? {
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_its_files_give() {
        let page = crate::util::project_root().unwrap().join(PAGE);
        let kept = read(&page).unwrap();
        assert_eq!(page.is_file(), !kept.is_empty(), "the page and its files");
        let files = if kept.is_empty() { BTreeMap::new() } else { render(&page, &kept).unwrap() };
        for (path, text) in files {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                found == text,
                "{} is not what its files give: write it with `cargo xtask bench page`",
                path.display()
            );
        }
    }

    #[test]
    fn a_page_grows_run_by_run() {
        let dir = tempfile::tempdir().unwrap();
        let page = dir.path().join("figures.md");
        assert!(again(Some(&page)).unwrap_err().to_string().contains("nothing is kept"));
        let mut kept = Kept::default();
        kept.add(kept::tests::run("1", &["wire/a", "wire/b"]));
        std::fs::create_dir(folder(&page)).unwrap();
        let file = folder(&page).join("wire.json");
        std::fs::write(&file, serde_json::to_string(&kept).unwrap()).unwrap();
        assert!(again(Some(&page)).unwrap());
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.contains("figures/wire.svg") && text.contains("`wire/b`"), "{text}");
        assert!(folder(&page).join("wire.svg").is_file());
        std::fs::write(&file, "{\"runs\": 3}").unwrap();
        assert!(again(Some(&page)).unwrap_err().to_string().contains("wire.json"));
    }
}
