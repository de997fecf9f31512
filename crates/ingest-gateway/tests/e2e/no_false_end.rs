//! The end of file says that everything is durable: so it must not come when that is not so,
//! however the gateway ends.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::support::client::{connect, source_row, status};
use crate::support::gate::Gate;
use crate::support::library::Library;
use crate::support::process::Ingestry;
use crate::support::stored::lines;
use crate::support::wait::until;

/// Writes a configuration whose log has no room from the start on, and gives its name: all but
/// 1 MiB of the file system has to stay free, and 2 MiB are in use.
pub(crate) fn full_from_the_start(work: &Path) -> String {
    let mut ballast = File::create(work.join("ballast")).unwrap();
    ballast.write_all(&vec![0xA5; 2 << 20]).unwrap();
    ballast.sync_all().unwrap();
    let space = rustix::fs::statvfs(work).unwrap();
    let min_free = space.f_blocks * space.f_frsize - (1 << 20);
    let text = format!(
        "log.max_bytes = \"1 MiB\"\nlog.min_free = \"{min_free} B\"\n\
         admin.listen = \"127.0.0.1:0\"\n\
         sources.graphite = {{ type = \"graphite\", listen = \"127.0.0.1:0\" }}\n"
    );
    std::fs::write(work.join("full.toml"), text).unwrap();
    "full.toml".to_owned()
}

/// Sends a line and the end, and waits until the gateway has taken it in: it waits for room.
pub(crate) fn line_that_waits(address: SocketAddr, taken: impl Fn() -> bool) -> TcpStream {
    let mut stream = connect(address).unwrap();
    stream.write_all(b"waits.for.room 1 1700000000\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    until("the line is taken in", || taken().then_some(()));
    stream
}

/// What a client that has ended its side sees must be a reset, not an end of file.
fn assert_reset(mut stream: TcpStream) {
    let seen = stream.read(&mut [0; 16]);
    assert!(seen.is_err(), "an end of file, although the line is not durable: {seen:?}");
}

#[test]
fn a_stop_that_runs_out_of_time_resets() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path();
    let gate = Gate::closed();
    let log = "max_bytes = \"1 MiB\"\nmin_free = 0\nkeep.bytes = 0";
    let library = Library::start(work, log, Some(gate));
    // Fill the log until nothing moves.
    let address = library.address("graphite");
    let filler = std::thread::spawn(move || {
        let mut stream = connect(address).unwrap();
        for n in 0.. {
            let line = format!("no.room.left.in.the.log.{n} {n} 1700000000\n");
            if stream.write_all(line.as_bytes()).is_err() {
                return;
            }
        }
    });
    until("a full log", || (library.status().log.health.as_str() == "full").then_some(()));
    let waiting =
        line_that_waits(address, || library.source("graphite").connections_open.get() == 2);
    library.stop(Duration::from_millis(300));
    assert_reset(waiting);
    filler.join().unwrap();
    assert_eq!(lines(work, "waits.for.room"), [""; 0]);
}

#[test]
fn a_kill_resets() {
    let work = tempfile::tempdir().unwrap();
    let config = full_from_the_start(work.path());
    let ingestry = Ingestry::start(work.path(), &["run", "--config", &config]);
    let admin = ingestry.address("admin");
    let waiting = line_that_waits(ingestry.address("graphite"), || {
        source_row(&status(admin), "graphite")["received"]["items"] == 1
    });
    ingestry.kill();
    assert_reset(waiting);
    assert_eq!(lines(&work.path().join("ingestry-data"), "waits.for.room"), [""; 0]);
}

#[test]
fn a_client_that_has_not_ended_is_reset_by_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::start(dir.path(), "", None);
    let mut stream = connect(library.address("graphite")).unwrap();
    stream.write_all(b"before.the.stop 1 1700000000\n").unwrap();
    until("the line", || lines(dir.path(), "before.the.stop").pop());
    library.stop(Duration::from_secs(10));
    // More of the client's may be on its way, and its own end behind that: an end of file from us
    // would wait for it, and then say that all of it is durable.
    let seen = stream.read(&mut [0; 16]);
    assert!(seen.is_err(), "an end of file before the client's own: {seen:?}");
    assert_eq!(lines(dir.path(), "before.the.stop").len(), 1);
}
