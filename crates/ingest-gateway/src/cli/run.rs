//! `ingestry run`: start, say what listens where, run until a signal, stop in order.
//!
//! A service manager may hand sockets over, and is told when all is ready.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use ingest_mux::StartError;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::logs::Logs;
use super::{Exit, RunArgs, service};
use crate::config::{
    self, Config, DestinationKind, GraphiteFormat, Loaded, RelayedLog, SourceKind, UnixSocket,
};
use crate::gateway::{Gateway, GatewayError, STOP_DEADLINE, StopReport};
use crate::inherited::Inherited;
use crate::reload_files::{Answer, Request};
use crate::units::format_size_rounded;

/// Threads of the runtime beyond one for each core: as many decode as there are cores, and one waits
/// for whatever else comes, so that it does not wait for them.
const SPARE_THREADS: usize = 1;
/// So many turns of tasks after which a thread of the runtime looks at the sockets, and at what other
/// threads have woken. A turn may take as long as 256 KiB take to be decoded.
const LOOK_AFTER: u32 = 5;

/// Runs the gateway until it is told to stop.
pub(super) fn run(args: &RunArgs, logs: &Logs) -> anyhow::Result<Exit> {
    let loaded = match read(args) {
        Ok(loaded) => loaded,
        Err(error) => {
            logs.error(&error.to_string());
            return Ok(Exit::Usage);
        }
    };
    logs.apply(&loaded.config.logs);
    for warning in &loaded.warnings {
        logs.warning(&warning.to_string());
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores + SPARE_THREADS)
        .event_interval(LOOK_AFTER)
        .global_queue_interval(LOOK_AFTER)
        .enable_all()
        .thread_name("ingestry")
        .build()
        .context("cannot start the runtime")?;
    let exit = runtime.block_on(supervise(args, loaded.config, logs));
    // What is left are reads of files that nobody waits for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    logs.limit().report(true);
    exit
}

/// Reads the configuration. What is worth a log line in the files that it names is among its
/// warnings as well, with the place.
fn read(args: &RunArgs) -> Result<Loaded, config::StartError> {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || {
        config::for_run(args.config.as_deref(), &args.overrides())
    })
}

