//! `bench hydra`: payloads over one web socket, pipelined, with a report for each one.
//!
//! The client is a process of its own that writes frames made beforehand and reads what comes back;
//! it compares every report with what it has to be. The server is the real program with its default
//! source `hydra`, and the path that asks all ingestors. Its log is in memory where a report is a
//! receipt, else on the disk that `TMPDIR` names.
//! Beside it, in the same rounds, with the same client: an echo that is tungstenite and nothing
//! else, and one of Node's `ws`. Then 10,000 sessions that have spoken and are silent.

mod client;
mod echo;
mod idle;
mod stream;

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

pub(crate) use self::client::run as client;
pub(crate) use self::echo::run as echo;
use super::case::{Bar, Case, Context, Figure, Sample};
use super::gateway::Gateway;
use super::process::Side;
use super::usage::{self, Spent};

/// The sides.
pub(crate) const CLIENT: &str = "hydra-client";
pub(crate) const ECHO: &str = "hydra-echo";

const ECHO_64: &str = "hydra/64B/tungstenite-echo";
const ECHO_1024: &str = "hydra/1KiB/tungstenite-echo";
const NODE_64: &str = "hydra/64B/node-ws-echo";
const NODE_1024: &str = "hydra/1KiB/node-ws-echo";

/// What a client has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    to: SocketAddr,
    /// Bytes of a message.
    size: usize,
    seconds: f64,
    answers: Answers,
}

/// What comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Answers {
    /// The message itself.
    Echo,
    /// A report of 200 for the one ingestor that joins, with this word for `hydra-ack`.
    Report(Ack),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Ack {
    /// None: the payload was taken.
    None,
    /// It is on disk.
    Persisted,
}

/// The cases.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        reports("hydra/64B", 64, Ack::None, &[ECHO_64, NODE_64], (1e6, 3e6)),
        reports("hydra/1KiB", 1024, Ack::None, &[ECHO_1024, NODE_1024], (0.5e6, 1.5e6)),
        reports("hydra/64B/persisted", 64, Ack::Persisted, &[ECHO_64, NODE_64], (0.4e6, 1e6)),
        Case {
            bars: Vec::new(),
            ..reports("hydra/1KiB/persisted", 1024, Ack::Persisted, &[], (0.0, 0.0))
        },
        echoes(ECHO_64, 64),
        echoes(ECHO_1024, 1024),
        node(NODE_64, 64),
        node(NODE_1024, 1024),
        Case {
            name: "hydra/idle",
            unit: "KiB a session",
            us: "server",
            peer: None,
            beside: &[],
            bars: vec![Bar::at_most(Figure::Value, 16.0, 16.0)],
            run: Box::new(|_| idle::run()),
        },
    ]
}

/// Reports of the real program.
fn reports(
    name: &'static str,
    size: usize,
    ack: Ack,
    beside: &'static [&'static str],
    (floor, goal): (f64, f64),
) -> Case {
    Case {
        name,
        unit: "reports/s",
        us: "server",
        peer: Some("client"),
        beside,
        bars: vec![Bar::at_least(Figure::Value, floor, goal)],
        run: Box::new(move |context| {
            let gateway = match ack {
                Ack::None => Gateway::start_in_memory("hydra")?,
                Ack::Persisted => Gateway::start("hydra", &[])?,
            };
            let before = gateway.cpu()?;
            let to = gateway.address("hydra")?;
            let sent = send(context, to, size, Answers::Report(ack))?;
            let cpu = gateway.cpu()? - before;
            let rss_mib = gateway.rss_mib()?;
            gateway.stop()?;
            Ok(sample(&sent, cpu, rss_mib))
        }),
    }
}

/// Echoes of a server that is tungstenite alone.
fn echoes(name: &'static str, size: usize) -> Case {
    let run = move |context: &Context| {
        let mut server = Side::start(ECHO, &())?;
        let to = server.hear()?;
        let sent = send(context, to, size, Answers::Echo)?;
        let echoed: Spent = server.finish()?;
        ensure!(echoed.count == sent.count, "{} sent, {} echoed", sent.count, echoed.count);
        Ok(sample(&sent, echoed.cpu, echoed.rss_mib))
    };
    echo_case(name, Box::new(run))
}

/// Echoes of Node's `ws`.
fn node(name: &'static str, size: usize) -> Case {
    let run = move |context: &Context| {
        let server = crate::interop::NodeEcho::start()?;
        let (pid, before) = (server.pid(), usage::cpu_of(server.pid())?);
        let sent = send(context, server.address(), size, Answers::Echo)?;
        let cpu = usage::cpu_of(pid)? - before;
        Ok(sample(&sent, cpu, usage::peak_rss_mib(&pid.to_string())?))
    };
    echo_case(name, Box::new(run))
}

fn echo_case(name: &'static str, run: super::case::Run) -> Case {
    let bars = Vec::new();
    Case { name, unit: "echoes/s", us: "server", peer: Some("client"), beside: &[], bars, run }
}

fn send(context: &Context, to: SocketAddr, size: usize, answers: Answers) -> Result<Spent> {
    let job = Job { to, size, seconds: context.time.as_secs_f64(), answers };
    Side::start(CLIENT, &job)?.finish()
}

fn sample(sent: &Spent, cpu: f64, rss_mib: f64) -> Sample {
    let server = cpu * 1e6 / sent.count as f64;
    Sample {
        value: sent.rate(),
        cpu: [("server", server), ("client", sent.cpu_per_million())].into(),
        rss_mib,
        ..Sample::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_sent_is_echoed() {
        for size in [64, 1024] {
            let (listener, to) = echo::listen().unwrap();
            let server = std::thread::spawn(move || echo::serve(&listener));
            let job = Job { to, size, seconds: 0.01, answers: Answers::Echo };
            let sent = client::send(&job).unwrap();
            let echoed = server.join().unwrap().unwrap();
            assert!(sent.count > 0 && sent.count == echoed.count, "{sent:?} {echoed:?}");
        }
    }
}
