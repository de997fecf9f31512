//! The gateway ends while clients send: in order, and by a kill.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::client::{acknowledged, connect, send, send_datagram, status};
use crate::support::gate::Gate;
use crate::support::library::Library;
use crate::support::process::{ANY_PORTS, Ingestry};
use crate::support::stored::{lines, search};
use crate::support::wait::until;

const CLIENTS: usize = 3;
/// Lines of one connection.
const LINES: usize = 400;

/// `client.connection.`: what all lines of a connection begin with.
fn name(client: usize, connection: usize) -> String {
    format!("stop.{client}.{connection}.")
}

fn line(name: &str, n: usize) -> String {
    format!("{name}x {n} 1700000000")
}

/// Sends one connection after the other until one fails; says how many were acknowledged.
fn sender(address: SocketAddr, client: usize, count: &AtomicUsize) -> usize {
    let one = |connection| -> io::Result<()> {
        let name = name(client, connection);
        let mut stream = connect(address)?;
        let all: Vec<String> = (0..LINES).map(|n| line(&name, n) + "\n").collect();
        // In pieces that cut lines.
        for piece in all.concat().as_bytes().chunks(1_000) {
            stream.write_all(piece)?;
        }
        acknowledged(stream)
    };
    for connection in 0.. {
        if one(connection).is_err() {
            return connection;
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
    unreachable!()
}

/// Sends lines on one connection that it never ends, until that fails: without a long pause, and
/// no more than can be searched quickly.
fn endless(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    for n in 0.. {
        stream.write_all((line("stop.endless.", n) + "\n").as_bytes())?;
        if n % 10 == 0 {
            std::thread::sleep(Duration::from_millis(1)); // tidy: sleep the pace of a client
        }
    }
    Ok(())
}

/// The numbers of the lines of a connection, in the order of the log.
fn numbers(all: &[String], name: &str) -> Vec<usize> {
    let of_it = all.iter().filter(|data| data.starts_with(name));
    of_it.map(|data| data.split(' ').nth(1).unwrap().parse().unwrap()).collect()
}

/// Lets clients send, ends the gateway in their midst, and checks what is there then.
fn ends(end: impl FnOnce(Ingestry)) {
    let work = tempfile::tempdir().unwrap();
    let dir = work.path().join("ingestry-data");
    let ingestry = Ingestry::start(work.path(), &ANY_PORTS);
    let address = ingestry.address("graphite");
    let count = Arc::new(AtomicUsize::new(0));
    let senders: Vec<JoinHandle<usize>> = (0..CLIENTS)
        .map(|client| {
            let count = Arc::clone(&count);
            std::thread::spawn(move || sender(address, client, &count))
        })
        .collect();
    let endless = std::thread::spawn(move || endless(address));
    until("acknowledgements", || (count.load(Ordering::Relaxed) >= 15).then_some(()));
    let before = until("lines of the endless", || {
        let found = lines(&dir, "stop.");
        found.iter().any(|data| data.starts_with("stop.endless.")).then_some(found)
    });
    end(ingestry);
    let acknowledged: Vec<usize> =
        senders.into_iter().map(|sender| sender.join().unwrap()).collect();
    assert!(endless.join().unwrap().is_err());

    let after = lines(&dir, "stop.");
    let unique: BTreeSet<&String> = after.iter().collect();
    assert_eq!(unique.len(), after.len(), "lines twice");
    let lost = before.iter().filter(|data| !unique.contains(data)).count();
    assert_eq!(lost, 0, "found before, and not now");
    let mut of_connection: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for data in &after {
        let name = data.split_inclusive('.').take(3).collect();
        of_connection.entry(name).or_default().push(data.clone());
    }
    for (client, &acknowledged) in acknowledged.iter().enumerate() {
        for connection in 0..=acknowledged {
            let name = name(client, connection);
            let have = of_connection.remove(&name).unwrap_or_default();
            let have = numbers(&have, &name);
            let prefix: Vec<usize> = (0..have.len()).collect();
            assert_eq!(have, prefix, "{name} is no prefix");
            if connection < acknowledged {
                assert_eq!(have.len(), LINES, "{name} was acknowledged");
            }
        }
    }
    let endless = numbers(&after, "stop.endless.");
    let prefix: Vec<usize> = (0..endless.len()).collect();
    assert!(endless == prefix, "the endless connection has gaps");

    // And on it goes.
    let ingestry = Ingestry::start(work.path(), &ANY_PORTS);
    assert!(lines(&dir, "stop.") == after, "a restart changed what is found");
    send(ingestry.address("graphite"), b"again 1 1700000000\n").unwrap();
    let all = search(&dir, "");
    assert_eq!(all.len(), after.len() + 1);
    assert_eq!(all.last().unwrap().data, "again 1 1700000000");
    assert!(all.last().unwrap().tag == "graphite");
    let status = status(ingestry.address("admin"));
    assert_eq!(status["log"]["accepted"], all.len());
    assert_eq!(status["log"]["damaged"], 0);
    let summary = ingestry.stop();
    assert!(summary.contains(&format!("store: {} entries", all.len())), "{summary}");
}

#[test]
fn a_stop_keeps_what_was_acknowledged_or_found() {
    let in_order = |ingestry: Ingestry| {
        let summary = ingestry.stop();
        let row = summary.lines().find(|line| line.starts_with("  graphite: ")).unwrap();
        let mut numbers = row
            .split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .map(|digits| digits.parse::<u64>().unwrap());
        let received = numbers.next().unwrap();
        assert_eq!(received, numbers.sum::<u64>(), "{summary}");
        assert!(!summary.contains("do not add up"), "{summary}");
    };
    ends(in_order);
}

#[test]
fn a_kill_keeps_what_was_acknowledged_or_found() {
    ends(Ingestry::kill);
}

#[test]
fn a_client_that_never_pauses_does_not_hold_a_stop_up() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::start(dir.path(), "max_bytes = \"64 MiB\"\nmin_free = 0", None);
    let address = library.address("graphite");
    let client = std::thread::spawn(move || -> io::Result<()> {
        let mut stream = connect(address)?;
        let block = (line("stop.flood.", 0) + "\n").repeat(4_000);
        loop {
            stream.write_all(block.as_bytes())?;
        }
    });
    until("the flood", || (library.totals("graphite").accepted_items > 100_000).then_some(()));
    let begin = Instant::now();
    let report = library.stop(Duration::from_secs(20));
    // What has arrived is read for one second at most.
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert!(client.join().unwrap().is_err());
    assert_eq!(report.close.not_accepted, 0);
}

#[test]
fn datagrams_that_have_arrived_are_stored_and_delivered_by_a_stop() {
    const DATAGRAMS: u64 = 50;
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let gate = (round % 2 == 0).then(Gate::closed);
        if let Some(gate) = &gate {
            gate.open();
        }
        let out = gate.clone().map(|gate| gate as _);
        let library = Library::start(dir.path(), "", out);
        let udp = library.address("graphite-udp");
        for n in 0..DATAGRAMS {
            send_datagram(udp, line("stop.udp.", n as usize).as_bytes());
        }
        let seen = || library.totals("graphite-udp").received_items == DATAGRAMS;
        until("the datagrams", || seen().then_some(()));
        let report = library.stop(Duration::from_secs(10));
        assert_eq!(lines(dir.path(), "stop.udp.").len() as u64, DATAGRAMS, "round {round}");
        assert_eq!(report.stored, DATAGRAMS, "round {round}");
        if let Some(gate) = &gate {
            assert_eq!(report.close.outputs[0].queued, 0, "round {round}");
            assert_eq!(gate.count() as u64, DATAGRAMS, "round {round}");
        }
    }
}