async fn supervise(args: &RunArgs, config: Config, logs: &Logs) -> anyhow::Result<Exit> {
    let repeats = tokio::spawn(logs.limit().clone().report_on());
    let mut signals = Signals::new().context("cannot handle signals")?;
    let inherited = Inherited::from_env().context("cannot take the sockets handed over")?;
    let mut gateway = match Gateway::builder(config.clone()).inherited(inherited).start().await {
        Ok(gateway) => gateway,
        Err(error) => {
            logs.error(&format!("error: {error}"));
            return Ok(exit_of(&error));
        }
    };
    if config.delivery.relay != RelayedLog::Off {
        let lines = gateway.relay().context("the log takes no lines of its own")?;
        logs.relay().connect(lines, config.delivery.relay);
    }
    print(&banner(&config, &gateway));
    if rustix::process::geteuid().is_root() {
        tracing::warn!("Running as root.");
    }
    if let Some(file) = &args.ports_file {
        write_ports(file, &gateway.addresses())
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    service::ready(&format!("Running: {}", config.summary()));
    let watchdog = tokio::spawn(service::watchdog());
    while signals.next().await == Asked::Reload {
        reload(args, &mut gateway, &config.log.dir, logs).await;
    }
    watchdog.abort();
    repeats.abort();
    service::stopping();
    print(&format!(
        "Stopping: delivering for {} s at most. A second signal ends at once.\n",
        STOP_DEADLINE.as_secs()
    ));
    let report = tokio::select! {
        report = gateway.stop(STOP_DEADLINE) => report,
        () = signals.stop() => {
            print("Ended at once. What was acknowledged is on disk.\n");
            return Ok(Exit::Fine);
        }
    };
    print(&summary(&report));
    Ok(Exit::Fine)
}

/// How the program ends when a gateway cannot be started.
#[must_use]
pub fn exit_of(error: &GatewayError) -> Exit {
    match error {
        GatewayError::Start(StartError::Log(error)) => super::exit_for(error),
        _ => Exit::Failed,
    }
}

/// Reads the configuration again and lets the gateway run with it, or says why not. Whoever asked
/// through `ingestry reload` gets the answer as well.
async fn reload(args: &RunArgs, gateway: &mut Gateway, dir: &Path, logs: &Logs) {
    service::reloading();
    let request = Request::take(dir);
    let options = request.as_ref().map(Request::options).unwrap_or_default();
    let result = match read(args) {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter();
            warnings.for_each(|warning| logs.warning(&warning.to_string()));
            let (summary, own) = (loaded.config.summary(), loaded.config.logs);
            let reloaded = gateway.reload(loaded.config, options).await;
            reloaded
                .inspect(|_| logs.apply(&own))
                .map(|reloaded| (reloaded, summary))
                .map_err(|error| format!("error: {error}"))
        }
        Err(error) => Err(error.to_string()),
    };
    let (applied, text) = match result {
        Ok((reloaded, summary)) => {
            service::ready(&format!("Running: {summary}"));
            (true, format!("Reloaded: {reloaded}."))
        }
        Err(error) => {
            service::ready("Running; the last reload was refused.");
            (false, format!("{error}\nNot reloaded: nothing was changed."))
        }
    };
    if applied {
        print(&format!("{text}\n"));
    } else {
        logs.error(&text);
    }
    if let Some(file) = &args.ports_file
        && let Err(error) = write_ports(file, &gateway.addresses())
    {
        logs.error(&format!("cannot write {}: {error}", file.display()));
    }
    if let Some(Request { number, .. }) = request {
        let answer = Answer { number, applied, text };
        if let Err(error) = answer.write(dir) {
            tracing::warn!(%error, "Whoever asked for the reload cannot be answered.");
        }
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Stop,
    Reload,
}

/// SIGTERM and SIGINT ask for a stop, SIGHUP for a reload.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}

/// Sends one point as a pickle.
fn pickle_line(host: IpAddr, port: u16) -> String {
    format!(
        "python3 -c 'import pickle, socket, struct, time; \
         p = pickle.dumps([(\"local.test.diceroll\", (time.time(), 4))], 2); \
         socket.create_connection((\"{host}\", {port})).sendall(struct.pack(\"!L\", len(p)) + p)'"
    )
}

/// What listens where, where data goes, and a line to try for each.
fn banner(config: &Config, gateway: &Gateway) -> String {
    let mut text = format!("ingestry {}\n", env!("CARGO_PKG_VERSION"));
    let (addresses, secrets) = (gateway.addresses(), gateway.secret_places());
    let dir = config.log.dir.display();
    for source in &config.sources {
        if let SourceKind::Loggregator(loggregator) = &source.kind {
            let (endpoint, reads) = (&loggregator.endpoint, loggregator.reads);
            text.push_str(&format!("  {:<14} {endpoint:<22} Loggregator, {reads}\n", source.name));
        }
        if let SourceKind::Amqp(amqp) = &source.kind {
            let config::AmqpBroker { host, port, exchange, .. } = &amqp.broker;
            let place = format!("{host}:{port}");
            text.push_str(&format!("  {:<15} {place:<22} AMQP, {exchange}\n", source.name));
        }
        if let SourceKind::Kafka(kafka) = &source.kind {
            let (place, topics) = (kafka.brokers.brokers.join(" "), kafka.topics.join(" "));
            text.push_str(&format!("  {:<15} {place:<22} Kafka, {topics}\n", source.name));
        }
        if let SourceKind::GraphiteUnix(unix) = &source.kind {
            let (path, socket) = (unix.path.display(), unix.socket);
            let flag = if unix.socket == UnixSocket::Datagram { "-uU" } else { "-NU" };
            text.push_str(&format!(
                "  {:<15} {path}  Graphite plaintext, unix {socket}\n  {:<15} try: \
                 echo \"local.test.diceroll 4 `date +%s`\" | nc {flag} {path}\n",
                source.name, ""
            ));
        }
        let Some(address) = addresses.get(&source.name) else { continue };
        let (host, port) = (address.ip(), address.port());
        let (what, line) = match &source.kind {
            // It listens nowhere.
            SourceKind::Loggregator(_)
            | SourceKind::GraphiteUnix(_)
            | SourceKind::Amqp(_)
            | SourceKind::Kafka(_) => continue,
            SourceKind::Graphite(graphite) => match graphite.format {
                GraphiteFormat::Lines => (
                    "Graphite plaintext, TCP",
                    format!("echo \"local.test.diceroll 4 `date +%s`\" | nc {host} {port}"),
                ),
                GraphiteFormat::Pickle => ("Graphite pickles, TCP", pickle_line(host, port)),
                GraphiteFormat::Protobuf => (
                    "Graphite protobuf, TCP",
                    format!(
                        "carbon-relay with DESTINATIONS = {host}:{port}:a and protocol protobuf"
                    ),
                ),
            },
            SourceKind::GraphiteUdp(_) => (
                "Graphite plaintext, UDP",
                format!("echo \"local.test.diceroll 4 `date +%s`\" | nc -u -w1 {host} {port}"),
            ),
            SourceKind::Gravwell(gravwell) => {
                let scheme = if gravwell.tls.is_some() { "tls" } else { "tcp" };
                let secret = secrets.get(&source.name);
                let secret = secret.map_or("", String::as_str);
                (
                    "Gravwell ingesters",
                    format!("an ingester with the target {scheme}://{address}, secret in {secret}"),
                )
            }
            SourceKind::Hydra(hydra) => {
                let scheme = if hydra.tls.is_some() { "https" } else { "http" };
                (
                    "Hydra, web sockets and HTTP",
                    format!(
                        "curl -d '{{\"roll\":4}}' {scheme}://{address}/ingest, or open it in a browser"
                    ),
                )
            }
        };
        text.push_str(&format!("  {:<15} {address:<22} {what}\n", source.name));
        text.push_str(&format!("  {:<15} try: {line}\n", ""));
    }
    if let Some(admin) = addresses.get("admin") {
        text.push_str(&format!(
            "  {:<15} {admin:<22} http://{admin}/status /metrics /health\n",
            "admin"
        ));
    }
    let log = gateway.status().log;
    for destination in &config.destinations {
        let name = &destination.name;
        match &destination.kind {
            DestinationKind::Store => text.push_str(&format!(
                "  {name:<15} {dir}  the log, kept: at most {}\n",
                format_size_rounded(log.limits.max_bytes)
            )),
            DestinationKind::Gravwell(gravwell) => {
                let targets: Vec<_> = gravwell.targets.iter().map(ToString::to_string).collect();
                let targets = targets.join(" ");
                text.push_str(&format!("  {name:<15} {targets}  Gravwell, {}\n", gravwell.policy));
            }
            DestinationKind::Amqp(amqp) => {
                let config::AmqpBroker { host, port, exchange, .. } = &amqp.broker;
                text.push_str(&format!("  {name:<15} {host}:{port}  AMQP, {exchange}\n"));
            }
            DestinationKind::Kafka(kafka) => {
                let (place, topic) = (kafka.brokers.brokers.join(" "), &kafka.topic);
                text.push_str(&format!("  {name:<15} {place}  Kafka, {topic}\n"));
            }
            DestinationKind::Graphite(graphite) => {
                let targets: Vec<_> = graphite.targets.iter().map(ToString::to_string).collect();
                let (targets, format) = (targets.join(" "), graphite.format);
                text.push_str(&format!(
                    "  {name:<15} {targets}  Graphite, {format}, {}\n",
                    graphite.policy
                ));
            }
        }
    }
    let data_dir = if config.log.dir == Path::new("ingestry-data") {
        String::new()
    } else {
        format!(" --data-dir {dir}")
    };
    let program = std::env::args().next().unwrap_or_else(|| "ingestry".to_owned());
    text.push_str(&format!("  {:<15} try: {program} search{data_dir} --limit 10\n", ""));
    text
}

fn write_ports(file: &Path, addresses: &BTreeMap<String, SocketAddr>) -> std::io::Result<()> {
    let named: BTreeMap<&str, String> =
        addresses.iter().map(|(name, address)| (name.as_str(), address.to_string())).collect();
    let mut text = serde_json::to_string(&named)?;
    text.push('\n');
    // Whole or not at all: somebody may be waiting for it.
    let beside = file.with_extension("tmp");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, file)
}

