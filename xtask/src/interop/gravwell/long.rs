//! What takes longer: connects under load, a server that is killed in mid-stream, a million entries.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::programs::{Client, Programs, Server};
use crate::interop::process::until;

const CONNECTS: u64 = 200;
/// A client that fell back on a retry timer would need ten seconds.
const WORST_MS: f64 = 2_000.0;

fn number(report: &Value, path: &str) -> Result<f64> {
    let found = report.pointer(path).and_then(Value::as_f64);
    found.with_context(|| format!("no {path} in {report}"))
}

/// Our client connects 200 times to a server on a busy machine: it may have to try again, and it
/// must not wait.
pub(super) fn race(programs: &Programs) -> Result<()> {
    for compress in ["", "--compress"] {
        let server = Server::start(&programs.peer_server, &[])?;
        let arguments = format!("--connects {CONNECTS} --tag a --count 10 {compress}");
        let over = AtomicBool::new(false);
        let busy = || {
            let mut n = 0u64;
            while !over.load(Ordering::Relaxed) {
                n = std::hint::black_box(n.wrapping_add(1));
            }
        };
        let report = std::thread::scope(|scope| {
            let cores = std::thread::available_parallelism().map_or(2, usize::from);
            for _ in 0..2 * cores {
                scope.spawn(busy);
            }
            let arguments = programs.arguments(&arguments);
            let client = Client::start(
                &programs.our_client,
                &server.target,
                &arguments,
                programs.dir.path(),
            );
            let report = client.and_then(Client::finish);
            over.store(true, Ordering::Relaxed);
            report
        })?;
        let report = report.map_err(anyhow::Error::msg)?;
        let server = server.finish()?;
        let (median, worst) =
            (number(&report, "/connects/median_ms")?, number(&report, "/connects/worst_ms")?);
        let again = number(&server, "/sessions")? - (CONNECTS + 1) as f64;
        println!(
            "{CONNECTS} connects under load {compress}: median {median:.1} ms, worst {worst:.1} ms, \
             {again} tried again"
        );
        ensure!(worst < WORST_MS, "a connect took {worst} ms");
    }
    Ok(())
}

/// A server is killed in mid-stream, and another one takes its place: nothing may be missing.
pub(super) fn killed(
    programs: &Programs,
    client: &[String],
    server: &[String],
    count: u64,
) -> Result<()> {
    let (sent, came) = (programs.path("sent")?, programs.path("came")?);
    let journal = ["--journal".to_owned(), came.clone()];
    let mut running = Server::start(server, &journal)?;
    let target = running.target.clone();
    let arguments = format!("--tag a --tag b --count {count} --reconnect 100 --journal {sent}");
    let arguments = programs.arguments(&arguments);
    let mut client = Client::start(client, &target, &arguments, programs.dir.path())?;
    let bytes = || anyhow::Ok(std::fs::metadata(&came)?.len());
    let mut kills = 0;
    for part in [1, 2] {
        let enough = count * 12 * part / 4;
        until("the stream flows", || Ok(bytes()? >= enough || client.is_over()?))?;
        if client.is_over()? {
            break;
        }
        running.kill()?;
        // It may have been killed in the middle of a record.
        let whole = bytes()? / 12 * 12;
        std::fs::File::options().write(true).open(&came)?.set_len(whole)?;
        let mut again = journal.to_vec();
        again.extend(["--listen".to_owned(), target.clone()]);
        running = Server::start(server, &again)?;
        kills += 1;
    }
    let report = client.finish()?.map_err(anyhow::Error::msg)?;
    running.finish()?;
    ensure!(kills > 0, "the client was done before the server could be killed: {report}");
    let (sent, came) = (journal_of(&sent)?, journal_of(&came)?);
    let lost = sent.keys().filter(|record| !came.contains_key(*record)).count();
    let strange = came.keys().filter(|record| !sent.contains_key(*record)).count();
    let twice: u64 = came.values().map(|times| times - 1).sum();
    println!("{} entries, {kills} kills: {lost} lost, {twice} came again", sent.len());
    ensure!(lost == 0 && strange == 0, "{lost} lost, {strange} that nobody sent");
    ensure!(sent.len() as u64 == count, "{} of {count} were sent", sent.len());
    Ok(())
}

/// How often each record is there: the number of the entry and its checksum.
fn journal_of(path: impl AsRef<Path>) -> Result<HashMap<[u8; 12], u64>> {
    let bytes = std::fs::read(path)?;
    let (records, rest) = bytes.as_chunks::<12>();
    ensure!(rest.is_empty(), "half a record");
    let mut all = HashMap::with_capacity(records.len());
    for record in records {
        *all.entry(*record).or_default() += 1;
    }
    Ok(all)
}

/// Rates, both ways. They are printed and not judged: the machine is shared.
pub(super) fn rates(programs: &Programs, count: u64) -> Result<()> {
    println!("{count} entries of 256 bytes, acknowledged, CPU seconds a million:");
    for kind in ["--plain", "--plain --batch 100", "", "--batch 100", "--batch 100 --compress"] {
        for (who, client, server) in [
            ("ours to theirs", &programs.our_client, &programs.peer_server),
            ("theirs to ours", &programs.peer_client, &programs.our_server),
            ("ours to ours", &programs.our_client, &programs.our_server),
            ("theirs to theirs", &programs.peer_client, &programs.peer_server),
        ] {
            let server = Server::start(server, &[])?;
            let arguments = programs.arguments(&format!("--tag a --count {count} {kind}"));
            let client = Client::start(client, &server.target, &arguments, programs.dir.path())?;
            let client = client.finish()?.map_err(anyhow::Error::msg)?;
            let server = server.finish()?;
            ensure!(client.get("tags") == server.get("tags"), "{client} and {server} differ");
            let million = count as f64 / 1e6;
            println!(
                "  {who:16} {kind:22} {:.2} million a second, client {:.2}, server {:.2}",
                million / number(&client, "/seconds")?,
                number(&client, "/cpu_seconds")? / million,
                number(&server, "/cpu_seconds")? / million
            );
        }
    }
    Ok(())
}
