//! Clients of Hydra's protocol that were not written here: Python's websocket-client and Akka HTTP,
//! which the document names, Node's `ws`, and Chromium's own, through the gateway's page as well.
//!
//! Each is a script of ours that uses nothing but its library, talks to the real program, and
//! prints what it saw as JSON; what that has to be is here. Whatever was reported with 200 has to
//! be in the store.

mod expected;
mod install;
mod node;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

#[cfg_attr(not(feature = "bench"), allow(unused_imports, reason = "only benchmarks need it"))]
pub(crate) use self::node::NodeEcho;
use super::process::Gateway;
use crate::crash::{Profile, build};
use crate::util;

/// The clients, by the names that their payloads begin with.
const CLIENTS: [&str; 4] = ["python", "node", "akka", "chromium"];

/// Runs all of them against one gateway.
pub(super) fn run() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pictures = util::project_root()?.join("target/peers/pictures");
    std::fs::create_dir_all(&pictures)?;
    let gateway = Gateway::with(&build(Profile::Release, false)?, dir.path(), "hydra")?;
    let address = gateway.address("hydra")?.to_string();
    for client in CLIENTS {
        let tag = format!("interop-{client}");
        let mut command = command(client, &address, &tag, &pictures)?;
        let seen = talk(&mut command).with_context(|| client.to_owned())?;
        expected::compare(client, &seen)?;
        stored(&gateway, client, &tag)?;
        println!("{client}: {} things seen, all as they have to be", seen.len());
    }
    println!("screenshots: {}", pictures.display());
    let status = gateway.status()?;
    let balanced = status.get("balanced") == Some(&Value::Bool(true));
    ensure!(balanced, "the gateway's numbers do not add up: {status}");
    gateway.stop()
}

/// A client, ready to talk.
fn command(client: &str, address: &str, tag: &str, pictures: &Path) -> Result<Command> {
    let mut command = match client {
        "python" => {
            let python = install::python()?;
            let mut command = Command::new(&python);
            let dir = python.parent().context("it is in a directory")?;
            command.arg(install::script(dir, "client.py", include_str!("client.py"))?);
            command
        }
        "akka" => {
            let dir = install::akka()?;
            let mut command = Command::new("java");
            command.arg("-cp").arg(dir.join("lib/*"));
            command.arg(install::script(&dir, "Client.java", include_str!("Client.java"))?);
            command
        }
        _ => {
            let dir = install::node()?;
            let mut command = Command::new("node");
            command.arg(match client {
                "node" => install::script(&dir, "client.mjs", include_str!("client.mjs"))?,
                _ => install::script(&dir, "browser.mjs", include_str!("browser.mjs"))?,
            });
            command
        }
    };
    command.args([address, tag]);
    if client == "chromium" {
        command.arg(pictures).arg(install::chromium()?);
    }
    Ok(command)
}

/// Lets it talk: the object that it prints. Other lines are of its libraries.
fn talk(command: &mut Command) -> Result<Map<String, Value>> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("needed, and not there: {command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().rfind(|line| line.starts_with('{')).context("it said nothing")?;
    serde_json::from_str(last).with_context(|| format!("it said {last:?}"))
}

/// What was reported with 200 is in the store, each once.
fn stored(gateway: &Gateway, client: &str, tag: &str) -> Result<()> {
    let lines = gateway.search_tag(tag)?;
    let unique: BTreeSet<_> = lines.iter().map(|line| line.trim_start()).collect();
    let missing = (0..1000).find(|n| !unique.contains(format!("{client} {n}").as_str()));
    ensure!(missing.is_none(), "{client}: payload {missing:?} is not in the store");
    let large = format!("large {}", "x".repeat(1_000_000));
    ensure!(unique.contains(large.as_str()), "{client}: the large payload is not in the store");
    let whole = client == "chromium" || unique.contains("in three pieces");
    ensure!(whole, "{client}: the payload in pieces is not in the store");
    ensure!(unique.len() == lines.len(), "{client}: something is in the store twice");
    Ok(())
}
