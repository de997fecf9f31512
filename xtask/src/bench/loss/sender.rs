//! Hands over lines in short connections, and knows which were accepted.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::crash::Rng;

/// Lines of a connection at most.
const BATCH: u64 = 30;
/// Between two connections, so that programs of any speed have some of the same size to lose.
const PAUSE: Duration = Duration::from_millis(1);
/// How long an end may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the sender knows.
#[derive(Debug, Default)]
struct Known {
    /// No end counts any more.
    closed: bool,
    accepted: BTreeSet<u64>,
}

/// A thread that sends until it is told to stop, or cannot.
#[derive(Debug)]
pub(super) struct Sender {
    known: Arc<Mutex<Known>>,
    thread: JoinHandle<()>,
}

impl Sender {
    pub(super) fn start(to: SocketAddr, seed: u64) -> Self {
        let known = Arc::new(Mutex::new(Known::default()));
        let shared = Arc::clone(&known);
        let thread = std::thread::spawn(move || {
            let (mut rng, mut next) = (Rng::new(seed), 0);
            while !with(&shared, |known| known.closed) {
                let end = next + rng.within(1, BATCH);
                // It was killed in the middle of this connection, or before: nobody promised anything.
                if handed_over(to, next, end).is_err() {
                    break;
                }
                with(&shared, |known| {
                    if !known.closed {
                        known.accepted.extend(next..end);
                    }
                });
                next = end;
                std::thread::sleep(PAUSE);
            }
        });
        Self { known, thread }
    }

    /// How many lines were accepted so far.
    pub(super) fn accepted(&self) -> usize {
        with(&self.known, |known| known.accepted.len())
    }

    /// From now on nothing counts.
    pub(super) fn close(&self) {
        with(&self.known, |known| known.closed = true);
    }

    /// The numbers of the lines that were accepted.
    pub(super) fn finish(self) -> Result<BTreeSet<u64>> {
        if self.thread.join().is_err() {
            bail!("the sender failed");
        }
        Ok(with(&self.known, |known| std::mem::take(&mut known.accepted)))
    }
}

fn with<T>(known: &Mutex<Known>, work: impl FnOnce(&mut Known) -> T) -> T {
    work(&mut known.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The line of a number.
pub(super) fn line(number: u64) -> String {
    format!("loss.of.a.line{number:07} {}.25 {}\n", number % 1000, 1_700_000_000 + number)
}

/// The number of a line, whatever a program has made of it behind the path.
pub(super) fn number(line: &str) -> Option<u64> {
    let digits = line.split_once("line")?.1.get(..7)?;
    digits.parse().ok()
}

fn handed_over(to: SocketAddr, first: u64, end: u64) -> Result<()> {
    let mut socket = TcpStream::connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let lines: String = (first..end).map(line).collect();
    socket.write_all(lines.as_bytes())?;
    socket.shutdown(Shutdown::Write)?;
    if socket.read(&mut [0; 8])? > 0 {
        bail!("the other side has said something");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_line_has_its_number() {
        for n in [0, 7, 1_234_567] {
            assert_eq!(number(&line(n)), Some(n));
        }
        assert_eq!(number("loss.of.a.line0000012.value 3 4"), Some(12));
        assert_eq!(number("loss.of.a.line12 3 4"), None);
        assert_eq!(number("another 3 4"), None);
    }

    #[test]
    fn what_ends_after_the_close_does_not_count() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sender = Sender::start(listener.local_addr().unwrap(), 1);
        let mut read = String::new();
        let (mut first, _) = listener.accept().unwrap();
        first.read_to_string(&mut read).unwrap();
        let lines = read.lines().count();
        drop(first);
        // The second connection comes once the first has counted.
        let (mut second, _) = listener.accept().unwrap();
        second.read_to_string(&mut read).unwrap();
        sender.close();
        drop(second);
        let accepted = sender.finish().unwrap();
        assert_eq!(accepted, (0..lines as u64).collect());
        assert!(read.lines().count() > lines);
    }
}
