//! What silent sessions hold.

use anyhow::{Result, ensure};

use super::client::{open, say_one};
use crate::bench::case::Sample;
use crate::bench::gateway::Gateway;

/// As many as the source admits.
const SESSIONS: usize = 10_000;

/// Opens sessions, each of which sets something and sends a payload, and looks at the memory of the
/// program before and after. The sockets' own buffers are the system's, and no part of it.
pub(super) fn run() -> Result<Sample> {
    let gateway = Gateway::start("hydra", &[])?;
    let to = gateway.address("hydra")?;
    // What the first one brings along is no part of the others.
    let mut sessions = vec![session(to)?];
    let before = gateway.rss_now_mib()?;
    for _ in 1..SESSIONS {
        sessions.push(session(to)?);
    }
    let after = gateway.rss_now_mib()?;
    let cpu = gateway.cpu()?;
    drop(sessions);
    let rss_mib = gateway.rss_mib()?;
    gateway.stop()?;
    Ok(Sample {
        value: (after - before) * 1024.0 / (SESSIONS - 1) as f64,
        cpu: [("server", cpu * 1e6 / SESSIONS as f64)].into(),
        rss_mib,
        ..Sample::default()
    })
}

fn session(to: std::net::SocketAddr) -> Result<std::net::TcpStream> {
    let mut stream = open(to)?;
    let reply = say_one(&mut stream, b"-c SET hydra-ack = none")?;
    ensure!(reply.starts_with(b"{\"status\":200"), "{:?}", String::from_utf8_lossy(&reply));
    let report = say_one(&mut stream, b"-i 7 {\"name\":\"test\",\"value\":\"test\"}")?;
    ensure!(report.starts_with(b"{\"requestId\":\"7\",\"status\":{\"code\":200"));
    Ok(stream)
}
