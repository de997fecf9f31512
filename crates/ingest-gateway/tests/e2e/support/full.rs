//! A log that fills up while its destination is down.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::client::{acknowledged, connect, send, send_datagram};
use super::gate::Gate;
use super::library::Library;
use super::wait::{until, until_still};

/// A `[log]` table that 2 MiB are enough for.
pub(crate) const SMALL: &str = "max_bytes = \"2 MiB\"\nmin_free = 0\nkeep.bytes = 0";
/// Lines of the connection that has to wait: more than the log, the budgets and the sockets hold.
const LINES: usize = 80_000;
/// Lines of one write, and of one datagram.
const AT_ONCE: usize = 20;

fn line(n: usize) -> String {
    format!("limits.tcp.a.name.of.the.usual.length {n} 1700000000")
}

/// Bytes of all files in a directory.
fn bytes_in(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    entries.filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}

/// What is refused, and what waits, while the destination is down; that nothing is lost and
/// everything goes on when it comes up. The gateway has [`SMALL`] limits and nothing in its log.
pub(crate) fn blocks_and_goes_on(library: &Library, gate: &Gate, dir: &Path) {
    let tcp = library.address("graphite");
    send(tcp, b"limits.first 1 1700000000\n").unwrap();

    let written = Arc::new(AtomicUsize::new(0));
    let progress = Arc::clone(&written);
    let client = std::thread::spawn(move || -> io::Result<()> {
        let mut stream = connect(tcp)?;
        // Little on its way, so that the client feels the log and not the system's buffers.
        rustix::net::sockopt::set_socket_send_buffer_size(&stream, 16 * 1024)?;
        for first in (0..LINES).step_by(AT_ONCE) {
            let lines: Vec<String> = (first..first + AT_ONCE).map(|n| line(n) + "\n").collect();
            stream.write_all(lines.concat().as_bytes())?;
            progress.store(first + AT_ONCE, Ordering::Relaxed);
        }
        acknowledged(stream)
    });
    until("a full log", || (library.status().log.health.as_str() == "full").then_some(()));
    let stalled = until_still("the client waits", Duration::from_millis(400), || {
        library.status();
        written.load(Ordering::Relaxed)
    });
    assert!(stalled < LINES, "the client was never held back");
    let accepted = library.totals("graphite").accepted_items;
    assert!(accepted >= 5_000, "only {accepted} lines accepted");
    assert!(library.status().log.accepted >= 5_000, "{:#?}", library.status().log);
    assert!(library.source("graphite").waits.get() > 0);
    let max = library.status().log.limits.max_bytes;
    assert!(bytes_in(dir) <= max, "{} of {max} bytes", bytes_in(dir));

    // Datagrams cannot wait: what has no room is dropped, and counted.
    let udp = library.address("graphite-udp");
    let mut numbers = 0..;
    until("datagrams without room", || {
        for _ in 0..5 {
            let lines =
                numbers.by_ref().take(AT_ONCE).map(|n| format!("limits.udp {n} 1700000000\n"));
            send_datagram(udp, lines.collect::<String>().as_bytes());
        }
        library.status();
        (library.refused("graphite-udp", "no_room") >= AT_ONCE as u64).then_some(())
    });
    assert!(bytes_in(dir) <= max, "{} of {max} bytes", bytes_in(dir));
    assert_eq!(gate.count(), 0);

    gate.open();
    until("the client is through", || {
        library.status();
        client.is_finished().then_some(())
    });
    client.join().unwrap().unwrap();
    until("all is delivered", || (library.status().outputs[0].queued == 0).then_some(()));
    let got = gate.got();
    let (of_tcp, others): (Vec<&String>, Vec<&String>) =
        got.iter().partition(|data| data.starts_with("limits.tcp."));
    assert!(of_tcp.iter().map(|data| data.as_str()).eq((0..LINES).map(line)), "not as sent");
    assert_eq!(others[0], "limits.first 1 1700000000");
    let of_udp = &others[1..];
    let number = |data: &&&String| -> u64 { data.split(' ').nth(1).unwrap().parse().unwrap() };
    assert!(of_udp.is_sorted_by_key(|data| number(&data)));
    let totals = library.totals("graphite-udp");
    assert_eq!(of_udp.len() as u64, totals.accepted_items);
    assert!(totals.received_items <= numbers.start);
    assert_eq!(library.totals("graphite").accepted_items, LINES as u64 + 1);
    let status = library.status();
    assert_eq!(status.outputs[0].confirmed, got.len() as u64);
    assert!(status.log.full_episodes >= 1);
    assert!(bytes_in(dir) <= max, "{} of {max} bytes", bytes_in(dir));
}
