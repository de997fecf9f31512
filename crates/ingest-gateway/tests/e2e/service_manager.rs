//! Under a service manager: sockets that outlive the program, and what it is told.

use std::ffi::OsStr;
use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;

use crate::support::client::{acknowledged, connect, send, send_datagram, source_row, status};
use crate::support::process::Ingestry;
use crate::support::stored::lines;
use crate::support::wait::{DEADLINE, until};

#[test]
fn a_restart_refuses_no_connection_and_loses_no_datagram() {
    let work = tempfile::tempdir().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (to, to_udp) = (tcp.local_addr().unwrap(), udp.local_addr().unwrap());
    let by_address = format!("graphite-udp={to_udp}");
    let listen = ["--listen", "graphite=127.0.0.1:0", "--listen", &by_address, "--listen"];
    let args = [&listen[..], &["admin=127.0.0.1:0"]].concat();
    let start = || Ingestry::start_activated(work.path(), &tcp, &udp, &args, &[]);

    let first = start();
    // The one by its name, the other by its address.
    assert_eq!((first.address("graphite"), first.address("graphite-udp")), (to, to_udp));
    send(to, b"before 1 1700000000\n").unwrap();
    first.stop();

    let mut between = connect(to).unwrap();
    between.write_all(b"between 1 1700000000\n").unwrap();
    send_datagram(to_udp, b"between.udp 1 1700000000\n");

    let second = start();
    acknowledged(between).unwrap();
    until("the datagram", || {
        let row = source_row(&status(second.address("admin")), "graphite-udp");
        (row["accepted"]["items"].as_u64() == Some(1)).then_some(())
    });
    second.stop();
    let found = lines(&work.path().join("ingestry-data"), " 1 1700000000");
    for name in ["before", "between", "between.udp"] {
        let line = format!("{name} 1 1700000000");
        assert_eq!(found.iter().filter(|found| **found == line).count(), 1, "{name}: {found:?}");
    }
}

#[test]
fn the_manager_is_told_of_the_start_of_life_and_of_the_stop() {
    let work = tempfile::tempdir().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let path = work.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let told = |what: &str| {
        let mut text = [0; 4096];
        loop {
            let len = manager.recv(&mut text).unwrap();
            let text = String::from_utf8_lossy(&text[..len]).into_owned();
            if text.lines().any(|line| line == what) {
                return text;
            }
        }
    };
    let env = [("NOTIFY_SOCKET", path.as_os_str()), ("WATCHDOG_USEC", OsStr::new("20000"))];
    let args = ["--listen", "graphite=127.0.0.1:0"];
    let gateway = Ingestry::start_activated(work.path(), &tcp, &udp, &args, &env);
    let ready = told("READY=1");
    assert!(ready.contains("STATUS=Running: 1 source, 1 destination"), "{ready}");
    // It answers when it says so; the socket that nobody asked for is named.
    send(tcp.local_addr().unwrap(), b"ready 1 1700000000\n").unwrap();
    let spare = format!("UDP {} (\"ingestry.socket\")", udp.local_addr().unwrap());
    assert!(gateway.err().contains(&spare), "{}", gateway.err());
    told("WATCHDOG=1");
    told("WATCHDOG=1");
    gateway.signal("TERM");
    told("STOPPING=1");
    gateway.stop();
}
