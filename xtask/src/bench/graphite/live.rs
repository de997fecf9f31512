//! From sockets into the gateway's log, and from there to another server.
//!
//! The sender writes one buffer of 10,000 points again and again, made before: what is measured is
//! the other side. It ends its side, and the clock stops at the gateway's end, which says that
//! everything is synced; with a relay, when the sink has seen the last line.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::What;
use super::points::{POINTS, stream};
use crate::bench::case::{Bar, Case, Context, Figure, Sample};
use crate::bench::gateway::Gateway;
use crate::bench::process::{Side, say};
use crate::bench::usage::{Meter, Spent};

/// The sides.
pub(crate) const SENDER: &str = "graphite-sender";
pub(crate) const SINK: &str = "graphite-sink";

const DISCARDED: &str = "graphite/lines/discarded";

/// What the sender is told.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(super) to: SocketAddr,
    pub(super) what: What,
    pub(super) seconds: f64,
}

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let rss = || Bar::at_most(Figure::Rss, 40.0, 40.0);
    let lines = vec![
        Bar::at_least(Figure::Value, 3e6, 8e6),
        Bar::at_most(Figure::Cpu("gateway"), 0.25, 0.13),
        rss(),
    ];
    let pickles = vec![Bar::at_least(Figure::Value, 2e6, 6e6), rss()];
    let relay = vec![Bar::at_least(Figure::Value, 1e6, 3e6), rss()];
    vec![
        Case {
            name: DISCARDED,
            unit: "lines/s",
            us: "sink",
            peer: Some("sender"),
            beside: &[],
            bars: Vec::new(),
            run: Box::new(discarded),
        },
        case("graphite/into/lines", "lines/s", lines, |context| {
            into("graphite", What::Lines, context)
        }),
        case("graphite/into/pickle", "points/s", pickles, |context| {
            into("graphite-pickle", What::Pickle(2), context)
        }),
        case("graphite/relay/lines", "lines/s", relay, |context| relayed("lines", context)),
    ]
}

fn case(
    name: &'static str,
    unit: &'static str,
    bars: Vec<Bar>,
    run: impl Fn(&Context) -> Result<Sample> + 'static,
) -> Case {
    let (us, peer) = ("gateway", Some("sender"));
    Case { name, unit, us, peer, beside: &[DISCARDED], bars, run: Box::new(run) }
}

/// Into a server that throws everything away: what the sender and the system's sockets allow.
fn discarded(context: &Context) -> Result<Sample> {
    let mut sink = Side::start(SINK, &())?;
    let to = sink.hear()?;
    let job = Job { to, what: What::Lines, seconds: context.time.as_secs_f64() };
    let sent: Spent = Side::start(SENDER, &job)?.finish()?;
    let got: Spent = loop {
        let said: serde_json::Value = sink.hear()?;
        if said.is_object() {
            break serde_json::from_value(said)?;
        }
    };
    ensure!(got.count == sent.count, "{} of {} lines came", got.count, sent.count);
    Ok(Sample {
        value: sent.rate(),
        cpu: [("sink", got.cpu_per_million()), ("sender", sent.cpu_per_million())].into(),
        rss_mib: got.rss_mib,
        ..Sample::default()
    })
}

/// Into the log, synced.
fn into(source: &str, what: What, context: &Context) -> Result<Sample> {
    let gateway = Gateway::start(source, &[])?;
    let before = gateway.cpu()?;
    let job = Job { to: gateway.address(source)?, what, seconds: context.time.as_secs_f64() };
    let sent: Spent = Side::start(SENDER, &job)?.finish()?;
    let sample = sample(&gateway, before, sent.rate(), &sent)?;
    gateway.stop()?;
    Ok(sample)
}

/// Into the log, synced, and from there to one server that counts lines.
fn relayed(format: &str, context: &Context) -> Result<Sample> {
    let mut sink = Side::start(SINK, &())?;
    let target: SocketAddr = sink.hear()?;
    let config = format!(
        "[admin]\nenabled = false\n[sources.graphite]\ntype = \"graphite\"\n\
         listen = \"127.0.0.1:0\"\n[destinations.out]\ntype = \"graphite\"\n\
         targets = [\"{target}\"]\nformat = \"{format}\"\n"
    );
    let gateway = Gateway::configured(&config, &[])?;
    let before = gateway.cpu()?;
    let to = gateway.address("graphite")?;
    let (what, seconds) = (What::Lines, context.time.as_secs_f64());
    let begun = Instant::now();
    let sent: Spent = Side::start(SENDER, &Job { to, what, seconds })?.finish()?;
    // The sink ends with its connection, which the gateway closes when it stops: by then it has
    // delivered everything, or says in its account that it has not.
    let mut last = 0_u64;
    let deadline = Instant::now() + Duration::from_secs(60);
    while last < sent.count {
        last = sink.hear()?;
        ensure!(Instant::now() < deadline, "{last} of {} lines came", sent.count);
    }
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(last == sent.count, "{last} lines came, {} were sent", sent.count);
    let sample = sample(&gateway, before, sent.count as f64 / seconds, &sent)?;
    gateway.stop()?;
    Ok(sample)
}

fn sample(gateway: &Gateway, before: f64, value: f64, sender: &Spent) -> Result<Sample> {
    let cpu = (gateway.cpu()? - before) * 1e6 / sender.count as f64;
    Ok(Sample {
        value,
        cpu: [("gateway", cpu), ("sender", sender.cpu_per_million())].into(),
        rss_mib: gateway.rss_mib()?,
        ..Sample::default()
    })
}

/// Sends one buffer over and over, and waits for the end of the other side.
pub(crate) fn send(job: Job) -> Result<()> {
    let buffer = stream(job.what)?;
    let time = Duration::from_secs_f64(job.seconds);
    let mut socket = TcpStream::connect(job.to)?;
    let (meter, start) = (Meter::start(), Instant::now());
    let mut turns = 0;
    while start.elapsed() < time {
        socket.write_all(&buffer)?;
        turns += 1;
    }
    socket.shutdown(Shutdown::Write)?;
    ensure!(socket.read(&mut [0; 8])? == 0, "the other side has said something");
    say(&meter.stop(turns * POINTS as u64)?)
}

/// Says where it listens, and then how many lines have come, whenever that changes; at the end of the
/// connection what that has cost.
pub(crate) fn sink(_: ()) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    say(&listener.local_addr()?)?;
    let (mut socket, _) = listener.accept()?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    let meter = Meter::start();
    let (mut buffer, mut lines, mut said) = (vec![0; 256 * 1024], 0_u64, 0_u64);
    let mut looked = Instant::now();
    loop {
        let quiet = match socket.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let read = buffer.get(..count).unwrap_or_default();
                lines += memchr::memchr_iter(b'\n', read).count() as u64;
                false
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => true,
            Err(error) => return Err(error.into()),
        };
        if lines > said && (quiet || looked.elapsed() > Duration::from_millis(50)) {
            say(&lines)?;
            (said, looked) = (lines, Instant::now());
        }
    }
    say(&meter.stop(lines)?)
}
