//! The programs that registries serve, on the same streams in the same rounds: carbon-c-relay from
//! Debian, carbon and CPython's pickle from Python's registry, `serde-pickle` from Rust's.
//!
//! None of them keeps anything here: carbon-cache holds points in memory and is not allowed to create
//! files, carbon-c-relay throws lines away unread, or passes them on.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::live::{Job, SENDER, SINK};
use super::points::stream;
use super::{What, case};
use crate::bench::case::{Case, Context, Sample};
use crate::bench::process::Side;
use crate::bench::usage::{Spent, cpu_of, peak_rss_mib};
use crate::interop::carbon::Daemon;
use crate::interop::process::{Process, until};
use crate::interop::programs::{find, python};

const CPYTHON: &str = include_str!("peers.py");
/// When nothing has come for so long, nothing more will.
const SILENCE: Duration = Duration::from_secs(3);

/// The cases, once the programs are there.
pub(crate) fn peers() -> Result<Vec<Case>> {
    let relay = find("carbon-c-relay", "carbon-c-relay")?;
    let python = python(&[("carbon", "carbon"), ("whisper", "whisper")])?;
    let (discarding, passing, tuned) = (relay.clone(), relay.clone(), relay);
    let (pickles, lines) = (python.clone(), python.clone());
    Ok(vec![
        Case {
            us: "program",
            ..case(
                "graphite/pickle/2/serde-pickle",
                "points/s",
                What::PickleOfSerde,
                &["graphite/pickle/2"],
                Vec::new(),
            )
        },
        peer("graphite/pickle/2/cpython", "points/s", &["graphite/pickle/2"], move |context| {
            in_cpython(&pickles, context)
        }),
        peer(
            "graphite/into/lines/carbon-cache",
            "lines/s",
            &["graphite/into/lines"],
            move |context| into_carbon(&lines, What::Lines, context),
        ),
        peer(
            "graphite/into/pickle/carbon-cache",
            "points/s",
            &["graphite/into/pickle"],
            move |context| into_carbon(&python, What::Pickle(2), context),
        ),
        peer(
            "graphite/into/lines/carbon-c-relay",
            "lines/s",
            &["graphite/into/lines"],
            move |context| Relay::discarding(&discarding)?.take(context),
        ),
        peer(
            "graphite/relay/lines/carbon-c-relay",
            "lines/s",
            &["graphite/relay/lines"],
            move |context| passed_on(&passing, &[], context),
        ),
        peer(
            "graphite/relay/lines/carbon-c-relay/tuned",
            "lines/s",
            &["graphite/relay/lines"],
            move |context| passed_on(&tuned, &["-q", "3000000"], context),
        ),
    ])
}

fn peer(
    name: &'static str,
    unit: &'static str,
    beside: &'static [&'static str],
    run: impl Fn(&Context) -> Result<Sample> + 'static,
) -> Case {
    let (us, peer) = ("program", Some("sender"));
    Case { name, unit, us, peer, beside, bars: Vec::new(), run: Box::new(run) }
}

/// `pickle.loads` of the same frames, over and over.
fn in_cpython(python: &Path, context: &Context) -> Result<Sample> {
    let dir = tempfile::tempdir()?;
    let (script, frames) = (dir.path().join("peers.py"), dir.path().join("frames"));
    std::fs::write(&script, CPYTHON)?;
    std::fs::write(&frames, stream(What::Pickle(2))?)?;
    let mut command = Command::new(python);
    command.arg(script).arg(frames).arg(context.time.as_secs_f64().to_string());
    Ok(Spent::of_program(&mut command)?.of_cpu())
}

/// Into carbon-cache, which keeps points in memory: nothing is on disk when it has read all.
fn into_carbon(python: &Path, what: What, context: &Context) -> Result<Sample> {
    let dir = tempfile::tempdir()?;
    let cache = Daemon::cache_in_memory(python, dir.path().join("cache"))?;
    let port = if what == What::Lines { cache.lines } else { cache.pickles };
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    taken(cache.pid(), to, what, context)
}

fn taken(pid: u32, to: SocketAddr, what: What, context: &Context) -> Result<Sample> {
    let before = cpu_of(pid)?;
    let job = Job { to, what, seconds: context.time.as_secs_f64() };
    let sent: Spent = Side::start(SENDER, &job)?.finish()?;
    sample(pid, before, sent.count, sent.rate(), &sent)
}

fn sample(pid: u32, before: f64, count: u64, value: f64, sent: &Spent) -> Result<Sample> {
    let cpu = (cpu_of(pid)? - before) * 1e6 / count as f64;
    Ok(Sample {
        value,
        cpu: [("program", cpu), ("sender", sent.cpu_per_million())].into(),
        rss_mib: peak_rss_mib(&pid.to_string())?,
        ..Sample::default()
    })
}

/// A carbon-c-relay that runs.
struct Relay {
    process: Process,
    to: SocketAddr,
    _dir: TempDir,
}

impl Relay {
    fn discarding(program: &Path) -> Result<Self> {
        Self::start(program, "match * send to blackhole stop ;\n", &[])
    }

    fn start(program: &Path, rules: &str, args: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let config: PathBuf = dir.path().join("relay.conf");
        // Free a moment ago, and asked for again at once.
        let to = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let listen = format!("listen type linemode 127.0.0.1:{} proto tcp ;\n", to.port());
        std::fs::write(&config, listen + rules)?;
        let log = std::fs::File::create(dir.path().join("log"))?;
        let mut command = Command::new(program);
        command.arg("-f").arg(&config).args(args).stdin(Stdio::null());
        let process = Process::start(command.stdout(log.try_clone()?).stderr(log))?;
        until("the relay listens", || Ok(TcpStream::connect(to).is_ok()))?;
        Ok(Self { process, to, _dir: dir })
    }

    fn take(&self, context: &Context) -> Result<Sample> {
        taken(self.process.0.id(), self.to, What::Lines, context)
    }
}

/// Through carbon-c-relay to one server that counts lines. It may drop some: the rate is that of
/// those that came, and beside it stands the share of those that did not.
fn passed_on(program: &Path, args: &[&str], context: &Context) -> Result<Sample> {
    let mut sink = Side::start(SINK, &())?;
    let target: SocketAddr = sink.hear()?;
    let rules = format!("cluster sink forward {target} ;\nmatch * send to sink stop ;\n");
    let relay = Relay::start(program, &rules, args)?;
    let pid = relay.process.0.id();
    let (before, begun) = (cpu_of(pid)?, Instant::now());
    let job = Job { to: relay.to, what: What::Lines, seconds: context.time.as_secs_f64() };
    let sent: Spent = Side::start(SENDER, &job)?.finish()?;
    let (mut came, mut last) = (0_u64, begun);
    while came < sent.count {
        let Some(more) = sink.hear_within(SILENCE)? else { break };
        (came, last) = (more, Instant::now());
    }
    ensure!(came > 0, "nothing came");
    let rate = came as f64 / last.duration_since(begun).as_secs_f64();
    let mut sample = sample(pid, before, came, rate, &sent)?;
    sample.more.insert("dropped_share", 1.0 - came as f64 / sent.count as f64);
    Ok(sample)
}
