//! Short exchanges, each in both directions: every entry has to come out as it went in.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::programs::{Client, Programs, Server};

/// What has to come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// What was sent came, and the server's report says this: member, key in it, least number.
    Same(&'static [(&'static str, &'static str, u64)]),
    /// The client is turned away, and nothing came.
    Refused,
}

#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    server: &'static str,
    client: &'static str,
    expect: Expect,
}

const fn same(
    name: &'static str,
    server: &'static str,
    client: &'static str,
    seen: &'static [(&'static str, &'static str, u64)],
) -> Case {
    Case { name, server, client, expect: Expect::Same(seen) }
}

const fn refused(name: &'static str, server: &'static str, client: &'static str) -> Case {
    Case { name, server, client, expect: Expect::Refused }
}

const TCP: &str = "--listen tcp://127.0.0.1:0";
const TLS: &str = "--listen tls://127.0.0.1:0 --cert @own/chain.pem --key @own/key.pem";
const EVERYTHING: &str = "--tag a --tag b --late-tag c --corpus --state --ditto 50";

pub(super) const CASES: &[Case] = &[
    same(
        "plain",
        TCP,
        "--plain --tag a --tag b --late-tag c --corpus --state --ditto 50",
        &[("client_versions", "3", 1), ("dittos", "", 50), ("states", "", 1)],
    ),
    same(
        "full",
        TCP,
        EVERYTHING,
        &[("client_versions", "9", 1), ("dittos", "", 50), ("states", "", 1)],
    ),
    same(
        "snappy",
        TCP,
        "--compress --tag a --tag b --late-tag c --corpus --state --ditto 50",
        &[("client_versions", "9", 1), ("dittos", "", 50), ("states", "", 1)],
    ),
    same("batches", TCP, "--plain --tag a --tag b --batch 100 --count 20000", &[]),
    same("empty data", TCP, "--tag a --size 8 --count 20000 --corpus", &[]),
    same("1 MiB", TCP, "--tag a --size 1048576 --count 200", &[]),
    same("pipe", "--listen pipe://@pipe", "--tag a --late-tag b --corpus --ditto 5", &[]),
    same("TLS", TLS, "--ca @own/authority.pem --tag a --late-tag b --corpus --ditto 5", &[]),
    same("TLS and snappy", TLS, "--ca @own/authority.pem --compress --tag a --corpus", &[]),
    same("TLS, unverified", TLS, "--insecure --tag a --corpus", &[]),
    refused("TLS, another authority", TLS, "--ca @other/authority.pem --tag a"),
    refused("wrong secret, plain", TCP, "--secret guess --plain --tag a"),
    refused("wrong secret, full", TCP, "--secret guess --tag a"),
    refused("tag refused", "--refuse-tag b", "--plain --tag a --tag b"),
    same("tenant", TCP, "--tenant acme --tag a", &[("tenants", "acme", 1)]),
    same("throttle", "--throttle 20", "--tag a --count 100000", &[]),
    same(
        "version 2",
        "--version 2",
        "--tag a --tag b --late-tag c",
        &[("client_versions", "3", 1)],
    ),
    same(
        "version 3",
        "--version 3",
        "--tag a --tag b --late-tag c",
        &[("client_versions", "3", 1)],
    ),
    same(
        "version 4",
        "--version 4",
        "--tag a --tag b --late-tag c",
        &[("client_versions", "9", 1)],
    ),
    same(
        "version 5",
        "--version 5",
        "--compress --tag a --late-tag c",
        &[("client_versions", "9", 1)],
    ),
    same("version 6", "--version 6", "--state --tag a --late-tag c", &[("states", "", 1)]),
    same("version 7", "--version 7", "--tenant acme --tag a", &[("tenants", "acme", 1)]),
    same("version 8", "--version 8", "--corpus --state --tag a", &[("states", "", 1)]),
    refused("tenant, version 6", "--version 6", "--tenant acme --tag a"),
];

/// Ours to theirs, then theirs to ours: how many exchanges that were.
pub(super) fn both(programs: &Programs, case: &Case) -> Result<usize> {
    exchange(programs, case, &programs.our_client, &programs.peer_server).context("our client")?;
    exchange(programs, case, &programs.peer_client, &programs.our_server).context("our server")?;
    println!("{}: fine both ways", case.name);
    Ok(2)
}

fn exchange(programs: &Programs, case: &Case, client: &[String], server: &[String]) -> Result<()> {
    let (sent, came) = (programs.path("sent")?, programs.path("came")?);
    drop(programs.path("pipe")?);
    let mut arguments = programs.arguments(case.server);
    arguments.extend(["--dump".to_owned(), came.clone()]);
    let server = Server::start(server, &arguments)?;
    let mut arguments = programs.arguments(case.client);
    arguments.extend(["--dump".to_owned(), sent.clone()]);
    let client =
        Client::start(client, &server.target, &arguments, programs.dir.path())?.finish()?;
    let server = server.finish()?;
    let entries = |report: &Value| report.get("entries").and_then(Value::as_u64);
    match (case.expect, client) {
        (Expect::Refused, Err(_)) => {
            ensure!(entries(&server) == Some(0), "refused, and yet entries came: {server}");
        }
        (Expect::Refused, Ok(report)) => bail!("the client was not refused: {report}"),
        (Expect::Same(_), Err(error)) => bail!("the client failed: {error}; server: {server}"),
        (Expect::Same(seen), Ok(client)) => {
            ensure!(entries(&client) > Some(0), "nothing was sent: {client}");
            for member in ["entries", "tags"] {
                let (sent, came) = (client.get(member), server.get(member));
                ensure!(sent == came, "{member}: sent {sent:?}, came {came:?}");
            }
            ensure!(lines(&sent)? == lines(&came)?, "the entries differ: {sent} and {came}");
            for (member, key, least) in seen {
                let found = server.get(*member).context("the server's report is short")?;
                let found = if key.is_empty() { Some(found) } else { found.get(*key) };
                let found = found.and_then(Value::as_u64);
                ensure!(found >= Some(*least), "{member} {key}: {found:?} in {server}");
            }
        }
    }
    Ok(())
}

/// The lines of a file, sorted: a server with several connections has an order of its own.
fn lines(path: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let mut lines = text.lines().map(same_json).collect::<Result<Vec<_>>>()?;
    lines.sort_unstable();
    Ok(lines)
}

/// One form for each object, however its members are ordered and its characters written.
fn same_json(line: &str) -> Result<String> {
    let value: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
    Ok(value.to_string())
}
