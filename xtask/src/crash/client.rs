//! A client: sends its lines, ends its side, and waits for the end of the other.

use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::oracle::{self, Id};
use super::plan::Connection;

/// How long anything on a socket may take. The gateway is killed long before.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// With the end of file, after the client had ended its side.
    EndOfFile(Instant),
    Broken(Instant, io::Error),
}

/// What a client knows about one of its connections.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) connection: u32,
    /// Lines that were handed to the system, the last ones perhaps in part.
    pub(crate) sent: u64,
    /// The highest line with a report of its own; for sources that have such.
    pub(crate) reported: u64,
    pub(crate) end: End,
}

/// What a client has to do with the rest of its round.
#[derive(Debug)]
pub(crate) struct Contact {
    pub(crate) round: u32,
    pub(crate) address: SocketAddr,
    /// Disconnected when the gateway is killed; nothing is ever sent.
    pub(crate) killed: Receiver<Infallible>,
    /// Gets a word for each end of file.
    pub(crate) ends_of_file: Sender<()>,
}

/// Opens the connections one after the other, until one of them breaks.
pub(crate) fn run(connections: &[Connection], contact: &Contact) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for plan in connections {
        let mut sent = 0;
        let end = match converse(plan, contact, &mut sent) {
            Ok(()) => End::EndOfFile(Instant::now()),
            Err(error) => End::Broken(Instant::now(), error),
        };
        let complete = matches!(end, End::EndOfFile(_));
        outcomes.push(Outcome { connection: plan.number, sent, reported: 0, end });
        if !complete {
            break;
        }
        // Nobody waits for it in a round that ends at an instant.
        let _ = contact.ends_of_file.send(());
    }
    outcomes
}

fn converse(plan: &Connection, contact: &Contact, sent: &mut u64) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&contact.address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let id = Id { round: contact.round, connection: plan.number };
    let mut text = Vec::new();
    for burst in &plan.bursts {
        if contact.killed.recv_timeout(burst.pause) == Err(RecvTimeoutError::Disconnected) {
            // This is where the client ends its side: what it sees must be true even now.
            break;
        }
        text.clear();
        for k in (1..=burst.lines).map(|k| *sent + k) {
            oracle::write_line(id, k, &mut text);
        }
        // Before the write: it may fail after the gateway has got some of it.
        *sent += burst.lines;
        stream.write_all(&text)?;
    }
    stream.shutdown(Shutdown::Write)?;
    loop {
        match stream.read(&mut [0; 64]) {
            Ok(0) => return Ok(()),
            Ok(_) => return Err(io::Error::other("the gateway sent data")),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;
    use std::net::TcpListener;
    use std::sync::mpsc::channel;

    use super::super::plan::Burst;
    use super::*;

    fn connection(number: u32, lines: &[u64]) -> Connection {
        let burst = |lines: &u64| Burst { pause: Duration::ZERO, lines: *lines };
        Connection { number, bursts: lines.iter().map(burst).collect() }
    }

    /// Runs a client against a server that does `serve` with each of `count` connections.
    fn talk(
        plan: &[Connection],
        count: usize,
        serve: impl Fn(TcpStream) + Send + 'static,
    ) -> (Vec<Outcome>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            for _ in 0..count {
                serve(listener.accept().unwrap().0);
            }
        });
        let (_alive, killed) = channel();
        let (ends_of_file, seen) = channel();
        let outcomes = run(plan, &Contact { round: 2, address, killed, ends_of_file });
        server.join().unwrap();
        (outcomes, seen.iter().count())
    }

    #[test]
    fn connections_come_one_after_the_other() {
        let plan = [connection(1, &[2, 1]), connection(2, &[1])];
        let (received, lines) = channel();
        let (outcomes, seen) = talk(&plan, 2, move |stream| {
            for line in io::BufReader::new(&stream).lines() {
                received.send(line.unwrap()).unwrap();
            }
        });
        let lines: Vec<_> = lines.iter().collect();
        let expected = [
            "crash.r2.c1.n1 1 1700002001",
            "crash.r2.c1.n2 2 1700002002",
            "crash.r2.c1.n3 3 1700002003",
            "crash.r2.c2.n1 1 1700002001",
        ];
        assert_eq!(lines, expected);
        assert_eq!(seen, 2);
        let sent: Vec<_> = outcomes.iter().map(|one| (one.connection, one.sent)).collect();
        assert_eq!(sent, [(1, 3), (2, 1)]);
        assert!(outcomes.iter().all(|one| matches!(one.end, End::EndOfFile(_))));
    }

    #[test]
    fn a_reset_is_no_end_of_file() {
        let plan = [connection(1, &[3]), connection(2, &[1])];
        // Closing with something unread resets.
        let (outcomes, seen) = talk(&plan, 1, |mut stream| {
            stream.read_exact(&mut [0; 5]).unwrap();
        });
        assert_eq!((outcomes.len(), seen), (1, 0));
        assert_eq!((outcomes[0].connection, outcomes[0].sent), (1, 3));
        assert!(matches!(outcomes[0].end, End::Broken(..)), "{:?}", outcomes[0]);
    }
}
