//! carbon itself: its relay into the gateway, the gateway before its caches, and the Python of
//! Graphite's documentation.

mod daemons;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};

pub(crate) use self::daemons::Daemon;
use self::daemons::{Points, placed, wait};
use super::process::{Gateway, until};
use super::programs::python;
use crate::crash::{Profile, build};

const DOCUMENTED: &str = include_str!("pickles.py");
const INSTANCES: [&str; 3] = ["a", "b", "c"];
/// Series, and points of each.
const SERIES: usize = 300;
const POINTS: usize = 4;
/// Lines through carbon's relay: few enough for its queues.
const RELAYED: usize = 20_000;

pub(crate) fn run() -> Result<()> {
    let python = python(&[("carbon", "carbon"), ("whisper", "whisper")])?;
    let binary = build(Profile::Dev, false)?;
    into_the_gateway(&python, &binary)?;
    before_caches(&python, &binary)
}

/// Pickles of the documentation, and of carbon's relay.
fn into_the_gateway(python: &Path, binary: &Path) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let gateway = Gateway::configured(
        binary,
        dir.path(),
        "[admin]\nlisten = \"127.0.0.1:0\"\n[sources.in]\ntype = \"graphite-pickle\"\n\
         listen = \"127.0.0.1:0\"\ntag = \"graphite\"\n",
    )?;
    let port = gateway.address("in")?.port();
    let script = dir.path().join("pickles.py");
    std::fs::write(&script, DOCUMENTED)?;
    let status = Command::new(python).arg(script).arg(port.to_string()).status()?;
    ensure!(status.success(), "the Python of the documentation failed");
    let documented = found(&gateway, "documented.")?;
    ensure!(documented.len() == 1000, "{} of 1000 documented points", documented.len());
    println!("carbon: 1000 of 1000 points by the Python of Graphite's documentation");

    let destination = format!("127.0.0.1:{port}:a");
    let relay = Daemon::relay(python, dir.path().join("relay"), &destination)?;
    let now = now()?;
    let sent: BTreeSet<String> =
        (0..RELAYED).map(|n| format!("relayed.n{n} {n} {}", now - n as i64 % 600)).collect();
    // Not as one burst: its own client drops what its queue has no room for.
    let mut stream = TcpStream::connect(("127.0.0.1", relay.lines))?;
    for (number, line) in sent.iter().enumerate() {
        writeln!(stream, "{line}")?;
        if number % 2_000 == 1_999 {
            until("the relay keeps up", || Ok(found(&gateway, "relayed.")?.len() > number / 2))?;
        }
    }
    close(stream)?;
    until("everything has come through carbon's relay", || {
        Ok(found(&gateway, "relayed.")?.len() >= RELAYED)
    })?;
    let came: BTreeSet<String> = found(&gateway, "relayed.")?.into_iter().collect();
    ensure!(came == sent, "what came through carbon's relay is not what was sent");
    println!("carbon: {RELAYED} of {RELAYED} points through carbon-relay, by pickle");
    gateway.stop()
}

/// The gateway before three caches, and carbon's relay before three others of the same names.
fn before_caches(python: &Path, binary: &Path) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let caches = |name: &str| -> Result<BTreeMap<&'static str, Daemon>> {
        let start = |instance: &'static str| {
            let own = dir.path().join(format!("{name}-{instance}"));
            Ok((instance, Daemon::cache(python, own)?))
        };
        INSTANCES.into_iter().map(start).collect()
    };
    let (ours, theirs) = (caches("ours")?, caches("theirs")?);
    let target =
        |(instance, daemon): (&&str, &Daemon)| format!("127.0.0.1:{}:{instance}", daemon.pickles);
    let targets: Vec<String> = ours.iter().map(target).collect();
    let destinations: Vec<String> = theirs.iter().map(target).collect();
    let relay = Daemon::relay(python, dir.path().join("relay"), &destinations.join(", "))?;
    let gateway = Gateway::configured(
        binary,
        dir.path(),
        &format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n[sources.in]\ntype = \"graphite\"\n\
             listen = \"127.0.0.1:0\"\n[destinations.carbon]\ntype = \"graphite\"\n\
             targets = {targets:?}\npolicy = \"carbon_ch\"\nconfirm = \"closed\"\n"
        ),
    )?;
    let now = now()?;
    let mut expected = Points::new();
    let mut text = String::new();
    for series in 0..SERIES {
        for point in 0..POINTS {
            let (name, value) =
                (format!("placed.host{}.n{series}", series % 17), series * 10 + point);
            let at = now - 60 - 5 * point as i64;
            text.push_str(&format!("{name} {value} {at}\n"));
            expected.insert((name, at, format!("{value}.0")));
        }
    }
    for port in [gateway.address("in")?.port(), relay.lines] {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(text.as_bytes())?;
        close(stream)?;
    }
    let (ours, theirs) =
        (wait(python, &ours, expected.len())?, wait(python, &theirs, expected.len())?);
    let all: Points = ours.values().flatten().cloned().collect();
    ensure!(all == expected, "what arrived is not what was sent");
    let (here, there) = (placed(&ours), placed(&theirs));
    ensure!(here == there, "placed differently: {here:?} against {there:?}");
    let counts: Vec<usize> = here.values().map(BTreeSet::len).collect();
    ensure!(counts.iter().all(|count| *count > 0), "a cache without series: {counts:?}");
    until("all is confirmed", || {
        let status = gateway.status()?;
        let outputs = status.pointer("/outputs").and_then(|outputs| outputs.as_array().cloned());
        let outputs = outputs.unwrap_or_default();
        Ok(outputs.len() == 3 && outputs.iter().all(|output| output["queued"] == 0))
    })?;
    println!(
        "carbon: {} points in {SERIES} series, before carbon-cache as before carbon-relay: {counts:?}",
        expected.len()
    );
    gateway.stop()
}

fn found(gateway: &Gateway, start: &str) -> Result<Vec<String>> {
    Ok(gateway.search()?.into_iter().filter(|line| line.starts_with(start)).collect())
}

fn close(mut stream: TcpStream) -> Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    Ok(())
}

fn now() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}
