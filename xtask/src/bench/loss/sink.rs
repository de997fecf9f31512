//! The destination: takes lines from any connection and knows their numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::sender::number;

/// A destination that listens, until the process ends or the address is asked for by nobody.
#[derive(Debug)]
pub(super) struct Sink {
    lines: Receiver<u64>,
}

/// What has come, and how often.
#[derive(Debug, Default)]
pub(super) struct Arrived(BTreeMap<u64, u32>);

impl Sink {
    pub(super) fn listen(at: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(at).context("the destination cannot listen")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        if number(&line).is_some_and(|number| sender.send(number).is_err()) {
                            break;
                        }
                    }
                });
            }
        });
        Ok(Self { lines })
    }

    /// Takes what comes until all of these were there and nothing more comes for a moment, or until
    /// nothing has come for so long.
    pub(super) fn gather(&self, expected: &BTreeSet<u64>, silence: Duration) -> Result<Arrived> {
        let mut arrived = Arrived::default();
        let mut missing = expected.len();
        let mut last = Instant::now();
        loop {
            let patience = if missing == 0 { silence.min(MOMENT) } else { silence };
            let Some(left) = patience.checked_sub(last.elapsed()) else { break };
            match self.lines.recv_timeout(left) {
                Ok(number) => {
                    let times = arrived.0.entry(number).or_insert(0);
                    *times += 1;
                    missing -= usize::from(*times == 1 && expected.contains(&number));
                    last = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    anyhow::bail!("the destination does not listen any more")
                }
            }
        }
        Ok(arrived)
    }
}

/// How long something that comes again may take behind the last one.
const MOMENT: Duration = Duration::from_millis(500);

impl Arrived {
    /// How many of these have not come.
    pub(super) fn missing(&self, expected: &BTreeSet<u64>) -> u64 {
        expected.iter().filter(|number| !self.0.contains_key(number)).count() as u64
    }

    /// How many came more than once.
    pub(super) fn twice(&self) -> u64 {
        self.0.values().filter(|times| **times > 1).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpStream;

    use super::super::sender::line;
    use super::*;

    #[test]
    fn what_is_missing_and_what_comes_twice_is_seen() {
        let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let sink = Sink::listen(at).unwrap();
        let mut stream = TcpStream::connect(at).unwrap();
        for n in [1, 2, 2, 5] {
            stream.write_all(line(n).as_bytes()).unwrap();
        }
        stream.write_all(b"something else\n").unwrap();
        drop(stream);
        let arrived = sink.gather(&[1, 2, 3].into(), Duration::from_millis(500)).unwrap();
        assert_eq!(arrived.missing(&[1, 2, 3].into()), 1);
        assert_eq!(arrived.twice(), 1);
    }
}
