//! `bench attack`: what is left to a good client while others attack the same server.
//!
//! Server, attackers and the good client are processes of their own. The server is the accept loop
//! of the crate's documentation with its default limits. Attackers come from another address than
//! the good client (one who guesses secrets shuts its own address out), and are all set before the
//! client starts.

mod attacker;
mod server;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

pub(crate) use self::attacker::run as attacker;
pub(crate) use self::server::run as server;
use super::{CLIENT, How, Job, SECRET, TAG};
use crate::bench::case::{Bar, Case, Context, Figure, Sample};
use crate::bench::process::Side;
use crate::bench::usage::{Spent, rss_mib};

/// The sides, beside the good client, who is that of `bench wire`.
pub(crate) const SERVER: &str = "attack-server";
pub(crate) const ATTACKER: &str = "attack-attacker";

const QUIET: &str = "attack/none";
/// Quiet, on a server whose handshakes cost nothing, as with idle connections.
const QUIET_CHEAP: &str = "attack/none-cheap";

/// How many idle connections there are.
const IDLE: usize = 5_000;
/// Handshakes under way at once, of attackers that never end theirs.
const HANDSHAKES: usize = 600;
/// Connections of the attackers that know the secret, and of those that guess.
const SOME: usize = 64;
/// How long a server has to give memory back that idle connections do not need: more than the
/// second after which it looks.
const SETTLE: Duration = Duration::from_millis(2_500);

/// What attackers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Attack {
    /// Handshakes of one byte a second.
    SlowLoris,
    /// Connections that say nothing at all.
    Silent,
    /// Clients that send entries and read nothing.
    Deaf,
    /// Frames and messages of a gigabyte, declared and not sent.
    Lengths,
    /// Wrong secrets, one after the other.
    Secrets,
    /// Clients that are in and do nothing.
    Idle,
}

/// What an attacker has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    to: SocketAddr,
    attack: Attack,
}

/// What a server says when a client that sent entries is gone.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Served {
    entries: u64,
    cpu: f64,
    seconds: f64,
    peak_mib: f64,
    admitted: u64,
    wrong: u64,
    gave_way: u64,
    refused: u64,
}

/// The cases.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(QUIET, None, &[]),
        case("attack/slow-loris", Some(Attack::SlowLoris), &[QUIET]),
        case("attack/silent", Some(Attack::Silent), &[QUIET]),
        case("attack/deaf", Some(Attack::Deaf), &[QUIET]),
        case("attack/lengths", Some(Attack::Lengths), &[QUIET]),
        case("attack/secrets", Some(Attack::Secrets), &[QUIET]),
        case(QUIET_CHEAP, None, &[]),
        case("attack/idle-5000", Some(Attack::Idle), &[QUIET_CHEAP]),
    ]
}

fn case(name: &'static str, attack: Option<Attack>, beside: &'static [&'static str]) -> Case {
    let mut bars: Vec<Bar> =
        beside.iter().map(|quiet| Bar::at_least(Figure::Share(quiet), 0.8, 0.95)).collect();
    // What is there without attackers, and what they may cost: 8 KiB for each of 5,000 that are
    // idle; the limits on unread replies and on input for those that know the secret and read
    // nothing, twice for the way in which buffers grow.
    let most = match attack {
        Some(Attack::Idle) => 16.0 + 40.0,
        Some(Attack::Deaf) => 16.0 + SOME as f64 * 2.0 * 1.25,
        _ => 48.0,
    };
    bars.push(Bar::at_most(Figure::Rss, most, most));
    let cheap = name == QUIET_CHEAP || attack == Some(Attack::Idle);
    Case {
        name,
        unit: "entries/s",
        us: "client",
        peer: Some("server"),
        beside,
        bars,
        run: Box::new(move |context| run(context, attack, cheap)),
    }
}

fn run(context: &Context, attack: Option<Attack>, cheap: bool) -> Result<Sample> {
    let mut server = Side::start(SERVER, &cheap)?;
    let to: SocketAddr = server.hear()?;
    let mut sample = Sample::default();
    let (before, kernel) = (rss_mib(server.pid())?, kernel_mib()?);
    let attackers = match attack {
        Some(attack) => {
            let mut attackers = Side::start(ATTACKER, &Orders { to, attack })?;
            let connections: usize = attackers.hear()?;
            if attack == Attack::Idle {
                ensure!(connections == IDLE, "{connections} connections are idle");
                std::thread::sleep(SETTLE);
                let grown = (rss_mib(server.pid())? - before) * f64::from(1 << 20);
                sample.more.insert("bytes/connection", grown / connections as f64);
                sample.more.insert("kernel MiB more, both ends", kernel_mib()? - kernel);
            }
            Some(attackers)
        }
        None => None,
    };
    let job = Job { to, seconds: context.time.as_secs_f64(), how: How::Batches(512) };
    let sent: Spent = Side::start(CLIENT, &job)?.finish()?;
    let served: Served = server.hear()?;
    ensure!(sent.count == served.entries, "{} sent, {} received", sent.count, served.entries);
    sample.more.insert("ms to connect", connect(to)? * 1e3);
    if attackers.is_some() {
        sample.more.insert("wrong", served.wrong as f64);
        sample.more.insert("gave way", served.gave_way as f64);
        sample.more.insert("refused", served.refused as f64);
        sample.more.insert("admitted", served.admitted as f64);
    }
    drop(attackers);
    sample.value = sent.rate();
    let million = served.cpu * 1e6 / served.entries as f64;
    sample.cpu = [("client", sent.cpu_per_million()), ("server", million)].into();
    sample.rss_mib = served.peak_mib;
    Ok(sample)
}

/// How many seconds one more good client needs until it is in.
fn connect(to: SocketAddr) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let start = Instant::now();
    let target = format!("tcp://{to}");
    let connection = runtime.block_on(ingest_wire::connect(&target, SECRET, &[TAG]));
    let took = start.elapsed().as_secs_f64();
    drop(connection.context("a good client is not let in")?);
    Ok(took)
}

/// What the kernel's TCP buffers take, of all sockets of the machine.
fn kernel_mib() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/net/sockstat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:"));
    let pages = line.and_then(|line| line.rsplit_once(" mem ")?.1.trim().parse::<f64>().ok());
    let page = rustix::param::page_size() as f64 / f64::from(1 << 20);
    Ok(pages.context("the system does not say how much memory its sockets take")? * page)
}

/// Lets this process have as many open files as the connections need.
fn raise_files() -> Result<()> {
    let need = IDLE as u64 + 500;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < need) {
        let wanted = Rlimit { current: Some(need), maximum: limit.maximum };
        setrlimit(Resource::Nofile, wanted).with_context(|| {
            format!("{need} open files are needed; the system allows {:?}", limit.maximum)
        })?;
    }
    Ok(())
}