/// What was delivered, is queued, was dropped and why.
fn summary(report: &StopReport) -> String {
    let mut text = String::from("Stopped.\n");
    for (name, reasons, totals) in &report.sources {
        text.push_str(&format!(
            "  {name}: received {} items, accepted {}",
            totals.received_items, totals.accepted_items
        ));
        let refused = reasons.iter().zip(&totals.refused).filter(|(_, count)| **count > 0);
        for (reason, count) in refused {
            text.push_str(&format!(", {reason} {count}"));
        }
        text.push('\n');
    }
    for output in report.close.outputs.iter().filter(|output| output.configured) {
        let lost: u64 = output.lost.values().sum();
        text.push_str(&format!(
            "  {}: delivered {}, queued {}, lost {lost}\n",
            output.name, output.confirmed, output.queued
        ));
    }
    text.push_str(&format!("  store: {} entries since the log was made\n", report.stored));
    if report.close.not_accepted + report.close.lost_in_memory > 0 {
        text.push_str(&format!(
            "  not written: {} entries that nobody was told were accepted, {} acknowledged in memory only\n",
            report.close.not_accepted, report.close.lost_in_memory
        ));
    }
    if !report.balanced {
        text.push_str("  The accounts do not add up: this is a bug.\n");
    }
    text
}

/// Standard output may be closed; the gateway runs on.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
