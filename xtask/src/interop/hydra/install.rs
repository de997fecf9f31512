//! Where foreign clients come from: their registries, into a directory under `target/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::util;

/// Node's `ws`, and what drives Chromium. The versions are those that were tried.
const NPM: [&str; 2] = ["ws@8.23.0", "playwright-core@1.64.1"];

/// Python's client.
const PIP: &str = "websocket-client==1.9.2";
/// Akka HTTP, and what it stands on.
const POM: &str = include_str!("pom.xml");

/// A directory for one kind of client.
fn directory(name: &str) -> Result<PathBuf> {
    let dir = util::project_root()?.join("target/peers").join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

/// Writes one of our scripts where its libraries are.
pub(super) fn script(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The version of `ws`.
#[cfg_attr(not(feature = "bench"), allow(dead_code, reason = "only benchmarks need it"))]
pub(super) fn ws() -> &'static str {
    let [ws, _] = NPM;
    ws.rsplit_once('@').map_or(ws, |(_, version)| version)
}

/// The directory with what npm brought.
pub(super) fn node() -> Result<PathBuf> {
    let dir = directory("node")?;
    if !NPM.iter().all(|package| has(&dir, package)) {
        std::fs::write(dir.join("package.json"), "{\"private\":true}")?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--save-exact"]).args(NPM);
        succeed(npm.current_dir(&dir), "npm (install Node 20 or later, with npm)")?;
    }
    Ok(dir)
}

/// The Python that has the client.
pub(super) fn python() -> Result<PathBuf> {
    let dir = directory("python")?;
    let (python, done) = (dir.join("bin/python3"), dir.join("installed"));
    if std::fs::read_to_string(&done).is_ok_and(|have| have == PIP) {
        return Ok(python);
    }
    let mut venv = Command::new("python3");
    succeed(venv.args(["-m", "venv"]).arg(&dir), "python3 with venv (Debian: python3-venv)")?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PIP]);
    succeed(&mut pip, "pip")?;
    std::fs::write(done, PIP)?;
    Ok(python)
}

/// The directory with Akka HTTP's jars in `lib`.
pub(super) fn akka() -> Result<PathBuf> {
    let dir = directory("akka")?;
    let (pom, done) = (dir.join("pom.xml"), dir.join("installed"));
    if std::fs::read_to_string(&done).is_ok_and(|have| have == POM) {
        return Ok(dir);
    }
    std::fs::write(&pom, POM)?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]);
    succeed(maven.current_dir(&dir), "mvn (Maven, with Java 11 or later)")?;
    std::fs::write(done, POM)?;
    Ok(dir)
}

/// The browser: the one that `CHROMIUM` names, or what Debian installs.
pub(super) fn chromium() -> Result<PathBuf> {
    let path = std::env::var_os("CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    let path = PathBuf::from(path);
    ensure!(
        path.is_file(),
        "needed, and not there: Chromium at {} (Debian: chromium; or set CHROMIUM)",
        path.display()
    );
    Ok(path)
}

fn has(dir: &Path, package: &str) -> bool {
    let Some((name, version)) = package.rsplit_once('@') else { return false };
    let manifest = dir.join("node_modules").join(name).join("package.json");
    let text = std::fs::read_to_string(manifest).unwrap_or_default();
    text.contains(&format!("\"version\": \"{version}\""))
}

/// Runs a tool to its end. One that is not there is told by its name.
pub(super) fn succeed(command: &mut Command, tool: &str) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().with_context(|| format!("needed, and not there: {tool}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}
