//! A project outside the workspace that does what a README says.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use toml::de::DeTable;

use super::count::With;
use super::readme::Example;

/// What building and running it took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Built {
    /// From nothing to the crate and all that it needs.
    pub(super) wall: Duration,
    /// Processor time of that, where the system tells it.
    pub(super) cpu: Option<f64>,
    /// Examples that were built.
    pub(super) built: usize,
    /// And run.
    pub(super) run: usize,
}

/// A directory with a manifest, and its own target directory.
pub(super) struct Project {
    dir: PathBuf,
}

impl Project {
    /// Writes it below `folder`. `paths` says where our crates are; `lock` is the workspace's lock file,
    /// so that it is measured with the versions that are tested.
    pub(super) fn write(
        folder: &Path,
        name: &str,
        with: With,
        readme_manifest: &str,
        paths: &dyn Fn(&str) -> Option<PathBuf>,
        lock: &Path,
        examples: &[&Example],
    ) -> Result<Self> {
        let dir = folder.join(format!("uses-{name}-{}", with.as_str()));
        std::fs::create_dir_all(dir.join("src"))?;
        std::fs::create_dir_all(dir.join("examples"))?;
        let manifest = manifest(name, with, readme_manifest, paths)?;
        std::fs::write(dir.join("Cargo.toml"), manifest)?;
        std::fs::write(dir.join("src/lib.rs"), format!("pub use {};\n", name.replace('-', "_")))?;
        std::fs::copy(lock, dir.join("Cargo.lock")).context("the lock file cannot be copied")?;
        for example in examples {
            std::fs::write(dir.join(format!("examples/{}.rs", file(example))), &example.code)?;
        }
        Ok(Self { dir })
    }

    /// Builds it from nothing, then its examples, and runs those that can be.
    pub(super) fn try_it(&self, examples: &[&Example]) -> Result<Built> {
        // What has to be downloaded is no time of building.
        self.cargo(&["fetch", "--quiet"])?;
        let (start, before) = (Instant::now(), children_cpu());
        self.cargo(&["build", "--quiet", "--lib"])?;
        let wall = start.elapsed();
        let cpu = before.zip(children_cpu()).map(|(before, after)| after - before);
        let mut built = Built { wall, cpu, built: 0, run: 0 };
        for example in examples {
            let name = file(example);
            let verb = if example.run { "run" } else { "build" };
            self.cargo(&[verb, "--quiet", "--example", &name])
                .with_context(|| format!("the example of line {}", example.line))?;
            built.built += 1;
            built.run += usize::from(example.run);
        }
        // It is large, and of no use to the next.
        std::fs::remove_dir_all(self.dir.join("target"))?;
        Ok(built)
    }

    fn cargo(&self, args: &[&str]) -> Result<()> {
        let mut command = Command::new("cargo");
        command.args(args).current_dir(&self.dir).env("CARGO_TARGET_DIR", self.dir.join("target"));
        // Cargo has set these for us, and they are not for others.
        command.env_remove("CARGO_MANIFEST_DIR").env_remove("RUSTFLAGS");
        let output = command.output().context("cargo cannot be started")?;
        ensure!(
            output.status.success(),
            "`cargo {}` failed in {}:\n{}{}",
            args.join(" "),
            self.dir.display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

fn file(example: &Example) -> String {
    format!("line{}", example.line)
}

/// The reader's manifest: ours by path, what else the README names for its examples only.
fn manifest(
    name: &str,
    with: With,
    readme: &str,
    paths: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<String> {
    let table = DeTable::parse(readme).context("the README's TOML cannot be read")?.into_inner();
    let named = table.get("dependencies").and_then(|value| value.as_ref().as_table());
    let named = named.context("the README's TOML has no [dependencies]")?;
    let (mut own, mut others) = (None, String::new());
    for (key, value) in named {
        let key = key.as_ref();
        let written = readme.get(value.span()).context("a value without a place")?;
        let Some(path) = paths(key) else {
            writeln!(others, "{key} = {written}")?;
            continue;
        };
        let mut line = format!("{key} = {{ path = {:?}", path.display().to_string());
        let features = value.as_ref().get("features");
        if key == name {
            ensure!(features.is_none(), "the README takes {name} with more than its defaults");
            if with == With::Nothing {
                line.push_str(", default-features = false");
            }
        } else if let Some(list) = features.and_then(|list| list.as_ref().as_array()) {
            let list: Vec<_> = list.iter().filter_map(|one| one.as_ref().as_str()).collect();
            write!(line, ", features = {list:?}")?;
        }
        line.push_str(" }\n");
        if key == name {
            own = Some(line);
        } else {
            others.push_str(&line);
        }
    }
    let Some(own) = own else { bail!("the README's TOML does not name {name}") };
    // A package of the same name as the umbrella's is no trouble: it is never published.
    Ok(format!(
        "[package]\nname = \"uses-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\n{own}\n[dev-dependencies]\n{others}"
    ))
}

/// Seconds of processor time of all ended children of this process (Linux).
fn children_cpu() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in parentheses; the 16th and 17th count hundredths of a second.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(13);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(with: With, readme: &str) -> Result<String> {
        let ours = |name: &str| name.starts_with("ingest-").then(|| Path::new("/w").join(name));
        manifest("ingest-wire", with, readme, &ours)
    }

    #[test]
    fn manifests_take_ours_by_path() {
        let readme = "[dependencies]\ningest-wire = \"0.1\"\ningest-entry = { version = \"0.1\", features = \
                      [\"serde\"] }\ntokio = { version = \"1\", features = [\"rt\"] }  # to run it\n";
        let (normal, dev) = ("\n[dependencies]\n", "\n[dev-dependencies]\n");
        let text = made(With::Default, readme).unwrap();
        let rest = "ingest-entry = { path = \"/w/ingest-entry\", features = [\"serde\"] }\n\
                    tokio = { version = \"1\", features = [\"rt\"] }\n";
        let end = format!("{normal}ingest-wire = {{ path = \"/w/ingest-wire\" }}\n{dev}{rest}");
        assert!(text.ends_with(&end), "{text}");
        assert!(text.contains("[workspace]\n"), "{text}");
        let text = made(With::Nothing, readme).unwrap();
        assert!(text.contains("/w/ingest-wire\", default-features = false }\n"), "{text}");
    }

    #[test]
    fn readmes_that_do_not_help_are_found() {
        let fails = |readme: &str, part: &str| {
            let error = format!("{:#}", made(With::Default, readme).unwrap_err());
            assert!(error.contains(part), "{error}");
        };
        fails("[dependencies]\nbytes = \"1\"\n", "does not name ingest-wire");
        fails("[package]\n", "no [dependencies]");
        fails("[dependencies\n", "cannot be read");
        let more = "[dependencies]\ningest-wire = { version = \"0.1\", features = [\"tls\"] }\n";
        fails(more, "more than its defaults");
    }
}
