//! What clients of Graphite's sources cannot have more of: connections, time, and room in the kernel.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, UdpSocket};

use crate::support::client::{acknowledged, connect, page};
use crate::support::library::Library;
use crate::support::stored::lines;
use crate::support::wait::{DEADLINE, until};

fn start(dir: &std::path::Path, keys: &str) -> Library {
    Library::with(&format!("[log]\ndir = {dir:?}\n[admin]\nlisten = \"127.0.0.1:0\"\n{keys}"), None)
}

#[test]
fn who_is_beyond_the_limit_of_connections_waits_for_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let library = start(
        dir.path(),
        "[sources.g]\ntype = \"graphite\"\nlisten = \"127.0.0.1:0\"\nmax_connections = 1\n",
    );
    let address = library.address("g");
    let mut first = connect(address).unwrap();
    first.write_all(b"place.first 1 7\n").unwrap();
    until("the first line", || (library.totals("g").accepted_items == 1).then_some(()));
    let mut second = connect(address).unwrap();
    second.write_all(b"place.second 1 7\n").unwrap();
    second.shutdown(Shutdown::Write).unwrap();
    // The gateway is at work for the first one meanwhile, and not for the second.
    for turn in 2..100 {
        first.write_all(format!("place.first {turn} 7\n").as_bytes()).unwrap();
        until("a line", || (library.totals("g").accepted_items == turn).then_some(()));
    }
    assert_eq!(library.source("g").connections_total.get(), 1);
    acknowledged(first).unwrap();
    assert_eq!(second.read(&mut [0; 8]).unwrap(), 0);
    let stored = lines(dir.path(), "place.");
    assert_eq!(stored.len(), 100);
    assert_eq!(stored[99], "place.second 1 7");
    assert_eq!(library.source("g").connections_total.get(), 2);
    library.stop(DEADLINE);
}

#[test]
fn who_is_silent_for_too_long_is_reset_and_what_came_stays() {
    let dir = tempfile::tempdir().unwrap();
    let library = start(
        dir.path(),
        "[sources.g]\ntype = \"graphite\"\nlisten = \"127.0.0.1:0\"\nidle_timeout = \"100ms\"\n",
    );
    let mut client = connect(library.address("g")).unwrap();
    client.write_all(b"idle.line 1 7\nidle.unfinished").unwrap();
    let error = client.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    until("the count", || (library.source("g").connections_aborted.get() == 1).then_some(()));
    library.stop(DEADLINE);
    assert_eq!(lines(dir.path(), "idle."), ["idle.line 1 7"]);
}

/// The account goes down to the kernel: every datagram is an item, or a drop of the kernel.
#[test]
#[cfg(target_os = "linux")]
fn what_the_kernel_drops_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let library = start(
        dir.path(),
        "[sources.u]\ntype = \"graphite-udp\"\nlisten = \"127.0.0.1:0\"\n\
         receive_buffer = \"4 KiB\"\n",
    );
    let (address, admin) = (library.address("u"), library.address("admin"));
    let mut sent = 0;
    until("a drop", || {
        let senders: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                    (0..5_000).for_each(|_| {
                        socket.send_to(b"kernel.drop 1 7", address).unwrap();
                    });
                })
            })
            .collect();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        sent += 20_000;
        // The drops are read every second, and what waits is read meanwhile.
        let count = || library.totals("u").received_items + library.source("u").kernel_drops.get();
        until("the account", || (count() == sent).then_some(()));
        (library.source("u").kernel_drops.get() > 0).then_some(())
    });
    let drops = library.source("u").kernel_drops.get();
    let metrics = page(admin, "/metrics");
    let expected = format!(
        "ingestry_source_kernel_dropped_datagrams_total{{source=\"u\",type=\"graphite-udp\"}} {drops}"
    );
    assert!(metrics.lines().any(|line| line == expected), "{expected}\n{metrics}");
    library.stop(DEADLINE);
}
