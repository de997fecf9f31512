//! A million lines from clients that were not written here: all found, none twice, the account
//! balanced.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::process::{Gateway, Process, until};
use super::programs::find;
use crate::crash::{Profile, build};

/// Connections, and lines over each.
const CONNECTIONS: usize = 4;
const LINES: usize = 250_000;

/// Netcat, one process a connection.
pub(crate) fn nc() -> Result<()> {
    let nc = find("nc", "netcat-openbsd")?;
    let dir = tempfile::tempdir()?;
    let gateway = Gateway::start(&build(Profile::Release, false)?, dir.path())?;
    let to = gateway.address("graphite")?;
    let started = Instant::now();
    send(&nc, dir.path(), to)?;
    println!("nc: {} lines acknowledged in {:.2?}", CONNECTIONS * LINES, started.elapsed());
    check(gateway)
}

/// carbon-c-relay between netcat and the gateway. Its own counter of drops has to say 0.
pub(crate) fn carbon_c_relay() -> Result<()> {
    let (nc, relay) = (find("nc", "netcat-openbsd")?, find("carbon-c-relay", "carbon-c-relay")?);
    let dir = tempfile::tempdir()?;
    let gateway = Gateway::start(&build(Profile::Release, false)?, dir.path())?;
    let listen = {
        // Free a moment ago, and asked for again at once.
        std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?
    };
    let config = dir.path().join("relay.conf");
    let text = format!(
        "listen type linemode 127.0.0.1:{} proto tcp;\n\
         cluster gateway forward {} ;\n\
         statistics submit every 1 seconds prefix with relay ;\n\
         match * send to gateway stop ;\n",
        listen.port(),
        gateway.address("graphite")?
    );
    std::fs::write(&config, text)?;
    let log = File::create(dir.path().join("relay.log"))?;
    let mut command = Command::new(relay);
    command.arg("-f").arg(&config).args(["-q", "1100000", "-b", "20000"]);
    let process = Process::start(command.stdout(log.try_clone()?).stderr(log))?;
    until("the relay listens", || Ok(std::net::TcpStream::connect(listen).is_ok()))?;
    send(&nc, dir.path(), listen)?;
    until("everything has come through the relay", || {
        Ok(ours(&gateway.search()?).count() >= CONNECTIONS * LINES)
    })?;
    // Counters come every second: two more of the drops are from after the last line.
    let seen = drops(&gateway.search()?).len();
    until("the relay's own counters", || Ok(drops(&gateway.search()?).len() >= seen + 2))?;
    let drops: Vec<f64> = drops(&gateway.search()?);
    ensure!(!drops.is_empty(), "the relay said nothing of its drops");
    ensure!(
        drops.iter().all(|drops| *drops == 0.0),
        "the relay dropped lines: this run does not count"
    );
    process.terminate("the relay stops")?;
    check(gateway)
}

fn send(nc: &Path, dir: &Path, to: std::net::SocketAddr) -> Result<()> {
    let mut clients = Vec::new();
    for connection in 0..CONNECTIONS {
        let path = dir.join(format!("lines-{connection}"));
        let mut file = BufWriter::new(File::create(&path)?);
        for n in 0..LINES {
            writeln!(file, "{} {n} {}", name(connection, n), 1_700_000_000 + n)?;
        }
        file.into_inner().context("cannot write the lines")?;
        let mut command = Command::new(nc);
        // Ends its side with its input, and waits for the other one.
        command.arg("-N").arg(to.ip().to_string()).arg(to.port().to_string());
        command.stdin(File::open(&path)?).stdout(Stdio::null());
        clients.push(Process::start(&mut command)?);
    }
    clients.into_iter().try_for_each(|client| client.finish("nc"))
}

fn name(connection: usize, n: usize) -> String {
    format!("million.c{connection}.host{:04}.line{n:07}", n % 1000)
}

fn ours(lines: &[String]) -> impl Iterator<Item = &String> {
    lines.iter().filter(|line| line.starts_with("million."))
}

/// What the relay said of its drops, in the order of arrival.
fn drops(lines: &[String]) -> Vec<f64> {
    let relay = lines.iter().filter(|line| line.starts_with("relay"));
    let dropped =
        relay.filter(|line| line.split(' ').next().is_some_and(|p| p.ends_with("dropped")));
    dropped.filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect()
}

fn check(gateway: Gateway) -> Result<()> {
    let lines = gateway.search()?;
    let found: Vec<&String> = ours(&lines).collect();
    let paths: HashSet<&str> = found.iter().filter_map(|line| line.split(' ').next()).collect();
    ensure!(found.len() == CONNECTIONS * LINES, "{} lines were found", found.len());
    ensure!(paths.len() == found.len(), "{} lines were found twice", found.len() - paths.len());
    for connection in 0..CONNECTIONS {
        let missing = (0..LINES).find(|n| !paths.contains(name(connection, *n).as_str()));
        ensure!(missing.is_none(), "line {missing:?} of connection {connection} is missing");
    }
    let status = gateway.status()?;
    ensure!(status.get("balanced") == Some(&true.into()), "the account does not balance: {status}");
    println!("{} lines found, none twice, none missing; balanced", found.len());
    gateway.stop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_read_from_the_relay_s_lines() {
        let lines = [
            "million.c0.host0000.line0000000 0 1",
            "relay.destinations.x.sent 5 2",
            "relay.destinations.x.dropped 0 2",
            "relay.destinations.x.dropped 3 3",
        ];
        let lines: Vec<String> = lines.map(str::to_owned).to_vec();
        assert_eq!(drops(&lines), [0.0, 3.0]);
        assert_eq!(ours(&lines).count(), 1);
    }
}
