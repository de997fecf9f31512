//! `allow`: who is not among the networks of a source gets nothing from it, and is counted.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use crate::support::client::{connect, page, send, send_datagram, source_row, status};
use crate::support::hydra::Socket;
use crate::support::process::Ingestry;
use crate::support::stored::lines;
use crate::support::wait::until;

fn configuration(work: &Path, allow: &str) {
    let source = |name: &str, kind: &str| {
        format!(
            "[sources.{name}]\ntype = \"{kind}\"\nlisten = \"127.0.0.1:0\"\nallow = [{allow}]\n"
        )
    };
    let text = [
        source("lines", "graphite"),
        source("datagrams", "graphite-udp"),
        source("ingesters", "gravwell"),
        source("hydra", "hydra"),
        "[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned(),
    ];
    std::fs::write(work.join("c.toml"), text.concat()).unwrap();
}

/// Whether a connection is closed without a word, whatever is said on it.
fn is_sent_away(address: SocketAddr) -> bool {
    let mut stream = match connect(address) {
        Ok(stream) => stream,
        // The reset was quicker than the look at what became of the connection.
        Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
    };
    let _ = stream.write_all(b"stranger 1 1700000000\n");
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    // Graphite's end of file would be an acknowledgement: here it has to be a reset.
    answer.is_empty() && read.is_err()
}

#[test]
fn strangers_are_sent_away_and_counted_until_they_are_allowed() {
    let work = tempfile::tempdir().unwrap();
    configuration(work.path(), "\"10.0.0.0/8\", \"::1\"");
    let gateway = Ingestry::start(work.path(), &["--config", "c.toml"]);
    let address = |name: &str| gateway.address(name);
    let admin = address("admin");
    assert!(is_sent_away(address("lines")));
    assert!(send(address("lines"), b"stranger 1 1700000000\n").is_err());
    assert!(Socket::open(address("hydra"), "/ws-ingest", "").is_err());
    let target = format!("tcp://{}", address("ingesters"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert!(runtime.block_on(ingest_wire::connect(&target, "secret", &["a"])).is_err());
    send_datagram(address("datagrams"), b"stranger 1 1700000000\nstranger 2 1700000000\n");
    let refused = until("the refusals", || {
        let status = status(admin);
        let connections = |name| source_row(&status, name)["connections"]["refused"].as_u64();
        let datagrams = source_row(&status, "datagrams");
        (datagrams["rejected"]["not_allowed"] == 1)
            .then(|| ["lines", "hydra", "ingesters"].map(connections))
    });
    assert_eq!(refused[0], Some(2));
    assert!(refused[1..].iter().all(|count| *count >= Some(1)), "{refused:?}");
    let err = gateway.err();
    for line in ["Refused a connection.", "Refused an item."] {
        let of = err.lines().filter(|text| text.contains(line) && text.contains("not_allowed"));
        assert!(of.count() >= 1, "{line}: {err}");
    }
    assert!(err.contains("its address is not in `allow`"), "{err}");
    assert!(page(admin, "/metrics").contains("reason=\"not_allowed\""));
    assert_eq!(lines(&work.path().join("ingestry-data"), "stranger"), Vec::<String>::new());

    // A reload lets them in, on the same addresses.
    configuration(work.path(), "\"127.0.0.0/8\"");
    gateway.signal("HUP");
    until("the reload", || gateway.out().contains("Reloaded: ").then_some(()));
    send(address("lines"), b"friend 1 1700000000\n").unwrap();
    send_datagram(address("datagrams"), b"friend.udp 1 1700000000\n");
    until("the datagram", || {
        let row = source_row(&status(admin), "datagrams");
        (row["accepted"]["items"] == 1).then_some(())
    });
    gateway.stop();
    assert_eq!(lines(&work.path().join("ingestry-data"), "friend").len(), 2);
}
